//! The one thread that starts, connects, opens, closes and ends.

use std::{
    ffi::CStr,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle, ThreadId},
    time::Duration,
};

use crossbeam_channel::{Sender, unbounded};
use vddk_sys::{Loaded, Symbols};

use crate::{
    Error,
    answer::{Waited, answer},
    callback::{self, Mark},
    error::CallError,
    progress,
};

type Job = Box<dyn FnOnce(&'static Symbols) + Send>;

/// The control thread.
///
/// The Programming Guide wants one designated thread for all opens and closes ("Multiple Threads
/// and VixDiskLib"). Jobs run in the order they come; the thread never sleeps between them.
///
/// A call may hang in the library. Its caller waits for the limit and no longer; until the call
/// returns, every other one is refused at once. What a late call made is undone by the drop of its
/// value, which then happens on this thread.
#[derive(Debug)]
pub(crate) struct Control {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    thread_id: ThreadId,
    loaded: &'static Loaded,
    limit: Duration,
    /// The function that did not return in time, as long as it does not.
    stuck: Arc<Mutex<Option<&'static str>>>,
}

impl Control {
    /// Starts the thread. `limit` is how long a call may take, unless it moves data.
    pub(crate) fn start(loaded: &'static Loaded, limit: Duration) -> Result<Self, Error> {
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
            thread_id: thread.thread().id(),
            thread: Some(thread),
            loaded,
            limit,
            stuck: Arc::new(Mutex::new(None)),
        })
    }

    pub(crate) fn loaded(&self) -> &'static Loaded {
        self.loaded
    }

    /// Runs `call` on the control thread and waits for its answer, for the limit at most.
    ///
    /// `function` is what it calls. A value that must not be lost undoes itself when dropped: after
    /// the limit nobody takes it.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.run_within(Some(self.limit), function, call)
    }

    /// As [`Control::run`], for calls that move data and may rightly take hours.
    pub(crate) fn run_long<R: Send + 'static>(
        &self,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.run_within(None, function, call)
    }

    fn run_within<R: Send + 'static>(
        &self,
        limit: Option<Duration>,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, Error> {
        if let Some(function) = progress::running() {
            // The library is further up this stack, and calling it from its callbacks is forbidden.
            return Err(Error::Stuck { function });
        }
        if self.is_here() {
            // A value that was dropped late undoes itself: we are where that must happen.
            return Ok(call(self.loaded.symbols()));
        }
        if let Some(function) = *lock(&self.stuck) {
            return Err(Error::Stuck { function });
        }
        let (giver, taker) = answer();
        let stuck = Arc::clone(&self.stuck);
        let job: Job = Box::new(move |symbols| {
            let done = giver.give(call(symbols));
            if let Err(late) = done {
                tracing::warn!(function, "a call returned after it was given up");
                drop(late);
                *lock(&stuck) = None;
            }
        });
        self.jobs
            .as_ref()
            .ok_or(Error::ThreadEnded)?
            .send(job)
            .map_err(|_| Error::ThreadEnded)?;
        let waited = {
            let stuck = Arc::clone(&self.stuck);
            taker.wait_or(limit, move || *lock(&stuck) = Some(function))
        };
        match waited {
            Waited::Given(value) => Ok(value),
            Waited::TooLate => Err(Error::Stuck { function }),
            Waited::Gone => Err(Error::ThreadEnded),
        }
    }

    /// True on the control thread itself.
    fn is_here(&self) -> bool {
        thread::current().id() == self.thread_id
    }
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Control {
    fn drop(&mut self) {
        self.jobs = None;
        let stuck = lock(&self.stuck).is_some();
        let here = self.is_here();
        if let Some(thread) = self.thread.take().filter(|_| !stuck && !here) {
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
