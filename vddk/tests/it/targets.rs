//! What is connected to: VMs in both forms, disks without a VM, the server alone.

use vddk::{ConnectOptions, ConnectParams, Error, OpenOptions, Secret, Target};

use crate::kit::{Kit, in_own_process};

impl Kit {
    fn params_for(&self, target: Target) -> ConnectParams {
        ConnectParams::builder()
            .server("127.0.0.1")
            .thumbprint(self.lab.thumbprint_sha1().unwrap())
            .user("backup@vsphere.local", Secret::new("stand-in".to_owned()))
            .target(target)
            .build()
            .unwrap()
    }
}

fn without_snapshot() -> ConnectOptions {
    ConnectOptions::writable("nbdssl".parse().unwrap())
}

fn first_class() -> Target {
    Target::FirstClassDisk {
        id: "fcd-1".into(),
        datastore_moref: "datastore-1".into(),
        snapshot_id: None,
    }
}

#[test]
fn what_makes_no_sense_never_reaches_the_library() {
    in_own_process(
        "targets::what_makes_no_sense_never_reaches_the_library",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, _) = kit.snapshot();
            let refused = |target: Target, options: &ConnectOptions| {
                let error = library
                    .connect(&kit.params_for(target), options)
                    .unwrap_err();
                assert!(matches!(error, Error::Argument { .. }), "{error}");
            };
            refused(Target::Server, &without_snapshot());
            let by_snapshot = Kit::connect_options(&snapshot);
            refused(Target::Server, &by_snapshot);
            refused(first_class(), &by_snapshot);
            refused(Target::vm(&kit.vm), &Kit::connect_options(""));
            refused(Target::vm(&kit.vm), &Kit::connect_options("snapshot-1\0"));
            assert_eq!(kit.count("VixDiskLib_ConnectEx"), 0);
            // Only a VM can be kept from being moved.
            for target in [Target::Server, first_class()] {
                let prepared = library.prepare_for_access(&kit.params_for(target), "cbt test");
                assert!(matches!(prepared, Err(Error::Argument { .. })));
            }
            assert_eq!(kit.count("VixDiskLib_PrepareForAccess"), 0);
            let connection = library.connect(&kit.params(), &by_snapshot).unwrap();
            let options = OpenOptions::default();
            for error in [
                connection.open_first_class_disk(&options).unwrap_err(),
                connection.open("", &options).unwrap_err(),
                library
                    .connect_local(true)
                    .unwrap()
                    .open("relative.vmdk", &options)
                    .unwrap_err(),
            ] {
                assert!(matches!(error, Error::Argument { .. }), "{error}");
            }
            assert_eq!(kit.count("VixDiskLib_Open"), 0);
        },
    );
}

#[test]
fn a_library_that_tells_no_parameters_says_so() {
    in_own_process(
        "targets::a_library_that_tells_no_parameters_says_so",
        || {
            let kit = Kit::new();
            kit.hide("VixDiskLib_GetConnectParams");
            let connection = kit.load().connect_local(true).unwrap();
            assert!(matches!(
                connection.params(),
                Err(Error::MissingFunction {
                    function: "VixDiskLib_GetConnectParams",
                    ..
                })
            ));
        },
    );
}
