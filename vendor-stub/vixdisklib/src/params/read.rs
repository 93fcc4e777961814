//! Reading what a caller put into connection parameters.

use std::ffi::c_char;

use vddk_sys::{self as sys, VixDiskLibConnectParams};
use vddk_sys::{VixDiskLibCredType as CredType, VixDiskLibSpecType as SpecType};

use crate::error::Failure;
use crate::interface;
use crate::text;

/// What connection parameters ask for. Borrows the caller's strings.
pub(crate) enum Params<'a> {
    /// Local files.
    Local,
    /// Something of a server.
    Remote(Remote<'a>),
}

/// A login, and what is wanted there. Not printable: it has the password.
pub(crate) struct Remote<'a> {
    /// Name or address of the vCenter.
    pub(crate) server: &'a str,
    /// What on it.
    pub(crate) object: Object<'a>,
    /// Thumbprint of the server's certificate.
    pub(crate) thumbprint: Option<&'a str>,
    /// Who logs in.
    pub(crate) login: Login<'a>,
    /// HTTPS port; 0 = 443.
    pub(crate) port: u32,
    /// Port of the data path; 0 = 902.
    pub(crate) nfc_port: u32,
}

/// What on a server is wanted ("VDDK API reference, 6.8").
#[derive(Clone, Copy)]
pub(crate) enum Object<'a> {
    /// Nothing: not every call needs something.
    Nothing,
    /// A VM, by a `vmxSpec`.
    Vm(&'a str),
    /// A disk that belongs to no VM, by its id.
    FirstClassDisk {
        id: &'a str,
        datastore_moref: &'a str,
        /// A snapshot of the disk.
        snapshot: Option<&'a str>,
    },
    /// A folder of a datastore, with disks that belong to no VM.
    DatastoreFolder {
        datastore_moref: &'a str,
        folder: &'a str,
    },
}

impl<'a> Object<'a> {
    /// The VM, if one is named.
    pub(crate) fn vmx_spec(&self) -> Option<&'a str> {
        match *self {
            Self::Vm(spec) => Some(spec),
            _ => None,
        }
    }
}

/// Who logs in. Not printable.
#[derive(Clone, Copy)]
pub(crate) enum Login<'a> {
    /// By name and password.
    Password { user: &'a str, password: &'a str },
    /// With a session that the caller has; its key is not looked at.
    Session { user: &'a str, cookie: &'a str },
}

impl<'a> Login<'a> {
    /// The user.
    pub(crate) fn user(&self) -> &'a str {
        match *self {
            Self::Password { user, .. } | Self::Session { user, .. } => user,
        }
    }
}

/// Reads parameters. Only fields that the kind of parameters needs are looked at, since some
/// clients pass the 80 bytes of releases before 6.7: a `vmxSpec` names a VM, whatever stands where
/// `specType` would be ("VDDK API reference, 2.1").
///
/// # Safety
///
/// `params` must be null or point to at least the first 80 bytes of parameters whose strings are
/// null or valid for `'a`; without a `vmxSpec` but with a server, to all 128 bytes, where the strings
/// that `specType` says are there are null or valid for `'a` too.
pub(crate) unsafe fn read<'a>(
    params: *const VixDiskLibConnectParams,
) -> Result<Params<'a>, Failure> {
    // SAFETY: the caller promises the first 80 bytes, and the rest where no `vmxSpec` is.
    unsafe { read_with(params, object) }
}

/// As [`read`], for a call that is about the server as a whole: what else is named is not looked at,
/// so 80 bytes are enough.
///
/// # Safety
///
/// `params` must be null or point to at least the first 80 bytes of parameters whose strings are
/// null or valid for `'a`.
pub(crate) unsafe fn read_server<'a>(
    params: *const VixDiskLibConnectParams,
) -> Result<Params<'a>, Failure> {
    // SAFETY: the caller promises the first 80 bytes, and nothing looks behind them.
    unsafe { read_with(params, |_| Ok(Object::Nothing)) }
}

/// Reads parameters; `object` finds what is named where there is no `vmxSpec`.
///
/// # Safety
///
/// `params` must be null or point to at least the first 80 bytes of parameters whose strings are
/// null or valid for `'a`; without a `vmxSpec` but with a server, `object` may be called with it.
unsafe fn read_with<'a>(
    params: *const VixDiskLibConnectParams,
    object: unsafe fn(*const VixDiskLibConnectParams) -> Result<Object<'a>, Failure>,
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
    let object = match vmx_spec {
        Some(spec) => Object::Vm(spec),
        // SAFETY: there is a server and no `vmxSpec`; the caller promises it.
        None => unsafe { object(params) }?,
    };
    // SAFETY: the caller promises it.
    let login = unsafe { login(params) }?;
    Ok(Params::Remote(Remote {
        server,
        object,
        thumbprint,
        login,
        // SAFETY: the pointer is valid for the first 80 bytes.
        port: unsafe { (*params).port },
        // SAFETY: as above.
        nfc_port: unsafe { (*params).nfcHostPort },
    }))
}

/// What is named by the part of the structure that came with 6.7.
///
/// # Safety
///
/// `params` must point to all 128 bytes, with strings that are null or valid for `'a`.
unsafe fn object<'a>(params: *const VixDiskLibConnectParams) -> Result<Object<'a>, Failure> {
    // SAFETY: the caller promises it.
    let kind = unsafe { (*params).specType };
    // SAFETY: the caller promises it.
    let spec = unsafe { (*params).spec };
    match kind {
        SpecType::VIXDISKLIB_SPEC_VSTORAGE_OBJECT => {
            // SAFETY: any member may be read, all are pointers; the type says that this one was
            // filled.
            let disk = unsafe { spec.vStorageObjSpec };
            Ok(Object::FirstClassDisk {
                // SAFETY: a string of the caller.
                id: unsafe { name(disk.id, "the id of the disk") }?,
                // SAFETY: a string of the caller.
                datastore_moref: unsafe { name(disk.datastoreMoRef, "datastoreMoRef") }?,
                // SAFETY: a string of the caller.
                snapshot: unsafe { text::optional(disk.ssId, "ssId") }?.filter(|id| !id.is_empty()),
            })
        }
        // Older releases have another meaning for this number ("VDDK API reference, 2.1").
        SpecType::VIXDISKLIB_SPEC_DATASTORE if interface::major() < 8 => {
            let message = "folders of datastores came with 8.0.1";
            Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message))
        }
        SpecType::VIXDISKLIB_SPEC_DATASTORE => {
            // SAFETY: as above.
            let datastore = unsafe { spec.dsSpec };
            Ok(Object::DatastoreFolder {
                // SAFETY: a string of the caller.
                datastore_moref: unsafe { name(datastore.datastoreMoRef, "datastoreMoRef") }?,
                // SAFETY: a string of the caller.
                folder: unsafe { name(datastore.diskFolder, "diskFolder") }?,
            })
        }
        _ => Ok(Object::Nothing),
    }
}

/// A string that must be there and say something.
///
/// # Safety
///
/// `pointer` must be null or point to a string that is valid for `'a`.
unsafe fn name<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller promises it.
    let text = unsafe { text::required(pointer, what) }?;
    if text.is_empty() {
        return Err(Failure::argument(format!("{what} is empty")));
    }
    Ok(text)
}

/// Who logs in.
///
/// # Safety
///
/// `params` must point to at least 80 bytes with strings that are null or valid for `'a`.
unsafe fn login<'a>(params: *const VixDiskLibConnectParams) -> Result<Login<'a>, Failure> {
    // SAFETY: the pointer is valid for the first 80 bytes.
    let kind = unsafe { (*params).credType };
    // SAFETY: the pointer is valid for the first 80 bytes.
    let creds = unsafe { (*params).creds };
    match kind {
        CredType::VIXDISKLIB_CRED_UID => {}
        CredType::VIXDISKLIB_CRED_SESSIONID => {
            // SAFETY: any member may be read, all are pointers; the type says that this one was
            // filled.
            let session = unsafe { creds.sessionId };
            return Ok(Login::Session {
                // SAFETY: a string of the caller.
                cookie: unsafe { text::required(session.cookie, "cookie") }?,
                // SAFETY: a string of the caller.
                user: unsafe { text::required(session.userName, "userName") }?,
            });
        }
        CredType::VIXDISKLIB_CRED_TICKETID | CredType::VIXDISKLIB_CRED_SSPI => {
            let message = format!("login by credType {} is not offered", kind.0);
            return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
        }
        other => {
            let message = format!("credType {} is unknown", other.0);
            return Err(Failure::argument(message));
        }
    }
    // SAFETY: any member may be read, all are pointers; the type says that this one was filled.
    let uid = unsafe { creds.uid };
    Ok(Login::Password {
        // SAFETY: a string of the caller.
        user: unsafe { text::required(uid.userName, "userName") }?,
        // SAFETY: a string of the caller.
        password: unsafe { text::required(uid.password, "password") }?,
    })
}
