//! Connection parameters: giving them out and taking them back.

mod copied;
mod read;

use vddk_sys::{self as sys, VixDiskLibConnectParams, VixDiskLibConnection, VixError};

use crate::boundary;
use crate::connection;
use crate::error::Failure;
use crate::log;
use crate::memory::{self, Kind};

pub(crate) use copied::Copied;
pub(crate) use read::{Login, Object, Params, Remote, read, read_server};

/// Gives out zeroed connection parameters (128 bytes); null if there is no memory. Works at any time.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_AllocateConnectParams() -> *mut VixDiskLibConnectParams {
    let null = std::ptr::null_mut();
    boundary::value("VixDiskLib_AllocateConnectParams", null, |call| {
        if call.ordered().text().is_some() {
            return Ok(null);
        }
        let size_bytes = size_of::<VixDiskLibConnectParams>();
        Ok(memory::allocate(Kind::ConnectParams, size_bytes).cast())
    })
}

/// Frees parameters of [`VixDiskLib_AllocateConnectParams`], not the strings in them, and those of
/// [`VixDiskLib_GetConnectParams`] with their strings. Null is allowed.
///
/// # Safety
///
/// Nothing may use the parameters any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_FreeConnectParams(params: *mut VixDiskLibConnectParams) {
    boundary::value("VixDiskLib_FreeConnectParams", (), |_| {
        let freed = memory::release(Kind::ConnectParams, params.cast())
            || memory::release(Kind::CopiedParams, params.cast());
        if !freed && !params.is_null() {
            log::warn(
                c"VixDiskLib: parameters to free are not the library's\n",
                &[],
            );
        }
        Ok(())
    });
}

/// Gives out what a connection was made with, as a new object that owns its strings. It holds no
/// secret: password, cookie and key are null. For local files all is zero.
///
/// # Safety
///
/// `params` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_GetConnectParams(
    connection: VixDiskLibConnection,
    params: *mut *mut VixDiskLibConnectParams,
) -> VixError {
    boundary::code("VixDiskLib_GetConnectParams", |call| {
        call.note("connection", connection.addr());
        if params.is_null() {
            return Err(Failure::argument("connectParams is null"));
        }
        let connection = connection::get(connection)?;
        let object = connection.made_with.give()?;
        // SAFETY: not null, and the caller promises the rest.
        unsafe { params.write(object) };
        Ok(sys::VIX_OK)
    })
}
