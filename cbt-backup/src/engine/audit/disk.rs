//! Reading blocks of a disk and comparing them with what is claimed of them.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use vddk::{SECTOR_BYTES, SectorBuf};

use super::{
    MISMATCH,
    claims::{Claim, ClaimAudit, DiskAudit, Said, Tally},
    sample::{Random, Scope},
};
use crate::{
    engine::{
        backup::Purpose,
        block_set::BlockSet,
        disk_run::{DiskRun, DiskTask},
        error::Error,
        monitor::Event,
        pipeline::Pace,
        source::{DiskSource, ReadDone, ReadRequest},
        wanted::Wanted,
    },
    repo::{OldBlock, Session},
    vsphere::Disk,
};

/// So many blocks are looked up in the point's tree between two looks at the signal.
const WINDOW: u64 = 1 << 12;
/// Most ranges that an event names; how many more there are is told.
const MOST_NAMED: usize = 8;
/// Most ranges that an event has for programs.
const MOST_LISTED: usize = 1000;

/// An audit of a disk that is under way. It outlives a lost connection.
#[derive(Debug)]
pub(in crate::engine) struct Comparison {
    /// Blocks that are allocated; `None` where no answer is believed.
    allocated: Option<BlockSet>,
    not_allocated: Option<String>,
    tally: Tally,
    /// Blocks of the sample that are still to be compared.
    left: BlockSet,
}

impl Comparison {
    /// What was read for it so far.
    pub(in crate::engine) fn read_bytes(&self) -> u64 {
        self.tally.read_bytes
    }
}

impl DiskRun<'_> {
    /// Draws what `scope` asks for. `counts` tells whether it is found out how many blocks there are of each
    /// claim, for which the whole tree of the point is looked through.
    pub(in crate::engine) fn begin_comparison(
        &self,
        task: &DiskTask,
        allocated: Result<BlockSet, String>,
        (scope, counts): (Scope, bool),
        halt: &AtomicBool,
    ) -> Result<Comparison, Error> {
        let (allocated, not_allocated) = match allocated {
            Ok(allocated) => (Some(allocated), None),
            Err(why) => (None, Some(why)),
        };
        let said = said(task, allocated.as_ref());
        let mut tally = Tally::new(&said);
        let mut left = said.none();
        let seed = format!("{} {}", self.row.with(Session::id)?, task.slot.index());
        let mut random = Random::new(seed.as_bytes());
        for set in self.populations(task, &said, counts, halt, &mut tally)? {
            let drawn = match scope {
                Scope::Full => set,
                Scope::Sample(precision) => random.draw(&set, precision.sample(set.len())),
            };
            for run in drawn.runs() {
                left.insert_blocks(run);
            }
        }
        Ok(Comparison {
            allocated,
            not_allocated,
            tally,
            left,
        })
    }

    /// Compares what is left of it.
    pub(in crate::engine) fn compare(
        &self,
        source: &mut dyn DiskSource,
        task: &DiskTask,
        begun: &mut Comparison,
        ways: (Pace, &AtomicBool),
    ) -> Result<DiskAudit, Error> {
        let Comparison {
            allocated,
            not_allocated,
            tally,
            left,
        } = begun;
        let said = said(task, allocated.as_ref());
        let all = left.clone();
        self.read_and_judge(source, task, all, ways, &mut |done| {
            left.remove_blocks(self.judge(task, done, &said, tally)?);
            Ok(())
        })?;
        let audit = DiskAudit {
            point: task.parent.map(|parent| parent.point),
            whole: task.unchanged_since.map(|whole| whole.point),
            newest: task.newest,
            not_asked: match (&task.wanted, task.full_because()) {
                (Some(_), _) => None,
                (None, Some(why)) => Some(why.to_owned()),
                (None, None) => Some("it was not asked for".to_owned()),
            },
            not_allocated: not_allocated.take(),
            read_bytes: tally.read_bytes,
            claims: std::mem::replace(tally, Tally::new(&said)).claims(),
            tracking: task.tracking(),
        };
        // What was read past the snapshot says nothing of the points, and marks none.
        if audit.is_wrong()
            && let Some(reason) = (self.doubt)(&task.disk)
        {
            let disk = task.disk.label.clone();
            return Err(Error::InDoubt { disk, reason });
        }
        for claim in &audit.claims {
            self.tell_wrong(&task.disk.label, &audit, claim);
        }
        if audit.is_wrong() {
            // Now, for nobody knows how the run ends.
            self.row
                .with(|session| session.distrust(task.slot, &audit.distrust()))?;
            (self.mark)(&task.disk, &audit);
            if audit.newest.is_none() && matches!(self.options.purpose, Purpose::Audit(_)) {
                self.tell_forgotten(&task.disk);
            }
        }
        Ok(audit)
    }

    /// The sets that a sample is drawn from, each by itself.
    fn populations(
        &self,
        task: &DiskTask,
        said: &Said<'_>,
        counts: bool,
        halt: &AtomicBool,
        tally: &mut Tally,
    ) -> Result<Vec<BlockSet>, Error> {
        let (unchanged, unallocated) = (said.unchanged(), said.unallocated());
        tally.population(Claim::Unallocated, unallocated.len());
        if !counts {
            return Ok(vec![unchanged, unallocated]);
        }
        let (mut data, mut zeros) = (said.none(), said.none());
        for run in unchanged.runs() {
            let windows = run.clone().step_by(WINDOW as usize);
            for window in windows.map(|first| first..run.end.min(first + WINDOW)) {
                if halt.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                for (block, old) in window.clone().zip(self.old_blocks(task, window)?) {
                    match old {
                        OldBlock::Data(_) => data.insert_blocks(block..block + 1),
                        OldBlock::Zeros => zeros.insert_blocks(block..block + 1),
                        OldBlock::Unknown => {}
                    }
                }
            }
        }
        tally.population(Claim::Unchanged, data.len());
        tally.population(Claim::Zero, zeros.len());
        Ok(vec![data, zeros, unallocated])
    }

    /// What the point has that the disk is compared with.
    fn old_blocks(&self, task: &DiskTask, blocks: Range<u64>) -> Result<Vec<OldBlock>, Error> {
        let old = self
            .row
            .with(|session| session.old_blocks(task.slot, blocks))?;
        Ok(old?)
    }

    fn read_and_judge(
        &self,
        source: &mut dyn DiskSource,
        task: &DiskTask,
        sample: BlockSet,
        (pace, halt): (Pace, &AtomicBool),
        judge: &mut dyn FnMut(&ReadDone) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let read_bytes = pace.read_bytes.max(1 << task.block_shift);
        let wanted = Wanted::whole(sample);
        let label = format!("{} (audit)", task.disk.label);
        let key = task.disk.device_key;
        self.monitor.disk_begins(key, &label, wanted.bytes());
        let mut free = VecDeque::new();
        let mut in_flight = 0;
        let mut judge = |done: ReadDone| {
            judge(&done)?;
            self.monitor.advance(key, done.buffer.len() as u64);
            Ok::<_, Error>(done.buffer)
        };
        let mut all = || {
            for range in wanted.reads(read_bytes) {
                if halt.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                self.options.budget.pass(range.end - range.start, halt)?;
                if in_flight == pace.in_flight
                    && let Some(done) = source.next()
                {
                    in_flight -= 1;
                    free.push_back(judge(done?)?);
                    self.checkpoint_if_due()?;
                }
                let mut buffer = match free.pop_front() {
                    Some(buffer) => buffer,
                    None => SectorBuf::new(read_bytes as usize / SECTOR_BYTES)?,
                };
                buffer.resize((range.end - range.start) as usize / SECTOR_BYTES)?;
                source.submit(ReadRequest {
                    start_sector: range.start / SECTOR_BYTES as u64,
                    buffer,
                })?;
                in_flight += 1;
            }
            while let Some(done) = source.next() {
                judge(done?)?;
                self.checkpoint_if_due()?;
            }
            Ok(())
        };
        let judged = all();
        self.monitor.disk_ends(key);
        judged
    }

    /// Compares the blocks of a read with what is claimed of them, and tells which they were.
    fn judge(
        &self,
        task: &DiskTask,
        done: &ReadDone,
        said: &Said<'_>,
        tally: &mut Tally,
    ) -> Result<Range<u64>, Error> {
        let first = (done.start_sector * SECTOR_BYTES as u64) >> task.block_shift;
        let blocks = done.buffer.chunks(1 << task.block_shift);
        tally.read_bytes += done.buffer.len() as u64;
        let numbers = first..first + blocks.len() as u64;
        let old = self.old_blocks(task, numbers.clone())?;
        self.row.with(|session| {
            for ((block, data), old) in (first..).zip(blocks).zip(old) {
                let (old, is_same) = if said.is_unchanged(block) {
                    (old, session.is_same(old, data))
                } else {
                    (OldBlock::Unknown, None)
                };
                if said.is_unallocated(block) {
                    let is_zero = session.is_same(OldBlock::Zeros, data) == Some(true);
                    if is_zero && is_same == Some(false) {
                        // It went, and was not called changed.
                        tally.add(Claim::Unchanged, block, false);
                    } else {
                        tally.add(Claim::Unallocated, block, is_zero);
                    }
                } else if let Some(is_same) = is_same {
                    let claim = match old {
                        OldBlock::Zeros => Claim::Zero,
                        _ => Claim::Unchanged,
                    };
                    tally.add(claim, block, is_same);
                }
            }
        })?;
        Ok(numbers)
    }

    /// There is no point yet that what was found could be written into.
    fn tell_forgotten(&self, disk: &Disk) {
        let message = format!(
            "{}: no point has it, so nothing remembers this: make the first with --read-unallocated",
            disk.label
        );
        let event = Event::warning("not-remembered", message);
        self.monitor.event(&event.with("disk", disk.label.as_str()));
    }

    fn tell_wrong(&self, label: &str, audit: &DiskAudit, claim: &ClaimAudit) {
        if claim.wrong.is_empty() {
            return;
        }
        let mut message = format!("{label}: {}", in_words(claim));
        if let (Some(point), Claim::Unchanged | Claim::Zero) = (audit.point, claim.claim) {
            message = format!("{message}: point {point} is wrong there, and earlier ones may be");
        }
        let ranges = claim.wrong.iter().take(MOST_LISTED);
        let ranges: Vec<_> = ranges.map(|bytes| [bytes.start, bytes.end]).collect();
        let event = Event::warning(MISMATCH, message)
            .with("disk", label)
            .with("claim", claim.claim.id())
            .with("point", audit.point.map(|point| point.to_string()))
            .with("wrong", serde_json::json!(ranges));
        self.monitor.event(&event);
    }
}

/// What vSphere says of the disk.
fn said<'a>(task: &'a DiskTask, allocated: Option<&'a BlockSet>) -> Said<'a> {
    Said {
        changed: task.wanted.as_ref().map(|wanted| &wanted.blocks),
        allocated,
        shape: (task.disk.capacity_bytes, task.block_shift),
    }
}

/// Which bytes are not what they were said to be.
fn in_words(claim: &ClaimAudit) -> String {
    let named = claim.wrong.iter().take(MOST_NAMED);
    let named: Vec<_> = named
        .map(|bytes| format!("{} to {}", bytes.start, bytes.end))
        .collect();
    let more = match claim.wrong.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more areas"),
    };
    format!(
        "the bytes {}{more} were called {} and are not",
        named.join(", "),
        claim.claim
    )
}
