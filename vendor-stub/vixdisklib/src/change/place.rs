//! What a call may be about: a local connection, an absolute path, a disk nobody has open.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use vddk_sys::{self as sys, VixDiskLibConnection, VixDiskLibHandle};

use crate::connection::{self, Connection};
use crate::disk::{self, DISKS, Disk};
use crate::error::Failure;
use crate::local_lock::LocalLock;
use crate::transport;

/// The connection behind a handle, which must be one for local files.
///
/// # Errors
///
/// 20 for a connection to a server ("VDDK API reference", 1.9).
pub(super) fn local(connection: VixDiskLibConnection) -> Result<Arc<Connection>, Failure> {
    let connection = connection::get(connection)?;
    match connection.target {
        None => Ok(connection),
        Some(_) => Err(remote("the connection is not a local one")),
    }
}

/// The disk behind a handle, which must be a local one.
///
/// # Errors
///
/// 20 for a disk of a server.
pub(super) fn local_disk(handle: VixDiskLibHandle) -> Result<Arc<Disk>, Failure> {
    let disk = disk::get(handle)?;
    if disk.transport == transport::FILE {
        Ok(disk)
    } else {
        Err(remote("the disk is not a local one"))
    }
}

fn remote(message: &str) -> Failure {
    Failure::new(sys::VIX_E_NOT_SUPPORTED_ON_REMOTE_OBJECT, message)
}

/// A path of this machine.
///
/// # Errors
///
/// 22 for a relative path, and so for a datastore path.
pub(super) fn absolute(path: &str) -> Result<&Path, Failure> {
    let path = Path::new(path);
    if path.is_absolute() {
        return Ok(path);
    }
    let message = format!("{} is no absolute path", path.display());
    Err(Failure::new(sys::VIX_E_FILE_NAME_INVALID, message))
}

/// Locks a disk that is to be changed as long as the lock lives, and refuses one that is open.
///
/// # Errors
///
/// As [`closed`], and 7 and its kin when the disk cannot be locked.
pub(super) fn exclusive(path: &Path) -> Result<LocalLock, Failure> {
    let lock = LocalLock::take(path)?;
    unused(path)?;
    Ok(lock)
}

/// Refuses a disk that this process has open, also as the parent of another, and one that is
/// locked for writing.
///
/// # Errors
///
/// 15, and 4 if there is no such file.
pub(super) fn closed(path: &Path) -> Result<(), Failure> {
    LocalLock::refuse_locked(path)?;
    unused(path)
}

fn unused(path: &Path) -> Result<(), Failure> {
    let wanted = fs::canonicalize(path).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Failure::new(sys::VIX_E_FILE_NOT_FOUND, message)
    })?;
    for disk in DISKS.all() {
        let used = disk.image.with(|disk| {
            let mut links = disk.link_paths();
            Ok(links.any(|link| fs::canonicalize(link).is_ok_and(|link| link == wanted)))
        })?;
        if used {
            let message = format!("{} is open", path.display());
            return Err(Failure::new(sys::VIX_E_FILE_ALREADY_LOCKED, message));
        }
    }
    Ok(())
}
