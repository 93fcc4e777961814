//! `Shrink`, `Defragment`, `CheckRepair` and `SpaceNeededForClone`.

use std::ffi::{c_char, c_void};

use vddk_sys::{self as sys, Bool, VixDiskLibConnection, VixDiskLibDiskType, VixDiskLibHandle};
use vddk_sys::{VixDiskLibProgressFunc, VixError};
use vmdk::{CheckReport, Descriptor, DiskKind, Progress};

use super::progress::Report;
use super::{place, spec};
use crate::boundary::{self, Call};
use crate::disk;
use crate::error::Failure;
use crate::log;
use crate::text;
use crate::va_list::Arg;

/// Gives back the space of grains of zeros of an open local disk. Answers 16009 if its last link is
/// not a sparse one, 11 if it is open for reading.
///
/// # Safety
///
/// `progress` must be null or callable with `progress_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Shrink(
    handle: VixDiskLibHandle,
    progress: VixDiskLibProgressFunc,
    progress_data: *mut c_void,
) -> VixError {
    boundary::code("VixDiskLib_Shrink", |call| {
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        let shrunk = rebuild(call, handle, &report, vmdk::Disk::shrink);
        shrunk.map_err(|failure| match failure.code {
            sys::VIX_E_DISK_NOTSUPPORTED => {
                Failure::new(sys::VIX_E_DISK_CANTSHRINK, failure.message)
            }
            _ => failure,
        })
    })
}

/// Puts the grains of an open local disk in order. Answers 16013 if its last link is not a sparse
/// one, 11 if it is open for reading.
///
/// # Safety
///
/// `progress` must be null or callable with `progress_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Defragment(
    handle: VixDiskLibHandle,
    progress: VixDiskLibProgressFunc,
    progress_data: *mut c_void,
) -> VixError {
    boundary::code("VixDiskLib_Defragment", |call| {
        // SAFETY: the caller promises it.
        let report = unsafe { Report::new(progress, progress_data) };
        rebuild(call, handle, &report, vmdk::Disk::defragment)
    })
}

type Rebuild = fn(&mut vmdk::Disk, &mut Progress<'_>) -> Result<(), vmdk::Error>;

fn rebuild(
    call: &mut Call,
    handle: VixDiskLibHandle,
    report: &Report,
    rebuild: Rebuild,
) -> Result<u32, Failure> {
    call.note("handle", handle.addr());
    let disk = place::local_disk(handle)?;
    call.note("path", disk.path.as_str());
    disk.image.check_writable()?;
    disk.image
        .change(|disk| rebuild(disk, &mut |done, all| report.say(done, all)))?;
    Ok(sys::VIX_OK)
}

/// Checks the tables of a local sparse disk that nobody has open, and mends them if asked. Answers
/// 16006 if something is to be mended, 16062 if it cannot be, 16013 for other kinds of disk.
///
/// # Safety
///
/// `path` must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_CheckRepair(
    connection: VixDiskLibConnection,
    path: *const c_char,
    repair: Bool,
) -> VixError {
    boundary::code("VixDiskLib_CheckRepair", |call| {
        call.note("connection", connection.addr());
        // SAFETY: the caller promises it.
        let path = unsafe { text::required(path, "path") }?;
        call.note("path", path);
        call.note("repair", repair != 0);
        place::local(connection)?;
        let path = place::absolute(path)?;
        // Only what is mended is locked: a check works in a folder that cannot be written to, too.
        let _lock = if repair == 0 {
            place::closed(path)?;
            None
        } else {
            Some(place::exclusive(path)?)
        };
        let options = vmdk::OpenOptions {
            write: false,
            single_link: true,
        };
        let kind = DiskKind::of(vmdk::Disk::open(path, options)?.descriptor());
        if kind.is_none_or(DiskKind::is_flat) {
            let message = format!("{} is no sparse disk", path.display());
            return Err(Failure::new(sys::VIX_E_DISK_NOTSUPPORTED, message));
        }
        let report = vmdk::check(path, repair != 0)?;
        call.note("found", report.found);
        call.note("repaired", report.repaired);
        call.note("lost_grains", report.lost_grains);
        say(&report);
        let left = format!(
            "{} of {} problems are left",
            report.found - report.repaired,
            report.found
        );
        match (report.is_repaired(), repair != 0) {
            (true, _) => Ok(sys::VIX_OK),
            (false, false) => Err(Failure::new(sys::VIX_E_DISK_NEEDSREPAIR, left)),
            (false, true) => Err(Failure::new(sys::VIX_E_DISK_CANTREPAIR, left)),
        }
    })
}

fn say(report: &CheckReport) {
    for problem in &report.problems {
        let path = log::c_text(&problem.path.display().to_string());
        let what = log::c_text(&problem.kind.to_string());
        let done = if problem.repaired { c"mended" } else { c"left" };
        let args = [Arg::Text(&path), Arg::Text(&what), Arg::Text(done)];
        log::info(c"VixDiskLib: %s: %s (%s)\n", &args);
    }
}

/// Tells how many bytes a copy of an open disk takes at most. UNKNOWN means the kind of the disk.
///
/// # Safety
///
/// `bytes` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_SpaceNeededForClone(
    handle: VixDiskLibHandle,
    disk_type: VixDiskLibDiskType,
    bytes: *mut u64,
) -> VixError {
    boundary::code("VixDiskLib_SpaceNeededForClone", |call| {
        call.note("handle", handle.addr());
        call.note("disk_type", disk_type.0);
        if bytes.is_null() {
            return Err(Failure::argument("spaceNeeded is null"));
        }
        let disk = disk::get(handle)?;
        call.note("path", disk.path.as_str());
        let needed = disk.image.with(|disk| {
            let kind = wanted(disk_type, disk.descriptor());
            Ok(match kind {
                Ok(kind) => Ok(disk.space_needed_bytes(kind)?),
                Err(failure) => Err(failure),
            })
        })??;
        call.note("bytes", needed);
        // SAFETY: not null, and the caller promises the rest.
        unsafe { bytes.write(needed) };
        Ok(sys::VIX_OK)
    })
}

/// The kind to count for. Those of datastores are flat, one of them in name only.
fn wanted(disk_type: VixDiskLibDiskType, source: &Descriptor) -> Result<DiskKind, Failure> {
    match disk_type {
        VixDiskLibDiskType::VIXDISKLIB_DISK_UNKNOWN => {
            Ok(DiskKind::of(source).unwrap_or(DiskKind::MonolithicFlat))
        }
        VixDiskLibDiskType::VIXDISKLIB_DISK_VMFS_FLAT => Ok(DiskKind::VmfsFlat),
        VixDiskLibDiskType::VIXDISKLIB_DISK_VMFS_THIN => Ok(DiskKind::VmfsThin),
        other => spec::kind(other),
    }
}
