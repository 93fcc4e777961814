//! What belongs to no VM: first-class disks, and disks that only lie on a datastore.

use lab::{Datastore, FirstClassDisk, Lab};
use vddk_sys as sys;

use crate::error::Failure;

/// The datastore of that managed object.
///
/// # Errors
///
/// 25 if there is none.
pub(crate) fn datastore(lab: &Lab, moref: &str) -> Result<Datastore, Failure> {
    let site = lab.site()?;
    site.datastore_by_moref(moref).cloned().ok_or_else(|| {
        let message = format!("no datastore {moref:?}");
        Failure::new(sys::VIX_E_OBJECT_NOT_FOUND, message)
    })
}

/// The first-class disk of that id, which must lie on that datastore.
///
/// # Errors
///
/// 4 for a disk that does not exist there, else as [`datastore`].
pub(crate) fn first_class_disk(
    lab: &Lab,
    id: &str,
    datastore_moref: &str,
) -> Result<FirstClassDisk, Failure> {
    let datastore = datastore(lab, datastore_moref)?;
    let disk = lab.first_class_disk(id)?;
    if disk.datastore != datastore.name {
        let message = format!("first-class disk {id} is not on {datastore_moref}");
        return Err(Failure::new(sys::VIX_E_FILE_NOT_FOUND, message));
    }
    Ok(disk)
}
