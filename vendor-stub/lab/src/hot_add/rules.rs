//! When HotAdd is possible ("VDDK API reference, 4.3 and 4.6").

use std::collections::BTreeSet;
use std::fmt;

use crate::slot::Slot;
use crate::{Bus, Disk, Machine, Site, Vm};

/// Why a disk cannot be attached to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HotAddRefusal {
    /// The library does not run in a VM.
    Physical,
    /// The library runs in a VM of another vCenter.
    OtherSite,
    /// The server is an ESXi host.
    BareHost,
    /// The disk is on IDE, SATA or NVMe.
    NotScsi,
    /// The disk is a raw device mapping.
    RawMapping,
    /// The VM has no snapshot.
    NoSnapshot,
    /// The disk is encrypted and the proxy is not.
    ProxyNotEncrypted,
    /// The SCSI controllers of the proxy do not follow each other from 0, or one has no disk.
    ControllerOrder,
    /// All units of the proxy's SCSI controllers are taken.
    NoFreeSlot,
}

impl fmt::Display for HotAddRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Physical => "this machine is no VM",
            Self::OtherSite => "this machine is a VM of another vCenter",
            Self::BareHost => "the server is no vCenter",
            Self::NotScsi => "the disk is not on SCSI",
            Self::RawMapping => "the disk is a raw device mapping",
            Self::NoSnapshot => "the VM has no snapshot",
            Self::ProxyNotEncrypted => "the disk is encrypted and the proxy is not",
            Self::ControllerOrder => {
                "the SCSI controllers of the proxy are not in sequence from 0, each with a disk"
            }
            Self::NoFreeSlot => "no free slots on the SCSI controllers of the proxy",
        })
    }
}

/// Why a machine that is no proxy cannot attach disks.
pub(super) fn no_proxy(machine: &Machine) -> HotAddRefusal {
    match machine {
        Machine::Foreign => HotAddRefusal::OtherSite,
        Machine::Physical | Machine::Proxy { .. } => HotAddRefusal::Physical,
    }
}

/// What the disk and its VM must be.
pub(super) fn check(
    site: &Site,
    source: &Vm,
    disk: &Disk,
    proxy: &Vm,
) -> Result<(), HotAddRefusal> {
    if site.bare_host {
        Err(HotAddRefusal::BareHost)
    } else if !disk.bus().can_be_hot_added() {
        Err(HotAddRefusal::NotScsi)
    } else if disk.raw_mapping {
        Err(HotAddRefusal::RawMapping)
    } else if source.snapshots.is_empty() {
        Err(HotAddRefusal::NoSnapshot)
    } else if disk.encrypted && !proxy.is_encrypted() {
        Err(HotAddRefusal::ProxyNotEncrypted)
    } else {
        Ok(())
    }
}

/// What the site must be for a disk that belongs to no VM. Such disks are on SCSI, no raw mappings,
/// and not encrypted.
pub(super) fn check_loose(site: &Site) -> Result<(), HotAddRefusal> {
    if site.bare_host {
        Err(HotAddRefusal::BareHost)
    } else {
        Ok(())
    }
}

/// The first free slot of the proxy.
pub(super) fn free_slot(proxy: &Vm) -> Result<Slot, HotAddRefusal> {
    let numbers = proxy.scsi_bus_numbers();
    let own = proxy.disks.iter().filter(|disk| disk.attached.is_none());
    let with_a_disk: BTreeSet<i32> = own
        .filter(|disk| disk.bus() == Bus::Scsi)
        .map(|disk| Bus::Scsi.number(disk.controller_key))
        .collect();
    let in_sequence = (0..).zip(&numbers).all(|(place, number)| place == *number);
    if numbers.is_empty() || !in_sequence || with_a_disk != numbers {
        return Err(HotAddRefusal::ControllerOrder);
    }
    let taken = |slot: &Slot| {
        proxy.disks.iter().any(|disk| {
            disk.controller_key == slot.controller_key && disk.unit_number == slot.unit_number
        })
    };
    Slot::all(Bus::Scsi)
        .filter(|slot| numbers.contains(&Bus::Scsi.number(slot.controller_key)))
        .find(|slot| !taken(slot))
        .ok_or(HotAddRefusal::NoFreeSlot)
}
