//! Opening a disk that belongs to no VM.

use std::path::{Path, PathBuf};

use lab::Lab;
use vddk_sys as sys;

use super::{Manner, Opened};
use crate::error::Failure;
use crate::library;
use crate::loose;
use crate::transport::{self, Owner, Wanted};

/// Opens a first-class disk, named by its id, its datastore and perhaps a snapshot. A snapshot cannot
/// be written.
pub(super) fn open_first_class(
    transports: &[String],
    lab: &Lab,
    (id, datastore_moref, snapshot): (&str, &str, Option<&str>),
    manner: Manner,
) -> Result<Opened, Failure> {
    let disk = loose::first_class_disk(lab, id, datastore_moref)?;
    let link = disk.link(snapshot).ok_or_else(|| {
        let message = format!("{id} has no snapshot {:?}", snapshot.unwrap_or_default());
        Failure::new(sys::VIX_E_SNAPSHOT_NOTFOUND, message)
    })?;
    if snapshot.is_some() && !manner.read_only {
        let message = "a snapshot of a first-class disk cannot be written";
        return Err(Failure::new(sys::VIX_E_FILE_READ_ONLY, message));
    }
    let file = lab.datastore_file(link)?;
    open(transports, lab, Owner::Itself, (link, &file), manner)
}

/// Opens a disk of a folder by its datastore path. What a VM or a first-class disk has is in use: such
/// a connection is for disks that nobody owns ("VDDK API reference, 4.9").
pub(super) fn open_in_folder(
    transports: &[String],
    lab: &Lab,
    folder: (&str, &str),
    path: &str,
    manner: Manner,
) -> Result<Opened, Failure> {
    let file = file_in_folder(lab, folder, path)?;
    open(transports, lab, Owner::Nobody, (path, &file), manner)
}

/// The file behind a datastore path, if it lies in the folder of a connection, whether it exists or
/// not.
///
/// # Errors
///
/// 4 for a path that leads elsewhere, 15 for what a VM or a first-class disk has.
pub(crate) fn file_in_folder(
    lab: &Lab,
    (datastore, folder): (&str, &str),
    path: &str,
) -> Result<PathBuf, Failure> {
    let place = format!("[{datastore}] {}/", folder.trim_end_matches('/'));
    if !path.starts_with(&place) {
        let message = format!("{path} is not in the folder {folder:?} of {datastore}");
        return Err(Failure::new(sys::VIX_E_FILE_NOT_FOUND, message));
    }
    Ok(lab.loose_disk_file(path)?)
}

fn open(
    transports: &[String],
    lab: &Lab,
    owner: Owner<'_>,
    (path, file): (&str, &Path),
    manner: Manner,
) -> Result<Opened, Failure> {
    let library = library::current()?;
    let wanted = Wanted {
        lab,
        owner,
        path,
        file,
        write: !manner.read_only,
        config: &library.config,
    };
    transport::open(transports, &wanted)
}
