//! The one thread that starts, connects, opens, closes and ends.
//!
//! What it is asked to do is a job, and jobs are done one after another in the order they come. A job
//! is in one of these states:
//!
//! | state | what it means | what the caller gets when the time is up |
//! |---|---|---|
//! | queued | others are before it | see the next two |
//! | running | its call was begun; its own limit counts from here | |
//! | overdue | it runs longer than its limit | [`Error::Stuck`]; the call goes on |
//! | cancelled | it was queued behind one that became overdue, or would be now | [`Error::Stuck`]; it is never made |
//! | done | its answer is there | |
//!
//! - A job that waits behind a healthy one waits as long as that takes: calls that move data have no
//!   limit, and a wait in the queue counts for nobody.
//! - A job that undoes something (`Close`, `Disconnect`, `EndAccess`, `Exit`) is never cancelled. Its
//!   owner is gone, so nobody could ask again. Behind an overdue job it stays queued; its caller is
//!   told [`Error::Stuck`], and it is done once the library answers.
//! - Since the order is kept, a disk is closed before its connection ends, that before the access
//!   ends, and all before `Exit`, however late.
//! - What an overdue call made is undone, on this thread and within the same job, by the drop of the
//!   value that nobody took.

mod board;

use std::{
    ffi::CStr,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle, ThreadId},
    time::Duration,
};

use vddk_sys::{Loaded, Symbols};

use crate::{
    Error,
    answer::{Taker, Waited, answer},
    callback::{self, Mark},
    contained::contained,
    error::CallError,
    progress,
};
use board::{Board, Job, Outcome, Seen, Ticket};

/// The control thread.
///
/// The Programming Guide wants one designated thread for all opens and closes ("Multiple Threads
/// and VixDiskLib"). The thread never sleeps between jobs, and no panic ends it.
pub(crate) struct Control {
    board: Arc<Board>,
    thread: Option<JoinHandle<()>>,
    thread_id: ThreadId,
    loaded: &'static Loaded,
    limit: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The call was not made and never will be.
    NotMade(Error),
    /// It was begun. Whether it is done, and how it ends, nobody knows.
    Begun(Error),
}

impl From<NoAnswer> for Error {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::NotMade(error) | NoAnswer::Begun(error) => error,
        }
    }
}

impl Control {
    /// Starts the thread. `limit` is how long a call may take, unless it moves data.
    pub(crate) fn start(loaded: &'static Loaded, limit: Duration) -> Result<Self, Error> {
        let board = Arc::new(Board::default());
        let board_there = Arc::clone(&board);
        let thread = thread::Builder::new()
            .name("vddk-control".to_owned())
            .spawn(move || work(&board_there, loaded.symbols()))
            .map_err(|_| Error::ThreadEnded)?;
        Ok(Self {
            board,
            thread_id: thread.thread().id(),
            thread: Some(thread),
            loaded,
            limit,
        })
    }

    pub(crate) fn loaded(&self) -> &'static Loaded {
        self.loaded
    }

    /// Runs `call` on the control thread and waits for its answer, while it runs for the limit at
    /// most.
    ///
    /// `function` is what it calls. A value that must not be lost undoes itself when dropped: after
    /// the limit nobody takes it.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, NoAnswer> {
        self.run_within(Some(self.limit), function, call)
    }

    /// As [`Control::run`], for calls that move data and may rightly take hours.
    pub(crate) fn run_long<R: Send + 'static>(
        &self,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, NoAnswer> {
        self.run_within(None, function, call)
    }

    /// Undoes something by `call`, now or as soon as the library answers; waits for it as
    /// [`Control::run`] does. On the control thread itself nobody waits.
    ///
    /// # Errors
    /// What `call` says; [`Error::Stuck`] where it is still to be done.
    pub(crate) fn undo(
        &self,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (giver, taker) = answer();
        let job = Job {
            function,
            limit: Some(self.limit),
            work: Box::new(move |symbols| match giver.give(call(symbols)) {
                Ok(()) => Outcome::Heard,
                Err(Ok(())) => Outcome::Late,
                Err(Err(error)) => Outcome::Unheard(error),
            }),
        };
        let Ok(ticket) = self.board.queue(job, true) else {
            return Err(Error::ThreadEnded);
        };
        match self.inside() {
            // Only what is dropped in a callback, or by a job, comes here.
            Some(function) => Err(Error::Stuck { function }),
            None => match self.board.wait(ticket) {
                Seen::Behind(function) => Err(Error::Stuck { function }),
                Seen::Overdue | Seen::Done => match taker.wait(Some(Duration::ZERO)) {
                    Waited::Given(result) => result,
                    Waited::TooLate => Err(Error::Stuck { function }),
                    Waited::Gone => Err(Error::ThreadEnded),
                },
            },
        }
    }

    fn run_within<R: Send + 'static>(
        &self,
        limit: Option<Duration>,
        function: &'static str,
        call: impl FnOnce(&'static Symbols) -> R + Send + 'static,
    ) -> Result<R, NoAnswer> {
        if let Some(function) = self.inside() {
            return Err(NoAnswer::NotMade(Error::Stuck { function }));
        }
        let (giver, taker) = answer();
        let job = Job {
            function,
            limit,
            work: Box::new(move |symbols| match giver.give(call(symbols)) {
                Ok(()) => Outcome::Heard,
                Err(late) => {
                    drop(late);
                    Outcome::Late
                }
            }),
        };
        match self.board.queue(job, false) {
            Ok(ticket) => self.wait(ticket, taker, function),
            // The job is dropped here, after the lock: what it holds may close disks.
            Err((_job, function)) => Err(NoAnswer::NotMade(Error::Stuck { function })),
        }
    }

    fn wait<R>(
        &self,
        ticket: Ticket,
        taker: Taker<R>,
        function: &'static str,
    ) -> Result<R, NoAnswer> {
        loop {
            match self.board.wait(ticket) {
                Seen::Behind(function) => {
                    // Where it cannot be taken back it has just begun, and has its own time.
                    if let Some(job) = self.board.withdraw(ticket) {
                        drop(job);
                        return Err(NoAnswer::NotMade(Error::Stuck { function }));
                    }
                }
                // What is done has given its answer, or will never: there is nothing to wait for.
                Seen::Overdue | Seen::Done => {
                    return match taker.wait(Some(Duration::ZERO)) {
                        Waited::Given(value) => Ok(value),
                        Waited::TooLate => Err(NoAnswer::Begun(Error::Stuck { function })),
                        Waited::Gone => Err(NoAnswer::Begun(Error::ThreadEnded)),
                    };
                }
            }
        }
    }

    /// Inside a call of the library, the function: calling it from its callbacks is forbidden, and
    /// the control thread cannot wait for itself.
    fn inside(&self) -> Option<&'static str> {
        progress::running().or_else(|| {
            let here = thread::current().id() == self.thread_id;
            here.then(|| self.board.running().unwrap_or("VixDiskLib"))
        })
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("running", &self.board.running())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // What is queued is still done.
        self.board.end();
        if self.inside().is_none()
            && self.board.wait_for_end()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// The control thread's work.
fn work(board: &Board, symbols: &'static Symbols) {
    while let Some(job) = board.begin() {
        let Job { function, work, .. } = job;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(symbols)));
        board.done();
        // Last, for a subscriber may do what it likes.
        contained(|| match outcome {
            Ok(Outcome::Heard) => {}
            Ok(Outcome::Late) => tracing::warn!(function, "a call returned after it was given up"),
            Ok(Outcome::Unheard(error)) => tracing::warn!(%error, "a late call failed"),
            // Its caller is told that the answer will not come.
            Err(_) => tracing::error!(function, "a job of the control thread panicked"),
        });
    }
    board.ended();
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
