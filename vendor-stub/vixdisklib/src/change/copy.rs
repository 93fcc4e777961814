//! `Clone`.

use std::ffi::{c_char, c_void};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use vddk_sys::{self as sys, Bool, VixDiskLibConnection, VixDiskLibCreateParams};
use vddk_sys::{VixDiskLibProgressFunc, VixError};
use vmdk::{Adapter, CreateOptions, DiskKind};

use super::place;
use super::progress::Report;
use super::spec::{self, Spec};
use crate::boundary::{self, Call};
use crate::connection::{self, Connection, Object, Target};
use crate::error::Failure;
use crate::open::{self, Opened};
use crate::text;

/// Copies a disk with all its links into a new one: from local to local, from a server to local,
/// and from local to a datastore of a server, where the parameters are ignored and the copy belongs
/// to no VM. From server to server it answers 6, and so it does for a first-class disk as
/// destination.
///
/// Answers 12 if the destination exists and may not be overwritten, 15 if either is open or the
/// destination is a VM's, 11 on a connection to a server that is for reading only.
///
/// # Safety
///
/// The paths and `params` must be null or valid, `progress` null or callable with `progress_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Clone(
    destination: VixDiskLibConnection,
    destination_path: *const c_char,
    source: VixDiskLibConnection,
    source_path: *const c_char,
    params: *const VixDiskLibCreateParams,
    progress: VixDiskLibProgressFunc,
    progress_data: *mut c_void,
    overwrite: Bool,
) -> VixError {
    boundary::code("VixDiskLib_Clone", |call| {
        call.note("connection", destination.addr());
        // SAFETY: the caller promises it.
        let path = unsafe { text::required(destination_path, "dstPath") }?;
        call.note("path", path);
        call.note("source_connection", source.addr());
        // SAFETY: the caller promises it.
        let source_path = unsafe { text::optional(source_path, "srcPath") }?;
        call.note("source_path", source_path);
        call.note("overwrite", overwrite != 0);
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        let (destination, source) = (connection::get(destination)?, connection::get(source)?);
        let source_disk = open_source(&source, source.disk_name(source_path)?)?;
        let (file, spec) = match &destination.target {
            // SAFETY: the caller promises it.
            None => unsafe { local_place(call, path, params) }?,
            Some(_) if source.target.is_some() => {
                let message = "from server to server";
                return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
            }
            Some(target) => datastore_place(&destination, target, path, &source_disk)?,
        };
        // The lock is named after the place, so it holds for the copy too.
        let mut _lock = None;
        if file.exists() {
            _lock = Some(place::exclusive(&file)?);
            make_room(&file, &source_disk.disk, overwrite != 0)?;
        }
        vmdk::copy(
            &source_disk.disk,
            &file,
            spec.kind,
            &spec.options,
            &mut |done, all| {
                report.say(done, all);
            },
        )?;
        Ok(sys::VIX_OK)
    })
}

fn open_source(connection: &Connection, path: &str) -> Result<Opened, Failure> {
    if connection.target.is_none() {
        place::closed(place::absolute(path)?)?;
    }
    open::for_reading(connection, path)
}

/// Where a local copy goes, and what it is to be like.
///
/// # Safety
///
/// `params` must be null or valid.
unsafe fn local_place(
    call: &mut Call,
    path: &str,
    params: *const VixDiskLibCreateParams,
) -> Result<(PathBuf, Spec), Failure> {
    // SAFETY: the caller promises it.
    let spec = unsafe { spec::read(call, params) }?;
    Ok((place::absolute(path)?.to_owned(), spec))
}

/// Where a copy on a datastore goes: as ESXi makes disks there, for the controller of the source.
fn datastore_place(
    connection: &Connection,
    target: &Target,
    path: &str,
    source: &Opened,
) -> Result<(PathBuf, Spec), Failure> {
    if connection.read_only {
        let message = "the connection is for reading only";
        return Err(Failure::new(sys::VIX_E_FILE_READ_ONLY, message));
    }
    let expected = target.thumbprint.as_deref().unwrap_or_default();
    if !target.lab.thumbprint_sha1()?.eq_ignore_ascii_case(expected) {
        let message = "the server's certificate is not the one expected";
        return Err(Failure::new(sys::VIX_E_FAIL, message));
    }
    let file = match &target.object {
        Object::Vm { .. } => target.lab.loose_disk_file(path)?,
        Object::DatastoreFolder { datastore, folder } => {
            open::file_in_folder(&target.lab, (datastore, folder), path)?
        }
        Object::FirstClassDisk { .. } => {
            let message = "a copy into a first-class disk";
            return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
        }
    };
    let mut options = CreateOptions::new(0).with_new_uuid();
    let adapter = source.disk.descriptor().ddb("adapterType");
    if let Some(adapter) = adapter.and_then(Adapter::from_name) {
        options.adapter = adapter;
    }
    let kind = DiskKind::VmfsFlat;
    Ok((file, Spec { kind, options }))
}

/// Removes what stands where the copy shall go, if that is allowed and it is no part of the source.
fn make_room(path: &Path, source: &vmdk::Disk, overwrite: bool) -> Result<(), Failure> {
    if !overwrite {
        let message = format!("{} exists", path.display());
        return Err(Failure::new(sys::VIX_E_FILE_ALREADY_EXISTS, message));
    }
    let same = |link: &Path| matches!((fs::canonicalize(link), fs::canonicalize(path)), (Ok(a), Ok(b)) if a == b);
    if source.link_paths().any(same) {
        let message = format!("{} is a part of the source", path.display());
        return Err(Failure::argument(message));
    }
    match vmdk::unlink(path) {
        Ok(()) => Ok(()),
        // What is no disk is replaced, too.
        Err(vmdk::Error::Io { source, .. }) if source.kind() != ErrorKind::NotFound => {
            Err(Failure::from(vmdk::Error::Io {
                action: "remove",
                path: path.to_owned(),
                source,
            }))
        }
        Err(_) => fs::remove_file(path).map_err(|source| {
            Failure::from(vmdk::Error::Io {
                action: "remove",
                path: path.to_owned(),
                source,
            })
        }),
    }
}
