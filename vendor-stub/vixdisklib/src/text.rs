//! C strings of the caller.

use std::ffi::{CStr, c_char};

use vddk_sys::VIX_E_INVALID_UTF8_STRING;

use crate::error::Failure;

/// The text behind a pointer, `None` for null.
///
/// # Safety
///
/// `pointer` must be null or point to a string that ends in NUL and stays as it is for `'a`.
pub(crate) unsafe fn optional<'a>(
    pointer: *const c_char,
    what: &str,
) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and the caller promises the rest.
    let text = unsafe { CStr::from_ptr(pointer) };
    let not_utf8 = |_| Failure::new(VIX_E_INVALID_UTF8_STRING, format!("{what} is not UTF-8"));
    text.to_str().map(Some).map_err(not_utf8)
}

/// The text behind a pointer that must not be null.
///
/// # Safety
///
/// As [`optional`].
pub(crate) unsafe fn required<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller promises it.
    let text = unsafe { optional(pointer, what) }?;
    text.ok_or_else(|| Failure::argument(format!("{what} is null")))
}
