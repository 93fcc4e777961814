//! Making and changing disks: what is refused before the library sees it, and what it refuses.

use lab::Fault;
use vddk::{
    ChildType, Connection, CreateSpec, DiskType, Error, Existing, Geometry, OpenOptions, Progress,
    Repair,
};
use vmdk::CreateOptions;

use crate::kit::{Kit, in_own_process};

const SPEC: fn() -> CreateSpec = || CreateSpec::new(DiskType::MonolithicSparse, 2048);

/// A local sparse disk of 1 MiB.
fn local_disk(kit: &Kit, name: &str) -> String {
    let path = kit.folder().join(name);
    vmdk::create_monolithic_sparse(&path, &CreateOptions::new(2048)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// No function that makes or changes a disk was called.
fn nothing_was_called(kit: &Kit) {
    for name in [
        "Create",
        "CreateChild",
        "Clone",
        "Grow",
        "Shrink",
        "Defragment",
        "Rename",
        "Unlink",
        "CheckRepair",
        "SpaceNeededForClone",
        "WriteMetadata",
    ] {
        assert_eq!(kit.count(&format!("VixDiskLib_{name}")), 0, "{name}");
    }
}

/// Every change by path, with the path given.
fn changes(connection: &Connection, path: &str) -> [(&'static str, Result<(), Error>); 4] {
    [
        (
            "VixDiskLib_Create",
            connection.create(path, &SPEC(), Progress::none()),
        ),
        (
            "VixDiskLib_Grow",
            connection.grow(path, 4096, Geometry::Keep, Progress::none()),
        ),
        ("VixDiskLib_Unlink", connection.unlink(path)),
        (
            "VixDiskLib_CheckRepair",
            connection.check_repair(path, Repair::No),
        ),
    ]
}

#[test]
fn what_works_on_local_disks_only_is_refused_on_remote_ones() {
    in_own_process(
        "changing::what_works_on_local_disks_only_is_refused_on_remote_ones",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let refused = |function: &str, result: Result<(), Error>| match result {
                Err(Error::LocalOnly {
                    function: told,
                    server,
                }) => assert_eq!((told, server.as_str()), (function, "127.0.0.1")),
                other => panic!("{function}: {other:?}"),
            };
            for (function, result) in changes(&connection, &path) {
                refused(function, result);
            }
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            refused(
                "VixDiskLib_CreateChild",
                disk.create_child("/c.vmdk", ChildType::SplitSparse, Progress::none()),
            );
            refused(
                "VixDiskLib_SpaceNeededForClone",
                disk.space_needed_for_clone(None).map(drop),
            );
            disk.close().unwrap();
            nothing_was_called(&kit);
        },
    );
}

#[test]
fn unfit_paths_and_sizes_are_refused_here() {
    in_own_process("changing::unfit_paths_and_sizes_are_refused_here", || {
        let kit = Kit::new();
        let library = kit.load();
        let connection = library.connect_local(false).unwrap();
        let good = local_disk(&kit, "good.vmdk");
        let refused = |what: &str, result: Result<(), Error>| {
            assert!(
                matches!(result, Err(Error::Argument { .. })),
                "{what}: {result:?}"
            );
        };
        for path in ["relative.vmdk", "", "/a\0b.vmdk", "[store] vm/vm.vmdk"] {
            for (function, result) in changes(&connection, path) {
                refused(function, result);
            }
            let copy = |to: &str, from: &str| {
                connection.clone_from(
                    to,
                    &connection,
                    from,
                    &SPEC(),
                    Existing::Keep,
                    Progress::none(),
                )
            };
            refused("clone to", copy(path, &good));
            refused("clone from", copy("/x.vmdk", path));
            refused("rename to", library.rename(&good, path));
            refused("rename from", library.rename(path, "/x.vmdk"));
            refused(
                "open",
                connection
                    .open(path, &OpenOptions::default())
                    .map(|disk| disk.close().unwrap()),
            );
        }
        let empty = CreateSpec::new(DiskType::MonolithicSparse, 0);
        refused(
            "no sectors",
            connection.create("/x.vmdk", &empty, Progress::none()),
        );
        let disk = connection.open(&good, &OpenOptions::default()).unwrap();
        refused(
            "child",
            disk.create_child("c.vmdk", ChildType::MonolithicSparse, Progress::none()),
        );
        disk.close().unwrap();
        nothing_was_called(&kit);
    });
}

#[test]
fn a_refusal_of_the_library_names_function_and_disk() {
    in_own_process(
        "changing::a_refusal_of_the_library_names_function_and_disk",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let connection = library.connect_local(false).unwrap();
            let path = local_disk(&kit, "local.vmdk");
            let told = |function: &str, result: Result<(), Error>| match result {
                Err(Error::Call(call)) => {
                    assert_eq!(
                        (call.operation(), call.object()),
                        (function, Some(path.as_str()))
                    );
                    assert_eq!(call.code().0, 7);
                }
                other => panic!("{function}: {other:?}"),
            };
            // A fault replaces the one before it, so each is set for its own call.
            let fail = |function: &str| {
                kit.fault(Fault {
                    call: function.to_owned(),
                    count: Some(0),
                    code: Some(7),
                    ..Fault::default()
                });
            };
            fail("VixDiskLib_Create");
            let created = connection.create(&path, &SPEC(), Progress::none());
            told("VixDiskLib_Create", created);
            fail("VixDiskLib_Grow");
            let grown = connection.grow(&path, 4096, Geometry::Update, Progress::none());
            told("VixDiskLib_Grow", grown);
            fail("VixDiskLib_Unlink");
            told("VixDiskLib_Unlink", connection.unlink(&path));
            fail("VixDiskLib_CheckRepair");
            let checked = connection.check_repair(&path, Repair::Yes);
            told("VixDiskLib_CheckRepair", checked);
            let disk = connection
                .open_writable(&path, &OpenOptions::default())
                .unwrap();
            fail("VixDiskLib_Shrink");
            told("VixDiskLib_Shrink", disk.shrink(Progress::none()));
            fail("VixDiskLib_Defragment");
            told("VixDiskLib_Defragment", disk.defragment(Progress::none()));
            fail("VixDiskLib_SpaceNeededForClone");
            let space = disk.space_needed_for_clone(Some(DiskType::MonolithicFlat));
            told("VixDiskLib_SpaceNeededForClone", space.map(drop));
            fail("VixDiskLib_WriteMetadata");
            let written = disk.set_metadata("toolsVersion", "1");
            told("VixDiskLib_WriteMetadata", written);
            // The disk is as it was.
            disk.close().unwrap();
        },
    );
}

#[test]
fn a_function_that_the_library_lacks_is_named() {
    in_own_process(
        "changing::a_function_that_the_library_lacks_is_named",
        || {
            let kit = Kit::new();
            kit.hide("VixDiskLib_Grow");
            let library = kit.load();
            let connection = library.connect_local(false).unwrap();
            let grown = connection.grow("/x.vmdk", 1, Geometry::Keep, Progress::none());
            match grown {
                Err(Error::MissingFunction { function, since }) => {
                    assert_eq!((function, since), ("VixDiskLib_Grow", "1.0"));
                }
                other => panic!("{other:?}"),
            }
        },
    );
}
