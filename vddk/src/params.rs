//! What a login needs, in Rust and as the C structure.

use std::{ffi::c_char, fmt, sync::Arc};

use vddk_sys::{
    Symbols, VixDiskLibConnectParams, VixDiskLibCredType, VixDiskLibSpecType,
    VixDiskLibUidPasswdCreds,
};
use zeroize::Zeroizing;

use crate::{Error, Secret};

/// Login data for one VM on a vCenter or ESXi host.
pub struct ConnectParams {
    pub(crate) server: String,
    pub(crate) vm_moref: Option<String>,
    pub(crate) thumbprint: Option<String>,
    user: String,
    password: Secret,
    port: u32,
    nfc_port: u32,
}

impl ConnectParams {
    /// Begins with nothing set.
    pub fn builder() -> ConnectParamsBuilder {
        ConnectParamsBuilder::default()
    }
}

impl fmt::Debug for ConnectParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectParams")
            .field("server", &self.server)
            .field("vm_moref", &self.vm_moref)
            .field("user", &self.user)
            .field("password", &self.password)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Collects what a [`ConnectParams`] needs.
#[derive(Debug, Default)]
pub struct ConnectParamsBuilder {
    server: Option<String>,
    vm_moref: Option<String>,
    thumbprint: Option<String>,
    login: Option<(String, Secret)>,
    port: u16,
    nfc_port: u16,
}

impl ConnectParamsBuilder {
    /// Name or address of the vCenter or ESXi host.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// HTTPS port; 443 unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Port of the data path on the ESXi hosts; 902 unless set.
    #[must_use]
    pub fn nfc_port(mut self, port: u16) -> Self {
        self.nfc_port = port;
        self
    }

    /// SHA-1 of the server's certificate, `AA:BB:…` (VDDK API reference, 6.7).
    #[must_use]
    pub fn thumbprint(mut self, thumbprint: impl Into<String>) -> Self {
        self.thumbprint = Some(thumbprint.into());
        self
    }

    /// User name and password.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: Secret) -> Self {
        self.login = Some((name.into(), password));
        self
    }

    /// The VM, by the managed object id of that very server, for instance `vm-16`.
    #[must_use]
    pub fn vm_moref(mut self, moref: impl Into<String>) -> Self {
        self.vm_moref = Some(moref.into());
        self
    }

    /// Checks that nothing is missing: VixDiskLib crashes on what it did not expect to be NULL.
    ///
    /// # Errors
    /// [`Error::Argument`] naming what is missing, or what holds a NUL byte.
    pub fn build(self) -> Result<ConnectParams, Error> {
        let missing = |what: &str| Error::Argument {
            what: format!("connect parameters without {what}"),
        };
        let server = self
            .server
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing("server"))?;
        let (user, password) = self.login.ok_or_else(|| missing("user and password"))?;
        if user.is_empty() {
            return Err(missing("user name"));
        }
        let texts = [
            Some(&server),
            Some(&user),
            self.vm_moref.as_ref(),
            self.thumbprint.as_ref(),
        ];
        let has_nul = texts.into_iter().flatten().any(|text| text.contains('\0'))
            || password.expose().contains('\0');
        if has_nul {
            return Err(Error::Argument {
                what: "connect parameters with a NUL byte".to_owned(),
            });
        }
        Ok(ConnectParams {
            server,
            vm_moref: self.vm_moref,
            thumbprint: self.thumbprint,
            user,
            password,
            port: u32::from(self.port),
            nfc_port: u32::from(self.nfc_port),
        })
    }
}

/// The C structure with the strings it points to. Strings wipe themselves.
///
/// It is kept until the connection is closed: VMware does not say how long the library looks at it,
/// and the most careful client keeps it that long (VDDK API reference, 1.4).
pub(crate) struct RawParams {
    params: *mut VixDiskLibConnectParams,
    /// The library that allocated the structure and must free it; else it is a box of ours.
    allocator: Option<&'static Symbols>,
    strings: Vec<Zeroizing<Vec<u8>>>,
}

// SAFETY: the structure and its strings are owned by this value and never changed after they were
// made; the library only reads them during calls, which the control thread makes one after another.
unsafe impl Send for RawParams {}
// SAFETY: as above: shared references only lend a pointer to data that nobody changes.
unsafe impl Sync for RawParams {}

impl RawParams {
    /// Fills the structure for a server.
    pub(crate) fn remote(
        symbols: &'static Symbols,
        from: &ConnectParams,
    ) -> Result<Arc<Self>, Error> {
        let mut raw = Self::zeroed(symbols)?;
        let vmx_spec = from.vm_moref.as_ref().map(|moref| format!("moref={moref}"));
        let vmx_spec = vmx_spec.map_or(std::ptr::null_mut(), |text| raw.keep(&text));
        let server = raw.keep(&from.server);
        let thumbprint = from
            .thumbprint
            .as_ref()
            .map_or(std::ptr::null_mut(), |text| raw.keep(text));
        let user = raw.keep(&from.user);
        let password = raw.keep(from.password.expose());
        // SAFETY: `params` is a valid, zeroed structure that only this function can reach so far.
        let params = unsafe { &mut *raw.params };
        params.vmxSpec = vmx_spec;
        params.serverName = server;
        params.thumbPrint = thumbprint;
        params.credType = VixDiskLibCredType::VIXDISKLIB_CRED_UID;
        params.creds.uid = VixDiskLibUidPasswdCreds {
            userName: user,
            password,
        };
        params.port = from.port;
        params.nfcHostPort = from.nfc_port;
        params.specType = VixDiskLibSpecType::VIXDISKLIB_SPEC_VMX;
        Ok(Arc::new(raw))
    }

    /// All zero, for local disks: an empty string in place of NULL is refused by the library.
    pub(crate) fn local(symbols: &'static Symbols) -> Result<Arc<Self>, Error> {
        Self::zeroed(symbols).map(Arc::new)
    }

    fn zeroed(symbols: &'static Symbols) -> Result<Self, Error> {
        // SAFETY: takes nothing; works in any state (VDDK API reference, 1.3).
        if let Ok(params) = unsafe { symbols.VixDiskLib_AllocateConnectParams() } {
            if params.is_null() {
                return Err(Error::Argument {
                    what: "connect parameters: the library has no memory".to_owned(),
                });
            }
            return Ok(Self {
                params,
                allocator: Some(symbols),
                strings: Vec::new(),
            });
        }
        // SAFETY: all-zero is a valid value: NULL pointers, zero numbers, and integer newtypes for
        // which 0 is allowed.
        let zeroed: VixDiskLibConnectParams = unsafe { std::mem::zeroed() };
        Ok(Self {
            params: Box::into_raw(Box::new(zeroed)),
            allocator: None,
            strings: Vec::new(),
        })
    }

    /// Keeps a C copy of `text` and lends its pointer.
    fn keep(&mut self, text: &str) -> *mut c_char {
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        let pointer = bytes.as_mut_ptr().cast();
        // Moving the vector moves no bytes: the pointer stays right.
        self.strings.push(bytes);
        pointer
    }

    pub(crate) fn as_ptr(&self) -> *const VixDiskLibConnectParams {
        self.params
    }
}

impl Drop for RawParams {
    fn drop(&mut self) {
        match self.allocator {
            // SAFETY: the structure came from AllocateConnectParams of the same library, which
            // stays loaded for ever, and is freed once; the strings in it stay ours.
            Some(symbols) => unsafe { symbols.VixDiskLib_FreeConnectParams(self.params) },
            // SAFETY: the pointer came from `Box::into_raw` and comes back once.
            None => drop(unsafe { Box::from_raw(self.params) }),
        }
    }
}

impl fmt::Debug for RawParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawParams(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectParams;
    use crate::Secret;

    #[test]
    fn what_is_missing_is_named_and_the_password_never_printed() {
        let error = ConnectParams::builder()
            .server("vc")
            .build()
            .unwrap_err()
            .to_string();
        assert!(error.contains("user and password"), "{error}");
        let error = ConnectParams::builder()
            .user("u", Secret::new("p".into()))
            .build()
            .unwrap_err()
            .to_string();
        assert!(error.contains("server"), "{error}");
        let params = ConnectParams::builder()
            .server("vc")
            .user("u", Secret::new("tops3cret".into()))
            .build()
            .unwrap();
        assert!(!format!("{params:?}").contains("tops3cret"));
        assert!(
            ConnectParams::builder()
                .server("v\0c")
                .user("u", Secret::new("p".into()))
                .build()
                .is_err()
        );
    }
}
