//! A connection: what `ConnectEx` copied out of the caller's parameters.

use std::sync::Arc;

use lab::Lab;
use vddk_sys::{VIX_E_INVALID_HANDLE, VixDiskLibConnection};

use crate::error::Failure;
use crate::handles::Handles;
use crate::params::Copied;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The VM; `None` for local files.
    pub(crate) target: Option<Target>,
    /// What it was made with.
    pub(crate) made_with: Copied,
    /// Every disk is opened for reading only.
    pub(crate) read_only: bool,
    /// The transports allowed, by preference.
    pub(crate) transports: Vec<String>,
}

/// The VM of a connection.
#[derive(Debug)]
pub(crate) struct Target {
    /// The lab.
    pub(crate) lab: Lab,
    /// Managed object of the VM.
    pub(crate) vm: String,
    /// Managed object of the snapshot.
    pub(crate) snapshot: Option<String>,
    /// What the caller takes for the server's certificate.
    pub(crate) thumbprint: Option<String>,
}

/// The connections of this process.
pub(crate) static CONNECTIONS: Handles<Connection> = Handles::new(0xC0_0000);

/// The connection behind a handle.
///
/// # Errors
///
/// `VIX_E_INVALID_HANDLE` for null and for one that is not open.
pub(crate) fn get(connection: VixDiskLibConnection) -> Result<Arc<Connection>, Failure> {
    CONNECTIONS
        .get(connection.addr())
        .ok_or_else(|| Failure::new(VIX_E_INVALID_HANDLE, "the connection is not open"))
}
