//! A read or write on its way: one buffer, perhaps in several calls.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crossbeam_channel::Sender;

use crate::{
    SECTOR_BYTES, SectorBuf,
    answer::{Giver, Taker, answer},
};

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    pub(crate) fn synchronous(self) -> &'static str {
        match self {
            Self::Read => "VixDiskLib_Read",
            Self::Write => "VixDiskLib_Write",
        }
    }

    pub(crate) fn asynchronous(self) -> &'static str {
        match self {
            Self::Read => "VixDiskLib_ReadAsync",
            Self::Write => "VixDiskLib_WriteAsync",
        }
    }
}

/// Why a request failed, before it is put into words on the caller's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The library's result, in the call or in the completion.
    Call {
        /// The C function.
        function: &'static str,
        result: u64,
    },
    /// The library answered success where it must say `VIX_ASYNC`: whether the completion comes
    /// nobody knows.
    NotAccepted,
    /// It was not done in time.
    TimedOut,
    /// The disk was given up.
    Poisoned,
}

/// The first write that failed since the last flush. A caller may drop a pending write; what
/// became of it is then still told by the flush.
#[derive(Debug, Default)]
pub(crate) struct FailedWrite(Mutex<Option<Failure>>);

impl FailedWrite {
    fn note(&self, failure: Failure) {
        lock(&self.0).get_or_insert(failure);
    }

    pub(crate) fn take(&self) -> Option<Failure> {
        lock(&self.0).take()
    }
}

pub(crate) type Answer = Result<SectorBuf, Failure>;

/// A read or write of one buffer.
///
/// It owns the buffer as long as the library may still touch any piece of it.
#[derive(Debug)]
pub(crate) struct Request {
    direction: Direction,
    start_sector: u64,
    sectors: u64,
    base: *mut u8,
    buffer: Mutex<Option<SectorBuf>>,
    pieces_left: AtomicUsize,
    failure: Mutex<Option<Failure>>,
    answered: AtomicBool,
    /// Taken by the first answer: there is one.
    reply: Mutex<Option<Giver<Answer>>>,
    /// For a write: where its failure is kept for the next flush.
    failed_write: Option<Arc<FailedWrite>>,
}

// SAFETY: `base` points into the heap memory of `buffer`, which moves with neither value. It is
// only used by the library, for ranges that belong to one piece each, and nobody else reads or
// writes the bytes before the last piece is complete (`pieces_left` with acquire-release order).
unsafe impl Send for Request {}
// SAFETY: as above; all other fields are Sync.
unsafe impl Sync for Request {}

impl Request {
    /// Makes a read and the caller's end of it. `pieces` is at least 1.
    pub(crate) fn read(
        start_sector: u64,
        buffer: SectorBuf,
        pieces: usize,
    ) -> (Arc<Self>, Taker<Answer>) {
        Self::new(Direction::Read, start_sector, buffer, pieces, None)
    }

    /// Makes a write and the caller's end of it. `pieces` is at least 1.
    pub(crate) fn write(
        start_sector: u64,
        buffer: SectorBuf,
        pieces: usize,
        failed: Arc<FailedWrite>,
    ) -> (Arc<Self>, Taker<Answer>) {
        Self::new(Direction::Write, start_sector, buffer, pieces, Some(failed))
    }

    fn new(
        direction: Direction,
        start_sector: u64,
        mut buffer: SectorBuf,
        pieces: usize,
        failed_write: Option<Arc<FailedWrite>>,
    ) -> (Arc<Self>, Taker<Answer>) {
        let (reply, answer) = answer();
        let base = buffer.as_mut_ptr();
        let sectors = buffer.sectors() as u64;
        let request = Self {
            direction,
            start_sector,
            sectors,
            base,
            buffer: Mutex::new(Some(buffer)),
            pieces_left: AtomicUsize::new(pieces),
            failure: Mutex::new(None),
            answered: AtomicBool::new(false),
            reply: Mutex::new(Some(reply)),
            failed_write,
        };
        (Arc::new(request), answer)
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn start_sector(&self) -> u64 {
        self.start_sector
    }

    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Where the sectors from `start_sector` on belong. The caller keeps to `[start, start + sectors)`.
    pub(crate) fn pointer_for(&self, start_sector: u64) -> *mut u8 {
        let offset_sectors = start_sector - self.start_sector;
        debug_assert!(offset_sectors < self.sectors);
        self.base
            .wrapping_add(offset_sectors as usize * SECTOR_BYTES)
    }

    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.failure).is_some()
    }

    /// The caller has its answer, or could have it.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// One piece is done. The last one sends the answer.
    fn piece_done(&self, failure: Option<Failure>) {
        if let Some(failure) = failure {
            self.note(failure);
        }
        if self.pieces_left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let buffer = lock(&self.buffer).take();
        let failure = *lock(&self.failure);
        self.answer(match (failure, buffer) {
            (None, Some(buffer)) => Ok(buffer),
            (Some(failure), _) => Err(failure),
            (None, None) => Err(Failure::Poisoned),
        });
    }

    /// Fails the whole request for its caller, whatever its pieces do later.
    ///
    /// The buffer stays: the library may still touch it, and each piece that is not done keeps the
    /// request. A completion that comes after all finds the answer given.
    pub(crate) fn fail_now(&self, failure: Failure) {
        // Whoever has the reply decides: what the last completion answers is not failed afterwards.
        if let Some(reply) = lock(&self.reply).take() {
            self.note(failure);
            self.give(reply, Err(failure));
        }
    }

    /// Keeps the first failure.
    fn note(&self, failure: Failure) {
        lock(&self.failure).get_or_insert(failure);
        if let Some(failed) = &self.failed_write {
            failed.note(failure);
        }
    }

    /// Answers, unless that was done. A buffer that nobody waits for goes away here.
    fn answer(&self, answer: Answer) {
        let reply = lock(&self.reply).take();
        if let Some(reply) = reply {
            self.give(reply, answer);
        }
    }

    fn give(&self, reply: Giver<Answer>, answer: Answer) {
        self.answered.store(true, Ordering::Release);
        // Given back when the pending request was dropped.
        let _ = reply.give(answer);
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in flight. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(pub(crate) Sender<()>);

impl Drop for Slot {
    fn drop(&mut self) {
        // There is room for every place that was taken.
        let _ = self.0.try_send(());
    }
}

/// One call of the library for a part of a request.
#[derive(Debug)]
pub(crate) struct Piece {
    // Declared in the order in which they are released: a place is free when its answer is given.
    pub(crate) request: Arc<Request>,
    /// Gives the place in flight back.
    pub(crate) slot: Option<Slot>,
}

impl Piece {
    /// The library says that `function` is done.
    pub(crate) fn complete(self, function: &'static str, result: u64) {
        self.end((result != 0).then_some(Failure::Call { function, result }));
    }

    /// It was never begun, or will never be completed.
    pub(crate) fn fail(self, failure: Failure) {
        self.end(Some(failure));
    }

    fn end(self, failure: Option<Failure>) {
        self.request.piece_done(failure);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Barrier},
        thread,
        time::Duration,
    };

    use crossbeam_channel::bounded;

    use super::{Answer, FailedWrite, Failure, Piece, Request, Slot};
    use crate::{
        SectorBuf,
        answer::{Taker, Waited},
        callback,
    };

    fn request(sectors: usize, pieces: usize) -> (Arc<Request>, Taker<Answer>) {
        Request::read(100, SectorBuf::new(sectors).unwrap(), pieces)
    }

    fn piece(request: &Arc<Request>) -> Piece {
        Piece {
            request: Arc::clone(request),
            slot: None,
        }
    }

    fn now(answer: Taker<Answer>) -> Waited<Answer> {
        answer.wait(Some(Duration::ZERO))
    }

    #[test]
    fn the_last_piece_in_any_order_sends_the_buffer() {
        let (slot, slots) = bounded(3);
        let (request, answer) = request(6, 3);
        for done in 0..3 {
            assert!(!request.is_answered(), "answered after {done} of 3 pieces");
            // SAFETY: two sectors inside the buffer, which the request owns and nobody else touches.
            unsafe { request.pointer_for(104 - 2 * done).write_bytes(7, 1024) };
            Piece {
                request: Arc::clone(&request),
                slot: Some(Slot(slot.clone())),
            }
            .complete("VixDiskLib_Read", 0);
        }
        match now(answer) {
            Waited::Given(Ok(buffer)) => assert!(buffer.iter().all(|byte| *byte == 7)),
            other => panic!("{other:?}"),
        }
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn a_failed_piece_fails_the_request_but_only_when_all_are_done() {
        let (request, answer) = request(2, 2);
        piece(&request).complete("VixDiskLib_Read", 13);
        assert!(!request.is_answered() && request.has_failed());
        piece(&request).complete("VixDiskLib_Read", 0);
        let failure = Failure::Call {
            function: "VixDiskLib_Read",
            result: 13,
        };
        match now(answer) {
            Waited::Given(Err(seen)) => assert_eq!(seen, failure),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_that_was_failed_at_once_takes_a_late_completion() {
        let (request, answer) = request(2, 1);
        let data = Box::into_raw(Box::new(piece(&request)));
        request.fail_now(Failure::NotAccepted);
        assert!(request.has_failed() && request.is_answered());
        // SAFETY: two sectors of the buffer, which the request must still own.
        unsafe { request.pointer_for(100).write_bytes(7, 1024) };
        drop(request);
        // SAFETY: the pointer came from a box and is handed back once.
        unsafe { callback::read_done(data.cast(), 0) };
        assert!(matches!(
            now(answer),
            Waited::Given(Err(Failure::NotAccepted))
        ));
    }

    #[test]
    fn a_request_that_ended_inside_the_call_is_not_failed_afterwards() {
        let (request, answer) = request(1, 1);
        piece(&request).complete("VixDiskLib_Read", 0);
        request.fail_now(Failure::NotAccepted);
        assert!(!request.has_failed());
        assert!(matches!(now(answer), Waited::Given(Ok(_))));
    }

    #[test]
    fn a_write_is_failed_or_done_and_never_both() {
        for _ in 0..if cfg!(miri) { 20 } else { 3_000 } {
            let failed = Arc::new(FailedWrite::default());
            let buffer = SectorBuf::new(1).unwrap();
            let (request, answer) = Request::write(0, buffer, 1, Arc::clone(&failed));
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    request.fail_now(Failure::TimedOut);
                });
                start.wait();
                piece(&request).complete("VixDiskLib_Write", 0);
            });
            let done = matches!(now(answer), Waited::Given(Ok(_)));
            assert_eq!(done, failed.take().is_none());
        }
    }

    #[test]
    fn a_completion_after_the_caller_left_is_harmless() {
        let (request, answer) = request(1, 1);
        drop(answer);
        piece(&request).complete("VixDiskLib_Read", 0);
    }

    #[test]
    fn a_failed_write_is_kept_for_the_flush_though_nobody_waited() {
        let failed = Arc::new(FailedWrite::default());
        for result in [0, 8, 7] {
            let buffer = SectorBuf::new(1).unwrap();
            let (request, answer) = Request::write(0, buffer, 1, Arc::clone(&failed));
            drop(answer);
            piece(&request).complete("VixDiskLib_Write", result);
        }
        let first = Failure::Call {
            function: "VixDiskLib_Write",
            result: 8,
        };
        assert_eq!(failed.take(), Some(first));
        assert_eq!(failed.take(), None, "told once");
    }
}
