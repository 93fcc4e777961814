//! SAN: straight from the LUN ("VDDK API reference, 4.3 and 4.7").
//!
//! The danger that is documented: once any LUN can be seen, SAN is taken for every VMFS disk,
//! also for one that is not on it. Such a disk opens, reads as zeros, and fails when written.

use lab::Machine;
use vddk_sys as sys;

use super::{OfVm, Owner, Wanted};
use crate::error::Failure;
use crate::lease::Lease;
use crate::open::Opened;

/// Opens a disk on a LUN.
pub(super) fn open(wanted: &Wanted<'_>) -> Result<Opened, Failure> {
    let Owner::Vm(of) = wanted.owner else {
        return Err(super::belongs_to_no_vm());
    };
    let out_of_reach = !reaches(wanted, of)?;
    if wanted.write {
        check_write(of)?;
    }
    let hold = wanted.hold(wanted.file)?;
    let disk = vmdk::Disk::open(wanted.file, wanted.options())?;
    let lease = wanted.with_writing(Lease::held(hold), &disk);
    Ok(Opened {
        disk,
        transport: c"san",
        lease,
        // The LUN is read with O_DIRECT.
        aligned: true,
        out_of_reach,
    })
}

/// Can the library see the LUN of the disk?
///
/// # Errors
///
/// 16065 where SAN finds nothing to open: in a VM, off VMFS, without any LUN. 16066 for an
/// encrypted disk.
fn reaches(wanted: &Wanted<'_>, of: OfVm<'_>) -> Result<bool, Failure> {
    let no_device = |reason: &str| Err(Failure::new(sys::VIX_E_DISK_NODEVICE, reason));
    if of.site.machine != Machine::Physical {
        return no_device("this machine is a VM");
    }
    let Some(datastore) = of.site.datastore(&of.disk.datastore) else {
        return no_device("the datastore is unknown");
    };
    if !datastore.kind.is_vmfs() {
        return no_device("the datastore is not VMFS");
    }
    if of.disk.encrypted {
        let reason = "the disk is encrypted";
        return Err(Failure::new(sys::VIX_E_DISK_UNSUPPORTEDDEVICE, reason));
    }
    let seen = |lun: &Option<String>| {
        let lun = lun.as_deref();
        lun.is_some_and(|device| wanted.config.san.permit(device))
    };
    let mut luns = of.site.datastores.iter().map(|found| &found.lun);
    if luns.any(seen) {
        Ok(seen(&datastore.lun))
    } else {
        no_device("no LUN can be seen")
    }
}

/// What SAN must have to write: a base disk, a snapshot over it, no change tracking.
fn check_write(of: OfVm<'_>) -> Result<(), Failure> {
    let refused = |code, reason: &str| Err(Failure::new(code, reason));
    if of.position > 0 {
        return refused(
            sys::VIX_E_FILE_READ_ONLY,
            "child disks cannot be written by SAN",
        );
    }
    if of.vm.snapshots.is_empty() {
        return refused(
            sys::VIX_E_FILE_ACCESS_ERROR,
            "writing by SAN needs a snapshot",
        );
    }
    if of.vm.change_tracking.enabled {
        return refused(
            sys::VIX_E_NOT_SUPPORTED,
            "writing by SAN needs change tracking off",
        );
    }
    Ok(())
}
