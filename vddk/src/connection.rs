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
    Disk, DiskFacts, Error, Machine, OpenOptions, SeenParams, Target, TransportModes,
    TransportPlan, TransportPolicy, WritableDisk,
    access::AccessInner,
    control::{Control, Raw, check},
    disk::Wanted,
    given_up,
    library::LibraryInner,
    params::{RawParams, seen_params},
    target,
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
    /// What is acceptable besides them.
    pub policy: TransportPolicy,
    /// What is known of the disks. Without it SAN is never tried.
    pub facts: DiskFacts,
    /// What is known of this machine.
    pub machine: Machine,
}

impl ConnectOptions {
    /// For a backup: read-only, by snapshot; `nbdssl` where the transports do not work.
    pub fn read_only(snapshot: impl Into<String>, transports: TransportModes) -> Self {
        Self {
            read_only: true,
            snapshot: Some(snapshot.into()),
            ..Self::writable(transports)
        }
    }

    /// For a restore: reading and writing, without a snapshot.
    pub fn writable(transports: TransportModes) -> Self {
        Self {
            read_only: false,
            snapshot: None,
            transports,
            policy: TransportPolicy::default(),
            facts: DiskFacts::default(),
            machine: Machine::observed(),
        }
    }

    /// With another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: TransportPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// With what is known of the disks.
    #[must_use]
    pub fn with_facts(mut self, facts: DiskFacts) -> Self {
        self.facts = facts;
        self
    }

    /// What the library will be told, and what is left out. Asking changes nothing: a program can
    /// find out before it makes a snapshot.
    ///
    /// # Errors
    /// [`Error::NoTransport`] when none of the wanted transports can be used.
    pub fn plan(&self) -> Result<TransportPlan, Error> {
        self.plan_with(self.facts)
    }

    /// The plan for a target, which may tell more of the disks.
    fn plan_for(&self, target: Option<&Target>) -> Result<TransportPlan, Error> {
        let mut facts = self.facts;
        if let Some(Target::DatastoreFolder { .. }) = target {
            facts.in_folder = Some(true);
        }
        self.plan_with(facts)
    }

    fn plan_with(&self, facts: DiskFacts) -> Result<TransportPlan, Error> {
        TransportPlan::new(
            &self.transports,
            self.policy,
            self.read_only,
            facts,
            self.machine,
        )
    }
}

/// A connection. It serves many disks of one VM, or what else its [`Target`] names.
#[derive(Debug)]
pub struct Connection {
    pub(crate) inner: Arc<ConnectionInner>,
}

#[derive(Debug)]
pub(crate) struct ConnectionInner {
    pub(crate) raw: Raw<VixDiskLibConnectParam>,
    open: bool,
    /// A disk of it was given up: disconnecting would pull its handle from under a running read.
    abandoned: AtomicBool,
    read_only: bool,
    transports: TransportPlan,
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
        options: &ConnectOptions,
    ) -> Result<Self, Error> {
        let snapshot = snapshot_ref(params.target(), options)?;
        let plan = options.plan_for(params.target())?;
        let transports = c_text("transport list", &plan.list().to_string())?;
        let (read_only, params_there) = (options.read_only, Arc::clone(&params));
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
                    Some(params_there.server()),
                    None,
                    result,
                )?;
                Ok::<_, Error>(Connected {
                    raw: Some(Raw(raw)),
                    symbols,
                    _params: params_there,
                })
            })??;
        let raw = raw.keep();
        Ok(Self {
            inner: Arc::new(ConnectionInner {
                raw,
                open: true,
                abandoned: AtomicBool::new(false),
                read_only: options.read_only,
                transports: plan,
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
    /// [`Error::OtherTransport`] when the chosen transport is not acceptable, and
    /// [`Error::Argument`] on a connection to a first-class disk, which has no path.
    #[doc(alias = "VixDiskLib_Open")]
    pub fn open(&self, path: &str, options: &OpenOptions) -> Result<Disk, Error> {
        self.open_as(Some(path), false, options)
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
        self.open_as(Some(path), true, options)
            .map(WritableDisk::new)
    }

    /// Opens the first-class disk that the connection was made for (`VixDiskLib_Open` without a
    /// path).
    ///
    /// # Errors
    /// [`Error::Argument`] when the connection is for something else, else as
    /// [`open`](Self::open).
    #[doc(alias = "VixDiskLib_Open")]
    pub fn open_first_class_disk(&self, options: &OpenOptions) -> Result<Disk, Error> {
        self.open_as(None, false, options)
    }

    /// The same for writing.
    ///
    /// # Errors
    /// As [`open_first_class_disk`](Self::open_first_class_disk); [`Error::Argument`] on a
    /// connection that is read-only.
    #[doc(alias = "VixDiskLib_Open")]
    pub fn open_first_class_disk_writable(
        &self,
        options: &OpenOptions,
    ) -> Result<WritableDisk, Error> {
        self.open_as(None, true, options).map(WritableDisk::new)
    }

    /// Opens what a path names, or without one the first-class disk of the connection. A disk that
    /// comes by a transport which is not acceptable is closed again.
    fn open_as(
        &self,
        path: Option<&str>,
        write: bool,
        options: &OpenOptions,
    ) -> Result<Disk, Error> {
        let inner = &self.inner;
        let name = target::disk_name(inner.target(), path)?;
        if write && inner.read_only {
            return Err(Error::Argument {
                what: format!("opening {name} for writing on a read-only connection"),
            });
        }
        let wanted = Wanted { name, path, write };
        let disk = Disk::open(inner, inner.raw, wanted, options)?;
        match inner.transports.judge(name, disk.transport_mode()) {
            Ok(()) => Ok(disk),
            Err(error) => {
                if let Err(close) = disk.close() {
                    tracing::warn!(error = %close, "disk was not closed");
                }
                Err(error)
            }
        }
    }

    /// What the library says of the connection (`VixDiskLib_GetConnectParams`).
    ///
    /// # Errors
    /// [`Error::MissingFunction`], [`Error::Call`].
    #[doc(alias = "VixDiskLib_GetConnectParams")]
    pub fn params(&self) -> Result<SeenParams, Error> {
        let (raw, server) = (self.inner.raw, self.inner.params.server().to_owned());
        self.inner
            .library
            .control
            .run("VixDiskLib_GetConnectParams", move |symbols| {
                let raw = raw;
                seen_params(symbols, raw.0, &server)
            })?
    }

    /// Which transports the library was given, and which wanted ones it was not.
    pub fn transports(&self) -> &TransportPlan {
        &self.inner.transports
    }

    /// Logs out (`VixDiskLib_Disconnect`).
    ///
    /// # Errors
    /// [`Error::Argument`] while a disk is open; [`Error::Call`]; [`Error::Poisoned`] with the
    /// server's name when a disk of it was given up: it is then left connected; [`Error::Stuck`]
    /// while another call hangs: it is logged out as soon as the library answers.
    #[doc(alias = "VixDiskLib_Disconnect")]
    pub fn close(self) -> Result<(), Error> {
        match Arc::try_unwrap(self.inner) {
            Ok(mut inner) => inner.close_inner(),
            // The thread that gave a disk up may still hold it.
            Err(inner) if inner.abandoned.load(Ordering::Acquire) => Err(Error::Poisoned {
                object: inner.params.server().to_owned(),
            }),
            Err(_) => Err(Error::Argument {
                what: "disconnecting while a disk is open".to_owned(),
            }),
        }
    }
}

impl ConnectionInner {
    /// How the disks may come.
    pub(crate) fn transports(&self) -> &TransportPlan {
        &self.transports
    }

    /// What it was made for; `None` for local files.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.params.target()
    }

    /// True for a connection to the files of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.params.is_local()
    }

    pub(crate) fn control(&self) -> &Control {
        &self.library.control
    }

    /// Refuses what works on local disks only, where the connection is a remote one.
    pub(crate) fn must_be_local(&self, function: &'static str) -> Result<(), Error> {
        if self.is_local() {
            return Ok(());
        }
        Err(Error::LocalOnly {
            function,
            server: self.params.server().to_owned(),
        })
    }

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
                object: self.params.server().to_owned(),
            });
        }
        let (raw, params) = (self.raw, Arc::clone(&self.params));
        self.library
            .control
            .undo("VixDiskLib_Disconnect", move |symbols| {
                let raw = raw;
                // SAFETY: the connection came from ConnectEx, every disk of it is closed (each held an
                // Arc of this value until it had queued its own end, and jobs keep their order), and
                // it is disconnected once.
                let result = unsafe { symbols.VixDiskLib_Disconnect(raw.0) };
                check(
                    symbols,
                    "VixDiskLib_Disconnect",
                    Some(params.server()),
                    None,
                    result,
                )
            })
    }
}

/// The snapshot for `ConnectEx`, where one is named and the target can have one.
fn snapshot_ref(
    target: Option<&Target>,
    options: &ConnectOptions,
) -> Result<Option<CString>, Error> {
    let refused = |what: String| Err(Error::Argument { what });
    let Some(snapshot) = options.snapshot.as_deref() else {
        return match target {
            Some(Target::Server) => refused("connecting without naming a VM or disk".to_owned()),
            _ => Ok(None),
        };
    };
    match target {
        Some(Target::Vm { .. } | Target::VmPath { .. }) if !snapshot.is_empty() => {
            c_text("snapshot id", snapshot).map(Some)
        }
        Some(Target::Vm { .. } | Target::VmPath { .. }) => {
            refused("an empty text as snapshot id".to_owned())
        }
        Some(other) => refused(format!("a snapshot of a VM, for {other}")),
        None => refused("a snapshot of local files".to_owned()),
    }
}

fn c_text(what: &str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Argument {
        what: format!("a {what} with a NUL byte"),
    })
}

/// A connection on its way to its owner. One that does not arrive is ended, on the control thread and
/// before its parameters go.
struct Connected {
    raw: Option<Raw<VixDiskLibConnectParam>>,
    symbols: &'static vddk_sys::Symbols,
    /// Kept until the connection has ended (VDDK API reference, 1.4).
    _params: Arc<RawParams>,
}

impl Connected {
    fn keep(mut self) -> Raw<VixDiskLibConnectParam> {
        self.raw.take().unwrap_or(Raw(std::ptr::null_mut()))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            // SAFETY: `ConnectEx` gave the connection, nobody else knows it, and it is ended once.
            // A value that is not taken is dropped where it was made: on the control thread.
            unsafe { self.symbols.VixDiskLib_Disconnect(raw.0) };
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
