//! One disk on its way: read, zero test, hash, compress, seal, pack.
//!
//! The calling thread keeps reads in flight; a few workers hand the blocks to the repository's
//! session, which does the rest. The number of buffers is fixed: when the repository is slow, no
//! buffer is free and reading waits.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use vddk::{SECTOR_BYTES, SectorBuf};

use super::{
    block_set::BlockSet,
    error::Error,
    monitor::Monitor,
    source::{DiskSource, ReadDone, ReadRequest},
    wanted::Wanted,
};
use crate::repo::{DiskSlot, SessionRow};

/// How a disk is moved.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest read, in bytes; a whole number of blocks.
    pub read_bytes: u64,
    /// Reads in flight.
    pub in_flight: usize,
    /// Threads that hash, compress and seal.
    pub workers: usize,
}

impl Default for Pace {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            read_bytes: 2 * 1024 * 1024,
            in_flight: 4,
            workers: cores.clamp(1, 8),
        }
    }
}

impl Pace {
    /// Enough for the reads in flight, the queue, and one in each worker's hands.
    fn buffers(&self) -> usize {
        2 * self.in_flight + self.workers
    }
}

/// Where the blocks go.
#[derive(Clone, Copy)]
pub struct Sink<'a> {
    /// The sessions of the run.
    pub row: &'a SessionRow,
    /// The disk's place in each of them.
    pub slot: DiskSlot,
    /// Called after each read: the moment to commit what is there.
    pub after_read: &'a (dyn Fn() -> Result<(), Error> + Sync),
}

impl std::fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// What is to be read of a disk, and what was.
#[derive(Clone, Debug)]
pub struct Work {
    /// What is left. After a failure, all that is stored is out of it.
    pub wanted: Wanted,
    /// Bytes that were read.
    pub read_bytes: u64,
}

impl Work {
    /// All is left to do.
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            read_bytes: 0,
        }
    }
}

/// Reads what is left of a disk and hands it to the session. After a failure the same work can go on, with the
/// disk opened again.
///
/// Blocks that were read in part, and whose rest the repository could not supply, are read once more,
/// whole.
///
/// # Errors
/// [`Error::Vddk`] when a read failed, [`Error::Repository`] when a block could not be stored,
/// [`Error::Interrupted`].
pub fn copy(
    source: &mut dyn DiskSource,
    work: &mut Work,
    sink: Sink<'_>,
    pace: Pace,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<(), Error> {
    loop {
        let unfilled = pass(source, work, sink, pace, monitor, cancel)?;
        if unfilled.is_empty() {
            return Ok(());
        }
        for block in unfilled {
            work.wanted.insert_whole(block..block + 1);
        }
    }
}

/// Goes over the disk once. Returns the blocks that are to be read whole.
fn pass(
    source: &mut dyn DiskSource,
    work: &mut Work,
    sink: Sink<'_>,
    pace: Pace,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<Vec<u64>, Error> {
    let wanted = &work.wanted;
    let block_shift = wanted.blocks.block_shift();
    // A read is never shorter than a block.
    let pace = Pace {
        read_bytes: pace.read_bytes.max(1 << block_shift),
        ..pace
    };
    let stage = Stage {
        sink,
        block_shift,
        capacity_bytes: source.capacity_bytes(),
        left: Mutex::new(wanted.blocks.clone()),
        unfilled: Mutex::default(),
        failure: Mutex::new(None),
        failed: AtomicBool::new(false),
    };
    let (filled, to_store) = bounded::<ReadDone>(pace.in_flight);
    let (give_back, free) = bounded::<SectorBuf>(pace.buffers());
    for _ in 0..pace.buffers() {
        let _ = give_back.try_send(SectorBuf::new(pace.read_bytes as usize / SECTOR_BYTES)?);
    }
    let read = thread::scope(|scope| {
        for _ in 0..pace.workers {
            let (to_store, give_back, stage) = (to_store.clone(), give_back.clone(), &stage);
            scope.spawn(move || stage.run(&to_store, &give_back, monitor));
        }
        drop(to_store);
        // Now every buffer is free or belongs to a worker: without workers the wait for one ends.
        drop(give_back);
        let queues = Queues {
            filled: &filled,
            free: &free,
            after_read: sink.after_read,
            stop: &|| cancel.load(Ordering::Relaxed) || stage.failed.load(Ordering::Relaxed),
        };
        let read = read_all(source, wanted, &mut work.read_bytes, pace, &queues);
        drop(filled);
        read
    });
    let left = stage.left.into_inner();
    work.wanted.blocks = left.unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = stage
        .failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        return Err(error);
    }
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    read?;
    let unfilled = stage.unfilled.into_inner();
    Ok(unfilled.unwrap_or_else(PoisonError::into_inner))
}

/// What the reading thread and the workers hand each other, and what it looks at on its way.
struct Queues<'a> {
    filled: &'a Sender<ReadDone>,
    free: &'a Receiver<SectorBuf>,
    after_read: &'a dyn Fn() -> Result<(), Error>,
    stop: &'a dyn Fn() -> bool,
}

/// Keeps reads in flight until all is read, something failed, or `stop` says so.
fn read_all(
    source: &mut dyn DiskSource,
    wanted: &Wanted,
    read_bytes: &mut u64,
    pace: Pace,
    queues: &Queues<'_>,
) -> Result<(), Error> {
    let mut in_flight = 0;
    for range in wanted.reads(pace.read_bytes) {
        if (queues.stop)() {
            return Ok(());
        }
        if in_flight == pace.in_flight {
            in_flight -= 1;
            *read_bytes += pass_on(source, queues.filled)?;
            (queues.after_read)()?;
        }
        // Buffers come back from the workers, which end only after this function.
        let Ok(mut buffer) = queues.free.recv() else {
            return Ok(());
        };
        let length = range.end - range.start;
        buffer.resize(length as usize / SECTOR_BYTES)?;
        source.submit(ReadRequest {
            start_sector: range.start / SECTOR_BYTES as u64,
            buffer,
        })?;
        in_flight += 1;
    }
    for _ in 0..in_flight {
        *read_bytes += pass_on(source, queues.filled)?;
    }
    Ok(())
}

/// Hands the oldest read to the workers. Returns its bytes.
fn pass_on(source: &mut dyn DiskSource, filled: &Sender<ReadDone>) -> Result<u64, Error> {
    let Some(done) = source.next() else {
        return Ok(0);
    };
    let done = done?;
    let bytes = done.buffer.len() as u64;
    // The workers end only after the sender is dropped.
    let _ = filled.send(done);
    Ok(bytes)
}

/// What the workers share.
struct Stage<'a> {
    sink: Sink<'a>,
    block_shift: u8,
    capacity_bytes: u64,
    /// Blocks that are not stored yet.
    left: Mutex<BlockSet>,
    /// Blocks that were read in part, and whose rest could not be had.
    unfilled: Mutex<Vec<u64>>,
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
}

impl Stage<'_> {
    fn run(
        &self,
        to_store: &Receiver<ReadDone>,
        give_back: &Sender<SectorBuf>,
        monitor: &dyn Monitor,
    ) {
        for done in to_store {
            if !self.failed.load(Ordering::Relaxed) {
                let stored = catch_unwind(AssertUnwindSafe(|| {
                    self.store(&done)?;
                    monitor.advance(done.buffer.len() as u64);
                    Ok(())
                }));
                match stored {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => self.fail(error),
                    // A fault of ours ends this disk like any other error, with all threads alive.
                    Err(payload) => self.fail(Error::panicked(payload.as_ref())),
                }
            }
            let _ = give_back.try_send(done.buffer);
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
                let left = self.left.lock();
                left.unwrap_or_else(PoisonError::into_inner).remove(block);
            } else {
                let unfilled = self.unfilled.lock();
                unfilled.unwrap_or_else(PoisonError::into_inner).push(block);
            }
            at += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn fail(&self, error: Error) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{DiskSource, Pace, ReadDone, ReadRequest, Sink, Wanted, Work, copy};
    use crate::{
        engine::{Error, Event, Monitor, block_set::BlockSet},
        repo::{
            Consistency, Coverage, DiskOutcome, DiskSpec, Image, InitOptions, KdfParams, Piece,
            PointKind, Repository, RootInfo, RowInterval, SessionOptions, SessionRow, SessionSpec,
            Store, WalkOptions,
        },
        secret::Secret,
    };
    use std::{
        collections::VecDeque,
        ops::Range,
        sync::{Arc, atomic::AtomicBool},
    };
    use vddk::SECTOR_BYTES;

    const CAPACITY: u64 = 3 * (1 << 20) + 1536;

    /// A disk whose every sector tells its number.
    struct Numbered {
        in_flight: VecDeque<ReadDone>,
        fail_at: Option<u64>,
    }

    fn sector(number: u64) -> u8 {
        (number % 251) as u8
    }

    impl DiskSource for Numbered {
        fn capacity_bytes(&self) -> u64 {
            CAPACITY
        }

        fn transport(&self) -> String {
            "test".to_owned()
        }

        fn allocated(&mut self) -> Result<Vec<Range<u64>>, vddk::Error> {
            Ok(vec![])
        }

        fn database(&mut self) -> Result<BTreeMap<String, String>, vddk::Error> {
            Ok(BTreeMap::new())
        }

        fn submit(&mut self, request: ReadRequest) -> Result<(), vddk::Error> {
            let ReadRequest {
                start_sector,
                mut buffer,
            } = request;
            if self.fail_at.is_some_and(|sector| sector <= start_sector) {
                return Err(vddk::Error::ThreadEnded);
            }
            for (number, bytes) in (start_sector..).zip(buffer.chunks_mut(SECTOR_BYTES)) {
                bytes.fill(sector(number));
            }
            self.in_flight.push_back(ReadDone {
                start_sector,
                buffer,
            });
            Ok(())
        }

        fn next(&mut self) -> Option<Result<ReadDone, vddk::Error>> {
            self.in_flight.pop_front().map(Ok)
        }

        fn close(self: Box<Self>) -> Result<(), vddk::Error> {
            Ok(())
        }
    }

    /// Sees nothing, or panics at the first block.
    struct Watcher {
        panics: bool,
    }

    impl Monitor for Watcher {
        fn step(&self, _name: &str) {}
        fn disk_begins(&self, _label: &str, _total_bytes: u64) {}
        fn advance(&self, _bytes: u64) {
            assert!(!self.panics, "the watcher fell over");
        }
        fn disk_ends(&self) {}
        fn event(&self, _event: &Event) {}
    }

    /// Copies the disk into a repository in memory; gives what came of it.
    fn run(
        fail_at: Option<u64>,
        panics: bool,
        cancelled: bool,
        goes_on: bool,
    ) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let store = Store::with_objects(Arc::new(object_store::memory::InMemory::new()), "memory");
        let kdf = KdfParams {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        let options = InitOptions {
            kdf,
            ..InitOptions::default()
        };
        let passphrase = Secret::new("x".to_owned());
        let repository = handle
            .block_on(Repository::init(store, &passphrase, options))
            .unwrap();
        let begun = repository.begin(SessionSpec::default(), &handle, SessionOptions::default());
        let session = handle.block_on(begun).unwrap();
        let slot = session
            .add_disk(DiskSpec {
                capacity_bytes: CAPACITY,
                ..DiskSpec::default()
            })
            .unwrap();
        let shift = session.geometry(slot).block_shift();
        let row = SessionRow::new(session, RowInterval::default());
        let mut source = Numbered {
            in_flight: VecDeque::new(),
            fail_at,
        };
        let mut work = Work::new(Wanted::whole(BlockSet::full(CAPACITY, shift)));
        let sink = Sink {
            row: &row,
            slot,
            after_read: &|| Ok(()),
        };
        let pace = Pace {
            read_bytes: 1 << 19,
            in_flight: 2,
            workers: 2,
        };
        let (watcher, cancel) = (Watcher { panics }, AtomicBool::new(cancelled));
        let first = copy(&mut source, &mut work, sink, pace, &watcher, &cancel);
        if goes_on {
            assert!(matches!(first, Err(Error::Vddk(_))), "{first:?}");
            let done = work.read_bytes;
            assert!((1..CAPACITY).contains(&done), "{done}");
            assert_eq!(work.wanted.bytes(), CAPACITY - done);
            source.fail_at = None;
            source.in_flight.clear();
            copy(&mut source, &mut work, sink, pace, &watcher, &cancel)?;
        } else {
            first?;
        }
        assert!(work.wanted.blocks.is_empty());
        assert_eq!(work.read_bytes, CAPACITY);
        let session = row.into_session()?;
        session.set_disk_state(
            slot,
            DiskOutcome::Complete {
                coverage: Coverage::default(),
            },
        );
        let info = RootInfo {
            kind: PointKind::Full,
            snapshot_time: String::new(),
            snapshot_time_ms: 0,
            zone: String::new(),
            consistency: Consistency::Crash,
            parent: None,
            files: vec![],
            events: vec![],
            program: String::new(),
        };
        let committed = session.commit(info)?;
        let point = handle.block_on(repository.point(&committed.point)).unwrap();
        let image = Image::open(&repository, &handle, &point, 0).unwrap();
        image.walk(WalkOptions::default(), |piece| {
            let Piece::Data { offset_bytes, data } = piece else {
                return Ok(());
            };
            for (number, bytes) in (offset_bytes / 512..).zip(data.chunks(SECTOR_BYTES)) {
                assert!(
                    bytes.iter().all(|byte| *byte == sector(number)),
                    "sector {number} is wrong"
                );
            }
            Ok(())
        })
    }

    #[test]
    fn every_block_arrives() {
        run(None, false, false, false).unwrap();
    }

    /// What was stored before is not read again.
    #[test]
    fn after_a_failing_read_the_rest_follows() {
        run(Some(4096), false, false, true).unwrap();
    }

    #[test]
    fn a_failing_read_a_signal_and_a_panic_end_the_copy() {
        assert!(matches!(
            run(Some(2048), false, false, false),
            Err(Error::Vddk(_))
        ));
        assert!(matches!(
            run(None, false, true, false),
            Err(Error::Interrupted)
        ));
        // Every worker meets the panic; none of them may leave the reading loop waiting.
        let panicked = run(None, true, false, false).unwrap_err();
        assert!(
            panicked.to_string().contains("the watcher fell over"),
            "{panicked}"
        );
    }
}
