//! Whether the changes of a disk are tracked, and why not.

use std::fmt;

use super::{BackingKind, Disk, Exclusion};
use crate::vsphere::device::SharedBus;
use crate::vsphere::vm::TrackingKeys;

/// Why the changes of a disk can't be tracked, whatever is switched on ("vsphere-api.md" 3.2).
/// Such a disk has no change id; the others of the VM have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untrackable {
    /// A raw device in physical mode: what is written to it passes the host by.
    PhysicalRdm,
    /// Its controller shares its disks with other VMs.
    SharedBus {
        /// The controller, such as `scsi1`.
        controller: String,
    },
    /// Its mode keeps it out of snapshots, and it is a snapshot that has change ids.
    NotInSnapshots {
        /// Why it is not in them.
        why: Exclusion,
    },
    /// What it is made from knows no change ids.
    Backing {
        /// What it is made from.
        kind: BackingKind,
    },
}

impl fmt::Display for Untrackable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PhysicalRdm => f.write_str("it is a raw device in physical mode"),
            Self::SharedBus { controller } => {
                write!(f, "its controller {controller} is shared with other VMs")
            }
            Self::NotInSnapshots { why } => why.fmt(f),
            Self::Backing { kind } => {
                write!(f, "a disk that is {} knows no change ids", kind.as_words())
            }
        }
    }
}

/// What the configuration says of the tracking of one disk. Only a snapshot's change id proves
/// that it is tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskTracking {
    /// Its own setting says so.
    On,
    /// The VM's does; the disk has none of its own, as before the first stun cycle.
    Pending,
    /// Its own setting says no: it has no change id although the VM may be tracked.
    SwitchedOff {
        /// The setting, such as `scsi0:1.ctkEnabled`.
        key: String,
    },
    /// The VM is not tracked.
    Off,
    /// It can't be.
    Impossible(Untrackable),
}

impl fmt::Display for DiskTracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Pending => f.write_str("pending"),
            Self::SwitchedOff { key } => write!(f, "off by {key}"),
            Self::Off => f.write_str("off"),
            Self::Impossible(reason) => write!(f, "impossible: {reason}"),
        }
    }
}

impl Disk {
    /// Why its changes can't be tracked, or nothing if they can.
    pub fn untrackable(&self) -> Option<Untrackable> {
        if let Some(why @ (Exclusion::Independent { .. } | Exclusion::NonPersistent)) =
            self.exclusion()
        {
            return Some(Untrackable::NotInSnapshots { why });
        }
        match &self.backing.kind {
            BackingKind::RawPhysical => return Some(Untrackable::PhysicalRdm),
            kind @ (BackingKind::FlatVer1
            | BackingKind::SparseVer1
            | BackingKind::PartitionedRawVer2
            | BackingKind::LocalPMem) => {
                return Some(Untrackable::Backing { kind: kind.clone() });
            }
            _ => {}
        }
        let controller = self.controller.as_ref()?;
        (controller.shared_bus != SharedBus::No).then(|| Untrackable::SharedBus {
            controller: controller.to_string(),
        })
    }

    /// What the VM's switch `enabled` and its settings `keys` say of this disk.
    pub fn tracking(&self, enabled: Option<bool>, keys: &TrackingKeys) -> DiskTracking {
        if let Some(reason) = self.untrackable() {
            return DiskTracking::Impossible(reason);
        }
        let address = self.address();
        match address.as_deref().and_then(|address| keys.disk(address)) {
            Some(false) => DiskTracking::SwitchedOff {
                key: format!("{}.ctkEnabled", address.unwrap_or_default()),
            },
            _ if enabled != Some(true) => DiskTracking::Off,
            Some(true) => DiskTracking::On,
            None => DiskTracking::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskTracking, Untrackable};
    use crate::vsphere::device::{Controller, ControllerKind, SharedBus};
    use crate::vsphere::disk::{Backing, BackingKind, Disk};
    use crate::vsphere::vm::TrackingKeys;

    fn disk(kind: BackingKind, controller: ControllerKind, shared_bus: SharedBus) -> Disk {
        Disk {
            device_key: 2000,
            label: "Hard disk 1".to_owned(),
            controller: Some(Controller {
                key: 1000,
                kind: controller,
                bus_number: 1,
                shared_bus,
            }),
            unit: Some(2),
            capacity_bytes: 1,
            backing: Backing {
                kind,
                ..Backing::default()
            },
        }
    }

    #[test]
    fn what_can_not_be_tracked_says_why() {
        let why = |kind, shared| disk(kind, ControllerKind::LsiLogic, shared).untrackable();
        for kind in [
            BackingKind::FlatVer2,
            BackingKind::SeSparse,
            BackingKind::SparseVer2,
            BackingKind::RawVirtual,
            BackingKind::RawVer2,
            BackingKind::Other("New".to_owned()),
        ] {
            assert_eq!(why(kind, SharedBus::No), None);
        }
        let physical = why(BackingKind::RawPhysical, SharedBus::No);
        assert_eq!(physical, Some(Untrackable::PhysicalRdm));
        let old = why(BackingKind::FlatVer1, SharedBus::No).unwrap();
        assert!(old.to_string().contains("version 1"), "{old}");
        for kind in [
            BackingKind::SparseVer1,
            BackingKind::PartitionedRawVer2,
            BackingKind::LocalPMem,
        ] {
            let expected = Untrackable::Backing { kind: kind.clone() };
            assert_eq!(why(kind, SharedBus::No), Some(expected));
        }
        let shared = why(BackingKind::FlatVer2, SharedBus::Virtual).unwrap();
        assert!(shared.to_string().contains("scsi1"), "{shared}");
    }

    #[test]
    fn the_disks_own_setting_is_looked_at_on_every_bus() {
        for (kind, address) in [
            (ControllerKind::ParaVirtualScsi, "scsi1:2"),
            (ControllerKind::Ahci, "sata1:2"),
            (ControllerKind::Nvme, "nvme1:2"),
        ] {
            let disk = disk(BackingKind::FlatVer2, kind, SharedBus::No);
            assert_eq!(disk.address().as_deref(), Some(address));
            let set = |value: &str| {
                let mut keys = TrackingKeys::default();
                keys.note("ctkEnabled", "TRUE");
                keys.note(&format!("{address}.ctkEnabled"), value);
                keys
            };
            assert_eq!(disk.tracking(Some(true), &set("TRUE")), DiskTracking::On);
            assert_eq!(disk.tracking(None, &set("TRUE")), DiskTracking::Off);
            let off = disk.tracking(Some(true), &set("FALSE"));
            assert_eq!(off.to_string(), format!("off by {address}.ctkEnabled"));
            let none = TrackingKeys::default();
            assert_eq!(disk.tracking(Some(true), &none), DiskTracking::Pending);
            assert_eq!(disk.tracking(Some(false), &none), DiskTracking::Off);
        }
    }
}
