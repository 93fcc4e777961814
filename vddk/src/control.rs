//! The one thread that starts, connects, opens, closes and ends.

use std::{
    ffi::CStr,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Sender, bounded, unbounded};
use vddk_sys::{Loaded, Symbols};

use crate::{
    Error,
    callback::{self, Mark},
    error::CallError,
};

type Job = Box<dyn FnOnce(&'static Symbols) + Send>;

/// The control thread.
///
/// The Programming Guide wants one designated thread for all opens and closes ("Multiple Threads
/// and VixDiskLib"). Jobs run in the order they come; the thread never sleeps between them.
#[derive(Debug)]
pub(crate) struct Control {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    loaded: &'static Loaded,
}

impl Control {
    pub(crate) fn start(loaded: &'static Loaded) -> Result<Self, Error> {
        let (jobs, inbox) = unbounded::<Job>();
        let thread = thread::Builder::new()
            .name("vddk-control".to_owned())
            .spawn(move || {
                for job in inbox {
                    job(loaded.symbols());
                }
            })
            .map_err(|_| Error::ThreadEnded)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            loaded,
        })
    }

    pub(crate) fn loaded(&self) -> &'static Loaded {
        self.loaded
    }

    /// Runs `call` on the control thread and waits for its answer.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (reply, answer) = bounded(1);
        let job: Job = Box::new(move |symbols| {
            // The receiver waits below; it can only be gone when its thread died.
            let _ = reply.send(call(symbols));
        });
        self.jobs
            .as_ref()
            .ok_or(Error::ThreadEnded)?
            .send(job)
            .map_err(|_| Error::ThreadEnded)?;
        answer.recv().map_err(|_| Error::ThreadEnded)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of a job was reported to its caller as ThreadEnded.
            let _ = thread.join();
        }
    }
}

/// Turns a result into an error with VDDK's text. Call it on the thread that made the call.
pub(crate) fn check(
    symbols: &Symbols,
    operation: &'static str,
    object: Option<&str>,
    since: Option<Mark>,
    result: u64,
) -> Result<(), Error> {
    if result == 0 {
        return Ok(());
    }
    Err(Error::Call(Box::new(CallError {
        operation,
        result,
        text: error_text(symbols, result),
        object: object.map(str::to_owned),
        thumbprints: since.and_then(callback::thumbprint_mismatch_since),
    })))
}

/// VDDK's text for a result. Callable from any thread (VDDK API reference, 7.1).
pub(crate) fn error_text(symbols: &Symbols, result: u64) -> String {
    // SAFETY: the function takes any value in any state, and locale must be NULL.
    let text = unsafe { symbols.VixDiskLib_GetErrorText(result, std::ptr::null()) };
    if text.is_null() {
        return String::from("no text");
    }
    // SAFETY: not NULL, so it is a C string that lives until it is freed below.
    let owned = unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: the string came from GetErrorText and is freed once.
    unsafe { symbols.VixDiskLib_FreeErrorText(text) };
    owned
}

/// A connection or disk pointer on its way between threads.
///
/// It is an opaque number to us: never dereferenced, only handed back to the library.
#[derive(Debug)]
pub(crate) struct Raw<T>(pub(crate) *mut T);

// By hand: a derive would want `T: Copy`, but only the pointer is copied.
impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Raw<T> {}

// SAFETY: the pointer is only handed back to VixDiskLib, by the control thread (open, close) or by
// the disk's one worker (reads), never by two threads at once: the guide allows a handle to be used
// from another thread than the one that opened it as long as one thread uses it at a time.
unsafe impl<T> Send for Raw<T> {}
