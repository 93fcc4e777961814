//! Connection parameters: giving them out, and reading what a caller put in.

use vddk_sys::{self as sys, VixDiskLibConnectParams, VixDiskLibConnection, VixError};
use vddk_sys::{VixDiskLibCredType as CredType, VixDiskLibSpecType as SpecType};

use crate::boundary;
use crate::error::Failure;
use crate::log;
use crate::memory::{self, Kind};
use crate::text;

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

/// Frees parameters of [`VixDiskLib_AllocateConnectParams`], not the strings in them. Null is allowed.
///
/// # Safety
///
/// Nothing may use the parameters any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_FreeConnectParams(params: *mut VixDiskLibConnectParams) {
    boundary::value("VixDiskLib_FreeConnectParams", (), |_| {
        if !memory::release(Kind::ConnectParams, params.cast()) && !params.is_null() {
            log::warn(
                c"VixDiskLib: parameters to free are not the library's\n",
                &[],
            );
        }
        Ok(())
    });
}

/// Not offered yet.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_GetConnectParams(
    _connection: VixDiskLibConnection,
    _params: *mut *mut VixDiskLibConnectParams,
) -> VixError {
    boundary::code("VixDiskLib_GetConnectParams", |_| {
        Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, "not offered"))
    })
}

/// What connection parameters ask for. Borrows the caller's strings.
pub(crate) enum Params<'a> {
    /// Local files.
    Local,
    /// A VM of a vCenter.
    Remote(Remote<'a>),
}

/// A login and a VM. Not printable: it has the password.
pub(crate) struct Remote<'a> {
    /// Name or address of the vCenter.
    pub(crate) server: &'a str,
    /// The VM, as `moref=...`; `None` where the call needs none.
    pub(crate) vmx_spec: Option<&'a str>,
    /// Thumbprint of the server's certificate.
    pub(crate) thumbprint: Option<&'a str>,
    /// The user.
    pub(crate) user: &'a str,
    /// The password.
    pub(crate) password: &'a str,
}

/// Reads parameters. Only fields that the kind of parameters needs are looked at, since some
/// clients pass the 80 bytes of releases before 6.7.
///
/// # Safety
///
/// `params` must be null or point to at least the first 80 bytes of parameters whose strings are
/// null or valid for `'a`; without a `vmxSpec` but with a server, to all 128 bytes.
pub(crate) unsafe fn read<'a>(
    params: *const VixDiskLibConnectParams,
) -> Result<Params<'a>, Failure> {
    if params.is_null() {
        return Ok(Params::Local);
    }
    // SAFETY: the pointer is valid for the first 80 bytes.
    let vmx_spec = unsafe { (*params).vmxSpec };
    // SAFETY: a string of the caller.
    let vmx_spec = unsafe { text::optional(vmx_spec, "vmxSpec") }?;
    // SAFETY: the pointer is valid for the first 80 bytes.
    let server = unsafe { (*params).serverName };
    // SAFETY: a string of the caller.
    let server = unsafe { text::optional(server, "serverName") }?;
    // SAFETY: the pointer is valid for the first 80 bytes.
    let thumbprint = unsafe { (*params).thumbPrint };
    // SAFETY: a string of the caller.
    let thumbprint = unsafe { text::optional(thumbprint, "thumbPrint") }?;

    let server = match server {
        None | Some("") if vmx_spec.is_none_or(str::is_empty) => {
            return if [vmx_spec, server, thumbprint].iter().any(Option::is_some) {
                Err(Failure::argument("local parameters with a string in them"))
            } else {
                Ok(Params::Local)
            };
        }
        None | Some("") => return Err(Failure::argument("vmxSpec without serverName")),
        Some(server) => server,
    };
    if vmx_spec.is_none() {
        // SAFETY: without a `vmxSpec` all 128 bytes are there; the caller promises it.
        let kind = unsafe { (*params).specType };
        if kind == SpecType::VIXDISKLIB_SPEC_VSTORAGE_OBJECT
            || kind == SpecType::VIXDISKLIB_SPEC_DATASTORE
        {
            let message = "only VMs can be named (specType VMX)";
            return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
        }
    }
    // SAFETY: the caller promises it.
    let (user, password) = unsafe { login(params) }?;
    Ok(Params::Remote(Remote {
        server,
        vmx_spec,
        thumbprint,
        user,
        password,
    }))
}

/// The user and the password.
///
/// # Safety
///
/// `params` must point to at least 80 bytes with strings that are null or valid for `'a`.
unsafe fn login<'a>(params: *const VixDiskLibConnectParams) -> Result<(&'a str, &'a str), Failure> {
    // SAFETY: the pointer is valid for the first 80 bytes.
    let kind = unsafe { (*params).credType };
    if kind == CredType::VIXDISKLIB_CRED_SESSIONID {
        let message = "login by session is not offered";
        return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
    }
    if kind != CredType::VIXDISKLIB_CRED_UID {
        let message = format!("credType {} is unknown", kind.0);
        return Err(Failure::argument(message));
    }
    // SAFETY: the pointer is valid for the first 80 bytes.
    let creds = unsafe { (*params).creds };
    // SAFETY: any member may be read, all are pointers; the type says that this one was filled.
    let uid = unsafe { creds.uid };
    // SAFETY: a string of the caller.
    let user = unsafe { text::required(uid.userName, "userName") }?;
    // SAFETY: a string of the caller.
    let password = unsafe { text::required(uid.password, "password") }?;
    Ok((user, password))
}
