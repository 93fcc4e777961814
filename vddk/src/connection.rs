//! A login at a server, or at this machine's own files.

use std::{
    ffi::CString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use vddk_sys::VixDiskLibConnectParam;

use crate::{
    Disk, Error, OpenOptions, TransportModes, WritableDisk,
    access::AccessInner,
    control::{Raw, check},
    disk::Wanted,
    given_up,
    library::LibraryInner,
    params::RawParams,
};

/// How to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Every disk is opened read-only.
    pub read_only: bool,
    /// Managed object id of the snapshot, for instance `snapshot-47`.
    pub snapshot: Option<String>,
    /// Ways to reach the disks, most wanted first.
    pub transports: TransportModes,
}

impl ConnectOptions {
    /// For a backup: read-only, by snapshot.
    pub fn read_only(snapshot: impl Into<String>, transports: TransportModes) -> Self {
        Self {
            read_only: true,
            snapshot: Some(snapshot.into()),
            transports,
        }
    }
}

/// A connection. It serves many disks of one VM.
#[derive(Debug)]
pub struct Connection {
    inner: Arc<ConnectionInner>,
}

#[derive(Debug)]
pub(crate) struct ConnectionInner {
    raw: Raw<VixDiskLibConnectParam>,
    open: bool,
    /// A disk of it was given up: disconnecting would pull its handle from under a running read.
    abandoned: AtomicBool,
    server: String,
    read_only: bool,
    // Declared in the order in which they may be released.
    params: Arc<RawParams>,
    _access: Option<Arc<AccessInner>>,
    pub(crate) library: Arc<LibraryInner>,
}

// SAFETY: the raw pointer in it is only lent to the control thread, by value, in calls that the
// control thread makes one after another; everything else in it is Sync by itself.
unsafe impl Sync for ConnectionInner {}

impl Connection {
    pub(crate) fn open_to(
        library: &Arc<LibraryInner>,
        access: Option<Arc<AccessInner>>,
        params: Arc<RawParams>,
        server: &str,
        options: &ConnectOptions,
    ) -> Result<Self, Error> {
        let text = |text: &str| {
            CString::new(text).map_err(|_| Error::Argument {
                what: "a snapshot id with a NUL byte".to_owned(),
            })
        };
        let snapshot = options.snapshot.as_deref().map(text).transpose()?;
        let transports = text(&options.transports.to_string())?;
        let (read_only, params_there, server_there) =
            (options.read_only, Arc::clone(&params), server.to_owned());
        let raw = library
            .control
            .run("VixDiskLib_ConnectEx", move |symbols| {
                // Judged by the code alone: a stand-in may leave the pointer as it was.
                let mut raw = std::ptr::null_mut();
                let snapshot = snapshot.as_ref().map_or(std::ptr::null(), |id| id.as_ptr());
                // SAFETY: parameters, snapshot and transports live through the call, and the library
                // stores a pointer, or nothing, in `raw`.
                let result = unsafe {
                    symbols.VixDiskLib_ConnectEx(
                        params_there.as_ptr(),
                        std::ffi::c_char::from(read_only),
                        snapshot,
                        transports.as_ptr(),
                        &raw mut raw,
                    )
                };
                check(
                    symbols,
                    "VixDiskLib_ConnectEx",
                    Some(&server_there),
                    None,
                    result,
                )?;
                Ok::<_, Error>(Connected(Some(Raw(raw)), symbols))
            })??;
        let raw = raw.keep();
        Ok(Self {
            inner: Arc::new(ConnectionInner {
                raw,
                open: true,
                abandoned: AtomicBool::new(false),
                server: server.to_owned(),
                read_only: options.read_only,
                params,
                _access: access,
                library: Arc::clone(library),
            }),
        })
    }

    /// Opens a disk (`VixDiskLib_Open`).
    ///
    /// `path` is a datastore path, `[datastore1] vm/vm.vmdk`, exactly as the snapshot's own
    /// configuration shows it; on a local connection an absolute file name.
    ///
    /// # Errors
    /// [`Error::Call`]. Here the transport is chosen and the thumbprint checked: a mismatch is
    /// error 1, and [`Error::thumbprint_mismatch`] has both values where the log told them.
    #[doc(alias = "VixDiskLib_Open")]
    pub fn open(&self, path: &str, options: &OpenOptions) -> Result<Disk, Error> {
        self.open_as(Some(path), path, false, options)
    }

    /// Opens a disk for writing (`VixDiskLib_Open`).
    ///
    /// By SAN or HotAdd the VM needs a snapshot first, and change tracking switched off for SAN
    /// (VDDK API reference, 1.5, 4.3).
    ///
    /// # Errors
    /// As [`Connection::open`]; [`Error::Argument`] on a connection that is read-only.
    #[doc(alias = "VixDiskLib_Open")]
    pub fn open_writable(&self, path: &str, options: &OpenOptions) -> Result<WritableDisk, Error> {
        if self.inner.read_only {
            return Err(Error::Argument {
                what: format!("opening {path} for writing on a read-only connection"),
            });
        }
        self.open_as(Some(path), path, true, options)
            .map(WritableDisk::new)
    }

    pub(crate) fn open_as(
        &self,
        path: Option<&str>,
        name: &str,
        write: bool,
        options: &OpenOptions,
    ) -> Result<Disk, Error> {
        let wanted = Wanted { name, path, write };
        Disk::open(&self.inner, self.inner.raw, wanted, options)
    }

    /// Logs out (`VixDiskLib_Disconnect`).
    ///
    /// # Errors
    /// [`Error::Argument`] while a disk is open, [`Error::Call`], or [`Error::Poisoned`] with the
    /// server's name when a disk of it was given up: it is then left connected.
    #[doc(alias = "VixDiskLib_Disconnect")]
    pub fn close(self) -> Result<(), Error> {
        match Arc::try_unwrap(self.inner) {
            Ok(mut inner) => inner.close_inner(),
            // The thread that gave a disk up may still hold it.
            Err(inner) if inner.abandoned.load(Ordering::Acquire) => Err(Error::Poisoned {
                object: inner.server.clone(),
            }),
            Err(_) => Err(Error::Argument {
                what: "disconnecting while a disk is open".to_owned(),
            }),
        }
    }
}

impl ConnectionInner {
    /// Leaves the connection open for ever.
    pub(crate) fn abandon(&self) {
        if !self.abandoned.swap(true, Ordering::AcqRel) {
            // The library may look at the parameters as long as the connection is open (VDDK API
            // reference, 1.4), and from now on that is until the process ends. So they are kept,
            // the password with them.
            given_up::keep(Arc::clone(&self.params));
        }
        self.library.abandon();
    }

    fn close_inner(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        if self.abandoned.load(Ordering::Acquire) {
            return Err(Error::Poisoned {
                object: self.server.clone(),
            });
        }
        let (raw, server) = (self.raw, self.server.clone());
        self.library
            .control
            .run("VixDiskLib_Disconnect", move |symbols| {
                let raw = raw;
                // SAFETY: the connection came from ConnectEx, every disk of it is closed (each held an
                // Arc of this value), and it is disconnected once.
                let result = unsafe { symbols.VixDiskLib_Disconnect(raw.0) };
                check(
                    symbols,
                    "VixDiskLib_Disconnect",
                    Some(&server),
                    None,
                    result,
                )
            })?
    }
}

/// A connection on its way to its owner. One that does not arrive is ended, on the control thread.
struct Connected(
    Option<Raw<VixDiskLibConnectParam>>,
    &'static vddk_sys::Symbols,
);

impl Connected {
    fn keep(mut self) -> Raw<VixDiskLibConnectParam> {
        self.0.take().unwrap_or(Raw(std::ptr::null_mut()))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(raw) = self.0.take() {
            // SAFETY: `ConnectEx` gave the connection, nobody else knows it, and it is ended once.
            // A value that is not taken is dropped where it was made: on the control thread.
            unsafe { self.1.VixDiskLib_Disconnect(raw.0) };
        }
    }
}

impl Drop for ConnectionInner {
    fn drop(&mut self) {
        if let Err(error) = self.close_inner() {
            tracing::warn!(%error, "connection was not closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;
    static_assertions::assert_impl_all!(Connection: Send, Sync);
}
