//! Leases of HttpNfcLease: the disks of a VM or of a snapshot, to be fetched whole over HTTP
//! ("vSphere API reference", 2.13).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lab::DiskHold;

use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};

/// How long a lease lives without being told of progress.
pub(crate) const TIMEOUT_MS: u64 = 300_000;

/// A file that can be fetched.
#[derive(Debug)]
pub(crate) struct Leased {
    /// `/vm-1021/ParaVirtualSCSIController0:0`.
    pub(crate) key: String,
    /// The last part of the URL, such as `disk-0.vmdk`.
    pub(crate) name: String,
    /// The descriptor of the disk, or the file itself.
    pub(crate) path: PathBuf,
    /// What keeps the disk from being merged or written; `None` for what is no disk.
    pub(crate) hold: Option<DiskHold>,
}

/// Where a lease stands.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Ready,
    Done,
    Error(Fault),
}

#[derive(Debug)]
struct Inner {
    files: Vec<Leased>,
    state: State,
    percent: i32,
    last_ms: u64,
}

/// A lease. It ends with its session, for the files are held only as long as somebody has it.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    /// The VM.
    entity: MoRef,
    /// The part of its id that stands in the URLs.
    ticket: String,
    capacity_kib: u64,
    thumbprint: String,
    inner: Arc<Mutex<Inner>>,
}

impl Lease {
    /// A lease that is ready.
    pub(crate) fn new(
        entity: MoRef,
        (ticket, thumbprint): (String, String),
        capacity_kib: u64,
        files: Vec<Leased>,
        now_ms: u64,
    ) -> Self {
        let inner = Inner {
            files,
            state: State::Ready,
            percent: 0,
            last_ms: now_ms,
        };
        Self {
            entity,
            ticket,
            capacity_kib,
            thumbprint,
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Works on what changes. A lease that nobody told of progress in time is over.
    fn with<R>(&self, now_ms: u64, work: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let idle_ms = now_ms.saturating_sub(inner.last_ms);
        if inner.state == State::Ready && idle_ms >= TIMEOUT_MS {
            inner.state = State::Error(timed_out());
            inner.files.clear();
        }
        work(&mut inner)
    }

    /// Tells of progress, which keeps the lease alive.
    pub(crate) fn progress(&self, percent: i32, now_ms: u64) -> Result<(), Fault> {
        self.with(now_ms, |inner| {
            inner.check()?;
            inner.percent = percent.clamp(0, 100);
            inner.last_ms = now_ms;
            Ok(())
        })
    }

    /// Ends the lease well.
    pub(crate) fn complete(&self, now_ms: u64) -> Result<(), Fault> {
        self.end(State::Done, now_ms)
    }

    /// Ends the lease because something went wrong.
    pub(crate) fn abort(&self, fault: Fault, now_ms: u64) -> Result<(), Fault> {
        self.end(State::Error(fault), now_ms)
    }

    fn end(&self, state: State, now_ms: u64) -> Result<(), Fault> {
        self.with(now_ms, |inner| {
            inner.check()?;
            inner.state = state;
            inner.files.clear();
            Ok(())
        })
    }

    /// The file behind the URL with that ticket and that name, while the lease is ready.
    pub(crate) fn file(&self, ticket: &str, name: &str, now_ms: u64) -> Option<(PathBuf, bool)> {
        if ticket != self.ticket {
            return None;
        }
        self.with(now_ms, |inner| {
            let found = inner.files.iter().find(|file| file.name == name)?;
            Some((found.path.clone(), found.hold.is_some()))
        })
    }

    /// `HttpNfcLease`.
    pub(crate) fn properties(&self, id: &str, now_ms: u64) -> DataObject {
        self.with(now_ms, |inner| {
            let (state, error) = match &inner.state {
                State::Ready => ("ready", None),
                State::Done => ("done", None),
                State::Error(fault) => ("error", Some(Value::Object(fault.localized()))),
            };
            let info = (inner.state == State::Ready).then(|| self.info(id, inner));
            DataObject::new("HttpNfcLease")
                .with("initializeProgress", Value::int(100))
                .with("transferProgress", Value::int(inner.percent))
                .text("mode", "pushOrGet")
                .with_some("info", info.map(Value::Object))
                .with("state", Value::Enum("HttpNfcLeaseState", state.to_owned()))
                .with_some("error", error)
        })
    }

    fn info(&self, id: &str, inner: &Inner) -> DataObject {
        let urls = inner.files.iter().map(|file| {
            DataObject::new("HttpNfcLeaseDeviceUrl")
                .text("key", &file.key)
                .text("importKey", &file.key)
                .text(
                    "url",
                    format!("https://*/nfc/{}/{}", self.ticket, file.name),
                )
                .text("sslThumbprint", &self.thumbprint)
                .with("disk", Value::boolean(file.hold.is_some()))
                .text("targetId", &file.name)
        });
        let timeout = i32::try_from(TIMEOUT_MS / 1000).unwrap_or(i32::MAX);
        DataObject::new("HttpNfcLeaseInfo")
            .with("lease", Value::reference("HttpNfcLease", id))
            .with("entity", Value::Reference(self.entity.clone()))
            .with("deviceUrl", Value::objects("HttpNfcLeaseDeviceUrl", urls))
            .with("totalDiskCapacityInKB", Value::long(self.capacity_kib))
            .with("leaseTimeout", Value::int(timeout))
    }
}

impl Inner {
    /// Fails when the lease is over.
    fn check(&self) -> Result<(), Fault> {
        match &self.state {
            State::Ready => Ok(()),
            State::Error(fault) if *fault == timed_out() => Err(fault.clone()),
            _ => Err(Fault::new(
                "InvalidState",
                "The operation is not allowed in the current state.",
            )),
        }
    }
}

fn timed_out() -> Fault {
    Fault::new("Timedout", "The lease was not told of progress in time.")
}
