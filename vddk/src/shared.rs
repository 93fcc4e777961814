//! What a disk, its worker and its pending requests share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use vddk_sys::Symbols;

use crate::{
    connection::ConnectionInner,
    control::Control,
    request::{FailedWrite, Failure, Request},
    watch::Begun,
};

/// What the disk, its worker and its pending requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: String,
    connection: Arc<ConnectionInner>,
    poisoned: AtomicBool,
    pub(crate) time_out: Duration,
    /// What was begun and not answered.
    pub(crate) begun: Arc<Begun>,
    /// The first write that failed since the last flush.
    pub(crate) failed_write: Arc<FailedWrite>,
}

impl Shared {
    pub(crate) fn new(path: &str, connection: &Arc<ConnectionInner>, time_out: Duration) -> Self {
        Self {
            path: path.to_owned(),
            connection: Arc::clone(connection),
            poisoned: AtomicBool::new(false),
            time_out,
            begun: Arc::default(),
            failed_write: Arc::default(),
        }
    }

    pub(crate) fn symbols(&self) -> &'static Symbols {
        self.connection.library.control.loaded().symbols()
    }

    pub(crate) fn control(&self) -> &Control {
        &self.connection.library.control
    }

    pub(crate) fn connection(&self) -> &ConnectionInner {
        &self.connection
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// From now on the request is answered in time, if by nothing else then by giving the disk up.
    pub(crate) fn begin(self: &Arc<Self>, request: &Arc<Request>, now: Instant) {
        // A time-out behind the end of the clock never comes.
        if let Some(deadline) = now.checked_add(self.time_out) {
            self.connection.library.watch.over(self, request, deadline);
        }
    }

    /// Gives the disk up: VDDK may touch a buffer at any time from now on. `why` is told to the
    /// oldest request; those behind it are failed with it, for none of them may ever end.
    pub(crate) fn poison(&self, why: Failure) {
        self.mark_poisoned();
        for (index, request) in self.begun.take().into_iter().enumerate() {
            request.fail_now(if index == 0 { why } else { Failure::Poisoned });
        }
    }

    /// As [`Shared::poison`], for what one request met.
    pub(crate) fn poison_for(&self, request: &Request, why: Failure) {
        self.mark_poisoned();
        request.fail_now(why);
        self.poison(Failure::Poisoned);
    }

    fn mark_poisoned(&self) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            self.connection.abandon();
        }
    }
}
