//! A disk that is planned, on its way into the repository.

use std::collections::BTreeMap;

use vddk::{Connection, TransportFallback};

use super::{DiskReport, DiskRun, DiskTask};
use crate::{
    engine::{
        block_set::BlockSet,
        error::{Error, chain},
        monitor::Event,
        patience::Tries,
        pipeline::{self, Pace, Work},
        plan::DiskPlan,
        source::{DiskSource, VddkSource},
        wanted::Wanted,
    },
    repo::{BlockRange, DiskOutcome},
};

/// What was learnt of a disk once it was open, whether it could be read or not.
#[derive(Default)]
struct Seen {
    transport: Option<String>,
    database: BTreeMap<String, String>,
}

impl DiskRun<'_> {
    /// Reads a disk and stores it. A disk that cannot be read is carried or absent in the point,
    /// and the report says why.
    ///
    /// # Errors
    /// What concerns more than this disk: the repository, a signal, a refused login.
    pub fn copy(&self, connection: &Connection, task: DiskTask) -> Result<DiskReport, Error> {
        let mut seen = Seen::default();
        let copied = self.copy_inner(connection, &task, &mut seen);
        let (read_bytes, failure) = match copied {
            Ok(read_bytes) => (read_bytes, None),
            Err(Error::Vddk(error)) if !concerns_all(&error) => (0, Some(error)),
            Err(error) => return Err(error),
        };
        if let Some(error) = &failure {
            let hint = error
                .explain()
                .map(|text| format!(" ({text})"))
                .unwrap_or_default();
            self.monitor.event(&Event::warning(
                "disk-failed",
                format!("{}: {}{hint}", task.disk.label, chain(error)),
            ));
        }
        let reason = failure.as_ref().map(ToString::to_string);
        let outcome = DiskOutcome::Complete {
            coverage: task.coverage.clone(),
        };
        let stats = self.row.with(|session| {
            session.set_disk_state(task.slot, outcome);
            session.disk_stats(task.slot)
        })?;
        let (action, why) = match task.plan {
            DiskPlan::Full { reason, .. } => ("full", Some(reason)),
            DiskPlan::Skip { reason } => ("skipped", Some(reason)),
            DiskPlan::Incremental { .. } => ("incremental", None),
        };
        let mut report = DiskReport {
            label: task.disk.label,
            device_key: task.disk.device_key,
            action,
            reason: why,
            capacity_bytes: task.disk.capacity_bytes,
            changed_bytes: task.wanted.is_some().then_some(task.coverage.area_bytes),
            read_bytes,
            new_bytes: stats.new_bytes,
            stored_bytes: stats.stored_bytes,
            transport: seen.transport,
            failure: None,
            parent: task.parent.map(|parent| parent.point),
            database: seen.database,
            slot: task.slot,
            origin: task.parent.and(task.origin),
        };
        if let Some(reason) = reason {
            self.give_up(&mut report, reason)?;
        }
        Ok(report)
    }

    /// A disk that was read and can't be believed after all.
    ///
    /// # Errors
    /// When a partial point could not be committed before.
    pub fn fail(&self, report: &mut DiskReport, reason: String) -> Result<(), Error> {
        let message = format!("{}: {reason}", report.label);
        self.monitor.event(&Event::warning("disk-failed", message));
        self.give_up(report, reason)
    }

    /// The point has the disk's older state, or none.
    fn give_up(&self, report: &mut DiskReport, reason: String) -> Result<(), Error> {
        let outcome = match report.origin {
            Some(from) => DiskOutcome::Carried {
                from,
                reason: reason.clone(),
            },
            None => DiskOutcome::Absent {
                reason: reason.clone(),
            },
        };
        self.row
            .with(|session| session.set_disk_state(report.slot, outcome))?;
        report.failure = Some(reason);
        Ok(())
    }

    /// Reads the disk, over as many connections as it takes. Nothing that is stored is read again.
    fn copy_inner(
        &self,
        connection: &Connection,
        task: &DiskTask,
        seen: &mut Seen,
    ) -> Result<u64, Error> {
        let mut tries = Tries::new(self.options.patience);
        let mut pace = self.options.pace;
        let mut work = None;
        let mut own: Option<Connection> = None;
        loop {
            let before = done_bytes(work.as_ref());
            let at = own.as_ref().unwrap_or(connection);
            let mut error = match self.copy_some(at, task, seen, &mut work, pace) {
                Err(Error::Vddk(error)) => error,
                Err(error) => return Err(error),
                Ok(()) => break,
            };
            if done_bytes(work.as_ref()) > before {
                tries.reset();
            }
            loop {
                if error.retry() == vddk::Retry::FewerStreams {
                    pace.in_flight = (pace.in_flight / 2).max(1);
                }
                tries.wait(&task.disk.label, error, self.monitor, self.cancel)?;
                // The old one may be dead in part only, so none of it is used again.
                if let Some(old) = own.take() {
                    self.tell_closing(&task.disk.label, old.close());
                }
                match (self.connect)() {
                    Ok(new) => own = Some(new),
                    Err(Error::Vddk(failed)) => {
                        error = failed;
                        continue;
                    }
                    Err(other) => return Err(other),
                }
                break;
            }
        }
        if let Some(own) = own {
            self.tell_closing(&task.disk.label, own.close());
        }
        Ok(done_bytes(work.as_ref()))
    }

    /// Opens the disk and reads what is left of it; the first time it is learnt what that is.
    fn copy_some(
        &self,
        connection: &Connection,
        task: &DiskTask,
        seen: &mut Seen,
        work: &mut Option<Work>,
        pace: Pace,
    ) -> Result<(), Error> {
        let file = &task.disk.backing.file_name;
        let disk = connection.open(file, &self.options.open)?;
        let mut source = VddkSource::new(disk);
        if source.capacity_bytes() != task.disk.capacity_bytes {
            return Err(Error::Vddk(vddk::Error::Argument {
                what: format!(
                    "{file}: VDDK sees {} bytes, vSphere {}",
                    source.capacity_bytes(),
                    task.disk.capacity_bytes
                ),
            }));
        }
        let work = match work {
            Some(work) => work,
            None => work.insert(self.learn(&mut source, task, seen)?),
        };
        self.monitor
            .disk_begins(&task.disk.label, work.wanted.bytes());
        let copied = pipeline::copy(
            &mut source,
            work,
            pipeline::Sink {
                row: self.row,
                slot: task.slot,
                after_read: &|| self.checkpoint_if_due(),
            },
            pace,
            self.monitor,
            self.cancel,
        );
        self.monitor.disk_ends();
        let closed = Box::new(source).close();
        copied?;
        self.tell_closing(&task.disk.label, closed);
        Ok(())
    }

    /// What an open disk tells of itself, and what is to be read of it.
    fn learn(
        &self,
        source: &mut VddkSource,
        task: &DiskTask,
        seen: &mut Seen,
    ) -> Result<Work, Error> {
        self.tell_transport(&task.disk.label, source.transport_fallback().as_ref());
        seen.transport = Some(source.transport());
        match source.database() {
            Ok(database) => seen.database = database,
            Err(error) => self.monitor.event(&Event::info(
                "not-saved",
                format!(
                    "the disk database of {} could not be saved: {error}",
                    task.disk.label
                ),
            )),
        }
        let mut wanted = match &task.wanted {
            Some(changed) => changed.clone(),
            None => Wanted::whole(self.allocated(source, task)),
        };
        let is_full = task.wanted.is_none();
        self.row.with(|session| {
            for range in session.unreadable_blocks(task.slot) {
                wanted.insert_whole(range.first..range.first + range.blocks);
            }
            let wanted = &wanted.blocks;
            if is_full {
                // A full says something of every block: what is not read is zeros.
                for gap in wanted.gaps() {
                    session.put_hole(task.slot, gap.start, gap.end - gap.start)?;
                }
            }
            let runs = wanted.runs().map(|run| BlockRange {
                first: run.start,
                blocks: run.end - run.start,
            });
            session.expect_blocks(task.slot, runs);
            session.expect_no_others(task.slot);
            Ok::<_, Error>(())
        })??;
        Ok(Work::new(wanted))
    }

    fn tell_closing(&self, label: &str, closed: Result<(), vddk::Error>) {
        if let Err(error) = closed {
            let message = format!("{label}: {error}");
            self.monitor.event(&Event::warning("close-failed", message));
        }
    }

    /// What is stored so far is kept for the next run, should this one die.
    fn checkpoint_if_due(&self) -> Result<(), Error> {
        if let Some(made) = self.row.checkpoint_if_due(self.partial)? {
            let message = format!(
                "what is read so far is kept as partial point {}",
                made.point
            );
            self.monitor.event(&Event::info("partial-point", message));
        }
        Ok(())
    }

    /// A transport that was not the one wanted most is told, never taken in silence.
    fn tell_transport(&self, label: &str, fallback: Option<&TransportFallback>) {
        if let Some(fallback) = fallback {
            self.monitor.event(&Event::warning(
                "other-transport",
                format!("{label} comes by {fallback}"),
            ));
        }
    }

    /// What a full reads: the allocated areas where they can be believed, else everything.
    fn allocated(&self, source: &mut VddkSource, task: &DiskTask) -> BlockSet {
        let everything = || BlockSet::full(task.disk.capacity_bytes, task.block_shift);
        let only_ours = self.only_our_snapshot && task.disk.backing.chain_links <= 1;
        if !only_ours || source.transport() == "file" {
            return everything();
        }
        match source.allocated() {
            Ok(areas) => {
                let mut set = BlockSet::empty(task.disk.capacity_bytes, task.block_shift);
                for area in areas {
                    set.insert_bytes(area);
                }
                set
            }
            Err(error) => {
                self.monitor.event(&Event::info(
                    "allocation-unknown",
                    format!(
                        "{} is read whole: its allocated areas are not known: {error}",
                        task.disk.label
                    ),
                ));
                everything()
            }
        }
    }
}

fn done_bytes(work: Option<&Work>) -> u64 {
    work.map_or(0, |work| work.read_bytes)
}

/// A refused login or certificate is the same for every disk.
fn concerns_all(error: &vddk::Error) -> bool {
    error.thumbprint_mismatch().is_some()
        || matches!(error.kind(), Some(vddk::Kind::Authentication))
        || matches!(error, vddk::Error::ThreadEnded)
}
