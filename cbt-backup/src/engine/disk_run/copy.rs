//! A disk that is planned, on its way into the repository.

use std::collections::BTreeMap;

use vddk::{Connection, TransportFallback};

use super::{DiskReport, DiskRun, DiskTask};
use crate::{
    engine::{
        block_set::BlockSet,
        error::{Error, chain},
        monitor::Event,
        pipeline,
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

    fn copy_inner(
        &self,
        connection: &Connection,
        task: &DiskTask,
        seen: &mut Seen,
    ) -> Result<u64, Error> {
        let file = &task.disk.backing.file_name;
        let disk = connection.open(file, &self.options.open)?;
        self.tell_transport(&task.disk.label, disk.transport_fallback().as_ref());
        let mut source: Box<dyn DiskSource> = Box::new(VddkSource::new(disk));
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
        if source.capacity_bytes() != task.disk.capacity_bytes {
            return Err(Error::Vddk(vddk::Error::Argument {
                what: format!(
                    "{file}: VDDK sees {} bytes, vSphere {}",
                    source.capacity_bytes(),
                    task.disk.capacity_bytes
                ),
            }));
        }
        let mut wanted = match &task.wanted {
            Some(changed) => changed.clone(),
            None => Wanted::whole(self.allocated(source.as_mut(), task)),
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
        self.monitor.disk_begins(&task.disk.label, wanted.bytes());
        let copied = pipeline::copy(
            source.as_mut(),
            &wanted,
            pipeline::Sink {
                row: self.row,
                slot: task.slot,
                after_read: &|| self.checkpoint_if_due(),
            },
            self.options.pace,
            self.monitor,
            self.cancel,
        );
        self.monitor.disk_ends();
        let closed = source.close();
        let read_bytes = copied?;
        if let Err(error) = closed {
            self.monitor.event(&Event::warning(
                "close-failed",
                format!("{}: {error}", task.disk.label),
            ));
        }
        Ok(read_bytes)
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
    fn allocated(&self, source: &mut dyn DiskSource, task: &DiskTask) -> BlockSet {
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

/// A refused login or certificate is the same for every disk.
fn concerns_all(error: &vddk::Error) -> bool {
    error.thumbprint_mismatch().is_some()
        || matches!(error.kind(), Some(vddk::Kind::Authentication))
        || matches!(error, vddk::Error::ThreadEnded)
}
