//! What is connected to: VMs in both forms, disks without a VM, the server alone.

use lab::KitSpec;
use vddk::{
    Code, Config, ConnectOptions, ConnectParams, Error, Library, LibraryOptions, OpenOptions,
    Secret, Target,
};

use crate::kit::{Kit, in_own_process};

impl Kit {
    pub(crate) fn params_for(&self, target: Target) -> ConnectParams {
        ConnectParams::builder()
            .server("127.0.0.1")
            .thumbprint(self.lab.thumbprint_sha1().unwrap())
            .user("backup@vsphere.local", Secret::new("stand-in".to_owned()))
            .target(target)
            .build()
            .unwrap()
    }
}

/// Loads a copy of the stand-in that poses as another release.
fn load_as(kit: &Kit, spec: &KitSpec) -> Library {
    let built = std::env::current_exe()
        .unwrap()
        .with_file_name("libvixDiskLib.so");
    let installed = kit.lab.install_kit_as(&built, spec).unwrap();
    let options = LibraryOptions {
        location: Some(installed.join("lib64").join(spec.file_name())),
        config: Config::builder().san_deny("all").build().unwrap().into(),
        ..LibraryOptions::default()
    };
    Library::load(options).unwrap()
}

fn folder() -> Target {
    Target::DatastoreFolder {
        datastore_moref: "datastore-17".into(),
        folder: "fcd".into(),
    }
}

/// Connects, and says whether the library was asked.
fn reaches_the_library(kit: &Kit, library: &Library, target: Target) -> bool {
    let before = kit.count("VixDiskLib_ConnectEx");
    let params = kit.params_for(target);
    let refused = library.connect(&params, &without_snapshot());
    let asked = kit.count("VixDiskLib_ConnectEx") > before;
    if !asked {
        assert!(matches!(refused, Err(Error::TooOld { .. })), "{refused:?}");
    }
    asked
}

pub(crate) fn without_snapshot() -> ConnectOptions {
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

#[test]
fn a_connection_tells_its_parameters() {
    in_own_process("targets::a_connection_tells_its_parameters", || {
        let kit = Kit::new();
        let library = kit.load();
        let (snapshot, _) = kit.snapshot();
        let options = Kit::connect_options(&snapshot);
        let by_path = Target::VmPath {
            vmx_path: kit
                .lab
                .vm(&kit.vm)
                .unwrap()
                .vmx_path
                .replace("[datastore1] ", ""),
            datacenter: "DC0".into(),
            datastore: "datastore1".into(),
        };
        let by_id = Target::vm(kit.vm.as_str());
        for target in [by_id, by_path] {
            let spec = match &target {
                Target::Vm { moref } => format!("moref={moref}"),
                _ => "app01/app01.vmx?dcPath=DC0&dsName=datastore1".into(),
            };
            let connection = library.connect(&kit.params_for(target), &options).unwrap();
            let seen = connection.params().unwrap();
            assert_eq!(seen.server.as_deref(), Some("127.0.0.1"));
            assert_eq!(seen.vm_spec, Some(spec));
            assert_eq!(seen.user.as_deref(), Some("backup@vsphere.local"));
            assert_eq!(seen.thumbprint, kit.lab.thumbprint_sha1().ok());
            assert_eq!((seen.port, seen.nfc_port), (0, 0));
        }
        let local = library.connect_local(true).unwrap().params().unwrap();
        assert_eq!((local.server, local.user), (None, None));
    });
}

#[test]
fn a_session_of_the_program_is_a_login() {
    in_own_process("targets::a_session_of_the_program_is_a_login", || {
        let kit = Kit::new();
        let library = kit.load();
        let (snapshot, file) = kit.snapshot();
        let cookie = "c00kie-of-a-session";
        let params = ConnectParams::builder()
            .server("127.0.0.1")
            .thumbprint(kit.lab.thumbprint_sha1().unwrap())
            .session(
                Secret::new(cookie.to_owned()),
                "backup@vsphere.local",
                Secret::new("stand-in".to_owned()),
            )
            .vm_moref(&kit.vm)
            .build()
            .unwrap();
        let options = Kit::connect_options(&snapshot);
        let refused = library.connect(&params, &options).unwrap_err();
        assert_eq!(refused.code(), Some(Code::of(35)), "{refused}");
        // As the vCenter does it at login and at logout.
        let user = "backup@vsphere.local";
        kit.lab.publish_session(cookie, user, None).unwrap();
        let connection = library.connect(&params, &options).unwrap();
        connection.open(&file, &OpenOptions::default()).unwrap();
        assert_eq!(connection.params().unwrap().user.as_deref(), Some(user));
        kit.lab.end_session(cookie).unwrap();
        assert!(library.connect(&params, &options).is_err());
        let journal = std::fs::read_to_string(kit.lab.root().join("journal.jsonl")).unwrap();
        assert!(!journal.contains("c00kie"));
    });
}

#[test]
fn release_6_5_gets_neither_first_class_disks_nor_folders() {
    in_own_process(
        "targets::release_6_5_gets_neither_first_class_disks_nor_folders",
        || {
            let kit = Kit::new();
            let library = load_as(&kit, &KitSpec::release_6_5());
            assert_eq!(library.major(), Some(6));
            assert!(!reaches_the_library(&kit, &library, first_class()));
            assert!(!reaches_the_library(&kit, &library, folder()));
            let by_vm = without_snapshot();
            library.connect(&kit.params(), &by_vm).unwrap();
        },
    );
}

#[test]
fn release_7_gets_first_class_disks_but_no_folders() {
    in_own_process(
        "targets::release_7_gets_first_class_disks_but_no_folders",
        || {
            let kit = Kit::new();
            let spec = KitSpec {
                major: 7,
                ..KitSpec::default()
            };
            let library = load_as(&kit, &spec);
            assert!(reaches_the_library(&kit, &library, first_class()));
            assert!(!reaches_the_library(&kit, &library, folder()));
            // The names of the SAN lists are those before 8.0.
            let entries = kit.lab.journal().entries().unwrap();
            let start = entries
                .iter()
                .find(|entry| entry.call == "VixDiskLib_InitEx")
                .unwrap();
            let file = start.args["config_file"].as_str().unwrap();
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.contains("san.blacklist=all\n"), "{text}");
            assert!(!text.contains("denyList"), "{text}");
        },
    );
}
