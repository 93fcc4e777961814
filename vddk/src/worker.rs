//! The one thread that reads from a disk.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use vddk_sys::{VIX_ASYNC, VIX_E_NOT_SUPPORTED, VIX_OK, VixDiskLibHandleStruct};

use crate::{
    Code, Error, ReadMode, callback,
    control::{Raw, check},
    disk::Shared,
    given_up,
    read::{Failure, Piece, Request},
};

/// What a disk's worker is asked to do.
enum Job {
    Read(Arc<Request>),
    /// Let everything in flight end, and say so.
    Drain(Sender<Result<(), Error>>),
}

/// How a worker reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) mode: ReadMode,
    /// Calls in flight at once.
    pub(crate) in_flight: usize,
    /// Longest single call.
    pub(crate) piece_sectors: u64,
    /// How long a completion may take.
    pub(crate) time_out: Duration,
}

impl Pace {
    /// How many calls a read of `sectors` needs.
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
        let reader = Reader::new(handle, Arc::clone(&shared), pace);
        let thread = thread::Builder::new()
            .name("vddk-disk".to_owned())
            .spawn(move || {
                reader.run(&inbox);
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

    /// Hands a read over; blocks while too many wait.
    pub(crate) fn read(&self, request: Arc<Request>) -> Result<(), Error> {
        self.send(Job::Read(request))
    }

    /// Returns when nothing is in flight any more (`VixDiskLib_Wait`).
    pub(crate) fn drain(&self) -> Result<(), Error> {
        let (reply, answer) = bounded(1);
        self.send(Job::Drain(reply))?;
        match answer.recv_timeout(self.time_out) {
            Ok(drained) => drained,
            Err(RecvTimeoutError::Timeout) => Err(self.give_up()),
            Err(RecvTimeoutError::Disconnected) => Err(Error::ThreadEnded),
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
            Err(SendTimeoutError::Disconnected(_)) => Err(Error::ThreadEnded),
        }
    }

    fn give_up(&self) -> Error {
        self.shared.poison();
        self.poisoned()
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
struct Reader {
    handle: Raw<VixDiskLibHandleStruct>,
    shared: Arc<Shared>,
    pace: Pace,
    way: Way,
    /// Places in flight: taken before a call, given back by its completion.
    give_back: Sender<()>,
    places: Receiver<()>,
}

impl Reader {
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
        }
    }

    fn run(mut self, inbox: &Receiver<Job>) {
        for job in inbox {
            match job {
                Job::Read(request) => self.read(&request),
                Job::Drain(reply) => {
                    let _ = reply.send(self.drain());
                }
            }
        }
    }

    fn read(&mut self, request: &Arc<Request>) {
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
                self.read_now(piece, at, sectors);
            } else {
                self.submit(piece, at, sectors);
            }
            at += sectors;
        }
    }

    fn read_now(&self, piece: Piece, start_sector: u64, sectors: u64) {
        let buffer = piece.request.pointer_for(start_sector);
        let symbols = self.shared.symbols();
        // SAFETY: the handle is open until this thread has ended; the buffer has room for
        // `sectors` from this pointer on, since the piece lies inside its request, which owns the
        // buffer; this thread alone uses the handle.
        let result =
            unsafe { symbols.VixDiskLib_Read(self.handle.0, start_sector, sectors, buffer) };
        piece.complete("VixDiskLib_Read", result);
    }

    fn submit(&mut self, mut piece: Piece, start_sector: u64, sectors: u64) {
        if self.places.recv_timeout(self.pace.time_out).is_err() {
            // Something in flight never came back.
            self.shared.poison();
            piece.fail(Failure::Poisoned);
            return;
        }
        piece.slot = Some(self.give_back.clone());
        let buffer = piece.request.pointer_for(start_sector);
        let request = Arc::clone(&piece.request);
        // Handed over before the call: the completion may come inside it.
        let data = Box::into_raw(Box::new(piece));
        let symbols = self.shared.symbols();
        // SAFETY: as in `read_now`; besides, the request keeps the buffer until the completion has
        // run, and `data` is a box that the completion takes back exactly once.
        let result = unsafe {
            symbols.VixDiskLib_ReadAsync(
                self.handle.0,
                start_sector,
                sectors,
                buffer,
                Some(callback::read_done),
                data.cast(),
            )
        };
        match u32::from(Code::of(result).0) {
            VIX_ASYNC => self.way = Way::Asynchronous,
            // No answer of this function: perhaps the completion was called, perhaps it will be.
            // So the box is not taken back. It is kept, and with it the request and the buffer;
            // the disk is given up before the caller hears of it.
            VIX_OK => {
                given_up::keep(Raw(data));
                self.shared.poison();
                request.fail_now(Failure::NotAccepted);
            }
            code => {
                // SAFETY: an error says that the request was not accepted and the completion will
                // not be called (VDDK API reference, 1.7), so the box is still ours.
                let piece = unsafe { Box::from_raw(data) };
                if code == VIX_E_NOT_SUPPORTED && self.way == Way::Untried {
                    tracing::info!(path = %self.shared.path, "no asynchronous reads, so one by one");
                    self.way = Way::Synchronous;
                    self.read_now(*piece, start_sector, sectors);
                    return;
                }
                piece.fail(Failure::Call {
                    function: "VixDiskLib_ReadAsync",
                    result,
                });
            }
        }
    }

    fn drain(&self) -> Result<(), Error> {
        let poisoned = || Error::Poisoned {
            object: self.shared.path.clone(),
        };
        if self.shared.is_poisoned() {
            return Err(poisoned());
        }
        for _ in 0..self.pace.in_flight {
            if self.places.recv_timeout(self.pace.time_out).is_err() {
                self.shared.poison();
                return Err(poisoned());
            }
        }
        let symbols = self.shared.symbols();
        // SAFETY: the handle is open, and this thread alone uses it.
        let result = unsafe { symbols.VixDiskLib_Wait(self.handle.0) };
        for _ in 0..self.pace.in_flight {
            let _ = self.give_back.try_send(());
        }
        check(
            symbols,
            "VixDiskLib_Wait",
            Some(&self.shared.path),
            None,
            result,
        )
    }
}
