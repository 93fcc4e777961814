//! The disk database: keys and values of the descriptor.

use std::ffi::c_char;

use vddk_sys::{self as sys, VixDiskLibHandle, VixError};

use crate::boundary::{self, Call};
use crate::disk;
use crate::error::Failure;
use crate::text;

/// Copies a value, with its NUL. Answers 24 and the length needed if the buffer is null or too
/// small, 16052 for an unknown key.
///
/// # Safety
///
/// `key` must be null or valid, `buffer` null or writable for its length, `required_length` null
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_ReadMetadata(
    handle: VixDiskLibHandle,
    key: *const c_char,
    buffer: *mut c_char,
    buffer_length: usize,
    required_length: *mut usize,
) -> VixError {
    boundary::noted("VixDiskLib_ReadMetadata", |call| {
        call.note("handle", handle.addr());
        // SAFETY: the caller promises it.
        let key = unsafe { text::required(key, "key") }?;
        call.note("key", key);
        call.go()?;
        let disk = disk::get(handle)?;
        let value = disk
            .image
            .with(|disk| Ok(disk.descriptor().ddb(key).map(str::to_owned)))?;
        let Some(value) = value else {
            let message = format!("no metadata key {key:?}");
            return Err(Failure::new(sys::VIX_E_DISK_KEY_NOTFOUND, message));
        };
        let mut bytes = without_nul(&value);
        bytes.push(0);
        // SAFETY: the caller promises it.
        unsafe { copy_out(call, &bytes, buffer, buffer_length, required_length) }
    })
}

/// Copies all keys, each with its NUL, and an empty one at the end. Sizes as
/// [`VixDiskLib_ReadMetadata`].
///
/// # Safety
///
/// `keys` must be null or writable for its length, `required_length` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_GetMetadataKeys(
    handle: VixDiskLibHandle,
    keys: *mut c_char,
    max_length: usize,
    required_length: *mut usize,
) -> VixError {
    boundary::noted("VixDiskLib_GetMetadataKeys", |call| {
        call.note("handle", handle.addr());
        call.go()?;
        let disk = disk::get(handle)?;
        let all = disk.image.with(|disk| {
            let mut all = Vec::new();
            for key in disk.descriptor().ddb_keys() {
                all.extend(without_nul(key));
                all.push(0);
            }
            all.push(0);
            Ok(all)
        })?;
        // SAFETY: the caller promises it.
        unsafe { copy_out(call, &all, keys, max_length, required_length) }
    })
}

/// Sets a value of the disk database. It is in the descriptor when the call returns. Answers 11 if
/// the disk is open for reading only.
///
/// # Safety
///
/// `key` and `value` must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_WriteMetadata(
    handle: VixDiskLibHandle,
    key: *const c_char,
    value: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_WriteMetadata", |call| {
        call.note("handle", handle.addr());
        // SAFETY: the caller promises it.
        let key = unsafe { text::required(key, "key") }?;
        call.note("key", key);
        // SAFETY: the caller promises it.
        let value = unsafe { text::required(value, "value") }?;
        let disk = disk::get(handle)?;
        call.note("path", disk.path.as_str());
        disk.image.check_writable()?;
        disk.image.change(|disk| disk.set_metadata(key, value))?;
        Ok(sys::VIX_OK)
    })
}

fn without_nul(text: &str) -> Vec<u8> {
    text.bytes().take_while(|byte| *byte != 0).collect()
}

/// Copies bytes into the caller's buffer if they fit, and says how many they are in any case. A
/// fault may ask for another length or for bytes that are not UTF-8.
///
/// # Safety
///
/// `buffer` must be null or writable for `length` bytes, `required` null or writable.
unsafe fn copy_out(
    call: &Call,
    bytes: &[u8],
    buffer: *mut c_char,
    length: usize,
    required: *mut usize,
) -> Result<u32, Failure> {
    let ordered = call.ordered();
    let mut bytes = bytes.to_vec();
    if ordered.text().is_some() {
        let no_end = bytes.iter_mut().filter(|byte| **byte != 0);
        no_end.for_each(|byte| *byte = 0xFF);
    }
    let said = ordered.required_bytes().map_or(bytes.len(), |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    if !required.is_null() {
        // SAFETY: not null, and the caller promises the rest.
        unsafe { required.write(said) };
    }
    if buffer.is_null() || length < bytes.len() {
        return Err(Failure::quiet(sys::VIX_E_BUFFER_TOOSMALL));
    }
    // SAFETY: the buffer has room for all bytes, and they are a copy of ours.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()) };
    Ok(sys::VIX_OK)
}
