//! Why a transport is not even tried.

use std::{fmt, path::PathBuf};

use super::{DiskFacts, Machine, Storage, TransportMode};

/// A transport that was wanted and is left out of the library's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The transport.
    pub mode: TransportMode,
    /// Why.
    pub reason: Impossible,
}

/// Why a transport cannot be used (VDDK API reference, 4.3 and 6.9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Impossible {
    /// SAN reaches LUNs with shared VMFS only, and the library does not check it.
    SanStorage {
        /// Where a disk lies.
        storage: Storage,
    },
    /// SAN is for physical machines, and this is a VM.
    SanInVm,
    /// The scan for SAN would crash the library on this machine.
    SanScan {
        /// What is missing.
        missing: PathBuf,
    },
    /// SAN refuses encrypted disks.
    SanEncrypted,
    /// SAN takes no disks of a datastore folder (VDDK API reference, 4.9).
    SanFolder,
    /// SAN does not write to redo logs, snapshots and linked clones.
    SanChild,
    /// HotAdd takes disks of SCSI controllers only.
    HotAddController,
    /// HotAdd takes no raw devices.
    HotAddRaw,
    /// HotAdd needs a vCenter.
    HotAddEsxi,
    /// Only the network leads to a disk of one host.
    HotAddLocal,
    /// A disk of one host is read by `nbdssl` alone.
    LocalVmfs,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SanStorage { storage } => write!(
                f,
                "it reaches shared VMFS only, but a disk lies on {}",
                storage.describe()
            ),
            Self::SanInVm => f.write_str("it needs a physical machine, and this is a VM"),
            Self::SanScan { missing } => write!(
                f,
                "without {} its scan for devices crashes the library",
                missing.display()
            ),
            Self::SanEncrypted => f.write_str("it refuses encrypted disks"),
            Self::SanFolder => f.write_str("it takes no disks of a datastore folder"),
            Self::SanChild => f.write_str("it does not write to snapshots and linked clones"),
            Self::HotAddController => {
                f.write_str("a disk hangs on an IDE, SATA or NVMe controller")
            }
            Self::HotAddRaw => f.write_str("a disk is a raw device"),
            Self::HotAddEsxi => f.write_str("it needs a vCenter, and this is an ESXi host"),
            Self::HotAddLocal => f.write_str("a disk lies on VMFS local to one host"),
            Self::LocalVmfs => {
                f.write_str("a disk lies on VMFS local to one host, which is for nbdssl alone")
            }
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.mode, self.reason)
    }
}

/// Why a transport cannot be used, as far as it is known before the library is asked.
pub(super) fn impossible(
    mode: TransportMode,
    read_only: bool,
    facts: DiskFacts,
    machine: Machine,
) -> Option<Impossible> {
    match mode {
        TransportMode::San => san(read_only, facts, machine),
        TransportMode::HotAdd => hot_add(facts),
        TransportMode::File | TransportMode::Nbd if facts.storage == Storage::LocalVmfs => {
            Some(Impossible::LocalVmfs)
        }
        TransportMode::File | TransportMode::NbdSsl | TransportMode::Nbd => None,
    }
}

fn san(read_only: bool, facts: DiskFacts, machine: Machine) -> Option<Impossible> {
    match facts {
        _ if facts.storage != Storage::SharedVmfs => Some(Impossible::SanStorage {
            storage: facts.storage,
        }),
        _ if machine.vmware_vm == Some(true) => Some(Impossible::SanInVm),
        _ if facts.encrypted == Some(true) => Some(Impossible::SanEncrypted),
        _ if facts.in_folder == Some(true) => Some(Impossible::SanFolder),
        _ if facts.child == Some(true) && !read_only => Some(Impossible::SanChild),
        _ => machine
            .missing_for_san()
            .map(|missing| Impossible::SanScan { missing }),
    }
}

fn hot_add(facts: DiskFacts) -> Option<Impossible> {
    match facts {
        _ if facts.vcenter == Some(false) => Some(Impossible::HotAddEsxi),
        _ if facts.on_scsi == Some(false) => Some(Impossible::HotAddController),
        _ if facts.raw == Some(true) => Some(Impossible::HotAddRaw),
        _ if facts.storage == Storage::LocalVmfs => Some(Impossible::HotAddLocal),
        _ => None,
    }
}
