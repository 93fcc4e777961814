//! What was read of one disk, on its way into the session.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use vddk::SECTOR_BYTES;

use crate::{
    engine::{block_set::BlockSet, error::Error, monitor::Monitor, source::ReadDone},
    repo::{DiskSlot, SessionRow},
};

/// Where the blocks of a disk go.
#[derive(Clone)]
pub struct Sink<'env> {
    /// The sessions of the run.
    pub row: &'env SessionRow,
    /// The disk's place in each of them.
    pub slot: DiskSlot,
    /// Who watches.
    pub monitor: &'env dyn Monitor,
    /// The disk, as the monitor knows it.
    pub key: i32,
}

impl std::fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("slot", &self.slot)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What the workers share while they work on a disk.
#[derive(Debug)]
pub(super) struct Stage<'env> {
    sink: Sink<'env>,
    block_shift: u8,
    capacity_bytes: u64,
    /// Blocks that are not stored yet.
    left: Mutex<BlockSet>,
    /// Blocks that were read in part, and whose rest could not be had.
    unfilled: Mutex<Vec<u64>>,
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
}

/// What came of a pass.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) left: BlockSet,
    pub(super) unfilled: Vec<u64>,
    pub(super) failure: Option<Error>,
}

impl<'env> Stage<'env> {
    pub(super) fn new(sink: Sink<'env>, wanted: &BlockSet, capacity_bytes: u64) -> Self {
        Self {
            sink,
            block_shift: wanted.block_shift(),
            capacity_bytes,
            left: Mutex::new(wanted.clone()),
            unfilled: Mutex::default(),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        }
    }

    /// Nothing more need be read.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// What came of it; to be asked when no worker has anything of it.
    pub(super) fn end(&self) -> Done {
        let mut left = lock(&self.left);
        let nothing = BlockSet::empty(left.capacity_bytes(), left.block_shift());
        Done {
            left: std::mem::replace(&mut left, nothing),
            unfilled: std::mem::take(&mut lock(&self.unfilled)),
            failure: lock(&self.failure).take(),
        }
    }

    /// Stores what was read. A failure ends the pass.
    pub(super) fn take(&self, done: &ReadDone) {
        if self.has_failed() {
            return;
        }
        let stored = catch_unwind(AssertUnwindSafe(|| {
            self.store(done)?;
            let bytes = done.buffer.len() as u64;
            self.sink.monitor.advance(self.sink.key, bytes);
            Ok(())
        }));
        match stored {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(error),
            // A fault of ours ends this disk like any other error, with all threads alive.
            Err(payload) => self.fail(Error::panicked(payload.as_ref())),
        }
    }

    fn store(&self, done: &ReadDone) -> Result<(), Error> {
        let Sink { row, slot, .. } = self.sink;
        let mut at = done.start_sector * SECTOR_BYTES as u64;
        let mut rest: &[u8] = &done.buffer;
        while !rest.is_empty() {
            let block = at >> self.block_shift;
            let start = block << self.block_shift;
            let end = (start + (1 << self.block_shift)).min(self.capacity_bytes);
            // A read ends with the disk, or before.
            let (part, behind) = rest.split_at(rest.len().min((end - at) as usize));
            let is_stored = if part.len() as u64 == end - start {
                row.put(slot, block, part)?;
                true
            } else {
                let patched = row.patch(slot, block, (at - start) as usize, part)?;
                patched.is_some()
            };
            if is_stored {
                lock(&self.left).remove(block);
            } else {
                lock(&self.unfilled).push(block);
            }
            at += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
