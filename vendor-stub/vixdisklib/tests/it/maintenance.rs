//! Shrinking, putting in order, checking, putting together.

use std::path::{Path, PathBuf};

use vddk_sys::{VixDiskLibConnection, VixDiskLibHandle};

use crate::harness::*;
use crate::local_disk::*;

const SPARSE: u32 = 1;
const FLAT: u32 = 2;
const SPLIT_SPARSE: u32 = 3;
const STREAM: u32 = 6;
const UNKNOWN: u32 = 256;
const SINGLE_LINK: u32 = vddk_sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK;

/// A test in a folder, with the library initialised without a lab.
fn locally(name: &str, test: impl FnOnce(&Path, VixDiskLibConnection)) {
    in_own_process(name, || {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(init((6, 5), None), 0);
        test(folder.path(), connect_local(false));
        exit();
    });
}

/// A base of 1000 sectors of ones, and a child with twos in sector 5 and written zeros in grain 3.
fn chain(folder: &Path, connection: VixDiskLibConnection) -> (PathBuf, PathBuf) {
    let (base, child) = (folder.join("base.vmdk"), folder.join("child.vmdk"));
    assert_eq!(create(connection, &base, &spec(FLAT, 1000)), 0);
    let disk = open_file(connection, &base, 0).unwrap();
    assert_eq!(write(disk, 0, &vec![1; 1000 * 512]), 0);
    assert_eq!(create_child(disk, &child, SPARSE), 0);
    assert_eq!(close(disk), 0);
    let disk = open_file(connection, &child, 0).unwrap();
    assert_eq!(write(disk, 384, &vec![0; 128 * 512]), 0);
    assert_eq!(write(disk, 5, &[2; 512]), 0);
    assert_eq!(close(disk), 0);
    (base, child)
}

fn whole(disk: VixDiskLibHandle) -> Vec<u8> {
    read(disk, 0, 1000).unwrap()
}

#[test]
fn sparse_disks_shrink_and_are_put_in_order() {
    locally(
        "maintenance::sparse_disks_shrink_and_are_put_in_order",
        |folder, connection| {
            let (base, child) = chain(folder, connection);
            let length_bytes = || std::fs::metadata(&child).unwrap().len();
            let before_bytes = length_bytes();
            let disk = open_file(connection, &child, 0).unwrap();
            let content = whole(disk);
            assert_eq!(rebuild(disk, false), 0);
            assert_eq!(length_bytes(), before_bytes);
            assert_eq!(rebuild(disk, true), 0);
            assert_eq!(length_bytes(), before_bytes - 65536);
            assert!(whole(disk) == content);
            assert_eq!(close(disk), 0);
            assert_eq!(check_repair(connection, &child, false), 0);

            let disk = open_file(connection, &child, READ_ONLY).unwrap();
            assert_eq!((rebuild(disk, true), rebuild(disk, false)), (11, 11));
            assert_eq!(close(disk), 0);
            let disk = open_file(connection, &base, 0).unwrap();
            assert_eq!((rebuild(disk, true), rebuild(disk, false)), (16009, 16013));
            assert_eq!(close(disk), 0);
            assert_eq!(rebuild(std::ptr::null_mut(), true), 1000);
        },
    );
}

#[test]
fn damage_is_found_and_mended() {
    locally(
        "maintenance::damage_is_found_and_mended",
        |folder, connection| {
            let (base, child) = chain(folder, connection);
            let disk = open_file(connection, &child, READ_ONLY).unwrap();
            let content = whole(disk);
            assert_eq!(check_repair(connection, &child, false), 15, "open");
            assert_eq!(close(disk), 0);
            assert_eq!(check_repair(connection, &child, true), 0);
            // The directory of a small disk follows header, descriptor and the other tables.
            let mut bytes = std::fs::read(&child).unwrap();
            bytes[26 * 512] = 0xff;
            bytes[26 * 512 + 3] = 0xff;
            std::fs::write(&child, bytes).unwrap();
            assert_eq!(check_repair(connection, &child, false), 16006);
            assert_eq!(check_repair(connection, &child, true), 0);
            assert_eq!(check_repair(connection, &child, false), 0);
            assert_eq!(log_lines("(left)").len(), 1);
            assert_eq!(log_lines("(mended)").len(), 1);
            let disk = open_file(connection, &child, READ_ONLY).unwrap();
            assert!(whole(disk) == content);
            assert_eq!(close(disk), 0);

            assert_eq!(check_repair(connection, &base, false), 16013, "flat");
            let stream = folder.join("stream.vmdk");
            let from = (connection, child.as_path());
            assert_eq!(
                clone((connection, &stream), from, Some(&spec(STREAM, 1)), false),
                0
            );
            assert_eq!(check_repair(connection, &stream, false), 0);
            let mut bytes = std::fs::read(&stream).unwrap();
            // The first grain is at sector 128, its data behind a marker of 12 bytes.
            bytes[128 * 512 + 12..][..8].fill(0xff);
            std::fs::write(&stream, bytes).unwrap();
            assert_eq!(check_repair(connection, &stream, false), 16006);
            assert_eq!(check_repair(connection, &stream, true), 16062);
            std::fs::write(&stream, "no disk").unwrap();
            assert_eq!(check_repair(connection, &stream, true), 9);
        },
    );
}

#[test]
fn an_attached_child_stands_for_the_chain() {
    locally(
        "maintenance::an_attached_child_stands_for_the_chain",
        |folder, connection| {
            let (base, child) = chain(folder, connection);
            let disk = open_file(connection, &child, READ_ONLY).unwrap();
            let content = whole(disk);
            assert_eq!(close(disk), 0);
            // Under another name the child does not find its parent.
            let moved = folder.join("moved.vmdk");
            assert_eq!(rename(&base, &moved), 0);
            assert_eq!(open_file(connection, &child, READ_ONLY), Err(16012));

            let parent = open_file(connection, &moved, READ_ONLY).unwrap();
            let alone = open_file(connection, &child, SINGLE_LINK).unwrap();
            assert!(whole(alone) != content);
            assert_eq!(is_attach_possible(parent, alone), 0);
            assert!(whole(alone) != content, "asked, not done");
            assert_eq!(attach(parent, alone), 0);
            assert!(whole(alone) == content);
            assert_eq!(attach(parent, alone), 16068);
            assert_eq!(write(alone, 700, &[9; 512]), 0);
            // The parent belongs to the child: closing it is ignored.
            assert_eq!(close(parent), 0);
            assert_eq!(read(alone, 999, 1).unwrap(), [1; 512]);
            assert_eq!(close(parent), 0);
            assert_eq!(close(alone), 0);
            assert_eq!(read(parent, 0, 1), Err(1000), "closed with its child");
            assert_eq!(close(parent), 0);
            assert_eq!(unlink(connection, &moved), 0, "nobody has it open");
        },
    );
}

#[test]
fn links_that_do_not_fit_are_told_apart() {
    locally(
        "maintenance::links_that_do_not_fit_are_told_apart",
        |folder, connection| {
            let (base, child) = chain(folder, connection);
            let root = folder.join("root.vmdk");
            assert_eq!(create(connection, &root, &spec(SPLIT_SPARSE, 1000)), 0);
            let larger = folder.join("larger.vmdk");
            assert_eq!(create(connection, &larger, &spec(FLAT, 1001)), 0);
            let open = |path: &Path| open_file(connection, path, SINGLE_LINK | READ_ONLY).unwrap();
            let (parent, alone) = (open(&base), open(&child));
            let (root, larger) = (open(&root), open(&larger));
            let whole_child = open_file(connection, &child, READ_ONLY).unwrap();
            for (parent, child, code) in [
                (parent, root, 16069),
                (larger, alone, 16067),
                (root, alone, 16008),
                (parent, whole_child, 16068),
                (alone, alone, 3),
                (parent, std::ptr::null_mut(), 1000),
            ] {
                assert_eq!(is_attach_possible(parent, child), code);
                assert_eq!(attach(parent, child), code);
            }
            assert_eq!(is_attach_possible(parent, alone), 0);
        },
    );
}

#[test]
fn the_space_for_a_clone_is_enough_and_not_much_more() {
    locally(
        "maintenance::the_space_for_a_clone_is_enough_and_not_much_more",
        |folder, connection| {
            let (base, child) = chain(folder, connection);
            for (path, own) in [(&base, FLAT), (&child, SPARSE)] {
                let disk = open_file(connection, path, READ_ONLY).unwrap();
                assert_eq!(space_needed(disk, UNKNOWN), space_needed(disk, own));
                let flat = space_needed(disk, FLAT).unwrap();
                assert!((1000 * 512..1000 * 512 + 4096).contains(&flat), "{flat}");
                let sparse = space_needed(disk, SPARSE).unwrap();
                assert_eq!(sparse, 65536 + 8 * 65536);
                assert_eq!(space_needed(disk, 8), Err(16022));
                assert_eq!(space_needed(disk, 9), Err(3));
                assert_eq!(close(disk), 0);
            }
            assert_eq!(space_needed(std::ptr::null_mut(), FLAT), Err(1000));
        },
    );
}
