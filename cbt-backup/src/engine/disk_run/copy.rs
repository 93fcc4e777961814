//! A disk that is planned, on its way into the repository.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use vddk::{Connection, TransportFallback, TransportMode, TransportPolicy};

use super::{DiskReport, DiskRun, DiskTask, of_disk, whole};
use crate::{
    engine::{
        audit::{AUDITED, Comparison, DiskAudit, Precision, Scope},
        backup::Purpose,
        block_set::BlockSet,
        budget::{Permit, Share},
        error::{Error, chain},
        hot_add::Attached,
        monitor::Event,
        patience::Tries,
        pipeline::{self, Pace, Sink, Way, Work, Workers},
        plan::DiskPlan,
        source::{DiskSource, VddkSource},
        wanted::Wanted,
    },
    repo::{Allocation, BlockRange, DiskOutcome},
    vsphere::Disk,
};

/// How one of the disks in work is read.
#[derive(Clone, Copy)]
struct Ways<'a, 'env> {
    pace: Pace,
    workers: &'a Workers<'env>,
    halt: &'a AtomicBool,
}

/// What was learnt of a disk once it was open, whether it could be read or not.
#[derive(Default)]
struct Seen<'a> {
    /// The grains that changed, until it is learnt what is read. Of a disk of 62 TiB they take 124 MiB: there is one of them.
    grains: Option<BlockSet>,
    /// What it has of the streams, from before it is opened until it is closed for good.
    permit: Option<Permit<'a>>,
    transport: Option<String>,
    database: BTreeMap<String, String>,
    /// An audit under way, also over several connections.
    comparison: Option<Comparison>,
    audit: Option<DiskAudit>,
    /// Who told what is allocated, where only that is read.
    allocation: Option<Allocation>,
}

impl Seen<'_> {
    /// What was claimed of the disk is not so.
    fn is_wrong(&self) -> bool {
        self.audit.as_ref().is_some_and(DiskAudit::is_wrong)
    }
}

impl<'env> DiskRun<'env> {
    /// Reads a disk and stores it, or compares it where the run is an audit. A disk that cannot be read is carried or absent in the point,
    /// and the report says why.
    ///
    /// # Errors
    /// What concerns more than this disk: the repository, a signal, a refused login.
    pub(super) fn copy(
        &self,
        connection: &Connection,
        mut task: DiskTask,
        pace: Pace,
        workers: &Workers<'env>,
        halt: &AtomicBool,
    ) -> Result<DiskReport, Error> {
        let changed = task.wanted.as_mut();
        let mut seen = Seen {
            grains: changed.and_then(|changed| changed.grains.take()),
            permit: Some(self.permit(&task, halt)?),
            ..Seen::default()
        };
        let ways = Ways {
            pace,
            workers,
            halt,
        };
        let copied = self.copy_inner(connection, &task, &mut seen, ways);
        drop(seen.permit.take());
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
            let message = format!("{}: {}{hint}", task.disk.label, chain(error));
            self.tell(&task.disk, Event::warning("disk-failed", message));
        }
        let reason = failure.as_ref().map(ToString::to_string);
        let mut plan = task.plan;
        let mut coverage = task.coverage.clone();
        coverage.allocation = seen.allocation.take();
        let mut changed_areas = task.changed_areas;
        if seen.is_wrong() {
            // What was found wrong is no proof of anything: then all was read.
            plan = DiskPlan::Full {
                cause: "audit",
                reason: "an audit found wrong what vSphere says of it".to_owned(),
                reuse_parent: true,
            };
            coverage = whole(&plan);
            changed_areas = None;
        }
        let outcome = DiskOutcome::Complete {
            coverage,
            changed_areas,
        };
        // A partial point may be made at any time: a disk that failed is never called complete.
        let is_complete = reason.is_none();
        let stats = self.row.with(|session| {
            if is_complete {
                session.set_disk_state(task.slot, outcome);
            }
            session.disk_stats(task.slot)
        })?;
        let is_audit = matches!(self.options.purpose, Purpose::Audit(_));
        let audited_bytes = seen.audit.as_ref().map_or(0, |audit| audit.read_bytes);
        let (action, why) = match plan {
            _ if is_audit => ("audited", None),
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
            read_bytes: if is_audit { audited_bytes } else { read_bytes },
            new_bytes: stats.new_bytes,
            stored_bytes: stats.stored_bytes,
            transport: seen.transport,
            failure: None,
            parent: task.parent.map(|parent| parent.point),
            database: seen.database,
            audit: seen.audit,
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
        let event = Event::warning("disk-failed", message);
        self.monitor
            .event(&of_disk(event, &report.label, report.device_key));
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
        seen: &mut Seen<'env>,
        mut ways: Ways<'_, 'env>,
    ) -> Result<u64, Error> {
        let mut tries = Tries::new(self.options.patience);
        let mut work = None;
        let mut own: Option<Connection> = None;
        loop {
            let before = progress_bytes(work.as_ref(), seen);
            let at = own.as_ref().unwrap_or(connection);
            let mut error = match self.copy_some(at, task, seen, &mut work, ways) {
                Err(Error::Vddk(error)) => error,
                Err(error) => return Err(error),
                Ok(()) => break,
            };
            if progress_bytes(work.as_ref(), seen) > before {
                tries.reset();
            }
            loop {
                if error.retry() == vddk::Retry::FewerStreams {
                    ways.pace.in_flight = (ways.pace.in_flight / 2).max(1);
                    self.ask_for_fewer(task, seen, ways.halt)?;
                }
                tries.wait(&task.disk.label, error, self.monitor, ways.halt)?;
                // The old one may be dead in part only, so none of it is used again.
                if let Some(old) = own.take() {
                    self.tell_closing(&task.disk, old.close());
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
            self.tell_closing(&task.disk, own.close());
        }
        Ok(done_bytes(work.as_ref()))
    }

    /// Opens the disk and reads what is left of it; the first time it is learnt what that is.
    fn copy_some(
        &self,
        connection: &Connection,
        task: &DiskTask,
        seen: &mut Seen<'env>,
        work: &mut Option<Work>,
        ways: Ways<'_, 'env>,
    ) -> Result<(), Error> {
        let file = &task.disk.backing.file_name;
        // Until the disk is closed, which it is before this is dropped.
        let mut attached = self.attach(task, ways.halt)?;
        let disk = connection.open(file, &self.options.open)?;
        let mut source = VddkSource::new(disk);
        if source.transport() != TransportMode::HotAdd.as_str() {
            drop(attached.take());
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
        if let Purpose::Audit(scope) = self.options.purpose {
            self.tell_way(&source, task, seen);
            let audit = self.audit(&mut source, task, seen, (scope, true), None, ways);
            let closed = Box::new(source).close();
            audit?;
            self.tell_closing(&task.disk, closed);
            return Ok(());
        }
        let work = match work {
            Some(work) => work,
            None => work.insert(self.learn(&mut source, task, seen, ways)?),
        };
        let key = task.disk.device_key;
        self.monitor
            .disk_begins(key, &task.disk.label, work.wanted.bytes());
        let sink = Sink {
            row: self.row,
            slot: task.slot,
            monitor: self.monitor,
            key,
        };
        let way = Way {
            before_read: &|bytes| self.options.budget.pass(bytes, ways.halt),
            after_read: &|| self.checkpoint_if_due(),
            waits: self.waits,
            halt: ways.halt,
        };
        let mut copy = || loop {
            pipeline::copy(&mut source, work, &sink, ways.pace, ways.workers, &way)?;
            // A session that has begun since may not build upon all that the one before it could: packs may have been lost.
            let lost = self
                .row
                .with(|session| session.unreadable_blocks(task.slot))?;
            if lost.is_empty() {
                return Ok(());
            }
            for range in lost {
                let blocks = range.first..range.first + range.blocks;
                work.wanted.insert_whole(blocks);
            }
        };
        let copied: Result<(), Error> = copy();
        self.monitor.disk_ends(key);
        let closed = Box::new(source).close();
        copied?;
        self.tell_closing(&task.disk, closed);
        Ok(())
    }

    /// What an open disk tells of itself, and what is to be read of it.
    fn learn(
        &self,
        source: &mut VddkSource,
        task: &DiskTask,
        seen: &mut Seen<'env>,
        ways: Ways<'_, 'env>,
    ) -> Result<Work, Error> {
        self.tell_way(source, task, seen);
        match source.database() {
            Ok(database) => seen.database = database,
            Err(error) => {
                let label = &task.disk.label;
                let message = format!("the disk database of {label} could not be saved: {error}");
                self.tell(&task.disk, Event::info("not-saved", message));
            }
        }
        let everything = || BlockSet::full(task.disk.capacity_bytes, task.block_shift);
        let mut allocated = Err("it was not asked for".to_owned());
        if task.wanted.is_none() {
            allocated = self.allocated(source, task, ways.halt)?;
        }
        let allocated = allocated.map(|allocated| {
            seen.allocation = Some(allocated.told);
            allocated.blocks
        });
        if let Some(why) = &task.audit_because {
            let how = (Scope::Sample(Precision::ON_THE_WAY), false);
            self.audit(source, task, seen, how, Some(allocated.clone()), ways)?;
            if let Some(audit) = &seen.audit {
                self.tell_audited(&task.disk, audit, why);
            }
        }
        let is_full = task.wanted.is_none() || seen.is_wrong();
        let mut wanted = match &task.wanted {
            _ if seen.is_wrong() => Wanted::whole(everything()),
            Some(changed) => Wanted {
                blocks: changed.blocks.clone(),
                grains: seen.grains.take(),
            },
            None => Wanted::whole(allocated.unwrap_or_else(|_| everything())),
        };
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

    /// Compares the disk with what is claimed of it. One that was begun on a connection that was lost goes on.
    /// `allocated` is asked for where it is not known.
    fn audit(
        &self,
        source: &mut VddkSource,
        task: &DiskTask,
        seen: &mut Seen<'env>,
        how: (Scope, bool),
        allocated: Option<Result<BlockSet, String>>,
        ways: Ways<'_, 'env>,
    ) -> Result<(), Error> {
        let begun = match &mut seen.comparison {
            Some(begun) => begun,
            none => {
                let allocated = if let Some(allocated) = allocated {
                    allocated
                } else {
                    let asked = self.allocated(source, task, ways.halt)?;
                    asked.map(|allocated| allocated.blocks)
                };
                none.insert(self.begin_comparison(task, allocated, how, ways.halt)?)
            }
        };
        let audit = self.compare(source, task, begun, (ways.pace, ways.halt))?;
        seen.comparison = None;
        seen.audit = Some(audit);
        Ok(())
    }

    /// Waits until the disk may be opened.
    fn permit(&self, task: &DiskTask, halt: &AtomicBool) -> Result<Permit<'env>, Error> {
        let disk = &task.disk;
        let options = self.options;
        let datastore = disk.backing.datastore.as_ref().map(|moref| &moref.id);
        let modes = options.transports.modes();
        // Each way that it may come by; once it is open it is known which one.
        let by_network = options.transport_policy == TransportPolicy::Prefer
            || modes.iter().any(|mode| mode.is_network());
        let by_san = modes.contains(&TransportMode::San);
        let host = || self.host.name.clone();
        let shares = [
            Some(Share::Streams),
            datastore.cloned().map(Share::Datastore),
            by_network.then(|| Share::Host(host())),
            by_san.then(|| Share::San(host())),
        ];
        let shares = shares.into_iter().flatten().collect();
        options.budget.take(shares, halt, |missing, limit| {
            let message = format!(
                "{} waits for others to be read: all {limit} {missing} are taken",
                disk.label
            );
            self.tell(disk, Event::info("waits-for-budget", message));
        })
    }

    /// Where the disk may come by HotAdd: waits until none of VDDK's clean-ups is under way, and keeps others from
    /// beginning.
    fn attach(&self, task: &DiskTask, halt: &AtomicBool) -> Result<Option<Attached<'env>>, Error> {
        let modes = self.options.transports.modes();
        if !modes.contains(&TransportMode::HotAdd) {
            return Ok(None);
        }
        let attached = self.site.hot_add.attach(halt, || {
            let message = format!(
                "{} waits for VDDK's clean-up, which is not made beside disks that are open by HotAdd",
                task.disk.label
            );
            self.tell(&task.disk, Event::info("waits-for-cleanup", message));
        })?;
        Ok(Some(attached))
    }

    /// The host has no memory for this stream: it waits until others have ended.
    fn ask_for_fewer(
        &self,
        task: &DiskTask,
        seen: &mut Seen<'env>,
        halt: &AtomicBool,
    ) -> Result<(), Error> {
        let Some(permit) = seen.permit.take() else {
            return Ok(());
        };
        if let Some((host, fewer)) = permit.ask_for_fewer() {
            let message = format!(
                "{}: the host has no memory for it; {host} that are asked for from now on: {fewer}",
                task.disk.label
            );
            self.tell(&task.disk, Event::warning("fewer-streams", message));
        }
        drop(permit);
        seen.permit = Some(self.permit(task, halt)?);
        Ok(())
    }

    /// How the disk comes; what it has of other ways is given back.
    fn tell_way(&self, source: &VddkSource, task: &DiskTask, seen: &mut Seen<'env>) {
        self.tell_transport(&task.disk, source.transport_fallback().as_ref());
        let transport = source.transport();
        if let Some(permit) = &mut seen.permit {
            permit.keep(|share| share.is_for(&transport));
        }
        seen.transport = Some(transport);
    }

    fn tell_closing(&self, disk: &Disk, closed: Result<(), vddk::Error>) {
        if let Err(error) = closed {
            let message = format!("{}: {error}", disk.label);
            self.tell(disk, Event::warning("close-failed", message));
        }
    }

    /// What is stored so far is kept for the next run, should this one die.
    pub(in crate::engine) fn checkpoint_if_due(&self) -> Result<(), Error> {
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
    fn tell_transport(&self, disk: &Disk, fallback: Option<&TransportFallback>) {
        if let Some(fallback) = fallback {
            let message = format!("{} comes by {fallback}", disk.label);
            self.tell(disk, Event::warning("other-transport", message));
        }
    }

    /// What was compared on the way.
    fn tell_audited(&self, disk: &Disk, audit: &DiskAudit, why: &str) {
        let compared = audit.compared();
        if compared == 0 {
            return;
        }
        let label = &disk.label;
        let message =
            format!("{label}: compared with what vSphere says: {compared} blocks ({why})");
        self.tell(disk, Event::info(AUDITED, message).with("blocks", compared));
    }
}

fn done_bytes(work: Option<&Work>) -> u64 {
    work.map_or(0, |work| work.read_bytes)
}

/// What was done with the disk, and what was compared of it.
fn progress_bytes(work: Option<&Work>, seen: &Seen<'_>) -> u64 {
    let begun = seen.comparison.as_ref().map(Comparison::read_bytes);
    let ended = seen.audit.as_ref().map(|audit| audit.read_bytes);
    done_bytes(work) + begun.or(ended).unwrap_or(0)
}

/// A refused login or certificate is the same for every disk.
fn concerns_all(error: &vddk::Error) -> bool {
    error.thumbprint_mismatch().is_some()
        || matches!(error.kind(), Some(vddk::Kind::Authentication))
        || matches!(error, vddk::Error::ThreadEnded)
}
