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
    /// What on a server; `None` for local files.
    pub(crate) target: Option<Target>,
    /// What it was made with.
    pub(crate) made_with: Copied,
    /// Every disk is opened for reading only.
    pub(crate) read_only: bool,
    /// The transports allowed, by preference.
    pub(crate) transports: Vec<String>,
}

/// What a connection to a server is for.
#[derive(Debug)]
pub(crate) struct Target {
    /// The lab.
    pub(crate) lab: Lab,
    /// What in it.
    pub(crate) object: Object,
    /// What the caller takes for the server's certificate.
    pub(crate) thumbprint: Option<String>,
}

/// The object of a connection.
#[derive(Debug)]
pub(crate) enum Object {
    /// The disks of a VM.
    Vm {
        /// Its managed object.
        moref: String,
        /// Managed object of the snapshot.
        snapshot: Option<String>,
    },
    /// One first-class disk.
    FirstClassDisk {
        /// Its id.
        id: String,
        /// Managed object of its datastore.
        datastore_moref: String,
        /// Id of a snapshot of it.
        snapshot: Option<String>,
    },
    /// The disks of a folder that belong to nothing.
    DatastoreFolder {
        /// Name of the datastore.
        datastore: String,
        /// The folder.
        folder: String,
    },
}

impl Connection {
    /// The name of a disk that is opened: the path given, or the id of the first-class disk that the
    /// connection is for. What is given as path for that one does not matter ("VDDK API reference,
    /// 1.6").
    ///
    /// # Errors
    ///
    /// 3 if there is no path where one is needed.
    pub(crate) fn disk_name<'a>(&'a self, path: Option<&'a str>) -> Result<&'a str, Failure> {
        if let Some(Target {
            object: Object::FirstClassDisk { id, .. },
            ..
        }) = &self.target
        {
            return Ok(id);
        }
        path.ok_or_else(|| Failure::argument("path is null"))
    }
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
