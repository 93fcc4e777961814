//! Making and changing disks: what works, and the codes of what does not.

use std::path::Path;

use vddk_sys::{VixDiskLibAdapterType, VixDiskLibCreateParams};

use crate::harness::*;
use crate::loaded::built;
use crate::local_disk::*;

const SPARSE: u32 = 1;
const FLAT: u32 = 2;
const SPLIT_SPARSE: u32 = 3;
const SPLIT_FLAT: u32 = 4;
const STREAM: u32 = 6;
const LOCAL: [u32; 5] = [SPARSE, FLAT, SPLIT_SPARSE, SPLIT_FLAT, STREAM];

/// A test in a folder, with the library initialised without a lab.
fn locally(name: &str, test: impl FnOnce(&Path)) {
    in_own_process(name, || {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(init((6, 5), None), 0);
        test(folder.path());
        exit();
    });
}

#[test]
fn metadata_survive_a_reopen() {
    locally("changes::metadata_survive_a_reopen", |folder| {
        let connection = connect_local(false);
        let path = folder.join("a.vmdk");
        assert_eq!(create(connection, &path, &spec(SPARSE, 300)), 0);
        let disk = open_file(connection, &path, 0).unwrap();
        assert_eq!(read_metadata(disk, "adapterType").unwrap(), "buslogic");
        assert_eq!(read_metadata(disk, "virtualHWVersion").unwrap(), "7");
        assert_eq!(read_metadata(disk, "uuid").unwrap().len(), 47);
        assert_eq!(read_metadata(disk, "toolsVersion"), Err(16052));
        assert_eq!(write_metadata(disk, "toolsVersion", "12352"), 0);
        assert_eq!(write_metadata(disk, "adapterType", "lsilogic"), 0);
        assert_eq!(write_metadata(disk, "", "x"), 3);
        assert_eq!(write_metadata(disk, "a", "two\nlines"), 3);
        assert_eq!(write_metadata(disk, "large", &"x".repeat(20_000)), 8);
        assert_eq!(close(disk), 0);
        let disk = open_file(connection, &path, READ_ONLY).unwrap();
        assert_eq!(read_metadata(disk, "toolsVersion").unwrap(), "12352");
        assert_eq!(read_metadata(disk, "adapterType").unwrap(), "lsilogic");
        assert_eq!(write_metadata(disk, "a", "b"), 11);
        assert_eq!(read_metadata(disk, "a"), Err(16052));
        assert_eq!(write_metadata(std::ptr::null_mut(), "a", "b"), 1000);
    });
}

#[test]
fn every_local_kind_is_made_and_takes_data() {
    locally(
        "changes::every_local_kind_is_made_and_takes_data",
        |folder| {
            let connection = connect_local(false);
            for disk_type in LOCAL {
                let path = folder.join(format!("{disk_type}.vmdk"));
                assert_eq!(create(connection, &path, &spec(disk_type, 300)), 0);
                assert_eq!(create(connection, &path, &spec(disk_type, 300)), 12);
                let disk = open_file(connection, &path, 0).unwrap();
                assert_eq!(write(disk, 150, &[disk_type as u8; 5 * 512]), 0);
                assert_eq!(close(disk), 0);
                let disk = open_file(connection, &path, READ_ONLY).unwrap();
                let data = read(disk, 149, 7).unwrap();
                assert_eq!(&data[..512], [0; 512]);
                assert_eq!(data[512..6 * 512], [disk_type as u8; 5 * 512]);
                assert_eq!(data[6 * 512..], [0; 512]);
                assert_eq!(close(disk), 0);
            }
            let taken = folder.join("b-flat.vmdk");
            std::fs::write(taken, "mine").unwrap();
            let path = folder.join("b.vmdk");
            assert_eq!(create(connection, &path, &spec(FLAT, 300)), 12);
            assert!(!path.exists());
        },
    );
}

#[test]
fn what_cannot_be_made_is_refused() {
    locally("changes::what_cannot_be_made_is_refused", |folder| {
        let connection = connect_local(false);
        let path = folder.join("a.vmdk");
        let good = spec(SPARSE, 300);
        let code = |spec: &VixDiskLibCreateParams| create(connection, &path, spec);
        assert_eq!((code(&spec(0, 300)), code(&spec(256, 300))), (3, 3));
        for disk_type in [5, 7, 8] {
            assert_eq!(code(&spec(disk_type, 300)), 16022, "{disk_type}");
        }
        assert_eq!(
            (code(&spec(SPARSE, 0)), code(&spec(SPARSE, u64::MAX))),
            (3, 3)
        );
        let unknown = VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_UNKNOWN;
        assert_eq!(
            code(&VixDiskLibCreateParams {
                adapterType: unknown,
                ..good
            }),
            3
        );
        for version in [0, 2, u16::MAX] {
            assert_eq!(
                code(&VixDiskLibCreateParams {
                    hwVersion: version,
                    ..good
                }),
                3
            );
        }
        assert_eq!(
            code(&VixDiskLibCreateParams {
                logicalSectorSize: 4096,
                ..good
            }),
            14004
        );
        assert_eq!(create(connection, Path::new("a.vmdk"), &good), 22);
        assert_eq!(create(connection, &folder.join("no/a.vmdk"), &good), 4);
        assert_eq!(create(std::ptr::null_mut(), &path, &good), 1000);
        assert!(!path.exists());
        assert_eq!(code(&good), 0);
    });
}

#[test]
fn a_disk_that_is_open_is_left_alone() {
    locally("changes::a_disk_that_is_open_is_left_alone", |folder| {
        let connection = connect_local(false);
        let (a, b, c) = (
            folder.join("a.vmdk"),
            folder.join("b.vmdk"),
            folder.join("c.vmdk"),
        );
        assert_eq!(create(connection, &a, &spec(FLAT, 300)), 0);
        let parent = open_file(connection, &a, READ_ONLY).unwrap();
        assert_eq!(create_child(parent, &b, SPARSE), 0);
        assert_eq!(close(parent), 0);
        // As the parent of an open disk it is in use, too.
        let child = open_file(connection, &b, READ_ONLY).unwrap();
        for path in [&a, &b] {
            assert_eq!(unlink(connection, path), 15);
            assert_eq!(rename(path, &c), 15);
            assert_eq!(grow(connection, path, 400), 15);
            let (to, from) = ((connection, c.as_path()), (connection, path.as_path()));
            assert_eq!(clone(to, from, Some(&spec(SPARSE, 0)), false), 15);
        }
        assert!(!c.exists());
        assert_eq!(close(child), 0);
        assert_eq!(grow(connection, &b, 400), 16013, "a child");
        assert_eq!(unlink(connection, &b), 0);
        assert_eq!(grow(connection, &a, 299), 3);
        assert_eq!(grow(connection, &a, 400), 0);
        assert_eq!(rename(&a, &c), 0);
        assert_eq!(rename(&a, &c), 4);
        let disk = open_file(connection, &c, READ_ONLY).unwrap();
        assert_eq!(read(disk, 399, 1).unwrap(), [0; 512]);
        assert_eq!(read_metadata(disk, "geometry.biosHeads").unwrap(), "64");
        assert_eq!(close(disk), 0);
        assert_eq!(create(connection, &a, &spec(SPLIT_FLAT, 10)), 0);
        assert_eq!(rename(&a, &c), 12);
        assert_eq!(rename(Path::new("a"), &c), 22);
        assert_eq!((unlink(connection, &c), unlink(connection, &a)), (0, 0));
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
        assert_eq!(unlink(connection, &c), 4);
    });
}

#[test]
fn a_parent_written_after_its_child_shows_as_a_mismatch() {
    locally(
        "changes::a_parent_written_after_its_child_shows_as_a_mismatch",
        |folder| {
            let connection = connect_local(false);
            let (a, b) = (folder.join("a.vmdk"), folder.join("b.vmdk"));
            assert_eq!(create(connection, &a, &spec(SPLIT_SPARSE, 300)), 0);
            let parent = open_file(connection, &a, 0).unwrap();
            assert_eq!(write(parent, 0, &[1; 512]), 0);
            for disk_type in [FLAT, SPLIT_FLAT, STREAM] {
                assert_eq!(create_child(parent, &b, disk_type), 3);
            }
            assert_eq!(create_child(parent, &b, 7), 16022);
            assert_eq!(create_child(parent, &b, SPLIT_SPARSE), 0);
            assert_eq!(create_child(parent, &b, SPLIT_SPARSE), 12);
            let child = open_file(connection, &b, 0).unwrap();
            assert_eq!(write(child, 1, &[2; 512]), 0);
            let firsts = read(child, 0, 3).unwrap();
            assert_eq!((firsts[0], firsts[512], firsts[1024]), (1, 2, 0));
            assert_eq!(close(child), 0);
            assert_eq!(write(parent, 0, &[3; 512]), 0);
            assert_eq!(close(parent), 0);
            assert_eq!(open_file(connection, &b, READ_ONLY), Err(16008));
        },
    );
}

#[test]
fn clones_hold_what_the_chain_held() {
    locally("changes::clones_hold_what_the_chain_held", |folder| {
        let connection = connect_local(false);
        let (a, b) = (folder.join("a.vmdk"), folder.join("b.vmdk"));
        assert_eq!(create(connection, &a, &spec(FLAT, 1000)), 0);
        let parent = open_file(connection, &a, 0).unwrap();
        assert_eq!(write(parent, 100, &vec![1; 200 * 512]), 0);
        assert_eq!(create_child(parent, &b, SPARSE), 0);
        assert_eq!(close(parent), 0);
        let child = open_file(connection, &b, 0).unwrap();
        assert_eq!(write(child, 999, &[2; 512]), 0);
        let content = read(child, 0, 1000).unwrap();
        assert_eq!(close(child), 0);
        let from = (connection, b.as_path());
        for disk_type in LOCAL {
            let path = folder.join(format!("clone-{disk_type}.vmdk"));
            let to = (connection, path.as_path());
            // The capacity is the source's, whatever the parameters say.
            assert_eq!(clone(to, from, Some(&spec(disk_type, 7)), false), 0);
            assert_eq!(clone(to, from, Some(&spec(disk_type, 7)), false), 12);
            assert_eq!(clone(to, from, Some(&spec(disk_type, 7)), true), 0);
            let disk = open_file(connection, &path, READ_ONLY).unwrap();
            assert!(read(disk, 0, 1000).unwrap() == content, "{disk_type}");
            assert_eq!(read(disk, 1000, 1), Err(16007));
            assert_eq!(close(disk), 0);
        }
        assert_eq!(
            clone((connection, &a), from, Some(&spec(SPARSE, 7)), true),
            3,
            "its own parent"
        );
        let new = folder.join("new.vmdk");
        assert_eq!(clone((connection, &new), from, None, false), 3);
        let gone = folder.join("gone.vmdk");
        let spec = spec(SPARSE, 7);
        assert_eq!(
            clone((connection, &new), (connection, &gone), Some(&spec), false),
            4
        );
        assert!(!new.exists());
    });
}

#[test]
fn a_disk_of_the_lab_is_cloned_and_nothing_else_works_on_it() {
    in_own_process(
        "changes::a_disk_of_the_lab_is_cloned_and_nothing_else_works_on_it",
        || {
            let site = Site::new();
            site.init("");
            let (remote, disk) = site.open_frozen();
            let content = read(disk, 0, CAPACITY_SECTORS as usize).unwrap();
            let local = connect_local(false);
            let path = site.folder.path().join("copy.vmdk");
            let from = (remote, Path::new(site.frozen()));
            let spec = spec(SPLIT_SPARSE, 1);
            assert_eq!(clone((local, &path), from, Some(&spec), false), 0);
            let copy = open_file(local, &path, READ_ONLY).unwrap();
            assert!(read(copy, 0, CAPACITY_SECTORS as usize).unwrap() == content);
            assert_eq!(close(copy), 0);

            let here = site.folder.path().join("x.vmdk");
            assert_eq!(create(remote, &here, &spec), 20);
            assert_eq!(grow(remote, &path, 9000), 20);
            assert_eq!(unlink(remote, &path), 20);
            assert_eq!(create_child(disk, &here, SPARSE), 20);
            assert_eq!(write_metadata(disk, "a", "b"), 11, "open for reading");
            let frozen = Path::new(site.frozen());
            assert_eq!(unlink(local, frozen), 22, "a datastore path");
            assert!(!here.exists());
            exit();
            for name in [
                "Create",
                "Grow",
                "Unlink",
                "CreateChild",
                "WriteMetadata",
                "Clone",
            ] {
                let entries = site.journal(&format!("VixDiskLib_{name}"));
                assert!(!entries.is_empty(), "{name}");
            }
            assert_eq!(site.journal("VixDiskLib_Clone")[0].args["disk_type"], 3);
        },
    );
}

#[test]
fn a_local_disk_is_cloned_to_a_datastore() {
    in_own_process("changes::a_local_disk_is_cloned_to_a_datastore", || {
        let site = Site::new();
        site.init("");
        let local = connect_local(false);
        let path = site.folder.path().join("a.vmdk");
        assert_eq!(create(local, &path, &spec(SPARSE, 700)), 0);
        let disk = open_file(local, &path, 0).unwrap();
        assert_eq!(write(disk, 650, &vec![5; 50 * 512]), 0);
        let content = read(disk, 0, 700).unwrap();
        assert_eq!(close(disk), 0);
        let remote = connect(&site.params(), false, None, None).unwrap();
        let (from, frozen) = ((local, path.as_path()), site.frozen());
        let (folder, _) = frozen.rsplit_once('/').unwrap();
        let new = format!("{folder}/restored.vmdk");
        let to = |connection, path: &str, overwrite| {
            clone((connection, Path::new(path)), from, None, overwrite)
        };
        assert_eq!(to(remote, &new, false), 0, "without parameters");
        assert_eq!(to(remote, &new, false), 12);
        assert_eq!(to(remote, &new, true), 0);
        let (datastore, file) = new.strip_prefix('[').unwrap().split_once("] ").unwrap();
        let file = site
            .lab
            .root()
            .join("datastores")
            .join(datastore)
            .join(file);
        let copy = vmdk::Disk::open(&file, vmdk::OpenOptions::default()).unwrap();
        assert_eq!(copy.descriptor().create_type, vmdk::CreateType::Vmfs);
        assert_eq!(copy.descriptor().ddb("adapterType"), Some("buslogic"));
        let mut found = vec![1; 700 * 512];
        copy.read_at(0, &mut found).unwrap();
        assert!(found == content);

        assert_eq!(to(remote, frozen, true), 15, "a VM's disk");
        assert_eq!(to(remote, "[nowhere] a/a.vmdk", false), 4);
        assert_eq!(to(remote, "/tmp/a.vmdk", false), 4, "no datastore path");
        let reading = connect(&site.params(), true, None, None).unwrap();
        assert_eq!(to(reading, &format!("{folder}/b.vmdk"), false), 11);
        let thumbprint = None;
        let params = Params {
            thumbprint,
            ..site.params()
        };
        let doubted = connect(&params, false, None, None).unwrap();
        assert_eq!(to(doubted, &format!("{folder}/b.vmdk"), false), 1);
        let snapshot = Some(site.snapshot.moref.as_str());
        let frozen_connection = connect(&site.params(), true, snapshot, None).unwrap();
        let from = (frozen_connection, Path::new(frozen));
        assert_eq!(clone((remote, Path::new(&new)), from, None, true), 6);
        exit();
    });
}

#[test]
fn create_parameters_of_old_releases_have_24_bytes() {
    in_own_process(
        "changes::create_parameters_of_old_releases_have_24_bytes",
        || {
            let site = Site::new();
            for (major, expected) in [(6, 0), (7, 14004), (8, 14004)] {
                let kit = site.folder.path().join(format!("kit-{major}"));
                let hidden = Vec::new();
                let kit_spec = lab::KitSpec { major, hidden };
                site.lab.install_kit_in(&built(), &kit_spec, &kit).unwrap();
                let library = vddk_sys::load(Some(&kit)).unwrap();
                let (symbols, null) = (library.symbols(), std::ptr::null());
                // SAFETY: null functions and strings are allowed.
                let code = unsafe { symbols.VixDiskLib_InitEx(6, 5, None, None, None, null, null) };
                assert_eq!(code, 0);
                let mut connection = std::ptr::null_mut();
                // SAFETY: null or valid pointers.
                let code = unsafe {
                    symbols.VixDiskLib_ConnectEx(null.cast(), 0, null, null, &raw mut connection)
                };
                assert_eq!(code, 0);
                // What lies behind the 24 bytes is not the caller's.
                let params = VixDiskLibCreateParams {
                    logicalSectorSize: 0xDEAD_BEEF,
                    physicalSectorSize: 0xDEAD_BEEF,
                    ..spec(SPARSE, 300)
                };
                let path = site.folder.path().join(format!("{major}.vmdk"));
                let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
                let (path, none) = (path.as_ptr(), std::ptr::null_mut());
                // SAFETY: the pointers are valid during the call.
                let code = unsafe {
                    symbols.VixDiskLib_Create(connection, path, &raw const params, None, none)
                };
                assert_eq!(code, expected, "{major}");
                // SAFETY: no other call runs.
                unsafe { symbols.VixDiskLib_Exit() };
            }
        },
    );
}
