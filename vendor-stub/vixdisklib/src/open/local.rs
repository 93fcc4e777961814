//! Opening a file of this machine.

use std::path::Path;

use vddk_sys as sys;

use super::{Manner, Opened};
use crate::error::Failure;
use crate::lease::Lease;
use crate::local_lock::LocalLock;
use crate::transport;

/// Opens a local disk. For writing it is locked; reading locks nothing ("VDDK API reference, 1.6").
pub(super) fn open(path: &str, manner: Manner) -> Result<Opened, Failure> {
    let path = Path::new(path);
    if !path.is_absolute() {
        let message = format!("{} is no absolute path", path.display());
        return Err(Failure::new(sys::VIX_E_FILE_NOT_FOUND, message));
    }
    let options = vmdk::OpenOptions {
        write: !manner.read_only,
        single_link: manner.single_link,
    };
    // Locked before anything is read: another writer may just have changed the descriptor.
    let lock = if manner.read_only {
        None
    } else {
        Some(LocalLock::take(path)?)
    };
    let disk = vmdk::Disk::open(path, options)?;
    Ok(Opened {
        disk,
        transport: transport::FILE,
        lease: Lease::local(lock),
        aligned: false,
        out_of_reach: false,
    })
}
