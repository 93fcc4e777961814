//! NBD and NBDSSL: by the host's NFC service, for every disk.

use std::ffi::CStr;

use super::Wanted;
use crate::error::Failure;
use crate::lease::Lease;
use crate::open::Opened;

/// Opens a disk through its host.
///
/// Writes are not noted in the change-tracking map: it is documented for restores from outside
/// that they are not tracked ("vSphere Web Services API", 5.5).
pub(super) fn open(wanted: &Wanted<'_>, name: &'static CStr) -> Result<Opened, Failure> {
    wanted.config.aio.check()?;
    let hold = wanted.hold(wanted.file)?;
    let time_out = wanted.config.nfc.shortest();
    let link = wanted.lab.nfc_link(wanted.file, wanted.write, time_out)?;
    let disk = vmdk::Disk::open(wanted.file, wanted.options())?;
    let lease = wanted.with_writing(Lease::held(hold).with_link(link), &disk);
    Ok(Opened {
        disk,
        transport: name,
        lease,
        aligned: false,
        out_of_reach: false,
    })
}
