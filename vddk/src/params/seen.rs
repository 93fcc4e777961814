//! What the library itself says of a connection.

use std::ffi::c_char;

use vddk_sys::{Symbols, VixDiskLibConnectParams, VixDiskLibConnection, VixDiskLibCredType};

use crate::{Error, control::check, info};

/// A connection's parameters as the library tells them (`VixDiskLib_GetConnectParams`).
///
/// Secrets are not read. What is not UTF-8 is shown with replacement characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenParams {
    /// The server; `None` on a local connection.
    pub server: Option<String>,
    /// The VM, in VDDK's form `moref=vm-16`.
    pub vm_spec: Option<String>,
    /// The thumbprint that the server's certificate must have.
    pub thumbprint: Option<String>,
    /// Who is logged in, where the kind of login tells a name.
    pub user: Option<String>,
    /// HTTPS port; 0 stands for 443.
    pub port: u32,
    /// Port of the data path; 0 stands for 902.
    pub nfc_port: u32,
}

/// The library's object, freed when dropped, and only if there is one.
struct Owned<'a> {
    symbols: &'a Symbols,
    params: *mut VixDiskLibConnectParams,
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the object came from GetConnectParams, is not NULL, owns its texts, and is freed
        // once (VDDK API reference, 1.4).
        unsafe { self.symbols.VixDiskLib_FreeConnectParams(self.params) }
    }
}

/// Asks for the parameters of an open connection.
pub(crate) fn get(
    symbols: &Symbols,
    connection: VixDiskLibConnection,
    server: &str,
) -> Result<SeenParams, Error> {
    let mut params = std::ptr::null_mut();
    // SAFETY: the connection is open, and the library stores a pointer in `params` on success.
    let result = unsafe { symbols.VixDiskLib_GetConnectParams(connection, &raw mut params) }?;
    let function = "VixDiskLib_GetConnectParams";
    check(symbols, function, Some(server), None, result)?;
    if params.is_null() {
        return Err(Error::UnusableAnswer {
            function,
            what: format!("success and no parameters of the connection to {server}"),
        });
    }
    let owned = Owned { symbols, params };
    // SAFETY: the object is valid until `owned` is dropped; only fields of its first 80 bytes are
    // read, which every release has.
    Ok(unsafe { read(owned.params) })
}

/// Copies what may be shown.
///
/// # Safety
/// `params` points to at least the first 80 bytes of parameters; each text that its kind of login
/// says is there is NULL or a C string.
unsafe fn read(params: *const VixDiskLibConnectParams) -> SeenParams {
    // Each field is read by itself, so that no reference covers more than there may be.
    // SAFETY: the caller promises the first 80 bytes.
    let server = unsafe { (*params).serverName };
    // SAFETY: as above.
    let vm_spec = unsafe { (*params).vmxSpec };
    // SAFETY: as above.
    let thumbprint = unsafe { (*params).thumbPrint };
    // SAFETY: as above.
    let port = unsafe { (*params).port };
    // SAFETY: as above.
    let nfc_port = unsafe { (*params).nfcHostPort };
    // SAFETY: the caller promises it.
    let user = unsafe { user_of(params) };
    SeenParams {
        // SAFETY: NULL or a C string, as the caller promises.
        server: unsafe { info::text(server) },
        // SAFETY: as above.
        vm_spec: unsafe { info::text(vm_spec) },
        // SAFETY: as above.
        thumbprint: unsafe { info::text(thumbprint) },
        // SAFETY: as above.
        user: unsafe { info::text(user) },
        port,
        nfc_port,
    }
}

/// The name in the member of the union that the kind of login says is filled; else NULL.
///
/// # Safety
/// As [`read`].
unsafe fn user_of(params: *const VixDiskLibConnectParams) -> *const c_char {
    // SAFETY: the caller promises the first 80 bytes.
    let kind = unsafe { (*params).credType };
    // SAFETY: as above.
    let creds = unsafe { (*params).creds };
    match kind {
        VixDiskLibCredType::VIXDISKLIB_CRED_UID => {
            // SAFETY: every member of the union is made of pointers, which may have any value.
            let uid = unsafe { creds.uid };
            uid.userName
        }
        VixDiskLibCredType::VIXDISKLIB_CRED_SESSIONID => {
            // SAFETY: as above.
            let session = unsafe { creds.sessionId };
            session.userName
        }
        _ => std::ptr::null(),
    }
}

#[cfg(test)]
mod tests {
    use vddk_sys::{VixDiskLibConnectParams, VixDiskLibCredType, VixDiskLibSessionIdCreds};

    use super::read;

    fn zeroed() -> VixDiskLibConnectParams {
        // SAFETY: all-zero is a valid value of it: NULL pointers and zero numbers.
        unsafe { std::mem::zeroed() }
    }

    #[test]
    fn nothing_is_none() {
        let params = zeroed();
        // SAFETY: a whole structure with NULL for every text.
        let seen = unsafe { read(&raw const params) };
        let texts = [&seen.server, &seen.vm_spec, &seen.thumbprint, &seen.user];
        assert!(texts.into_iter().all(Option::is_none), "{seen:?}");
        assert_eq!((seen.port, seen.nfc_port), (0, 0));
    }

    #[test]
    fn the_user_is_read_from_the_member_that_the_login_filled() {
        let mut params = zeroed();
        params.serverName = c"vc\xff".as_ptr().cast_mut();
        params.creds.sessionId = VixDiskLibSessionIdCreds {
            cookie: c"c00kie".as_ptr().cast_mut(),
            userName: c"backup".as_ptr().cast_mut(),
            key: c"k3y".as_ptr().cast_mut(),
        };
        params.port = 8443;
        let mut user = |kind| {
            params.credType = kind;
            // SAFETY: a whole structure, and its texts are C strings that live for ever.
            let seen = unsafe { read(&raw const params) };
            assert_eq!(seen.server.as_deref(), Some("vc\u{fffd}"));
            assert_eq!(seen.port, 8443);
            assert!(!format!("{seen:?}").contains("k3y"));
            seen.user
        };
        let kind = VixDiskLibCredType::VIXDISKLIB_CRED_SESSIONID;
        assert_eq!(user(kind).as_deref(), Some("backup"));
        for other in [
            VixDiskLibCredType::VIXDISKLIB_CRED_TICKETID,
            VixDiskLibCredType::VIXDISKLIB_CRED_UNKNOWN,
            VixDiskLibCredType(77),
        ] {
            assert_eq!(user(other), None);
        }
    }
}
