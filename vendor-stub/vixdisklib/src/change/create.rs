//! `Create` and `CreateChild`.

use std::ffi::{c_char, c_void};

use vddk_sys::{self as sys, VixDiskLibConnection, VixDiskLibCreateParams};
use vddk_sys::{VixDiskLibDiskType, VixDiskLibHandle, VixDiskLibProgressFunc, VixError};

use super::progress::Report;
use super::{place, spec};
use crate::boundary;
use crate::text;

/// Makes a local disk that reads as zeros. Answers 12 if a file of it exists, 20 on a connection to
/// a server, 16022 for the kinds that only a datastore has.
///
/// # Safety
///
/// `path` and `params` must be null or valid, `progress` null or callable with `progress_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Create(
    connection: VixDiskLibConnection,
    path: *const c_char,
    params: *const VixDiskLibCreateParams,
    progress: VixDiskLibProgressFunc,
    progress_data: *mut c_void,
) -> VixError {
    boundary::code("VixDiskLib_Create", |call| {
        call.note("connection", connection.addr());
        // SAFETY: the caller promises it.
        let path = unsafe { text::required(path, "path") }?;
        call.note("path", path);
        place::local(connection)?;
        // SAFETY: the caller promises it.
        let spec = unsafe { spec::read(call, params) }?;
        let path = place::absolute(path)?;
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        let capacity_sectors = spec.options.capacity_sectors;
        report.say(0, capacity_sectors);
        vmdk::create(path, spec.kind, &spec.options)?;
        report.say(capacity_sectors, capacity_sectors);
        Ok(sys::VIX_OK)
    })
}

/// Makes a child over an open local disk, of one sparse file or of several. When the parent is
/// written afterwards, opening the child answers 16008.
///
/// # Safety
///
/// `path` must be null or valid, `progress` null or callable with `progress_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_CreateChild(
    parent: VixDiskLibHandle,
    path: *const c_char,
    disk_type: VixDiskLibDiskType,
    progress: VixDiskLibProgressFunc,
    progress_data: *mut c_void,
) -> VixError {
    boundary::code("VixDiskLib_CreateChild", |call| {
        call.note("parent", parent.addr());
        // SAFETY: the caller promises it.
        let path = unsafe { text::required(path, "path") }?;
        call.note("path", path);
        call.note("disk_type", disk_type.0);
        let parent = place::local_disk(parent)?;
        let kind = spec::kind(disk_type)?;
        if !kind.is_sparse() {
            let message = "a child is a sparse disk";
            return Err(crate::error::Failure::argument(message));
        }
        let path = place::absolute(path)?;
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        report.say(0, 1);
        parent
            .image
            .change(|parent| parent.create_child(path, kind))?;
        report.say(1, 1);
        Ok(sys::VIX_OK)
    })
}
