//! Texts for error codes, in our own words.

use std::ffi::c_char;

use lab::TextLie;
use vddk_sys::{self as sys, VixError};

use crate::boundary;
use crate::fault;
use crate::log;
use crate::memory::{self, Kind};

/// A text for an error, to be freed with [`VixDiskLib_FreeErrorText`]. Works at any time. The
/// locale is not looked at.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_GetErrorText(
    error: VixError,
    _locale: *const c_char,
) -> *mut c_char {
    let null = std::ptr::null_mut();
    boundary::value("VixDiskLib_GetErrorText", null, |call| {
        call.note("error", error);
        let text = match call.ordered().text() {
            None => text_of((error & 0xFFFF) as u32).as_bytes(),
            Some(TextLie::Null) => return Ok(null),
            Some(_) => fault::NOT_UTF8.to_bytes(),
        };
        let object = memory::allocate(Kind::ErrorText, text.len() + 1).cast::<u8>();
        if !object.is_null() {
            // SAFETY: the memory is new, zeroed, and one byte longer than the text.
            unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), object, text.len()) };
        }
        Ok(object.cast())
    })
}

/// Frees a text of [`VixDiskLib_GetErrorText`]. Null is allowed.
///
/// # Safety
///
/// Nothing may use the text any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_FreeErrorText(text: *mut c_char) {
    boundary::value("VixDiskLib_FreeErrorText", (), |_| {
        if !memory::release(Kind::ErrorText, text.cast()) && !text.is_null() {
            log::warn(c"VixDiskLib: text to free is not the library's\n", &[]);
        }
        Ok(())
    });
}

fn text_of(code: u32) -> &'static str {
    match code {
        sys::VIX_OK => "The operation was successful",
        sys::VIX_E_OUT_OF_MEMORY => "Memory could not be allocated",
        sys::VIX_E_INVALID_ARG => "One of the arguments is not valid",
        sys::VIX_E_FILE_NOT_FOUND => "A file was not found",
        sys::VIX_E_OBJECT_IS_BUSY => "The object is in use",
        sys::VIX_E_NOT_SUPPORTED => "The operation is not supported",
        sys::VIX_E_FILE_ERROR => "A file could not be read or written",
        sys::VIX_E_DISK_FULL => "The file system is full",
        sys::VIX_E_INCORRECT_FILE_TYPE => "The file is of another type",
        sys::VIX_E_CANCELLED => "The operation was cancelled",
        sys::VIX_E_FILE_READ_ONLY => "The file is read-only",
        sys::VIX_E_FILE_ALREADY_EXISTS => "The file exists already",
        sys::VIX_E_FILE_ACCESS_ERROR => "Access to the file is not allowed",
        sys::VIX_E_FILE_ALREADY_LOCKED => "The file is locked",
        sys::VIX_E_NOT_SUPPORTED_ON_REMOTE_OBJECT => "The operation works on local disks only",
        sys::VIX_E_FILE_NAME_INVALID => "The file name is not valid",
        sys::VIX_E_BUFFER_TOOSMALL => "The buffer is too small",
        sys::VIX_E_OBJECT_NOT_FOUND => "The object was not found",
        sys::VIX_E_HOST_NOT_CONNECTED => "The host is not connected",
        sys::VIX_E_INVALID_UTF8_STRING => "A string is not UTF-8",
        sys::VIX_E_OPERATION_ALREADY_IN_PROGRESS => "The operation is in progress already",
        sys::VIX_E_AUTHENTICATION_FAIL => "The user name or the password is wrong",
        sys::VIX_E_HOST_CONNECTION_LOST => "The connection to the host was lost",
        sys::VIX_E_INVALID_HANDLE => "The handle is not valid",
        sys::VIX_E_HOST_USER_PERMISSIONS => "The user lacks a privilege on the host",
        sys::VIX_E_VM_NOT_FOUND => "The virtual machine was not found",
        sys::VIX_E_SNAPSHOT_NOTFOUND => "The snapshot was not found",
        sys::VIX_E_SNAPSHOT_LOCKED => "The snapshot is locked",
        sys::VIX_E_HOST_NETBLKDEV_HANDSHAKE => "The NBD handshake with the host failed",
        sys::VIX_E_HOST_SERVER_NOT_FOUND => "The host name could not be resolved",
        sys::VIX_E_HOST_NETWORK_CONN_REFUSED => "The host refused the connection",
        sys::VIX_E_HOST_TCP_SOCKET_ERROR => "The connection to the host had an error",
        sys::VIX_E_HOST_TCP_CONN_LOST => "The TCP connection to the host was lost",
        sys::VIX_E_HOST_SERVER_SHUTDOWN => "The host is shutting down",
        sys::VIX_E_HOST_SERVER_NOT_AVAILABLE => "The host is not available",
        sys::VIX_E_DISK_NOINIT => "The library is not initialised",
        sys::VIX_E_DISK_PARTIALCHAIN => "A link of the disk is missing",
        sys::VIX_E_DISK_OUTOFRANGE => "The sectors lie past the end of the disk",
        sys::VIX_E_DISK_CID_MISMATCH => "The parent of the disk was changed",
        sys::VIX_E_DISK_UNSUPPORTEDDISKVERSION => "The disk is of a version not supported",
        sys::VIX_E_DISK_OPENPARENT => "The parent of the disk could not be opened",
        sys::VIX_E_DISK_INVALIDCHAIN => "The links of the disk do not fit together",
        sys::VIX_E_DISK_KEY_NOTFOUND => "There is no metadata of that key",
        sys::VIX_E_DISK_SUBSYSTEM_INIT_FAIL => "The disk library could not be initialised",
        sys::VIX_E_DISK_INVALID_CONNECTION => "The connection is not valid",
        sys::VIX_E_DISK_INVALIDDISK => "The disk is damaged",
        sys::VIX_E_DISK_NODEVICE => "No device was found for the disk",
        sys::VIX_E_CANNOT_CONNECT_TO_HOST => "The host could not be connected to",
        sys::VIX_ASYNC => "The request was accepted",
        sys::VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED => {
            "Synchronous and asynchronous I/O cannot be mixed on a handle"
        }
        _ => "Unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn the_bare_failure_has_the_bare_text() {
        assert_eq!(text_of(1), "Unknown error");
        assert_eq!(text_of(0xFFFF), "Unknown error");
        assert_ne!(text_of(35), "Unknown error");
    }
}
