//! Local sparse disks: kept small and in order, checked and mended, joined to chains.

use std::{fs, path::Path};

use vddk::{ChildType, Connection, DiskType, Kind, OpenOptions, Progress, Repair, SECTOR_BYTES};

use crate::{
    kit::Kit,
    local_disks::{SECTORS, at, code_of, content, content_of, filled, locally, pattern, write},
};

/// A base that holds the pattern, under a name where its child does not look, and the child with ones
/// in its first sector.
fn parted(kit: &Kit, library: &vddk::Library, connection: &Connection) -> (String, String) {
    let (base, child) = (at(kit, "base.vmdk"), at(kit, "child.vmdk"));
    filled(connection, &base, DiskType::MonolithicFlat);
    let parent = connection.open(&base, &OpenOptions::default()).unwrap();
    parent
        .create_child(&child, ChildType::MonolithicSparse, Progress::none())
        .unwrap();
    parent.close().unwrap();
    let options = OpenOptions::default();
    let disk = connection.open_writable(&child, &options).unwrap();
    write(&disk, 0, 1, 1);
    disk.close().unwrap();
    let moved = at(kit, "moved.vmdk");
    library.rename(&base, &moved).unwrap();
    (moved, child)
}

fn whole() -> Vec<u8> {
    let mut bytes = pattern();
    bytes[..SECTOR_BYTES].fill(1);
    bytes
}

const SINGLE_LINK: fn() -> OpenOptions = || OpenOptions {
    single_link: true,
    ..OpenOptions::default()
};

#[test]
fn a_chain_is_the_child_and_what_the_parent_holds_below_it() {
    locally(
        "local_chains::a_chain_is_the_child_and_what_the_parent_holds_below_it",
        |kit, library, connection| {
            let (base, child) = parted(kit, library, connection);
            let lost = connection.open(&child, &OpenOptions::default()).map(drop);
            assert_eq!(code_of(lost), 16_012, "it found its parent");

            let parent = connection.open(&base, &OpenOptions::default()).unwrap();
            let alone = connection.open(&child, &SINGLE_LINK()).unwrap();
            assert!(content(&alone) != whole());
            alone.is_attach_possible(&parent).unwrap();
            let (opened, closed) = (kit.count("VixDiskLib_Open"), kit.count("VixDiskLib_Close"));
            let chain = alone.attach_to(parent).unwrap();
            assert_eq!(chain.info().links, 2);
            assert_eq!(chain.path(), child);
            assert!(content(&chain) == whole());
            chain.close().unwrap();
            // One close for both handles: that of the parent belongs to the chain.
            assert_eq!(kit.count("VixDiskLib_Open"), opened);
            assert_eq!(kit.count("VixDiskLib_Close"), closed + 1);
            // Nobody has it open any more.
            connection.unlink(&base).unwrap();
            assert!(!Path::new(&base).exists());
        },
    );
}

#[test]
fn a_chain_that_is_open_for_writing_leaves_its_parent_alone() {
    locally(
        "local_chains::a_chain_that_is_open_for_writing_leaves_its_parent_alone",
        |kit, library, connection| {
            let (base, child) = parted(kit, library, connection);
            let parent = connection.open(&base, &OpenOptions::default()).unwrap();
            let alone = connection.open_writable(&child, &SINGLE_LINK()).unwrap();
            let chain = alone.attach_to(parent).unwrap();
            write(&chain, 101, 3, 1);
            let mut changed = whole();
            changed[101 * SECTOR_BYTES..102 * SECTOR_BYTES].fill(3);
            assert!(content(&chain) == changed);
            chain.close().unwrap();
            assert!(content_of(connection, &base) == pattern());
        },
    );
}

#[test]
fn disks_that_do_not_fit_are_not_attached_and_the_reason_is_told() {
    locally(
        "local_chains::disks_that_do_not_fit_are_not_attached_and_the_reason_is_told",
        |kit, _, connection| {
            let (base, other) = (at(kit, "base.vmdk"), at(kit, "other.vmdk"));
            filled(connection, &base, DiskType::MonolithicFlat);
            filled(connection, &other, DiskType::MonolithicSparse);
            let open = |path: &str| connection.open(path, &SINGLE_LINK()).unwrap();
            let (parent, root) = (open(&base), open(&other));
            // It is no child.
            let code = 16_069;
            assert_eq!(code_of(root.is_attach_possible(&parent)), code);
            assert_eq!(code_of(root.attach_to(parent).map(drop)), code);
        },
    );
}

#[test]
fn zeros_are_given_back_and_the_content_stays() {
    locally(
        "local_chains::zeros_are_given_back_and_the_content_stays",
        |kit, _, connection| {
            let path = at(kit, "a.vmdk");
            filled(connection, &path, DiskType::MonolithicSparse);
            let bytes = || fs::metadata(&path).unwrap().len();
            let disk = connection
                .open_writable(&path, &OpenOptions::default())
                .unwrap();
            write(&disk, 2048, 5, 128);
            write(&disk, 2048, 0, 128);
            disk.flush().unwrap();
            let before = bytes();
            disk.defragment(Progress::none()).unwrap();
            assert!(content(&disk) == pattern());
            disk.shrink(Progress::none()).unwrap();
            assert!(bytes() < before, "{} of {before} bytes are left", bytes());
            assert!(content(&disk) == pattern());
            disk.close().unwrap();
            connection.check_repair(&path, Repair::No).unwrap();

            let flat = at(kit, "flat.vmdk");
            filled(connection, &flat, DiskType::MonolithicFlat);
            let disk = connection
                .open_writable(&flat, &OpenOptions::default())
                .unwrap();
            assert_eq!(code_of(disk.shrink(Progress::none())), 16_009);
            disk.close().unwrap();
        },
    );
}

#[test]
fn damage_is_told_and_then_mended() {
    locally(
        "local_chains::damage_is_told_and_then_mended",
        |kit, _, connection| {
            let path = at(kit, "a.vmdk");
            filled(connection, &path, DiskType::MonolithicSparse);
            connection.check_repair(&path, Repair::No).unwrap();
            // The directory that is in use lies where bytes 56 to 63 of the header say.
            let mut bytes = fs::read(&path).unwrap();
            let sector = u64::from_le_bytes(bytes[56..64].try_into().unwrap());
            let directory = usize::try_from(sector).unwrap() * SECTOR_BYTES;
            bytes[directory..directory + 4].fill(0xFF);
            fs::write(&path, bytes).unwrap();

            let told = connection.check_repair(&path, Repair::No).unwrap_err();
            assert_eq!(told.code().unwrap().0, 16_006);
            assert_eq!(told.kind(), Some(Kind::Disk));
            connection.check_repair(&path, Repair::Yes).unwrap();
            connection.check_repair(&path, Repair::No).unwrap();
            assert!(content_of(connection, &path) == pattern());
        },
    );
}

#[test]
fn the_space_for_a_copy_is_told_in_bytes() {
    locally(
        "local_chains::the_space_for_a_copy_is_told_in_bytes",
        |kit, _, connection| {
            let path = at(kit, "a.vmdk");
            filled(connection, &path, DiskType::MonolithicSparse);
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            let own = disk.space_needed_for_clone(None).unwrap();
            let sparse = disk.space_needed_for_clone(Some(DiskType::MonolithicSparse));
            assert_eq!(own, sparse.unwrap());
            let flat = disk.space_needed_for_clone(Some(DiskType::MonolithicFlat));
            assert!(flat.unwrap() >= SECTORS * SECTOR_BYTES as u64);
            // A redo log on a datastore is no copy.
            let redo = disk.space_needed_for_clone(Some(DiskType::VmfsSparse));
            assert_eq!(code_of(redo.map(drop)), 16_022);
            disk.close().unwrap();
        },
    );
}
