//! What VixDiskLib has to be told of a VM's disks: it does not check whether SAN reaches them.

use std::collections::BTreeMap;

use vddk::{DiskFacts, Storage, TransportMode, TransportModes};

use super::{
    error::chain,
    monitor::{Event, Monitor},
    site::Site,
};
use crate::vsphere::{BackingKind, ControllerKind, Datastore, Disk, Moref, Vm};

/// Asks vSphere for the facts that decide on transports. What it does not tell is taken for
/// unknown, and with it SAN is not tried; a run never fails for it.
pub fn facts(site: &Site, vm: &Vm, wanted: &TransportModes, monitor: &dyn Monitor) -> DiskFacts {
    let disks: Vec<&Disk> = vm
        .disks
        .iter()
        .filter(|disk| disk.exclusion().is_none())
        .collect();
    let vcenter = Some(site.client.about().is_vcenter());
    // The network leads to every disk: then nothing has to be known.
    let asks = wanted
        .modes()
        .iter()
        .any(|mode| matches!(mode, TransportMode::San | TransportMode::HotAdd));
    if !asks {
        return DiskFacts {
            vcenter,
            ..DiskFacts::default()
        };
    }
    let mut known = BTreeMap::new();
    let storages: Vec<Storage> = disks
        .iter()
        .map(|disk| storage_of(site, disk, &mut known, monitor))
        .collect();
    DiskFacts {
        storage: Storage::worst(storages),
        on_scsi: all_on_scsi(&disks),
        raw: Some(
            disks
                .iter()
                .any(|disk| disk.backing.kind == BackingKind::RawVirtual),
        ),
        encrypted: Some(vm.is_encrypted || disks.iter().any(|disk| disk.backing.is_encrypted)),
        child: None,
        in_folder: Some(false),
        vcenter,
    }
}

/// Each datastore is asked for once.
fn storage_of(
    site: &Site,
    disk: &Disk,
    known: &mut BTreeMap<String, Storage>,
    monitor: &dyn Monitor,
) -> Storage {
    let Some(moref) = &disk.backing.datastore else {
        return Storage::Unknown;
    };
    if let Some(storage) = known.get(&moref.id) {
        return *storage;
    }
    let storage = ask(site, moref, monitor);
    known.insert(moref.id.clone(), storage);
    storage
}

fn ask(site: &Site, moref: &Moref, monitor: &dyn Monitor) -> Storage {
    match site.ask(site.client.datastore(moref)) {
        Ok(datastore) => kind_of(&datastore),
        Err(error) => {
            let message = format!(
                "what kind of storage {} is cannot be told, so SAN is not used: {}",
                moref.id,
                chain(&error)
            );
            monitor.event(&Event::info("storage-unknown", message));
            Storage::Unknown
        }
    }
}

/// VMFS is shared only where the server says so.
fn kind_of(datastore: &Datastore) -> Storage {
    match (
        datastore.file_system.to_ascii_uppercase().as_str(),
        datastore.multiple_host_access,
    ) {
        ("VMFS", Some(true)) => Storage::SharedVmfs,
        ("VMFS", Some(false)) => Storage::LocalVmfs,
        ("NFS" | "NFS41", _) => Storage::Nfs,
        ("VSAN" | "VSAND", _) => Storage::Vsan,
        ("VVOL", _) => Storage::Vvol,
        _ => Storage::Unknown,
    }
}

/// Whether every disk hangs on a SCSI controller, where all controllers are known.
fn all_on_scsi(disks: &[&Disk]) -> Option<bool> {
    let on_scsi = |disk: &&Disk| match disk.controller.as_ref().map(|found| &found.kind) {
        Some(
            ControllerKind::ParaVirtualScsi
            | ControllerKind::LsiLogic
            | ControllerKind::LsiLogicSas
            | ControllerKind::BusLogic,
        ) => Some(true),
        Some(ControllerKind::Ahci | ControllerKind::Nvme | ControllerKind::Ide) => Some(false),
        _ => None,
    };
    let answers: Vec<Option<bool>> = disks.iter().map(on_scsi).collect();
    if answers.contains(&Some(false)) {
        return Some(false);
    }
    answers
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .map(|_| true)
}

#[cfg(test)]
mod tests {
    use vddk::Storage;

    use super::{Datastore, all_on_scsi, kind_of};
    use crate::vsphere::{Backing, BackingKind, Controller, ControllerKind, Disk, SharedBus};

    #[test]
    fn vmfs_counts_as_shared_only_where_the_server_says_so() {
        for (file_system, multiple_host_access, storage) in [
            ("VMFS", Some(true), Storage::SharedVmfs),
            ("vmfs", Some(false), Storage::LocalVmfs),
            ("VMFS", None, Storage::Unknown),
            ("NFS41", Some(true), Storage::Nfs),
            ("vsan", Some(true), Storage::Vsan),
            ("VVOL", None, Storage::Vvol),
            ("PMEM", Some(true), Storage::Unknown),
            ("", Some(true), Storage::Unknown),
        ] {
            let datastore = Datastore {
                name: "ds".into(),
                file_system: file_system.into(),
                multiple_host_access,
            };
            assert_eq!(kind_of(&datastore), storage, "{datastore:?}");
        }
    }

    fn disk_on(kind: Option<ControllerKind>) -> Disk {
        Disk {
            device_key: 2000,
            label: "Hard disk 1".into(),
            controller: kind.map(|kind| Controller {
                key: 1000,
                kind,
                bus_number: 0,
                shared_bus: SharedBus::No,
            }),
            unit: Some(0),
            capacity_bytes: 1 << 20,
            backing: Backing {
                kind: BackingKind::FlatVer2,
                file_name: "[ds] a.vmdk".into(),
                base_file_name: "[ds] a.vmdk".into(),
                chain_links: 1,
                datastore: None,
                disk_uuid: None,
                change_id: None,
                disk_mode: "persistent".into(),
                sharing: None,
                thin: None,
                eager_zeroed: None,
                is_encrypted: false,
                encryption_key: None,
                delta_format: None,
            },
        }
    }

    #[test]
    fn one_disk_off_scsi_is_enough_and_an_unknown_one_leaves_it_open() {
        use ControllerKind::{LsiLogic, Nvme, Other, ParaVirtualScsi};
        let scsi = |kinds: Vec<Option<ControllerKind>>| {
            let disks: Vec<Disk> = kinds.into_iter().map(disk_on).collect();
            all_on_scsi(&disks.iter().collect::<Vec<_>>())
        };
        assert_eq!(
            scsi(vec![Some(LsiLogic), Some(ParaVirtualScsi)]),
            Some(true)
        );
        assert_eq!(scsi(vec![Some(LsiLogic), None, Some(Nvme)]), Some(false));
        assert_eq!(scsi(vec![Some(LsiLogic), None]), None);
        assert_eq!(scsi(vec![Some(Other("New".into()))]), None);
    }
}
