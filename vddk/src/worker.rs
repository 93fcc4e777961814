//! The one thread that reads and writes a disk.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use vddk_sys::{VIX_ASYNC, VIX_E_NOT_SUPPORTED, VIX_OK, VixDiskLibHandleStruct};

use crate::{
    Code, Error, ReadMode, SectorBuf,
    answer::{Taker, Waited},
    callback,
    contained::contained,
    control::{Raw, check},
    given_up,
    request::{Answer, Direction, Failure, Piece, Request, Slot},
    shared::Shared,
};

/// What a disk's worker is asked to do.
enum Job {
    /// A read or a write.
    Move(Arc<Request>),
    /// Let everything in flight end, flush, and say so.
    Flush { reply: Sender<Result<(), Error>> },
    /// Let everything in flight end, perhaps flush, say so, and end: one job, so that no keep-alive
    /// read falls between the last `Wait` and the end.
    End {
        flush: bool,
        reply: Sender<Result<(), Error>>,
    },
    /// Let everything in flight end, say so, and leave the handle alone until `until` is
    /// disconnected.
    Rest {
        reply: Sender<Result<(), Error>>,
        until: Receiver<()>,
    },
}

/// How a worker reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) mode: ReadMode,
    /// Calls in flight at once.
    pub(crate) in_flight: usize,
    /// Longest single call.
    pub(crate) piece_sectors: u64,
    /// How long a completion may take.
    pub(crate) time_out: Duration,
    /// After how much idleness the first sector is read.
    pub(crate) keep_alive: Option<Duration>,
}

impl Pace {
    /// How many calls a request of `sectors` needs.
    pub(crate) fn pieces(&self, sectors: u64) -> usize {
        sectors.div_ceil(self.piece_sectors) as usize
    }
}

/// A disk's worker thread. Dropping it ends the thread after the jobs that wait.
///
/// The thread may be stuck in the library for ever. Then the disk is given up, and the thread is left
/// to itself: nothing here waits for it without a limit.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
    shared: Arc<Shared>,
    time_out: Duration,
}

/// As long as this lives the worker leaves its handle alone.
#[derive(Debug)]
pub(crate) struct Held(#[expect(dead_code, reason = "it is dropped, not used")] Sender<()>);

/// How long the end of a given-up disk's thread is waited for: enough for one that is not stuck.
const LAST_WAIT: Duration = Duration::from_secs(2);

impl Worker {
    pub(crate) fn start(
        handle: Raw<VixDiskLibHandleStruct>,
        shared: Arc<Shared>,
        pace: Pace,
    ) -> Result<Self, Error> {
        let (jobs, inbox) = bounded(pace.in_flight);
        let (end, ended) = bounded(0);
        let mover = Mover::new(handle, Arc::clone(&shared), pace);
        let thread = thread::Builder::new()
            .name("vddk-disk".to_owned())
            .spawn(move || {
                let shared = Arc::clone(&mover.shared);
                let run = catch_unwind(AssertUnwindSafe(|| mover.run(&inbox)));
                if run.is_err() {
                    // What is in flight, and whether the handle may be closed, nobody knows now.
                    shared.poison(Failure::Poisoned);
                }
                drop(end);
            })
            .map_err(|_| Error::ThreadEnded)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            ended,
            shared,
            time_out: pace.time_out,
        })
    }

    /// Hands a read or write over; blocks while too many wait.
    pub(crate) fn begin(&self, request: Arc<Request>) -> Result<(), Error> {
        self.send(Job::Move(request))
    }

    /// Returns when nothing is in flight any more (`VixDiskLib_Wait`) and what was written is on the
    /// disk (`VixDiskLib_Flush`).
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.ask(|reply| Job::Flush { reply })
    }

    /// Ends the thread when nothing is in flight any more, and perhaps everything is flushed. The
    /// handle is nobody's then, or the disk was given up.
    pub(crate) fn end(self, flush: bool) -> Result<(), Error> {
        self.ask(|reply| Job::End { flush, reply })
    }

    /// Lets everything in flight end and leaves the handle alone, keep-alive reads included, until
    /// the answer is dropped. Meanwhile another thread may use the handle.
    pub(crate) fn hold(&self) -> Result<Held, Error> {
        let (held, until) = bounded(0);
        self.ask(|reply| Job::Rest { reply, until })?;
        Ok(Held(held))
    }

    fn ask(&self, job: impl FnOnce(Sender<Result<(), Error>>) -> Job) -> Result<(), Error> {
        let (reply, answer) = bounded(1);
        self.send(job(reply))?;
        match answer.recv_timeout(self.time_out) {
            Ok(drained) => drained,
            Err(RecvTimeoutError::Timeout) => Err(self.give_up()),
            Err(RecvTimeoutError::Disconnected) => Err(self.thread_ended()),
        }
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        if self.shared.is_poisoned() {
            return Err(self.poisoned());
        }
        let jobs = self.jobs.as_ref().ok_or(Error::ThreadEnded)?;
        match jobs.send_timeout(job, self.time_out) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Timeout(_)) => Err(self.give_up()),
            Err(SendTimeoutError::Disconnected(_)) => Err(self.thread_ended()),
        }
    }

    fn give_up(&self) -> Error {
        self.shared.poison(Failure::TimedOut);
        self.poisoned()
    }

    /// It ended without being asked, perhaps with something in flight: nothing may be closed.
    fn thread_ended(&self) -> Error {
        self.shared.poison(Failure::Poisoned);
        Error::ThreadEnded
    }

    fn poisoned(&self) -> Error {
        Error::Poisoned {
            object: self.shared.path.clone(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        let stuck = self.shared.is_poisoned()
            && self.ended.recv_timeout(LAST_WAIT) == Err(RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take().filter(|_| !stuck) {
            let _ = thread.join();
        }
    }
}

/// How the handle is read. Once a call was accepted it stays so: both kinds on one handle are
/// error 26000 (VDDK API reference, 7.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Asynchronous reads are wanted, and none was accepted so far.
    Untried,
    Asynchronous,
    Synchronous,
}

/// What the thread itself holds.
struct Mover {
    handle: Raw<VixDiskLibHandleStruct>,
    shared: Arc<Shared>,
    pace: Pace,
    way: Way,
    /// Places in flight: taken before a call, given back by its completion.
    give_back: Sender<()>,
    places: Receiver<()>,
    /// The last keep-alive read.
    beat: Option<Taker<Answer>>,
}

impl Mover {
    fn new(handle: Raw<VixDiskLibHandleStruct>, shared: Arc<Shared>, pace: Pace) -> Self {
        let (give_back, places) = bounded(pace.in_flight);
        for _ in 0..pace.in_flight {
            let _ = give_back.try_send(());
        }
        Self {
            handle,
            shared,
            pace,
            way: match pace.mode {
                ReadMode::Asynchronous => Way::Untried,
                ReadMode::Synchronous => Way::Synchronous,
            },
            give_back,
            places,
            beat: None,
        }
    }

    fn run(mut self, inbox: &Receiver<Job>) {
        loop {
            let job = match self.pace.keep_alive {
                Some(idle) => inbox.recv_timeout(idle),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match job {
                Ok(Job::Move(request)) => self.request(&request),
                Ok(Job::Flush { reply }) => {
                    let _ = reply.send(self.drain(true));
                }
                Ok(Job::End { flush, reply }) => {
                    let _ = reply.send(self.drain(flush));
                    return;
                }
                Ok(Job::Rest { reply, until }) => {
                    let drained = self.drain(false);
                    let rest = drained.is_ok();
                    let _ = reply.send(drained);
                    if rest {
                        // Nothing is ever sent: this ends when the other end is dropped.
                        let _ = until.recv();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.keep_alive(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the first sector, by the way that all reads of this handle go, so that neither side
    /// takes the link for dead (VDDK API reference, 5). Whatever the consumer does meanwhile.
    fn keep_alive(&mut self) {
        let idle = self.places.len() == self.pace.in_flight;
        if !idle || self.shared.is_poisoned() {
            return;
        }
        let last = self.beat.take().map(|beat| beat.wait(Some(Duration::ZERO)));
        if let Some(Waited::Given(Err(failure))) = last {
            let error = self.shared.error(failure);
            let path = &self.shared.path;
            contained(|| tracing::warn!(%path, %error, "the idle disk does not answer"));
        }
        let Ok(buffer) = SectorBuf::new(1) else {
            return;
        };
        let (request, answer) = Request::read(0, buffer, 1);
        self.shared.begin(&request, Instant::now());
        self.beat = Some(answer);
        self.request(&request);
    }

    fn request(&mut self, request: &Arc<Request>) {
        let end = request.start_sector() + request.sectors();
        let mut at = request.start_sector();
        while at < end {
            let sectors = self.pace.piece_sectors.min(end - at);
            let piece = Piece {
                request: Arc::clone(request),
                slot: None,
            };
            if request.has_failed() || self.shared.is_poisoned() {
                piece.fail(Failure::Poisoned);
            } else if self.way == Way::Synchronous {
                self.move_now(piece, at, sectors);
            } else {
                self.submit(piece, at, sectors);
            }
            at += sectors;
        }
    }

    fn move_now(&self, piece: Piece, start_sector: u64, sectors: u64) {
        let buffer = piece.request.pointer_for(start_sector);
        let symbols = self.shared.symbols();
        let direction = piece.request.direction();
        let result = match direction {
            // SAFETY: the handle is open until this thread has ended; the buffer has room for
            // `sectors` from this pointer on, since the piece lies inside its request, which owns
            // the buffer; this thread alone uses the handle.
            Direction::Read => unsafe {
                symbols.VixDiskLib_Read(self.handle.0, start_sector, sectors, buffer)
            },
            // SAFETY: as above; the bytes are only read.
            Direction::Write => unsafe {
                symbols.VixDiskLib_Write(self.handle.0, start_sector, sectors, buffer)
            },
        };
        piece.complete(direction.synchronous(), result);
    }

    fn submit(&mut self, mut piece: Piece, start_sector: u64, sectors: u64) {
        if self.places.recv_timeout(self.pace.time_out).is_err() {
            // Something in flight never came back.
            self.shared.poison(Failure::TimedOut);
            piece.fail(Failure::Poisoned);
            return;
        }
        piece.slot = Some(Slot(self.give_back.clone()));
        let request = Arc::clone(&piece.request);
        // Handed over before the call: the completion may come inside it.
        let data = Box::into_raw(Box::new(piece));
        let result = self.call(&request, start_sector, sectors, data);
        match u32::from(Code::of(result).0) {
            VIX_ASYNC => self.way = Way::Asynchronous,
            // No answer of these functions: perhaps the completion was called, perhaps it will be.
            // So the box is not taken back. It is kept, and with it the request and the buffer;
            // the disk is given up before the caller hears of it.
            VIX_OK => {
                given_up::keep(Raw(data));
                self.shared.poison_for(&request, Failure::NotAccepted);
            }
            code => {
                // SAFETY: an error says that the request was not accepted and the completion will
                // not be called (VDDK API reference, 1.7), so the box is still ours.
                let piece = unsafe { Box::from_raw(data) };
                if code == VIX_E_NOT_SUPPORTED && self.way == Way::Untried {
                    let path = &self.shared.path;
                    contained(|| tracing::info!(%path, "no asynchronous calls, so one by one"));
                    self.way = Way::Synchronous;
                    self.move_now(*piece, start_sector, sectors);
                    return;
                }
                piece.fail(Failure::Call {
                    function: request.direction().asynchronous(),
                    result,
                });
            }
        }
    }

    /// Makes the asynchronous call. `data` is a boxed [`Piece`] of the request, given to the
    /// completion.
    fn call(
        &self,
        request: &Request,
        start_sector: u64,
        sectors: u64,
        data: *mut Piece,
    ) -> vddk_sys::VixError {
        let symbols = self.shared.symbols();
        let (handle, data) = (self.handle.0, data.cast());
        let buffer = request.pointer_for(start_sector);
        match request.direction() {
            // SAFETY: as in `move_now`; besides, the request keeps the buffer until the completion
            // has run, and `data` is a box that the completion takes back exactly once.
            Direction::Read => unsafe {
                let done = Some(callback::read_done as _);
                symbols.VixDiskLib_ReadAsync(handle, start_sector, sectors, buffer, done, data)
            },
            // SAFETY: as above.
            Direction::Write => unsafe {
                let done = Some(callback::write_done as _);
                symbols.VixDiskLib_WriteAsync(handle, start_sector, sectors, buffer, done, data)
            },
        }
    }

    fn drain(&self, flush: bool) -> Result<(), Error> {
        let poisoned = || self.shared.error(Failure::Poisoned);
        if self.shared.is_poisoned() {
            return Err(poisoned());
        }
        for _ in 0..self.pace.in_flight {
            if self.places.recv_timeout(self.pace.time_out).is_err() {
                self.shared.poison(Failure::TimedOut);
                return Err(poisoned());
            }
        }
        let symbols = self.shared.symbols();
        let path = Some(self.shared.path.as_str());
        // SAFETY: the handle is open, and this thread alone uses it.
        let result = unsafe { symbols.VixDiskLib_Wait(self.handle.0) };
        for _ in 0..self.pace.in_flight {
            let _ = self.give_back.try_send(());
        }
        let waited = check(symbols, "VixDiskLib_Wait", path, None, result);
        if !flush {
            return waited;
        }
        // SAFETY: as above; nothing is in flight.
        let result = unsafe { symbols.VixDiskLib_Flush(self.handle.0) };
        // A write that failed is not on the disk, however well the flush went.
        if let Some(failure) = self.shared.failed_write.take() {
            return Err(self.shared.error(failure));
        }
        waited?;
        check(symbols, "VixDiskLib_Flush", path, None, result)
    }
}
