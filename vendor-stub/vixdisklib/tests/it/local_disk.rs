//! Making and changing local disks, with Rust types.

use std::ffi::{CString, c_void};
use std::path::Path;
use std::ptr::null_mut;

use vddk_sys::{
    VixDiskLibAdapterType, VixDiskLibConnection, VixDiskLibCreateParams, VixDiskLibDiskType,
    VixDiskLibHandle,
};
use vixDiskLib::*;

/// Correct parameters of a sparse disk.
pub(crate) fn spec(disk_type: u32, capacity_sectors: u64) -> VixDiskLibCreateParams {
    VixDiskLibCreateParams {
        diskType: VixDiskLibDiskType(disk_type),
        adapterType: VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_SCSI_BUSLOGIC,
        hwVersion: 7,
        capacity: capacity_sectors,
        logicalSectorSize: 0,
        physicalSectorSize: 0,
    }
}

/// Percentages that a progress function was told, and on which thread.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) percentages: Vec<i32>,
    pub(crate) threads: Vec<std::thread::ThreadId>,
}

impl Told {
    /// What to pass as progress data.
    pub(crate) fn data(&mut self) -> *mut c_void {
        std::ptr::from_mut(self).cast()
    }

    /// Percentages rise from 0 to 100, all on this thread.
    pub(crate) fn check(&self) {
        assert!(self.percentages.is_sorted(), "{:?}", self.percentages);
        assert_eq!(self.percentages.first(), Some(&0));
        assert_eq!(self.percentages.last(), Some(&100));
        let here = std::thread::current().id();
        assert!(self.threads.iter().all(|thread| *thread == here));
    }
}

/// A progress function. It always asks to stop, which the library ignores.
pub(crate) unsafe extern "C" fn tell(data: *mut c_void, percent: i32) -> i8 {
    // SAFETY: every call of these tests passes a `Told` that lives during it.
    let told = unsafe { &mut *data.cast::<Told>() };
    told.percentages.push(percent);
    told.threads.push(std::thread::current().id());
    0
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// `Create`, without progress.
pub(crate) fn create(
    connection: VixDiskLibConnection,
    path: &Path,
    spec: &VixDiskLibCreateParams,
) -> u64 {
    let path = c_path(path);
    // SAFETY: the pointers are valid during the call.
    unsafe { VixDiskLib_Create(connection, path.as_ptr(), spec, None, null_mut()) }
}

/// `CreateChild`, without progress.
pub(crate) fn create_child(parent: VixDiskLibHandle, path: &Path, disk_type: u32) -> u64 {
    let (path, disk_type) = (c_path(path), VixDiskLibDiskType(disk_type));
    // SAFETY: the pointers are valid during the call.
    unsafe { VixDiskLib_CreateChild(parent, path.as_ptr(), disk_type, None, null_mut()) }
}

/// `Clone`, with progress, which is checked if it goes well.
pub(crate) fn clone(
    (destination, path): (VixDiskLibConnection, &Path),
    (source, source_path): (VixDiskLibConnection, &Path),
    spec: Option<&VixDiskLibCreateParams>,
    overwrite: bool,
) -> u64 {
    let (path, source_path) = (c_path(path), c_path(source_path));
    let spec = spec.map_or(std::ptr::null(), std::ptr::from_ref);
    let mut told = Told::default();
    // SAFETY: the pointers are valid during the call.
    let code = unsafe {
        VixDiskLib_Clone(
            destination,
            path.as_ptr(),
            source,
            source_path.as_ptr(),
            spec,
            Some(tell),
            told.data(),
            i8::from(overwrite),
        )
    };
    if code == 0 {
        told.check();
    }
    code
}

/// `Grow`, with progress, which is checked if it goes well.
pub(crate) fn grow(connection: VixDiskLibConnection, path: &Path, capacity_sectors: u64) -> u64 {
    let path = c_path(path);
    let mut told = Told::default();
    // SAFETY: the pointers are valid during the call.
    let code = unsafe {
        VixDiskLib_Grow(
            connection,
            path.as_ptr(),
            capacity_sectors,
            1,
            Some(tell),
            told.data(),
        )
    };
    if code == 0 {
        told.check();
    }
    code
}

/// `Rename`.
pub(crate) fn rename(from: &Path, to: &Path) -> u64 {
    let (from, to) = (c_path(from), c_path(to));
    // SAFETY: the pointers are valid during the call.
    unsafe { VixDiskLib_Rename(from.as_ptr(), to.as_ptr()) }
}

/// `Unlink`.
pub(crate) fn unlink(connection: VixDiskLibConnection, path: &Path) -> u64 {
    let path = c_path(path);
    // SAFETY: the pointers are valid during the call.
    unsafe { VixDiskLib_Unlink(connection, path.as_ptr()) }
}

/// `WriteMetadata`.
pub(crate) fn write_metadata(disk: VixDiskLibHandle, key: &str, value: &str) -> u64 {
    let (key, value) = (CString::new(key).unwrap(), CString::new(value).unwrap());
    // SAFETY: the pointers are valid during the call.
    unsafe { VixDiskLib_WriteMetadata(disk, key.as_ptr(), value.as_ptr()) }
}

/// `ReadMetadata` of a short value.
pub(crate) fn read_metadata(disk: VixDiskLibHandle, key: &str) -> Result<String, u64> {
    let key = CString::new(key).unwrap();
    let mut buffer = [0_u8; 200];
    // SAFETY: the key is valid, the buffer has the length given.
    let code = unsafe {
        VixDiskLib_ReadMetadata(
            disk,
            key.as_ptr(),
            buffer.as_mut_ptr().cast(),
            200,
            null_mut(),
        )
    };
    if code != 0 {
        return Err(code);
    }
    let text = std::ffi::CStr::from_bytes_until_nul(&buffer).unwrap();
    Ok(text.to_str().unwrap().to_owned())
}

/// `Shrink` (true) or `Defragment`, with progress, which is checked if it goes well.
pub(crate) fn rebuild(disk: VixDiskLibHandle, shrink: bool) -> u64 {
    let mut told = Told::default();
    let code = if shrink {
        // SAFETY: the function and its data are valid during the call.
        unsafe { VixDiskLib_Shrink(disk, Some(tell), told.data()) }
    } else {
        // SAFETY: the function and its data are valid during the call.
        unsafe { VixDiskLib_Defragment(disk, Some(tell), told.data()) }
    };
    if code == 0 {
        told.check();
    }
    code
}

/// `CheckRepair`.
pub(crate) fn check_repair(connection: VixDiskLibConnection, path: &Path, repair: bool) -> u64 {
    let path = c_path(path);
    // SAFETY: the path is valid during the call.
    unsafe { VixDiskLib_CheckRepair(connection, path.as_ptr(), i8::from(repair)) }
}

/// `Attach`.
pub(crate) fn attach(parent: VixDiskLibHandle, child: VixDiskLibHandle) -> u64 {
    // SAFETY: handles or anything else.
    unsafe { VixDiskLib_Attach(parent, child) }
}

/// `IsAttachPossible`.
pub(crate) fn is_attach_possible(parent: VixDiskLibHandle, child: VixDiskLibHandle) -> u64 {
    // SAFETY: handles or anything else.
    unsafe { VixDiskLib_IsAttachPossible(parent, child) }
}

/// `SpaceNeededForClone`.
pub(crate) fn space_needed(disk: VixDiskLibHandle, disk_type: u32) -> Result<u64, u64> {
    let mut bytes = 0;
    // SAFETY: the out pointer is writable.
    let code = unsafe {
        VixDiskLib_SpaceNeededForClone(disk, VixDiskLibDiskType(disk_type), &raw mut bytes)
    };
    if code == 0 { Ok(bytes) } else { Err(code) }
}
