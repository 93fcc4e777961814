//! A read on its way: the request, its pieces, and the caller's end of it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{Error, SECTOR_BYTES, SectorBuf, control::check, disk::Shared};

/// Why a read failed, before it is put into words on the caller's thread.
#[derive(Clone, Copy, Debug)]
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
    /// The disk was given up.
    Poisoned,
}

/// A read of one buffer, perhaps in several pieces.
///
/// It owns the buffer as long as any piece may still be written to.
pub(crate) struct Request {
    start_sector: u64,
    sectors: u64,
    base: *mut u8,
    buffer: Mutex<Option<SectorBuf>>,
    pieces_left: AtomicUsize,
    failure: Mutex<Option<Failure>>,
    /// Taken by the first answer: there is one.
    reply: Mutex<Option<Sender<Result<SectorBuf, Failure>>>>,
}

// SAFETY: `base` points into the heap memory of `buffer`, which moves with neither value. It is
// only written through by the library, to ranges that belong to one piece each, and nobody reads
// the bytes before the last piece is complete (`pieces_left` with acquire-release order).
unsafe impl Send for Request {}
// SAFETY: as above; all other fields are Sync.
unsafe impl Sync for Request {}

impl Request {
    /// Makes the request and the caller's end of it. `pieces` is at least 1.
    pub(crate) fn new(
        start_sector: u64,
        mut buffer: SectorBuf,
        pieces: usize,
    ) -> (Arc<Self>, Receiver<Result<SectorBuf, Failure>>) {
        let (reply, answer) = bounded(1);
        let base = buffer.as_mut_ptr();
        let sectors = buffer.sectors() as u64;
        let request = Self {
            start_sector,
            sectors,
            base,
            buffer: Mutex::new(Some(buffer)),
            pieces_left: AtomicUsize::new(pieces),
            failure: Mutex::new(None),
            reply: Mutex::new(Some(reply)),
        };
        (Arc::new(request), answer)
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
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// One piece is done. The last one sends the answer.
    fn piece_done(&self, failure: Option<Failure>) {
        if let Some(failure) = failure {
            self.note(failure);
        }
        if self.pieces_left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let buffer = self
            .buffer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let failure = *self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        self.answer(match (failure, buffer) {
            (None, Some(buffer)) => Ok(buffer),
            (Some(failure), _) => Err(failure),
            (None, None) => Err(Failure::Poisoned),
        });
    }

    /// Fails the whole read for its caller, whatever its pieces do later.
    ///
    /// The buffer stays: the library may still write into it, and each piece that is not done keeps
    /// the request. A completion that comes after all finds the answer given.
    pub(crate) fn fail_now(&self, failure: Failure) {
        self.note(failure);
        self.answer(Err(failure));
    }

    /// Keeps the first failure.
    fn note(&self, failure: Failure) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
    }

    /// Answers, unless that was done. A buffer that nobody waits for goes away here.
    fn answer(&self, answer: Result<SectorBuf, Failure>) {
        let reply = self
            .reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(reply) = reply {
            // There is room for one answer. The receiver is gone when the pending read was dropped.
            let _ = reply.try_send(answer);
        }
    }
}

/// One call of the library for a part of a request.
pub(crate) struct Piece {
    pub(crate) request: Arc<Request>,
    /// Gives the place in flight back.
    pub(crate) slot: Option<Sender<()>>,
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
        if let Some(slot) = self.slot {
            // There is room for every place that was taken.
            let _ = slot.try_send(());
        }
    }
}

/// A read that was begun. Dropping it is sound: the buffer lives until VDDK is done with it.
#[derive(Debug)]
#[must_use = "the data is in what `wait` returns"]
pub struct PendingRead {
    pub(crate) answer: Receiver<Result<SectorBuf, Failure>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) time_out: Duration,
}

impl PendingRead {
    /// Waits for the data.
    ///
    /// # Errors
    /// [`Error::Call`] with the library's code; [`Error::TimedOut`] when no completion came: the
    /// buffer is then leaked, and the disk serves no more reads.
    pub fn wait(self) -> Result<SectorBuf, Error> {
        let object = &self.shared.path;
        match self.answer.recv_timeout(self.time_out) {
            Ok(Ok(buffer)) => Ok(buffer),
            Ok(Err(Failure::Call { function, result })) => {
                let symbols = self.shared.symbols();
                match check(symbols, function, Some(object), None, result) {
                    Err(error) => Err(error),
                    Ok(()) => Err(Error::ThreadEnded),
                }
            }
            Ok(Err(Failure::NotAccepted)) => Err(Error::Argument {
                what: format!(
                    "an asynchronous read of {object} that the library neither accepts nor refuses"
                ),
            }),
            Ok(Err(Failure::Poisoned)) => Err(Error::Poisoned {
                object: object.clone(),
            }),
            Err(RecvTimeoutError::Timeout) => {
                self.shared.poison();
                Err(Error::TimedOut {
                    object: object.clone(),
                    after: self.time_out,
                })
            }
            Err(RecvTimeoutError::Disconnected) => Err(Error::ThreadEnded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, PendingRead, Piece, Request};
    use crate::{SectorBuf, callback};
    use crossbeam_channel::bounded;

    static_assertions::assert_impl_all!(PendingRead: Send);

    fn request(
        sectors: usize,
        pieces: usize,
    ) -> (
        std::sync::Arc<Request>,
        crossbeam_channel::Receiver<Result<SectorBuf, Failure>>,
    ) {
        Request::new(100, SectorBuf::new(sectors).unwrap(), pieces)
    }

    #[test]
    fn the_last_piece_in_any_order_sends_the_buffer() {
        let (slot, slots) = bounded(3);
        let (request, answer) = request(6, 3);
        for done in 0..3 {
            assert!(answer.is_empty(), "answered after {done} of 3 pieces");
            // SAFETY: two sectors inside the buffer, which the request owns and nobody else touches.
            unsafe { request.pointer_for(104 - 2 * done).write_bytes(7, 1024) };
            Piece {
                request: request.clone(),
                slot: Some(slot.clone()),
            }
            .complete("VixDiskLib_Read", 0);
        }
        assert!(
            answer
                .recv()
                .unwrap()
                .unwrap()
                .iter()
                .all(|byte| *byte == 7)
        );
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn a_failed_piece_fails_the_read_but_only_when_all_are_done() {
        let (request, answer) = request(2, 2);
        Piece {
            request: request.clone(),
            slot: None,
        }
        .complete("VixDiskLib_Read", 13);
        assert!(answer.is_empty() && request.has_failed());
        Piece {
            request: request.clone(),
            slot: None,
        }
        .complete("VixDiskLib_Read", 0);
        assert!(matches!(
            answer.recv().unwrap(),
            Err(Failure::Call {
                function: "VixDiskLib_Read",
                result: 13
            })
        ));
    }

    #[test]
    fn a_read_that_was_failed_at_once_takes_a_late_completion() {
        for answer_is_taken in [true, false] {
            let (request, answer) = request(2, 1);
            let data = Box::into_raw(Box::new(Piece {
                request: request.clone(),
                slot: None,
            }));
            request.fail_now(Failure::NotAccepted);
            assert!(request.has_failed());
            let is_the_failure = || matches!(answer.try_recv(), Ok(Err(Failure::NotAccepted)));
            assert!(!answer_is_taken || is_the_failure());
            // SAFETY: two sectors of the buffer, which the request must still own.
            unsafe { request.pointer_for(100).write_bytes(7, 1024) };
            drop(request);
            // SAFETY: the pointer came from a box and is handed back once.
            unsafe { callback::read_done(data.cast(), 0) };
            assert!(answer_is_taken || is_the_failure());
            assert!(answer.try_recv().is_err(), "there is a second answer");
        }
    }

    #[test]
    fn a_read_that_ended_inside_the_call_is_not_failed_afterwards() {
        let (request, answer) = request(1, 1);
        Piece {
            request: request.clone(),
            slot: None,
        }
        .complete("VixDiskLib_Read", 0);
        request.fail_now(Failure::NotAccepted);
        assert!(matches!(answer.try_recv(), Ok(Ok(_))));
        assert!(answer.try_recv().is_err(), "there is a second answer");
    }

    #[test]
    fn a_completion_after_the_caller_left_is_harmless() {
        let (request, answer) = request(1, 1);
        drop(answer);
        Piece {
            request,
            slot: None,
        }
        .complete("VixDiskLib_Read", 0);
    }
}
