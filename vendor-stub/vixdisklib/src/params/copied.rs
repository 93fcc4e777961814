//! What a connection was made with, without its secrets.

use std::ffi::CString;
use std::ptr;

use vddk_sys::{self as sys, VixDiskLibConnectParams};
use vddk_sys::{VixDiskLibCredType as CredType, VixDiskLibSpecType as SpecType};

use super::{Login, Object, Remote};
use crate::error::Failure;
use crate::log;
use crate::memory::{self, Kind};

/// Copies of the strings and numbers of connection parameters; nothing at all for local files.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    server: Option<CString>,
    vmx_spec: Option<CString>,
    thumbprint: Option<CString>,
    user: Option<CString>,
    /// What stands in the union `spec`, in the order of its fields there.
    spec: [Option<CString>; 3],
    /// A number of `VixDiskLibSpecType`.
    spec_type: u32,
    /// A number of `VixDiskLibCredType`.
    cred_type: u32,
    port: u32,
    nfc_port: u32,
}

impl Copied {
    /// Copies all but the secrets.
    pub(crate) fn of(remote: &Remote<'_>) -> Self {
        let cred_type = match remote.login {
            Login::Password { .. } => CredType::VIXDISKLIB_CRED_UID,
            Login::Session { .. } => CredType::VIXDISKLIB_CRED_SESSIONID,
        };
        let (spec_type, spec) = spec_of(remote.object);
        Self {
            server: Some(log::c_text(remote.server)),
            vmx_spec: remote.object.vmx_spec().map(log::c_text),
            thumbprint: remote.thumbprint.map(log::c_text),
            user: Some(log::c_text(remote.login.user())),
            spec: spec.map(|text| text.map(log::c_text)),
            spec_type: spec_type.0,
            cred_type: cred_type.0,
            port: remote.port,
            nfc_port: remote.nfc_port,
        }
    }

    /// Gives out a new object, its strings behind the structure in the same memory.
    ///
    /// # Errors
    ///
    /// 2 if there is no memory.
    pub(super) fn give(&self) -> Result<*mut VixDiskLibConnectParams, Failure> {
        let [first, second, third] = self.spec.each_ref().map(Option::as_deref);
        let texts = [
            self.server.as_deref(),
            self.vmx_spec.as_deref(),
            self.thumbprint.as_deref(),
            self.user.as_deref(),
            first,
            second,
            third,
        ];
        let size_bytes = size_of::<VixDiskLibConnectParams>();
        let Some((object, texts)) = memory::with_texts(Kind::CopiedParams, size_bytes, texts)
        else {
            let message = "no memory for connection parameters";
            return Err(Failure::new(sys::VIX_E_OUT_OF_MEMORY, message));
        };
        let params = object.cast::<VixDiskLibConnectParams>();
        let [server, vmx_spec, thumbprint, user, first, second, third] = texts;
        // SAFETY: the memory is new, zeroed, aligned to 8 and has room for the structure, for which
        // zeros are valid; nobody else knows it yet.
        let fields = unsafe { &mut *params };
        fields.serverName = server;
        fields.vmxSpec = vmx_spec;
        fields.thumbPrint = thumbprint;
        fields.credType = CredType(self.cred_type);
        if fields.credType == CredType::VIXDISKLIB_CRED_UID {
            fields.creds.uid = sys::VixDiskLibUidPasswdCreds {
                userName: user,
                password: ptr::null_mut(),
            };
        } else {
            // Zeros for local files.
            fields.creds.sessionId = sys::VixDiskLibSessionIdCreds {
                cookie: ptr::null_mut(),
                userName: user,
                key: ptr::null_mut(),
            };
        }
        fields.specType = SpecType(self.spec_type);
        if fields.specType == SpecType::VIXDISKLIB_SPEC_DATASTORE {
            fields.spec.dsSpec = sys::VixDiskLibDatastoreSpec {
                datastoreMoRef: first,
                diskFolder: second,
            };
        } else {
            // Zeros but for a first-class disk.
            fields.spec.vStorageObjSpec = sys::VixDiskLibVStorageObjectSpec {
                id: first,
                datastoreMoRef: second,
                ssId: third,
            };
        }
        fields.port = self.port;
        fields.nfcHostPort = self.nfc_port;
        Ok(params)
    }
}

/// The kind of an object, and the texts of its member of the union.
fn spec_of(object: Object<'_>) -> (SpecType, [Option<&str>; 3]) {
    match object {
        Object::Nothing | Object::Vm(_) => (SpecType::VIXDISKLIB_SPEC_VMX, [None; 3]),
        Object::FirstClassDisk {
            id,
            datastore_moref,
            snapshot,
        } => (
            SpecType::VIXDISKLIB_SPEC_VSTORAGE_OBJECT,
            [Some(id), Some(datastore_moref), snapshot],
        ),
        Object::DatastoreFolder {
            datastore_moref,
            folder,
        } => (
            SpecType::VIXDISKLIB_SPEC_DATASTORE,
            [Some(datastore_moref), Some(folder), None],
        ),
    }
}
