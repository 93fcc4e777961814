//! `Attach` and `IsAttachPossible`, and what becomes of a parent's handle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use vddk_sys::{self as sys, VixDiskLibHandle, VixError};

use super::place;
use crate::boundary::{self, Call};
use crate::disk::{self, DISKS, Disk};
use crate::error::Failure;

/// The parents that belong to a child, by their handles: each with the child's handle. They stay
/// here when they are closed, so that closing them once more is still ignored.
static ATTACHED: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// Puts a local child, opened alone, at the end of the chain of a parent. From then on the child's
/// handle stands for the chain and the parent's belongs to it: closing the parent is ignored, and
/// closing the child closes both ("VDDK API reference", 1.9).
///
/// Answers 16069 if the child has no parent, 16068 if it is open with its parent, 16067 if the sizes
/// differ, 16008 if it was made over other content, 20 for disks of a server.
///
/// # Safety
///
/// No call may be running on either disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Attach(
    parent: VixDiskLibHandle,
    child: VixDiskLibHandle,
) -> VixError {
    boundary::code("VixDiskLib_Attach", |call| {
        let (parent, child) = both(call, parent, child)?;
        child
            .image
            .change(|child| parent.image.with_inner(|parent| child.attach(parent)))?;
        lock().insert(parent.handle, child.handle);
        Ok(sys::VIX_OK)
    })
}

/// Tells whether `Attach` would work, with its codes.
///
/// # Safety
///
/// No call may be running on either disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_IsAttachPossible(
    parent: VixDiskLibHandle,
    child: VixDiskLibHandle,
) -> VixError {
    boundary::code("VixDiskLib_IsAttachPossible", |call| {
        let (parent, child) = both(call, parent, child)?;
        child
            .image
            .with(|child| parent.image.with_inner(|parent| child.check_attach(parent)))?;
        Ok(sys::VIX_OK)
    })
}

/// Two different local disks, neither of which belongs to another already.
fn both(
    call: &mut Call,
    parent: VixDiskLibHandle,
    child: VixDiskLibHandle,
) -> Result<(Arc<Disk>, Arc<Disk>), Failure> {
    call.note("parent", parent.addr());
    call.note("child", child.addr());
    let (parent, child) = (place::local_disk(parent)?, place::local_disk(child)?);
    call.note("path", child.path.as_str());
    if parent.handle == child.handle {
        return Err(Failure::argument("a disk cannot be its own parent"));
    }
    if is_attached(parent.handle) || is_attached(child.handle) {
        let message = "the disk belongs to a child already";
        return Err(Failure::new(sys::VIX_E_DISK_PARENT_NOTALLOWED, message));
    }
    Ok((parent, child))
}

/// Whether a handle is that of a parent that belongs to a child.
pub(crate) fn is_attached(handle: usize) -> bool {
    lock().contains_key(&handle)
}

/// Closes the parents that belong to a disk that is being closed.
pub(crate) fn close_parents(child: usize) {
    let mut parents = Vec::new();
    for (parent, owner) in lock().iter() {
        if *owner == child {
            parents.push(*parent);
        }
    }
    for parent in parents {
        if let Some(parent) = DISKS.remove(parent) {
            disk::close_late(&parent);
        }
    }
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<usize, usize>> {
    ATTACHED.lock().unwrap_or_else(PoisonError::into_inner)
}
