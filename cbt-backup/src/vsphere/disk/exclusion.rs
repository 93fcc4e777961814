//! Disks that no snapshot holds.

use std::fmt;

use super::{BackingKind, Disk};
use crate::vsphere::device::SharedBus;

/// Why a disk can't be part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exclusion {
    /// Its mode leaves it out of snapshots.
    Independent {
        /// The mode.
        mode: String,
    },
    /// It forgets its changes at power-off.
    NonPersistent,
    /// It is a raw device in physical mode.
    PhysicalRdm,
    /// Its controller shares its disks with other VMs.
    SharedBus {
        /// The controller, such as `scsi1`.
        controller: String,
    },
    /// Several VMs write to it.
    MultiWriter,
    /// What it is made from is not known to follow snapshots: raw disks of the hosted
    /// products, persistent memory.
    Unsupported {
        /// What it is made from.
        kind: BackingKind,
    },
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Independent { mode } => write!(f, "its mode {mode} leaves it out of snapshots"),
            Self::NonPersistent => f.write_str("it forgets its changes at power-off"),
            Self::PhysicalRdm => f.write_str("it is a raw device in physical mode"),
            Self::SharedBus { controller } => {
                write!(f, "its controller {controller} is shared with other VMs")
            }
            Self::MultiWriter => f.write_str("several VMs may write to it"),
            Self::Unsupported { kind } => {
                write!(
                    f,
                    "snapshots do not hold a disk that is {}",
                    kind.as_words()
                )
            }
        }
    }
}

impl Disk {
    /// Why the disk can't be backed up through a snapshot, or nothing if it can
    /// ("vsphere-api.md" 3.2). To be asked before the snapshot is made.
    pub fn exclusion(&self) -> Option<Exclusion> {
        let mode = self.backing.disk_mode.as_str();
        if mode.starts_with("independent_") {
            let mode = mode.to_owned();
            return Some(Exclusion::Independent { mode });
        }
        if mode == "nonpersistent" {
            return Some(Exclusion::NonPersistent);
        }
        if self.backing.kind == BackingKind::RawPhysical {
            return Some(Exclusion::PhysicalRdm);
        }
        if let Some(controller) = &self.controller
            && controller.shared_bus != SharedBus::No
        {
            let controller = controller.to_string();
            return Some(Exclusion::SharedBus { controller });
        }
        if self.backing.sharing.as_deref() == Some("sharingMultiWriter") {
            return Some(Exclusion::MultiWriter);
        }
        match &self.backing.kind {
            kind @ (BackingKind::RawVer2
            | BackingKind::PartitionedRawVer2
            | BackingKind::LocalPMem) => Some(Exclusion::Unsupported { kind: kind.clone() }),
            _ => None,
        }
    }
}
