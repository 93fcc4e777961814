//! A disk's handle at rest, for the calls that the control thread makes with it.

use vddk_sys::{Symbols, VixDiskLibHandleStruct};

use crate::{
    Error, Progress,
    control::{NoAnswer, Raw},
    progress::Report,
    request::Failure,
    shared::Shared,
    worker::Held,
};

/// The handle of an open disk with nothing in flight.
///
/// As long as this lives the disk's worker leaves the handle alone, keep-alive reads included, so the
/// control thread is the one thread that uses it (VDDK API reference, 7.1).
#[derive(Debug)]
pub(crate) struct Idle<'a> {
    pub(crate) handle: Raw<VixDiskLibHandleStruct>,
    pub(crate) shared: &'a Shared,
    pub(crate) _held: Held,
}

impl Idle<'_> {
    /// Runs `call` on the control thread with the handle and the disk's path, and waits for it, while
    /// it runs for the limit of a call at most. The disk is given up when `call` was begun and does
    /// not return.
    ///
    /// `function` is what it calls.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        function: &'static str,
        call: impl FnOnce(&'static Symbols, Raw<VixDiskLibHandleStruct>, &str) -> R + Send + 'static,
    ) -> Result<R, NoAnswer> {
        let (handle, path) = (self.handle, self.shared.path.clone());
        let done = self
            .shared
            .control()
            .run(function, move |symbols| call(symbols, handle, &path));
        if let Err(NoAnswer::Begun(_)) = done {
            self.give_up();
        }
        done
    }

    /// As [`Idle::run`], for what moves data and may rightly take hours: there is no limit. `call` is
    /// also given what the library wants to report progress to.
    pub(crate) fn run_reporting<R: Send + 'static>(
        &self,
        function: &'static str,
        progress: Progress,
        call: impl FnOnce(
            &'static Symbols,
            Raw<VixDiskLibHandleStruct>,
            Report,
            &str,
        ) -> Result<R, Error>
        + Send
        + 'static,
    ) -> Result<R, Error> {
        let (handle, path) = (self.handle, self.shared.path.clone());
        progress.run(self.shared.control(), function, move |symbols, report| {
            call(symbols, handle, report, &path)
        })
    }

    /// The control thread may use the handle at any time: nobody else may any more.
    pub(crate) fn give_up(&self) {
        self.shared.poison(Failure::TimedOut);
    }

    /// Refuses what works on local disks only, where the disk is a remote one.
    pub(crate) fn must_be_local(&self, function: &'static str) -> Result<(), Error> {
        self.shared.connection().must_be_local(function)
    }
}
