//! One disk on its way: read, zero test, hash, compress, seal, pack.
//!
//! The calling thread keeps reads in flight; the workers, which all disks in work share, hand the blocks to the
//! repository's session, which does the rest. The number of buffers is fixed: when the repository is slow, no
//! buffer is free and reading waits.

mod buffers;
mod stage;
mod workers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use vddk::SECTOR_BYTES;

use self::{buffers::Buffers, stage::Stage};
pub use self::{
    stage::Sink,
    workers::{Job, Workers},
};
use super::{
    binding::Waits,
    error::Error,
    source::{DiskSource, ReadRequest},
    wanted::Wanted,
};
use crate::repo::Error as RepoError;

/// How disks are moved.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest read, in bytes; a whole number of blocks.
    pub read_bytes: u64,
    /// Most reads of a disk in flight.
    pub in_flight: usize,
    /// Threads that hash, compress and seal.
    pub workers: usize,
    /// Memory of the buffers that are read into.
    pub buffer_bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            read_bytes: 2 * 1024 * 1024,
            in_flight: 4,
            workers: cores.clamp(1, 8),
            buffer_bytes: 96 * 1024 * 1024,
        }
    }
}

impl Pace {
    /// The pace of one of so many disks that are in work at once, and share the memory.
    #[must_use]
    pub fn shared_by(self, disks: usize) -> Self {
        Self {
            buffer_bytes: self.buffer_bytes / disks.max(1) as u64,
            ..self
        }
    }

    /// The pace of a disk with blocks of this size: a read is never shorter than a block.
    fn for_blocks(self, block_shift: u8) -> Self {
        let read_bytes = self.read_bytes.max(1 << block_shift);
        Self { read_bytes, ..self }
    }

    /// Enough for the reads in flight, the queue, and one in each worker's hands, as far as there is memory.
    /// Below two nothing moves.
    fn buffers(&self) -> usize {
        let wanted = 2 * self.in_flight + self.workers;
        let affordable = (self.buffer_bytes / self.read_bytes) as usize;
        wanted.min(affordable).max(2)
    }

    /// Of the buffers one at least is with the workers, or free.
    fn reads_in_flight(&self) -> usize {
        self.in_flight.clamp(1, self.buffers() - 1)
    }
}

/// What the reading thread looks at on its way.
pub struct Way<'a> {
    /// Called before so many bytes are asked for: the moment to wait for one's turn.
    pub before_read: &'a dyn Fn(u64) -> Result<(), Error>,
    /// Called after each read: the moment to commit what is there.
    pub after_read: &'a dyn Fn() -> Result<(), Error>,
    /// What is waited for.
    pub waits: &'a Waits,
    /// Set when all is to end.
    pub halt: &'a AtomicBool,
}

impl std::fmt::Debug for Way<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way")
            .field("halt", self.halt)
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
pub fn copy<'env>(
    source: &mut dyn DiskSource,
    work: &mut Work,
    sink: &Sink<'env>,
    pace: Pace,
    workers: &Workers<'env>,
    way: &Way<'_>,
) -> Result<(), Error> {
    loop {
        let unfilled = pass(source, work, sink, pace, workers, way)?;
        if unfilled.is_empty() {
            return Ok(());
        }
        for block in unfilled {
            work.wanted.insert_whole(block..block + 1);
        }
    }
}

/// Goes over the disk once. Returns the blocks that are to be read whole.
fn pass<'env>(
    source: &mut dyn DiskSource,
    work: &mut Work,
    sink: &Sink<'env>,
    pace: Pace,
    workers: &Workers<'env>,
    way: &Way<'_>,
) -> Result<Vec<u64>, Error> {
    let pace = pace.for_blocks(work.wanted.blocks.block_shift());
    let stage = Arc::new(Stage::new(
        sink.clone(),
        &work.wanted.blocks,
        source.capacity_bytes(),
    ));
    let mut buffers = Buffers::new(pace.buffers(), pace.read_bytes);
    let mut reading = Reading {
        source,
        stage: &stage,
        buffers: &mut buffers,
        workers,
        way,
        pace,
        read_bytes: &mut work.read_bytes,
    };
    let read = reading.all(&work.wanted);
    // Only now is all stored that was read.
    buffers.wait_for_all();
    let done = stage.end();
    work.wanted.blocks = done.left;
    match done.failure {
        // The thread that reads has tried to commit, and knows why it could not.
        Some(Error::Repository(RepoError::RunOver)) if read.is_err() => {}
        Some(error) => return Err(error),
        None => {}
    }
    if way.halt.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    read?;
    Ok(done.unfilled)
}

/// One pass of the reading thread.
struct Reading<'a, 'env> {
    source: &'a mut dyn DiskSource,
    stage: &'a Arc<Stage<'env>>,
    buffers: &'a mut Buffers,
    workers: &'a Workers<'env>,
    way: &'a Way<'a>,
    pace: Pace,
    read_bytes: &'a mut u64,
}

impl Reading<'_, '_> {
    /// Keeps reads in flight until all is read, something failed, or all is to end.
    fn all(&mut self, wanted: &Wanted) -> Result<(), Error> {
        let mut in_flight = 0;
        for range in wanted.reads(self.pace.read_bytes) {
            if self.way.halt.load(Ordering::Relaxed) || self.stage.has_failed() {
                return Ok(());
            }
            if in_flight == self.pace.reads_in_flight() {
                in_flight -= 1;
                self.pass_on()?;
                (self.way.after_read)()?;
            }
            let length = range.end - range.start;
            let begun = Instant::now();
            let mut buffer = self.buffers.take()?;
            self.way.waits.buffer(begun);
            let begun = Instant::now();
            (self.way.before_read)(length)?;
            self.way.waits.data(begun);
            buffer.resize(length as usize / SECTOR_BYTES)?;
            self.source.submit(ReadRequest {
                start_sector: range.start / SECTOR_BYTES as u64,
                buffer,
            })?;
            in_flight += 1;
        }
        for _ in 0..in_flight {
            self.pass_on()?;
            (self.way.after_read)()?;
        }
        Ok(())
    }

    /// Hands the oldest read to the workers.
    fn pass_on(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let Some(done) = self.source.next() else {
            return Ok(());
        };
        self.way.waits.data(begun);
        let done = done?;
        *self.read_bytes += done.buffer.len() as u64;
        let back = self.buffers.lend();
        let begun = Instant::now();
        self.workers.take(Job::new(self.stage, done, back));
        self.way.waits.buffer(begun);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{DiskSource, Pace, ReadRequest, Sink, Waits, Wanted, Way, Work, Workers, copy};
    use crate::{
        engine::{Error, Event, Monitor, block_set::BlockSet, source::ReadDone},
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
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicU64, Ordering},
        },
        thread,
    };
    use vddk::SECTOR_BYTES;

    const CAPACITY: u64 = 3 * (1 << 20) + 1536;
    const ENOUGH: u64 = 96 << 20;

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
        fn disk_begins(&self, _key: i32, _label: &str, _total_bytes: u64) {}
        fn advance(&self, key: i32, _bytes: u64) {
            assert_eq!(key, 2000);
            assert!(!self.panics, "the watcher fell over");
        }
        fn disk_ends(&self, _key: i32) {}
        fn event(&self, _event: &Event) {}
    }

    /// Copies the disk into a repository in memory; gives what came of it.
    fn run(
        fail_at: Option<u64>,
        panics: bool,
        cancelled: bool,
        goes_on: bool,
        buffer_bytes: u64,
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
        let pace = Pace {
            read_bytes: 1 << 19,
            in_flight: 2,
            workers: 2,
            buffer_bytes,
        };
        let (watcher, halt) = (Watcher { panics }, AtomicBool::new(cancelled));
        let looks = AtomicU64::new(0);
        let sink = Sink {
            row: &row,
            slot,
            monitor: &watcher,
            key: 2000,
        };
        let way = Way {
            before_read: &|_| Ok(()),
            after_read: &|| {
                looks.fetch_add(1, Ordering::Relaxed);
                Ok(())
            },
            waits: &Waits::default(),
            halt: &halt,
        };
        thread::scope(|scope| {
            let workers = Workers::start(scope, pace.workers);
            let first = copy(&mut source, &mut work, &sink, pace, &workers, &way);
            if !goes_on {
                return first;
            }
            assert!(matches!(first, Err(Error::Vddk(_))), "{first:?}");
            let done = work.read_bytes;
            assert!((1..CAPACITY).contains(&done), "{done}");
            assert_eq!(work.wanted.bytes(), CAPACITY - done);
            source.fail_at = None;
            source.in_flight.clear();
            copy(&mut source, &mut work, &sink, pace, &workers, &way)
        })?;
        assert!(work.wanted.blocks.is_empty());
        assert_eq!(work.read_bytes, CAPACITY);
        let reads = CAPACITY.div_ceil(1 << 19);
        assert_eq!(looks.into_inner(), reads, "after each, the last ones too");
        let session = row.into_session()?;
        session.set_disk_state(
            slot,
            DiskOutcome::Complete {
                changed_areas: None,
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
        run(None, false, false, false, ENOUGH).unwrap();
    }

    /// Two buffers move everything, however little memory there is.
    #[test]
    fn every_block_arrives_with_little_memory() {
        run(None, false, false, false, 0).unwrap();
        run(Some(4096), false, false, true, 0).unwrap();
    }

    #[test]
    fn disks_in_work_share_the_memory() {
        let pace = Pace {
            read_bytes: 2 << 20,
            in_flight: 4,
            workers: 2,
            buffer_bytes: 96 << 20,
        };
        for (disks, block_shift, buffers, in_flight) in [
            (1, 18, 10, 4),
            (4, 18, 10, 4),
            (8, 18, 6, 4),
            (16, 18, 3, 2),
            (40, 18, 2, 1),
            (8, 22, 3, 2),
        ] {
            let pace = pace.shared_by(disks).for_blocks(block_shift);
            let got = (pace.buffers(), pace.reads_in_flight());
            assert_eq!(got, (buffers, in_flight), "{disks} {block_shift}");
        }
    }

    /// What was stored before is not read again.
    #[test]
    fn after_a_failing_read_the_rest_follows() {
        run(Some(4096), false, false, true, ENOUGH).unwrap();
    }

    #[test]
    fn a_failing_read_a_signal_and_a_panic_end_the_copy() {
        assert!(matches!(
            run(Some(2048), false, false, false, ENOUGH),
            Err(Error::Vddk(_))
        ));
        assert!(matches!(
            run(None, false, true, false, ENOUGH),
            Err(Error::Interrupted)
        ));
        // Every worker meets the panic; none of them may leave the reading loop waiting.
        let panicked = run(None, true, false, false, ENOUGH).unwrap_err();
        assert!(
            panicked.to_string().contains("the watcher fell over"),
            "{panicked}"
        );
    }
}
