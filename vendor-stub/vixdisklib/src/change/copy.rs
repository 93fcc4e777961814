//! `Clone`.

use std::ffi::{c_char, c_void};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use vddk_sys::{self as sys, Bool, VixDiskLibConnection, VixDiskLibCreateParams};
use vddk_sys::{VixDiskLibProgressFunc, VixError};

use super::progress::Report;
use super::{place, spec};
use crate::boundary::{self, Call};
use crate::connection;
use crate::error::Failure;
use crate::open;
use crate::text;

/// Copies a disk with all its links into a new local one. The source is a local disk or one of a
/// server. Answers 12 if the destination exists and may not be overwritten, 15 if either is open.
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
        let source_path = unsafe { text::required(source_path, "srcPath") }?;
        call.note("source_path", source_path);
        call.note("overwrite", overwrite != 0);
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        let source = Source::open(source, source_path)?;
        // SAFETY: the caller promises it.
        unsafe {
            to_local(
                call,
                destination,
                path,
                params,
                &source,
                &report,
                overwrite != 0,
            )
        }?;
        Ok(sys::VIX_OK)
    })
}

/// The disk to copy.
struct Source {
    opened: open::Opened,
}

impl Source {
    fn open(connection: VixDiskLibConnection, path: &str) -> Result<Self, Failure> {
        let connection = connection::get(connection)?;
        if connection.target.is_none() {
            place::closed(place::absolute(path)?)?;
        }
        let opened = open::for_reading(&connection, path)?;
        Ok(Self { opened })
    }
}

/// Copies to a local disk.
///
/// # Safety
///
/// `params` must be null or valid.
unsafe fn to_local(
    call: &mut Call,
    destination: VixDiskLibConnection,
    path: &str,
    params: *const VixDiskLibCreateParams,
    source: &Source,
    report: &Report,
    overwrite: bool,
) -> Result<(), Failure> {
    place::local(destination)?;
    // SAFETY: the caller promises it.
    let spec = unsafe { spec::read(call, params) }?;
    let path = place::absolute(path)?;
    if path.exists() {
        place::closed(path)?;
        make_room(path, &source.opened.disk, overwrite)?;
    }
    vmdk::copy(
        &source.opened.disk,
        path,
        spec.kind,
        &spec.options,
        &mut |done, all| report.say(done, all),
    )?;
    Ok(())
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
