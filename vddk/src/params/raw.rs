//! The C structure of a login.

use std::{ffi::c_char, fmt, ptr::null_mut, sync::Arc};

use vddk_sys::{
    Function, Loaded, Symbols, VixDiskLibConnectParams, VixDiskLibCredType, VixDiskLibCreds,
    VixDiskLibDatastoreSpec, VixDiskLibSessionIdCreds, VixDiskLibSpec, VixDiskLibSpecType,
    VixDiskLibUidPasswdCreds, VixDiskLibVStorageObjectSpec,
};
use zeroize::Zeroizing;

use super::{ConnectParams, Login};
use crate::{Error, Target, control::Raw, given_up, progress};

/// Libraries from 6.7 on look at all 128 bytes. The 80 of older headers are never handed out
/// (VDDK API reference, 2.1).
const _: () = assert!(size_of::<VixDiskLibConnectParams>() == 128);

/// All of the union, by its largest member.
const NO_CREDS: VixDiskLibCreds = VixDiskLibCreds {
    sessionId: VixDiskLibSessionIdCreds {
        cookie: null_mut(),
        userName: null_mut(),
        key: null_mut(),
    },
};

/// As above.
const NO_SPEC: VixDiskLibSpec = VixDiskLibSpec {
    vStorageObjSpec: VixDiskLibVStorageObjectSpec {
        id: null_mut(),
        datastoreMoRef: null_mut(),
        ssId: null_mut(),
    },
};

/// The C structure with the strings it points to. Strings wipe themselves.
///
/// It is kept until the connection is closed: VMware does not say how long the library looks at it,
/// and the most careful client keeps it that long (VDDK API reference, 1.4).
pub(crate) struct RawParams {
    params: *mut VixDiskLibConnectParams,
    /// The library that allocated the structure and must free it; else it is a box of ours.
    allocator: Option<&'static Symbols>,
    /// The server and what on it is wanted; `None` for local files.
    remote: Option<(String, Target)>,
    strings: Vec<Zeroizing<Vec<u8>>>,
}

// SAFETY: the structure and its strings are owned by this value and never changed after they were
// made; the library only reads them during calls, which the control thread makes one after another.
unsafe impl Send for RawParams {}
// SAFETY: as above: shared references only lend a pointer to data that nobody changes.
unsafe impl Sync for RawParams {}

impl RawParams {
    /// Fills the structure for a server.
    ///
    /// # Errors
    /// [`Error::TooOld`] where the library does not know such a target: it would read other fields
    /// than those that are filled.
    pub(crate) fn remote(
        loaded: &'static Loaded,
        from: &ConnectParams,
    ) -> Result<Arc<Self>, Error> {
        Self::with_target(loaded, from, &from.target)
    }

    /// The same login for the server as a whole, as `Cleanup` wants it (VDDK API reference, 1.5).
    pub(crate) fn server_only(
        loaded: &'static Loaded,
        from: &ConnectParams,
    ) -> Result<Arc<Self>, Error> {
        Self::with_target(loaded, from, &Target::Server)
    }

    fn with_target(
        loaded: &'static Loaded,
        from: &ConnectParams,
        target: &Target,
    ) -> Result<Arc<Self>, Error> {
        known_to(loaded, target)?;
        let mut raw = Self::zeroed(loaded.symbols())?;
        let server = raw.keep(&from.server);
        let thumbprint = raw.keep_or_null(from.thumbprint.as_deref());
        let vmx_spec = raw.keep_or_null(target.vmx_spec().as_deref());
        let (kind, creds) = raw.creds(&from.login);
        let (spec_type, spec) = raw.spec(target);
        // SAFETY: `params` is a valid, zeroed structure that only this function can reach so far.
        let params = unsafe { &mut *raw.params };
        params.vmxSpec = vmx_spec;
        params.serverName = server;
        params.thumbPrint = thumbprint;
        params.credType = kind;
        params.creds = creds;
        params.port = u32::from(from.port);
        params.nfcHostPort = u32::from(from.nfc_port);
        params.spec = spec;
        params.specType = spec_type;
        raw.remote = Some((from.server.clone(), target.clone()));
        Ok(Arc::new(raw))
    }

    /// What a login is for; `None` for local files.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.remote.as_ref().map(|(_, target)| target)
    }

    /// The server's name, for messages.
    pub(crate) fn server(&self) -> &str {
        self.remote.as_ref().map_or("local", |(server, _)| server)
    }

    /// The member that a login fills; the rest of the union stays zero.
    fn creds(&mut self, login: &Login) -> (VixDiskLibCredType, VixDiskLibCreds) {
        let mut creds = NO_CREDS;
        let kind = match login {
            Login::Password { user, password } => {
                creds.uid = VixDiskLibUidPasswdCreds {
                    userName: self.keep(user),
                    password: self.keep(password.expose()),
                };
                VixDiskLibCredType::VIXDISKLIB_CRED_UID
            }
            Login::Session { cookie, user, key } => {
                creds.sessionId = VixDiskLibSessionIdCreds {
                    cookie: self.keep(cookie.expose()),
                    userName: self.keep(user),
                    key: self.keep(key.expose()),
                };
                VixDiskLibCredType::VIXDISKLIB_CRED_SESSIONID
            }
        };
        (kind, creds)
    }

    /// The member that a target fills, as above.
    fn spec(&mut self, target: &Target) -> (VixDiskLibSpecType, VixDiskLibSpec) {
        let mut spec = NO_SPEC;
        let kind = match target {
            Target::FirstClassDisk {
                id,
                datastore_moref,
                snapshot_id,
            } => {
                spec.vStorageObjSpec = VixDiskLibVStorageObjectSpec {
                    id: self.keep(id),
                    datastoreMoRef: self.keep(datastore_moref),
                    ssId: self.keep_or_null(snapshot_id.as_deref()),
                };
                VixDiskLibSpecType::VIXDISKLIB_SPEC_VSTORAGE_OBJECT
            }
            Target::DatastoreFolder {
                datastore_moref,
                folder,
            } => {
                spec.dsSpec = VixDiskLibDatastoreSpec {
                    datastoreMoRef: self.keep(datastore_moref),
                    diskFolder: self.keep(folder),
                };
                VixDiskLibSpecType::VIXDISKLIB_SPEC_DATASTORE
            }
            _ => VixDiskLibSpecType::VIXDISKLIB_SPEC_VMX,
        };
        (kind, spec)
    }

    /// All zero, for local disks: an empty string in place of NULL is refused by the library.
    pub(crate) fn local(symbols: &'static Symbols) -> Result<Arc<Self>, Error> {
        Self::zeroed(symbols).map(Arc::new)
    }

    /// Asks the library for the structure, on the caller's thread: like error texts it may be had on
    /// any (VDDK API reference, 1.3), but not inside a callback.
    fn zeroed(symbols: &'static Symbols) -> Result<Self, Error> {
        if let Some(function) = progress::running() {
            return Err(Error::Stuck { function });
        }
        // SAFETY: takes nothing; works in any state (VDDK API reference, 1.3).
        if let Ok(params) = unsafe { symbols.VixDiskLib_AllocateConnectParams() } {
            if params.is_null() {
                return Err(Error::UnusableAnswer {
                    function: "VixDiskLib_AllocateConnectParams",
                    what: "no parameters: the library has no memory".to_owned(),
                });
            }
            return Ok(Self {
                params,
                allocator: Some(symbols),
                remote: None,
                strings: Vec::new(),
            });
        }
        // SAFETY: all-zero is a valid value: NULL pointers, zero numbers, and integer newtypes for
        // which 0 is allowed.
        let zeroed: VixDiskLibConnectParams = unsafe { std::mem::zeroed() };
        Ok(Self {
            params: Box::into_raw(Box::new(zeroed)),
            allocator: None,
            remote: None,
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

    fn keep_or_null(&mut self, text: Option<&str>) -> *mut c_char {
        text.map_or(null_mut(), |text| self.keep(text))
    }

    /// True for the files of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.remote.is_none()
    }

    pub(crate) fn as_ptr(&self) -> *const VixDiskLibConnectParams {
        self.params
    }

    /// Takes our strings out of the structure, as bareos does before it is freed: then it does not
    /// matter what else the library frees with it (VDDK API reference, 1.4). The other fields stay:
    /// the library may know its own structures by them.
    fn take_strings_back(&mut self) {
        // SAFETY: the structure is valid until it is freed, and nobody else looks at it any more:
        // the connections that were made with it hold this value.
        let params = unsafe { &mut *self.params };
        params.vmxSpec = null_mut();
        params.serverName = null_mut();
        params.thumbPrint = null_mut();
        params.creds = NO_CREDS;
        params.spec = NO_SPEC;
    }
}

impl Drop for RawParams {
    fn drop(&mut self) {
        match self.allocator {
            Some(symbols) => {
                self.take_strings_back();
                if progress::running().is_some() {
                    // Inside a callback the library must not be called, and nobody else would do it.
                    given_up::keep(Raw(self.params));
                    return;
                }
                // SAFETY: the structure came from AllocateConnectParams of the same library, which
                // stays loaded for ever, and is freed once; no string of ours is in it any more.
                unsafe { symbols.VixDiskLib_FreeConnectParams(self.params) }
            }
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

/// Refuses a target that came with a later release than the loaded one.
fn known_to(loaded: &Loaded, target: &Target) -> Result<(), Error> {
    let major = loaded.major().unwrap_or(0);
    // The spec union and AllocateConnectParams came together (VDDK API reference, 1.2 and 2.1).
    let has_specs = major >= 7
        || loaded
            .symbols()
            .has(Function::VixDiskLib_AllocateConnectParams);
    match target {
        Target::FirstClassDisk { .. } if !has_specs => Err(Error::TooOld {
            what: "open first-class disks",
            since: "6.7",
        }),
        // Up to 7.0 the same number meant "unknown". 8.0.0 cannot be told from 8.0.1.
        Target::DatastoreFolder { .. } if major < 8 => Err(Error::TooOld {
            what: "open disks of a datastore folder",
            since: "8.0.1",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::CStr, path::PathBuf, process::abort};

    use super::*;
    use crate::Secret;

    unsafe extern "C" fn never() {
        abort();
    }

    unsafe extern "C" fn allocate() -> *mut VixDiskLibConnectParams {
        // SAFETY: all-zero is a valid value.
        Box::into_raw(Box::new(unsafe { std::mem::zeroed() }))
    }

    unsafe extern "C" fn free(params: *mut VixDiskLibConnectParams) {
        // SAFETY: a box of `allocate`, which comes back once.
        let params = unsafe { Box::from_raw(params) };
        // SAFETY: all members of the union are pointers.
        let creds = unsafe { params.creds.sessionId };
        let left = [
            params.vmxSpec,
            params.serverName,
            params.thumbPrint,
            creds.cookie,
            creds.userName,
            creds.key,
        ];
        if left.iter().any(|text| !text.is_null()) {
            abort();
        }
    }

    const FUNCTIONS: &[(&str, *const ())] = &[
        ("VixDiskLib_AllocateConnectParams", allocate as *const ()),
        ("VixDiskLib_FreeConnectParams", free as *const ()),
    ];

    /// A library in which every call but `functions` ends the process.
    fn library(functions: &'static [(&'static str, *const ())]) -> &'static Loaded {
        let lookup = |name: &'static str| {
            let known = functions.iter().find(|(there, _)| *there == name);
            let optional = !vddk_sys::SYMBOLS
                .iter()
                .any(|s| s.name == name && s.required);
            match known {
                Some((_, function)) => Some(*function),
                None if optional => None,
                None => Some(never as *const ()),
            }
        };
        // SAFETY: the named functions have their types; `never` takes no notice of what it is given
        // and does not return.
        let symbols = unsafe { Symbols::from_lookup(lookup) }.unwrap();
        let loaded = Loaded::from_symbols(symbols, PathBuf::new(), Some(8));
        let loaded: &'static Loaded = Box::leak(Box::new(loaded));
        // Kept, not lost: the leak sanitizer runs over this.
        crate::given_up::keep(loaded);
        loaded
    }

    fn login() -> ConnectParams {
        ConnectParams::builder()
            .server("vc")
            .user("u", Secret::new("p".into()))
            .vm_moref("vm-16")
            .build()
            .unwrap()
    }

    fn calls(loaded: &Loaded) -> u64 {
        loaded
            .symbols()
            .calls()
            .iter()
            .map(|(_, count)| count)
            .sum()
    }

    #[test]
    fn what_the_library_did_not_allocate_it_does_not_free() {
        // As a dummy library does it: no allocator, and the free function ends the process.
        let loaded = library(&[]);
        let raw = RawParams::remote(loaded, &login()).unwrap();
        // SAFETY: valid while `raw` lives.
        let vmx_spec = unsafe { (*raw.as_ptr()).vmxSpec };
        // SAFETY: a string of ours.
        assert_eq!(unsafe { CStr::from_ptr(vmx_spec) }, c"moref=vm-16");
        drop(raw);
        drop(RawParams::local(loaded.symbols()).unwrap());
        assert_eq!(calls(loaded), 0);
    }

    #[test]
    fn what_the_library_allocated_goes_back_without_our_strings() {
        let loaded = library(FUNCTIONS);
        drop(RawParams::remote(loaded, &login()).unwrap());
        drop(RawParams::local(loaded.symbols()).unwrap());
        assert_eq!(calls(loaded), 4);
    }
}
