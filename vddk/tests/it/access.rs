//! The order of the protocol, and what is left when something fails.

use vddk::{Error, Kind, Library, LibraryOptions, OpenOptions};

use crate::kit::{Kit, in_own_process};

fn disabled(kit: &Kit) -> usize {
    kit.lab.vm(&kit.vm).unwrap().disabled_methods.len()
}

#[test]
fn the_whole_order_leaves_nothing() {
    in_own_process("access::the_whole_order_leaves_nothing", || {
        let kit = Kit::new();
        let library = kit.load();
        let access = library
            .prepare_for_access(&kit.params(), "cbt test 1")
            .unwrap();
        assert_eq!(disabled(&kit), 1);
        let (snapshot, path) = kit.snapshot();
        let connection = access.connect(&Kit::connect_options(&snapshot)).unwrap();
        let disk = connection.open(&path, &OpenOptions::default()).unwrap();
        disk.close().unwrap();
        connection.close().unwrap();
        assert_eq!(library.cleanup(&kit.params()).unwrap().remaining, 0);
        access.close().unwrap();
        assert_eq!(disabled(&kit), 0);
        assert!(library.close().unwrap());
        let order: Vec<_> = kit
            .calls()
            .into_iter()
            .filter(|call| {
                [
                    "Prepare",
                    "ConnectEx",
                    "_Open",
                    "_Close",
                    "Disconnect",
                    "Cleanup",
                    "EndAccess",
                    "Exit",
                ]
                .iter()
                .any(|part| call.contains(part))
            })
            .collect();
        let wanted = [
            "PrepareForAccess",
            "ConnectEx",
            "Open",
            "Close",
            "Disconnect",
            "Cleanup",
            "EndAccess",
            "Exit",
        ];
        assert_eq!(order, wanted.map(|call| format!("VixDiskLib_{call}")));
    });
}

#[test]
fn dropping_everything_in_the_wrong_order_still_ends_it_rightly() {
    in_own_process(
        "access::dropping_everything_in_the_wrong_order_still_ends_it_rightly",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let access = library
                .prepare_for_access(&kit.params(), "cbt test 2")
                .unwrap();
            let (snapshot, path) = kit.snapshot();
            let connection = access.connect(&Kit::connect_options(&snapshot)).unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            drop(library);
            drop(access);
            drop(connection);
            assert_eq!(
                kit.count("VixDiskLib_Disconnect"),
                0,
                "the connection went before its disk"
            );
            drop(disk);
            let calls = kit.calls();
            let ending: Vec<_> = calls.iter().filter(|call| !call.contains("Free")).collect();
            let tail: Vec<_> = ending
                .iter()
                .rev()
                .take(4)
                .rev()
                .map(|call| call.as_str())
                .collect();
            assert_eq!(
                tail,
                [
                    "VixDiskLib_Close",
                    "VixDiskLib_Disconnect",
                    "VixDiskLib_EndAccess",
                    "VixDiskLib_Exit"
                ]
            );
            assert_eq!(disabled(&kit), 0);
        },
    );
}

#[test]
fn closing_what_is_in_use_is_refused() {
    in_own_process("access::closing_what_is_in_use_is_refused", || {
        let kit = Kit::new();
        let library = kit.load();
        let access = library
            .prepare_for_access(&kit.params(), "cbt test 3")
            .unwrap();
        let (snapshot, path) = kit.snapshot();
        let connection = access.connect(&Kit::connect_options(&snapshot)).unwrap();
        let disk = connection.open(&path, &OpenOptions::default()).unwrap();
        assert!(matches!(access.close(), Err(Error::Argument { .. })));
        assert!(matches!(connection.close(), Err(Error::Argument { .. })));
        disk.close().unwrap();
        assert_eq!(disabled(&kit), 0);
    });
}

#[test]
fn a_dead_run_s_access_is_ended_by_its_identity() {
    in_own_process(
        "access::a_dead_run_s_access_is_ended_by_its_identity",
        || {
            let kit = Kit::new();
            kit.lab
                .disable_methods(&kit.vm, &["RelocateVM_Task"], "cbt test 4")
                .unwrap();
            let library = kit.load();
            assert!(
                library
                    .prepare_for_access(&kit.params(), "another")
                    .is_err()
            );
            library.end_access(&kit.params(), "cbt test 4").unwrap();
            assert_eq!(disabled(&kit), 0);
            library
                .prepare_for_access(&kit.params(), "another")
                .unwrap()
                .close()
                .unwrap();
        },
    );
}

#[test]
fn a_wrong_password_opens_nothing_and_is_never_printed() {
    in_own_process(
        "access::a_wrong_password_opens_nothing_and_is_never_printed",
        || {
            const PASSWORD: &str = "Xyzzy-7391-plugh";
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, _) = kit.snapshot();
            let wrong = || kit.params_with(PASSWORD, &kit.lab.thumbprint_sha1().unwrap());
            // PrepareForAccess logs in by itself, and so does ConnectEx.
            let prepared = library.prepare_for_access(&wrong(), "cbt test 5");
            let connected = library.connect(&wrong(), &Kit::connect_options(&snapshot));
            for (call, error) in [
                ("VixDiskLib_PrepareForAccess", prepared.unwrap_err()),
                ("VixDiskLib_ConnectEx", connected.unwrap_err()),
            ] {
                assert_eq!(error.kind(), Some(Kind::Authentication), "{call}: {error}");
                assert_eq!(kit.count(call), 1);
                let printed = format!("{error} {error:?} {:?}", error.explain());
                assert!(!printed.contains(PASSWORD), "{printed}");
            }
            let printed = format!("{:?} {library:?}", wrong());
            assert!(!printed.contains(PASSWORD), "{printed}");
            assert_eq!(disabled(&kit), 0);
            assert_eq!(kit.count("VixDiskLib_EndAccess"), 0, "there was none");
        },
    );
}

#[test]
fn access_is_ended_after_a_connect_that_failed() {
    in_own_process(
        "access::access_is_ended_after_a_connect_that_failed",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let access = library
                .prepare_for_access(&kit.params(), "cbt test 6")
                .unwrap();
            let error = access
                .connect(&Kit::connect_options("snapshot-999999"))
                .unwrap_err();
            assert_eq!(error.kind(), Some(Kind::NotFound), "{error}");
            assert_eq!(disabled(&kit), 1);
            assert_eq!(kit.count("VixDiskLib_EndAccess"), 0);
            drop(access);
            assert_eq!(disabled(&kit), 0);
            assert_eq!(kit.count("VixDiskLib_EndAccess"), 1);
            assert_eq!(kit.count("VixDiskLib_Disconnect"), 0, "there was nothing");
        },
    );
}

#[test]
fn a_wrong_thumbprint_is_told_at_open_with_both_values() {
    in_own_process(
        "access::a_wrong_thumbprint_is_told_at_open_with_both_values",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let wrong = ["AB"; 20].join(":");
            let connection = library
                .connect(
                    &kit.params_with("stand-in", &wrong),
                    &Kit::connect_options(&snapshot),
                )
                .unwrap();
            let error = connection.open(&path, &OpenOptions::default()).unwrap_err();
            assert_eq!(error.code().unwrap().0, 1);
            let pair = error.thumbprint_mismatch().expect("the log told both");
            assert_eq!(
                (&pair.expected, &pair.actual),
                (&wrong, &kit.lab.thumbprint_sha1().unwrap())
            );
            assert!(error.explain().unwrap().contains(&wrong));
        },
    );
}

#[test]
fn the_library_lists_its_transport_modes() {
    in_own_process("access::the_library_lists_its_transport_modes", || {
        let kit = Kit::new();
        let library = kit.load();
        let modes = library.transport_modes();
        assert_eq!(modes.as_deref(), Some("file:san:hotadd:nbdssl:nbd"));
    });
}

#[test]
fn a_library_without_a_list_of_transport_modes_has_none() {
    in_own_process(
        "access::a_library_without_a_list_of_transport_modes_has_none",
        || {
            let kit = Kit::new();
            kit.hide("VixDiskLib_ListTransportModes");
            let library = kit.load();
            let functions = library.functions();
            let list = functions
                .iter()
                .find(|(symbol, _)| symbol.name == "VixDiskLib_ListTransportModes");
            assert!(!list.unwrap().1, "it was not hidden");
            assert_eq!(library.transport_modes(), None);
        },
    );
}

#[test]
fn one_library_a_process() {
    in_own_process("access::one_library_a_process", || {
        let kit = Kit::new();
        let first = kit.load();
        let second = kit.load();
        assert_eq!((first.path(), first.major()), (second.path(), Some(8)));
        assert!(first.functions().iter().all(|(_, found)| *found));
        let other = LibraryOptions {
            config: vddk::ConfigSource::Unnamed,
            ..kit.options()
        };
        assert!(matches!(Library::load(other), Err(Error::OtherSettings)));
        assert!(!first.close().unwrap(), "the second handle lives");
        assert_eq!(kit.count("VixDiskLib_Exit"), 0);
        assert!(second.close().unwrap());
        assert!(matches!(Library::load(kit.options()), Err(Error::Exited)));
    });
}
