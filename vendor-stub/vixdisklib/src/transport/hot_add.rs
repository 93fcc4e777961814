//! HotAdd: the disk is attached to the VM that the library runs in ("VDDK API reference, 4.6").
//! The lab knows when that is possible.

use lab::{HotAddRefusal, HotAddSpec};
use vddk_sys as sys;

use super::{Owner, Wanted};
use crate::error::Failure;
use crate::lease::Lease;
use crate::open::Opened;

/// Attaches a disk to the proxy and opens it there.
pub(super) fn open(wanted: &Wanted<'_>) -> Result<Opened, Failure> {
    let state_folder = wanted.config.state_folder();
    let state_folder = state_folder.as_deref();
    let attached = match wanted.owner {
        Owner::Vm(of) => wanted.lab.hot_add(HotAddSpec {
            vm: &of.vm.moref,
            snapshot: of.snapshot,
            file: wanted.path,
            write: wanted.write,
            state_folder,
        }),
        Owner::Nobody => wanted
            .lab
            .hot_add_loose(wanted.path, wanted.write, state_folder),
        Owner::Itself => return Err(super::belongs_to_no_vm()),
    }
    .map_err(failure)?;
    let file = attached.path().to_owned();
    // From here on the lease detaches it if something fails.
    let lease = Lease::default().with_attached(attached);
    let lease = lease.with_hold(wanted.hold(&file)?);
    let disk = vmdk::Disk::open(&file, wanted.options())?;
    let lease = wanted.with_writing(lease, &disk);
    Ok(Opened {
        disk,
        transport: c"hotadd",
        lease,
        aligned: false,
        out_of_reach: false,
    })
}

/// The codes that are documented: 13 for full controllers, else no device.
fn failure(error: lab::Error) -> Failure {
    let lab::Error::HotAdd { reason } = error else {
        return error.into();
    };
    let code = match reason {
        HotAddRefusal::NoFreeSlot | HotAddRefusal::NoSnapshot => sys::VIX_E_FILE_ACCESS_ERROR,
        HotAddRefusal::NotScsi | HotAddRefusal::RawMapping | HotAddRefusal::ProxyNotEncrypted => {
            sys::VIX_E_DISK_UNSUPPORTEDDEVICE
        }
        _ => sys::VIX_E_DISK_NODEVICE,
    };
    Failure::new(code, reason.to_string())
}
