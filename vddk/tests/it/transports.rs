//! Which transports the library is given, and what is told of the one it chooses.

use vddk::{
    ConnectOptions, Connection, DiskFacts, Error, Library, Machine, OpenOptions, Storage, Target,
    TransportMode, TransportPolicy,
};

use crate::kit::{Kit, in_own_process};

/// A machine on which SAN is possible, whatever the tests run on.
const PHYSICAL: Machine = Machine {
    vmware_vm: Some(false),
    scsi_class: true,
    mtab: true,
};

impl Kit {
    fn connect_by(
        &self,
        library: &Library,
        snapshot: &str,
        transports: &str,
        policy: TransportPolicy,
        storage: Storage,
    ) -> Result<Connection, Error> {
        let mut options = Self::connect_options(snapshot)
            .with_policy(policy)
            .with_facts(DiskFacts {
                storage,
                ..DiskFacts::default()
            });
        options.transports = transports.parse().unwrap();
        options.machine = PHYSICAL;
        library.connect(&self.params(), &options)
    }

    /// Connects to a target without a VM, whose disks are said to lie on shared VMFS.
    fn connect_without_vm(&self, library: &Library, target: Target) -> Connection {
        let mut options = ConnectOptions::writable("san:hotadd:nbdssl".parse().unwrap())
            .with_facts(DiskFacts {
                storage: Storage::SharedVmfs,
                ..DiskFacts::default()
            });
        options.machine = PHYSICAL;
        library.connect(&self.params_for(target), &options).unwrap()
    }

    /// The lists that the library was given, one a connection.
    fn lists(&self) -> Vec<String> {
        let entries = self.lab.journal().entries().unwrap();
        entries
            .iter()
            .filter(|entry| entry.call == "VixDiskLib_ConnectEx")
            .map(|entry| {
                entry.args["transports"]
                    .as_str()
                    .unwrap_or("NULL")
                    .to_owned()
            })
            .collect()
    }
}

#[test]
fn san_is_not_tried_for_a_folder() {
    in_own_process("transports::san_is_not_tried_for_a_folder", || {
        let kit = Kit::new();
        let library = kit.load();
        let datastore_moref = "datastore-17".to_owned();
        let folder = kit.connect_without_vm(
            &library,
            Target::DatastoreFolder {
                datastore_moref: datastore_moref.clone(),
                folder: "loose".into(),
            },
        );
        let told = folder.transports().dropped()[0].to_string();
        assert_eq!(told, "san: it takes no disks of a datastore folder");
        let disk = Target::FirstClassDisk {
            id: "fcd-1".into(),
            datastore_moref,
            snapshot_id: None,
        };
        let disk = kit.connect_without_vm(&library, disk);
        assert!(disk.transports().dropped().is_empty());
        assert_eq!(kit.lists(), ["hotadd:nbdssl", "san:hotadd:nbdssl"]);
    });
}

#[test]
fn the_list_is_always_named_and_san_only_for_shared_vmfs() {
    in_own_process(
        "transports::the_list_is_always_named_and_san_only_for_shared_vmfs",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, _) = kit.snapshot();
            for storage in [
                Storage::SharedVmfs,
                Storage::Nfs,
                Storage::Unknown,
                Storage::LocalVmfs,
            ] {
                let wanted = "san:hotadd:nbdssl:nbd";
                kit.connect_by(
                    &library,
                    &snapshot,
                    wanted,
                    TransportPolicy::Prefer,
                    storage,
                )
                .unwrap()
                .close()
                .unwrap();
            }
            library.connect_local(true).unwrap().close().unwrap();
            assert_eq!(
                kit.lists(),
                [
                    "san:hotadd:nbdssl:nbd",
                    "hotadd:nbdssl:nbd",
                    "hotadd:nbdssl:nbd",
                    "nbdssl",
                    "file"
                ]
            );
        },
    );
}

#[test]
fn what_cannot_work_is_refused_before_the_library_is_asked() {
    in_own_process(
        "transports::what_cannot_work_is_refused_before_the_library_is_asked",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, _) = kit.snapshot();
            for policy in [TransportPolicy::Require, TransportPolicy::Allow] {
                let error = kit
                    .connect_by(&library, &snapshot, "san", policy, Storage::Nfs)
                    .unwrap_err();
                assert!(error.to_string().contains("NFS"), "{error}");
                assert!(error.explain().unwrap().contains("shared VMFS"));
                assert!(matches!(error, Error::NoTransport { .. }));
            }
            // A machine where the scan would crash the library.
            let mut options = Kit::connect_options(&snapshot)
                .with_policy(TransportPolicy::Require)
                .with_facts(DiskFacts {
                    storage: Storage::SharedVmfs,
                    ..DiskFacts::default()
                });
            options.transports = TransportMode::San.into();
            options.machine = Machine {
                scsi_class: false,
                ..PHYSICAL
            };
            let error = library.connect(&kit.params(), &options).unwrap_err();
            assert!(
                error.to_string().contains("/sys/class/scsi_disk"),
                "{error}"
            );
            assert_eq!(kit.count("VixDiskLib_ConnectEx"), 0);
        },
    );
}

#[test]
fn a_fallback_is_told_unless_it_does_not_matter() {
    in_own_process(
        "transports::a_fallback_is_told_unless_it_does_not_matter",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let told = |wanted: &str, policy| {
                let storage = Storage::Unknown;
                let connection = kit
                    .connect_by(&library, &snapshot, wanted, policy, storage)
                    .unwrap();
                let disk = connection.open(&path, &OpenOptions::default())?;
                assert_eq!(disk.transport_mode(), TransportMode::NbdSsl);
                Ok::<_, Error>(disk.transport_fallback())
            };
            // There is no VM around this machine, so HotAdd finds no device.
            let fallback = told("san:hotadd", TransportPolicy::Prefer)
                .unwrap()
                .expect("it is worth a word");
            assert_eq!(fallback.got, TransportMode::NbdSsl);
            assert_eq!(fallback.wanted.to_string(), "san:hotadd");
            assert_eq!(fallback.dropped[0].mode, TransportMode::San);
            assert_eq!(
                told("nbdssl:hotadd", TransportPolicy::Prefer).unwrap(),
                None
            );
            assert_eq!(told("hotadd:nbdssl", TransportPolicy::Allow).unwrap(), None);
            let error = told("hotadd", TransportPolicy::Require).unwrap_err();
            assert_eq!(error.code().unwrap().0, 16065, "{error}");
        },
    );
}

#[test]
fn a_disk_whose_transport_is_no_transport_is_closed_again() {
    in_own_process(
        "transports::a_disk_whose_transport_is_no_transport_is_closed_again",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = kit
                .connect_by(
                    &library,
                    &snapshot,
                    "san:nbdssl",
                    TransportPolicy::Require,
                    Storage::Nfs,
                )
                .unwrap();
            assert_eq!(connection.transports().list().to_string(), "nbdssl");
            kit.fault(lab::Fault {
                call: "VixDiskLib_GetTransportMode".to_owned(),
                text: Some(lab::TextLie::Null),
                ..lab::Fault::default()
            });
            assert!(connection.open(&path, &OpenOptions::default()).is_err());
            assert_eq!(kit.count("VixDiskLib_Open"), 1);
            assert_eq!(kit.count("VixDiskLib_Close"), 1);
            connection.close().unwrap();
        },
    );
}
