//! One disk on its way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::point::PointCopy;
use super::window::{Part, next_window};
use crate::repo::block_set::BlockSet;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::pack::{PlainLength, open_both};
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::root::{DiskRecord, DiskState, MAX_UNREADABLE_RUNS, TreeRecord};
use crate::repo::session::{DiskOutcome, DiskSlot, DiskSpec, Session, StoredForm};
use crate::repo::threads::in_threads;
use crate::repo::tree::{Against, Demand, Geometry, TreeDifference};

/// How often is gone back for blocks that the target has lost meanwhile.
const MAX_PASSES: usize = 3;

type Ahead = JoinHandle<(TreeDifference, Result<Vec<Part>, Error>)>;

/// A disk of the point, and its place in the target.
struct Work<'a> {
    index: usize,
    record: &'a DiskRecord,
    geometry: Geometry,
    slot: DiskSlot,
}

impl PointCopy<'_> {
    /// Copies disk `index`.
    pub(super) fn copy_disk(&mut self, index: usize, record: &DiskRecord) -> Result<(), Error> {
        let ground = self.grounds.of_disk(index, record);
        let has_data = record.has_data();
        let spec = DiskSpec {
            identity: record.identity.clone(),
            capacity_bytes: record.capacity_bytes,
            block_shift: Some(record.block_shift),
            change_id: record.change_id.clone(),
            snapshots_before: record.snapshots_before,
            change_id_after_ms: record.change_id_after_ms,
            distrust: record.distrust.clone(),
            sound_tracking: record.sound_tracking.clone(),
            parent: ground.parent.filter(|_| has_data),
            unchanged_since: None,
        };
        let slot = self.row.with(|session| session.add_copied_disk(spec))??;
        let work = Work {
            index,
            record,
            geometry: record.geometry()?,
            slot,
        };
        let outcome = if let DiskState::Absent { reason } = &record.state {
            let reason = reason.clone();
            DiskOutcome::Absent { reason }
        } else {
            self.copy_blocks(&work, ground.against, ground.covered_bytes)?
        };
        self.row
            .with(|session| session.set_disk_state(slot, outcome))
    }

    fn copy_blocks(
        &mut self,
        work: &Work<'_>,
        against: Against,
        covered_bytes: u64,
    ) -> Result<DiskOutcome, Error> {
        let (slot, geometry) = (work.slot, work.geometry);
        let label = &work.record.identity.label;
        self.run
            .monitor
            .disk_begins(label, geometry.capacity_bytes());
        let covered = covered_bytes.div_ceil(1 << geometry.block_shift());
        let covered = covered.min(geometry.blocks());
        let rest = BlockRange {
            first: covered,
            blocks: geometry.blocks() - covered,
        };
        self.row
            .with(|session| session.expect_blocks(slot, [rest]))?;
        let never = self.inherit_losses(work)?;
        let mut demand = Demand {
            from: covered,
            always: self.missing(slot)?,
            never: never.clone(),
        };
        for _ in 0..MAX_PASSES {
            let tree = work.record.tree.map(TreeRecord::base);
            let source = self.run.source;
            let difference = TreeDifference::new(source, geometry, tree, against, demand);
            if !self.pass(work, difference)? {
                self.run.monitor.disk_ends();
                let reason = format!("more than {MAX_UNREADABLE_RUNS} ranges of it cannot be read");
                return Ok(DiskOutcome::Absent { reason });
            }
            demand = Demand {
                from: geometry.blocks(),
                always: self.missing(slot)?,
                never: never.clone(),
            };
            if demand.always.is_empty() {
                break;
            }
        }
        self.run.monitor.disk_ends();
        let state = match &work.record.state {
            DiskState::Carried { from, reason } => DiskState::Carried {
                from: self.catalog.copy_of_id(*from).unwrap_or(*from),
                reason: reason.clone(),
            },
            state => state.clone(),
        };
        Ok(DiskOutcome::Copied {
            state,
            coverage: work.record.coverage.clone(),
        })
    }

    /// What the source was copied without itself.
    fn inherit_losses(&mut self, work: &Work<'_>) -> Result<BlockSet, Error> {
        let mut lost = BlockSet::default();
        for range in &work.record.unreadable {
            self.row
                .with(|session| session.put_unreadable(work.slot, *range))??;
            let bytes = work.geometry.bytes_of(*range);
            self.losses.inherited(self.point, work.index, bytes);
            lost.insert(range.first, range.blocks);
        }
        Ok(lost)
    }

    /// What the target's parent cannot supply.
    fn missing(&self, slot: DiskSlot) -> Result<BlockSet, Error> {
        let mut missing = BlockSet::default();
        let runs = self.row.with(|session| session.unreadable_blocks(slot))?;
        for run in runs {
            missing.insert(run.first, run.blocks);
        }
        Ok(missing)
    }

    /// Goes over the disk once. False when too much of it is lost.
    fn pass(&mut self, work: &Work<'_>, difference: TreeDifference) -> Result<bool, Error> {
        let mut ahead = self.fetch_ahead(work.geometry, difference);
        loop {
            let joined = self.run.handle.block_on(ahead);
            let (difference, window) =
                joined.map_err(|error| Error::machine("reading ahead", &error))?;
            let window = window?;
            if window.is_empty() {
                return Ok(true);
            }
            ahead = self.fetch_ahead(work.geometry, difference);
            if let Err(error) = self.put_window(work, &window) {
                ahead.abort();
                return Err(error);
            }
            let slot = work.slot;
            let runs = self.row.with(|session| session.unreadable_runs(slot))?;
            if runs > MAX_UNREADABLE_RUNS {
                ahead.abort();
                return Ok(false);
            }
        }
    }

    fn fetch_ahead(&self, geometry: Geometry, mut difference: TreeDifference) -> Ahead {
        let repo = self.run.source.clone();
        // Two windows of sealed blocks are in memory, and a plain block for each thread.
        let window_bytes = (self.run.options.walk.memory_bytes / 2).max(1);
        self.run.handle.spawn(async move {
            let window = next_window(&repo, geometry, &mut difference, window_bytes).await;
            (difference, window)
        })
    }

    fn put_window(&mut self, work: &Work<'_>, window: &[Part]) -> Result<(), Error> {
        let lost = self.put_blocks(work, window)?;
        for (range, reference, kind, error) in lost {
            self.lose(work, range, reference.pack(kind), &error)?;
        }
        let mut bytes = 0;
        for part in window {
            let range = part.range();
            match part {
                Part::Same(_) => self.row.with(|session| session.keep(work.slot, range))??,
                Part::Hole(_) => self.row.put_hole(work.slot, range.first, range.blocks)?,
                Part::Damaged { node, error, .. } => {
                    self.lose(work, range, node.pack(PackKind::Node), error)?;
                }
                Part::Block { reference, .. } => {
                    self.read_blocks += 1;
                    self.read_bytes += u64::from(reference.length);
                }
            }
            let range = work.geometry.bytes_of(range);
            bytes += range.end - range.start;
        }
        self.run.monitor.advance_bytes(bytes);
        if self.run.monitor.should_stop() {
            return Err(Error::Stopped);
        }
        let info = |_| Some(self.info(Vec::new()));
        self.row.checkpoint_if_due(info).map(drop)
    }

    fn lose(
        &mut self,
        work: &Work<'_>,
        range: BlockRange,
        pack: PackId,
        error: &Error,
    ) -> Result<(), Error> {
        self.row
            .with(|session| session.put_unreadable(work.slot, range))??;
        self.losses
            .blocks(work.index, work.geometry, range, pack, error);
        Ok(())
    }

    /// Puts a window's blocks by several threads. Gives those that cannot be read, in order.
    fn put_blocks(
        &self,
        work: &Work<'_>,
        window: &[Part],
    ) -> Result<Vec<(BlockRange, Ref, PackKind, Error)>, Error> {
        let next = AtomicUsize::new(0);
        let lost = Mutex::new(Vec::new());
        let one = |part: &Part| -> Result<(), Error> {
            let Part::Block {
                number,
                reference,
                sealed,
            } = part
            else {
                return Ok(());
            };
            let length = PlainLength::Exactly(work.geometry.block_bytes(*number));
            let sealed = sealed.clone().map(Vec::from);
            let mut sealed = match sealed {
                Err(error) if error.is_damage() => {
                    let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
                    lost.push((part.range(), *reference, PackKind::Data, error));
                    return Ok(());
                }
                sealed => sealed?,
            };
            let keys = self.run.source.keys();
            match open_both(keys, PackKind::Data, reference, &mut sealed, length) {
                Ok((payload, plain)) => {
                    let raw = reference.raw;
                    let stored = StoredForm { raw, payload };
                    let put =
                        |session: &Session| session.put_stored(work.slot, *number, &plain, stored);
                    self.row.with(put)?.map(drop)
                }
                Err(error) => {
                    let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
                    lost.push((part.range(), *reference, PackKind::Data, error));
                    Ok(())
                }
            }
        };
        let all = || {
            while let Some(part) = window.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(part)?;
            }
            Ok(())
        };
        in_threads(self.run.options.walk.threads.clamp(1, 64), all)?;
        let mut lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        lost.sort_by_key(|(range, ..)| range.first);
        Ok(lost)
    }
}
