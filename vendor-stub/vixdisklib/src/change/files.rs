//! `Grow`, `Rename` and `Unlink`: local disks that nobody has open.

use std::ffi::{c_char, c_void};

use vddk_sys::{self as sys, Bool, VixDiskLibConnection, VixDiskLibProgressFunc, VixError};

use super::place;
use super::progress::Report;
use crate::boundary;
use crate::library;
use crate::text;

/// Makes a local disk larger, to a new total. Answers 3 for a smaller total, 15 if the disk is open.
///
/// # Safety
///
/// `path` must be null or valid, `progress` null or callable with `progress_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Grow(
    connection: VixDiskLibConnection,
    path: *const c_char,
    capacity_sectors: u64,
    update_geometry: Bool,
    progress: VixDiskLibProgressFunc,
    progress_data: *mut c_void,
) -> VixError {
    boundary::code("VixDiskLib_Grow", |call| {
        call.note("connection", connection.addr());
        // SAFETY: the caller promises it.
        let path = unsafe { text::required(path, "path") }?;
        call.note("path", path);
        call.note("capacity_sectors", capacity_sectors);
        call.note("update_geometry", update_geometry != 0);
        place::local(connection)?;
        let path = place::absolute(path)?;
        let _lock = place::exclusive(path)?;
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        report.say(0, capacity_sectors);
        vmdk::grow(
            path,
            capacity_sectors,
            update_geometry != 0,
            &mut |done, all| {
                report.say(done, all);
            },
        )?;
        Ok(sys::VIX_OK)
    })
}

/// Gives a local disk another name, with all its extents. Answers 12 if a file of that name exists,
/// 15 if the disk is open.
///
/// # Safety
///
/// The paths must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Rename(
    source_path: *const c_char,
    destination_path: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_Rename", |call| {
        library::current()?;
        // SAFETY: the caller promises it.
        let source = unsafe { text::required(source_path, "srcFileName") }?;
        call.note("path", source);
        // SAFETY: the caller promises it.
        let destination = unsafe { text::required(destination_path, "dstFileName") }?;
        call.note("destination", destination);
        let (source, destination) = (place::absolute(source)?, place::absolute(destination)?);
        let _lock = place::exclusive(source)?;
        vmdk::rename(source, destination)?;
        Ok(sys::VIX_OK)
    })
}

/// Removes a local disk with all its extents; its parents stay. Answers 15 if the disk is open.
///
/// # Safety
///
/// `path` must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Unlink(
    connection: VixDiskLibConnection,
    path: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_Unlink", |call| {
        call.note("connection", connection.addr());
        // SAFETY: the caller promises it.
        let path = unsafe { text::required(path, "path") }?;
        call.note("path", path);
        place::local(connection)?;
        let path = place::absolute(path)?;
        let _lock = place::exclusive(path)?;
        vmdk::unlink(path)?;
        Ok(sys::VIX_OK)
    })
}
