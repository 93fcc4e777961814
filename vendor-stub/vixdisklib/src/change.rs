//! Making and changing disks ("VDDK API reference", 1.9).

mod copy;
mod create;
mod files;
mod place;
mod progress;
mod spec;

pub use copy::VixDiskLib_Clone;
pub use create::{VixDiskLib_Create, VixDiskLib_CreateChild};
pub use files::{VixDiskLib_Grow, VixDiskLib_Rename, VixDiskLib_Unlink};

use std::ffi::{c_char, c_void};

use vddk_sys::{self as sys, Bool, VixDiskLibConnection};
use vddk_sys::{VixDiskLibDiskType, VixDiskLibHandle, VixDiskLibProgressFunc, VixError};

use crate::boundary;
use crate::error::Failure;
use crate::text;

/// What a call is about, for the journal.
enum About {
    Handle(usize),
    Path(*const c_char),
}

/// Answers 6 and notes what the call was about.
///
/// # Safety
///
/// A path must be null or valid.
unsafe fn not_offered(name: &'static str, about: &[(&str, About)]) -> VixError {
    boundary::code(name, |call| {
        for (key, value) in about {
            match value {
                About::Handle(handle) => call.note(key, *handle),
                About::Path(path) => {
                    // SAFETY: the caller promises it.
                    call.note(key, unsafe { text::optional(*path, key) }?);
                }
            }
        }
        Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, "not offered"))
    })
}

/// Would give back free space of a local disk. Not offered yet.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Shrink(
    handle: VixDiskLibHandle,
    _progress: VixDiskLibProgressFunc,
    _progress_data: *mut c_void,
) -> VixError {
    let about = [("handle", About::Handle(handle.addr()))];
    // SAFETY: no path is passed.
    unsafe { not_offered("VixDiskLib_Shrink", &about) }
}

/// Would put the grains of a local disk in order. Not offered yet.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Defragment(
    handle: VixDiskLibHandle,
    _progress: VixDiskLibProgressFunc,
    _progress_data: *mut c_void,
) -> VixError {
    let about = [("handle", About::Handle(handle.addr()))];
    // SAFETY: no path is passed.
    unsafe { not_offered("VixDiskLib_Defragment", &about) }
}

/// Would put a child at the end of a chain. Not offered yet.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Attach(
    parent: VixDiskLibHandle,
    child: VixDiskLibHandle,
) -> VixError {
    let about = [
        ("parent", About::Handle(parent.addr())),
        ("child", About::Handle(child.addr())),
    ];
    // SAFETY: no path is passed.
    unsafe { not_offered("VixDiskLib_Attach", &about) }
}

/// Would tell whether `Attach` could work. Not offered yet.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_IsAttachPossible(
    parent: VixDiskLibHandle,
    child: VixDiskLibHandle,
) -> VixError {
    let about = [
        ("parent", About::Handle(parent.addr())),
        ("child", About::Handle(child.addr())),
    ];
    // SAFETY: no path is passed.
    unsafe { not_offered("VixDiskLib_IsAttachPossible", &about) }
}

/// Would tell how many bytes a copy takes. Not offered yet.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_SpaceNeededForClone(
    handle: VixDiskLibHandle,
    _disk_type: VixDiskLibDiskType,
    _space_needed_bytes: *mut u64,
) -> VixError {
    let about = [("handle", About::Handle(handle.addr()))];
    // SAFETY: no path is passed.
    unsafe { not_offered("VixDiskLib_SpaceNeededForClone", &about) }
}

/// Would check a local sparse disk. Not offered yet.
///
/// # Safety
///
/// `path` must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_CheckRepair(
    connection: VixDiskLibConnection,
    path: *const c_char,
    _repair: Bool,
) -> VixError {
    let about = [
        ("connection", About::Handle(connection.addr())),
        ("path", About::Path(path)),
    ];
    // SAFETY: the caller promises it.
    unsafe { not_offered("VixDiskLib_CheckRepair", &about) }
}
