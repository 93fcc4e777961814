//! One disk of a run: what is planned; `ask` asks what has changed, `copy` reads and stores it.

mod allocation;
mod ask;
mod copy;
mod report;
mod resume;
mod several;

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use vddk::Connection;

use self::ask::Answers;
pub use self::report::DiskReport;
use super::{
    audit::DiskAudit,
    backup::{BackupOptions, OnBadMap},
    base::{Base, Known, Landmark, base_of, twin_of},
    binding::Waits,
    block_set::BlockSet,
    changed_map::refusal_of,
    coverage::{self, BadMap, Uncovered},
    error::{Error, chain},
    monitor::{Event, Monitor},
    plan::{self, DiskPlan, Tracking},
    site::Site,
    wanted::Wanted,
};
use crate::{
    repo::{
        Asked, Coverage, DISK_SKIPPED, DiskIdentity, DiskSlot, DiskSpec, ParentDisk, PointId,
        RootInfo, SeedReport, Session, SessionRow, VmIdentity, write_changed_areas,
    },
    vsphere::{Disk, Host, Moref, QueryRefusal, TrackingEvent, tracking_of},
};

/// What a run knows while it works on its disks.
pub struct DiskRun<'a> {
    /// vSphere and VDDK.
    pub site: &'a Site,
    /// The VM.
    pub vm: &'a Moref,
    /// The snapshot that is read.
    pub snapshot: &'a Moref,
    /// Whether changes are tracked.
    pub tracking: &'a Tracking,
    /// No other snapshot lies under ours, so that allocation answers can be believed.
    pub only_our_snapshot: bool,
    /// Number of other snapshots that there are.
    pub snapshots_before: u32,
    /// The server's time before the snapshot was made.
    pub before_snapshot: Timestamp,
    /// The host that runs the VM, as far as it may be looked at.
    pub host: &'a Host,
    /// Its id.
    pub host_id: Option<&'a str>,
    /// The sessions that store.
    pub row: &'a SessionRow,
    /// What is unchanged in a partly changed block comes from the repository.
    pub fills_blocks: bool,
    /// Why what was read of a disk up to now is in doubt, if it is.
    pub doubt: &'a (dyn Fn(&Disk) -> Option<String> + Sync),
    /// Marks the points that a disk was compared with, as its audit found something wrong.
    pub mark: &'a (dyn Fn(&Disk, &DiskAudit) + Sync),
    /// What a point says that is committed on the way; none where what was read may be in doubt.
    pub partial: &'a (dyn Fn(Asked) -> Option<RootInfo> + Sync),
    /// Makes a new connection, in place of one that broke.
    pub connect: &'a (dyn Fn() -> Result<Connection, Error> + Sync),
    /// How.
    pub options: &'a BackupOptions,
    /// What the threads that read have waited for.
    pub waits: &'a Waits,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// Set by a signal.
    pub cancel: &'a AtomicBool,
}

/// A disk that takes part, planned and added to the session.
#[derive(Debug)]
pub struct DiskTask {
    pub(super) disk: Disk,
    plan: DiskPlan,
    pub(super) slot: DiskSlot,
    pub(super) block_shift: u8,
    /// What to read; none: all that is allocated.
    pub(super) wanted: Option<Wanted>,
    coverage: Coverage,
    /// What the server said, as a file of the point.
    changed_areas: Option<Vec<u8>>,
    pub(super) parent: Option<ParentDisk>,
    origin: Option<PointId>,
    /// The last whole point, where the parent is of a run that died.
    pub(super) unchanged_since: Option<ParentDisk>,
    /// The newest point that holds data of it, whether it builds on it or not.
    pub(super) newest: Option<PointId>,
    /// Why it is audited on the way, if it is.
    audit_because: Option<String>,
    /// What vSphere says of it was found wrong: nobody is asked what is allocated.
    is_distrusted: bool,
    /// Why vSphere is not asked what is allocated where VDDK can't tell, as far as points and tracking decide.
    keeps_from_vsphere: Option<&'static str>,
}

impl DiskTask {
    /// Why not only the changes are read.
    pub(super) fn full_because(&self) -> Option<&str> {
        match &self.plan {
            DiskPlan::Full { reason, .. } => Some(reason),
            DiskPlan::Incremental { .. } | DiskPlan::Skip { .. } => None,
        }
    }

    /// The tracking of now: the first part of its change ids.
    pub(super) fn tracking(&self) -> Option<String> {
        let change_id = self.disk.backing.change_id.as_deref()?;
        tracking_of(change_id).map(str::to_owned)
    }
}

impl std::fmt::Debug for DiskRun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskRun")
            .field("vm", self.vm)
            .field("snapshot", self.snapshot)
            .finish_non_exhaustive()
    }
}

impl DiskRun<'_> {
    /// Plans a disk by what the server said of it, and adds it to the session. `None`: it is left out.
    fn prepare(
        &self,
        disk: &Disk,
        ground: Ground,
        answers: Answers,
    ) -> Result<Option<DiskTask>, Error> {
        let Ground {
            mut base,
            mut plan,
            partial,
            known,
        } = ground;
        if base.as_ref().is_some_and(Base::is_partial) {
            self.tell_resumed(disk);
        }
        let mut audit_because = self.audit_due(disk)?;
        if let Some(base) = &base {
            let event = plan::event(disk, &base.disk, self.host_id);
            self.tell_event(disk, event);
            if is_risky(event) {
                audit_because = Some(event.to_string());
            }
        }
        let mut landmark = self.landmark(disk, base.as_ref(), &known);
        let keeps_from_vsphere = self.keeps_from_vsphere(disk, &landmark, &known);
        let mut answer = None;
        match &plan {
            DiskPlan::Skip { reason } => {
                let message = format!("{} is left out: {reason}", disk.label);
                self.tell(disk, Event::warning(DISK_SKIPPED, message));
                return Ok(None);
            }
            DiskPlan::Incremental { .. } if self.options.full => {
                plan = DiskPlan::Full {
                    cause: "asked-for",
                    reason: "a full was asked for".to_owned(),
                    reuse_parent: true,
                };
            }
            DiskPlan::Full { .. } => {}
            DiskPlan::Incremental { .. } => match answers.since_base {
                None => return Err(Error::Interrupted),
                Some(Ok(coverage)) => answer = Some(coverage),
                Some(Err(Uncovered::Bad(bad))) if self.options.on_bad_map == OnBadMap::Fail => {
                    return Err(Error::BadMap {
                        disk: disk.label.clone(),
                        bad,
                    });
                }
                Some(Err(uncovered)) => {
                    let refusal = refusal_of(&uncovered);
                    // An id that the server refuses as such is of no use any more. Else the next run asks
                    // from the old one again: what this server says is in doubt.
                    if !matches!(
                        refusal,
                        Some(QueryRefusal::ChangeId | QueryRefusal::Argument)
                    ) {
                        landmark.stay_at(base.as_ref());
                    }
                    plan = match uncovered {
                        Uncovered::Bad(bad) => self.full_after_bad_map(disk, &bad),
                        Uncovered::Query(Error::Interrupted) => return Err(Error::Interrupted),
                        // There is nothing left to read.
                        Uncovered::Query(error) if refusal == Some(QueryRefusal::SnapshotGone) => {
                            return Err(error);
                        }
                        Uncovered::Query(error) => self.full_after_fault(disk, &error, refusal),
                    };
                }
            },
        }
        if landmark.change_id.is_none() && self.tracking.is_on() {
            let message = format!(
                "vSphere gives no change id for {}: the next backup reads it in full",
                disk.label
            );
            self.tell(disk, Event::info("no-change-id", message));
        }
        let origin = base.as_ref().filter(|base| !base.is_partial());
        let origin = origin.map(|base| base.origin);
        let newest = partial.as_ref().or(base.as_ref());
        let newest = newest.map(|newest| newest.parent.point);
        let mut unchanged_since = None;
        if let (Some(partial), Some(answer)) = (partial, &mut answer)
            && self.goes_on(disk, &partial, answer, answers.since_partial)?
        {
            unchanged_since = base.map(|whole| whole.parent);
            base = Some(partial);
        }
        let reuse = !matches!(
            plan,
            DiskPlan::Full {
                reuse_parent: false,
                ..
            }
        );
        let parent = base.map(|base| base.parent).filter(|_| reuse);
        let parents = (parent, unchanged_since);
        let (slot, parent) = self.add(disk, &landmark, parents, &mut plan, &mut answer)?;
        let block_shift = self
            .row
            .with(|session| session.geometry(slot).block_shift())?;
        let (wanted, coverage, changed_areas) = match answer {
            Some(mut answer) => {
                let proof = proof(&answer);
                let file = changed_areas(&mut answer, [unchanged_since, parent]);
                (Some(self.to_read(answer, block_shift)), proof, file)
            }
            None => (None, whole(&plan), None),
        };
        Ok(Some(DiskTask {
            disk: disk.clone(),
            plan,
            slot,
            block_shift,
            wanted,
            coverage,
            changed_areas,
            parent,
            origin,
            audit_because,
            is_distrusted: known.distrust.tracking.is_some() || known.distrust.allocation,
            keeps_from_vsphere,
            newest,
            unchanged_since,
        }))
    }

    /// The blocks that have changed grains. Where the older block is near at hand, no more than those
    /// grains are read of it.
    fn to_read(&self, answer: coverage::Coverage, block_shift: u8) -> Wanted {
        let blocks = rebuilt(&answer.changed, block_shift);
        let grains = self.fills_blocks.then_some(answer.changed);
        Wanted { blocks, grains }
    }

    /// What the disk builds on, and what is read for that.
    ///
    /// After a run that died a partial point is the newest. An increment asks from the last complete point
    /// all the same: what the dead run has not covered did not change before that.
    fn ground(&self, disk: &Disk) -> Result<Ground, Error> {
        let twin = self.row.with(|session| {
            let twin = twin_of(self.vm, disk, session.parents())?;
            Some((twin.id(), twin.root.vm.clone()))
        })?;
        if let Some((point, vm)) = twin {
            self.tell_twin(disk, point, &vm);
        }
        let (mut newest, mut whole, mut known) = self.row.with(|session| {
            let parents = session.parents();
            let newest = base_of(self.vm, disk, parents, true);
            let is_partial = newest.as_ref().is_some_and(Base::is_partial);
            let whole = is_partial
                .then(|| base_of(self.vm, disk, parents, false))
                .flatten();
            (newest, whole, Known::of(self.vm, disk, parents))
        })?;
        let bases = [newest.as_mut(), whole.as_mut()];
        for base in bases.into_iter().flatten() {
            base.disk.distrust.add(&known.distrust);
        }
        if let Some(newest) = &newest {
            known.distrust = newest.disk.distrust.clone();
        }
        let plan = |base: Option<&Base>| {
            let base = base.map(|base| &base.disk);
            plan::plan(disk, self.tracking, base, |base| self.may_be_reverted(base))
        };
        let is_incremental = |plan: &DiskPlan| matches!(plan, DiskPlan::Incremental { .. });
        if let Some(whole) = whole {
            let planned = plan(Some(&whole));
            if is_incremental(&planned) {
                return Ok(Ground {
                    partial: newest.filter(|newest| is_incremental(&plan(Some(newest)))),
                    base: Some(whole),
                    plan: planned,
                    known,
                });
            }
        }
        Ok(Ground {
            plan: plan(newest.as_ref()),
            base: newest,
            partial: None,
            known,
        })
    }

    /// Points of another VM stand among those of this one.
    fn tell_twin(&self, disk: &Disk, point: PointId, vm: &VmIdentity) {
        let message = format!(
            "{}: point {point} with the same UUIDs is of another VM, or of this one as it was registered before, from \
             another place: {} ({}); it is not built upon",
            disk.label, vm.name, vm.moref
        );
        self.tell(disk, Event::warning("same-uuids", message));
    }

    /// What happened to the disk's tracking, where it is not what always happens.
    fn tell_event(&self, disk: &Disk, event: TrackingEvent) {
        let is_told = !matches!(event, TrackingEvent::Continued | TrackingEvent::Untracked);
        if self.tracking.is_on() && is_told {
            let kind = format!("tracking-{}", event.id());
            let message = format!("{}: {event}", disk.label);
            self.tell(disk, Event::info(&kind, message));
        }
    }

    /// Adds a disk to the session. A parent that cannot be read is no reason to make no backup: the
    /// disk is then read in full and stands on its own.
    fn add(
        &self,
        disk: &Disk,
        landmark: &Landmark,
        (parent, unchanged_since): (Option<ParentDisk>, Option<ParentDisk>),
        plan: &mut DiskPlan,
        answer: &mut Option<coverage::Coverage>,
    ) -> Result<(DiskSlot, Option<ParentDisk>), Error> {
        let spec = |parent: Option<ParentDisk>| DiskSpec {
            identity: identity(disk),
            capacity_bytes: disk.capacity_bytes,
            // A disk keeps the size it began with.
            block_shift: self.options.block_shift.filter(|_| parent.is_none()),
            change_id: landmark.change_id.clone(),
            snapshots_before: landmark.snapshots_before,
            change_id_after_ms: landmark.change_id_after_ms,
            distrust: landmark.distrust.clone(),
            sound_tracking: landmark.sound_tracking.clone(),
            parent,
            unchanged_since,
        };
        let add = |parent| self.row.with(|session| session.add_disk(spec(parent)));
        match add(parent)? {
            Err(error) if parent.is_some() && error.is_damage() => {
                let message = format!(
                    "{}: the last point cannot be built on: {}; the disk is read in full",
                    disk.label,
                    chain(&error)
                );
                self.tell(disk, Event::warning("parent-damaged", message));
                *plan = DiskPlan::Full {
                    cause: "parent-damaged",
                    reason: format!("the last point is damaged: {}", chain(&error)),
                    reuse_parent: false,
                };
                *answer = None;
                Ok((add(None)??, None))
            }
            added => {
                let slot = added?;
                if let Some(seeds) = self.row.with(Session::take_seed_report)? {
                    self.tell_seeds(&seeds);
                }
                Ok((slot, parent))
            }
        }
    }

    /// What is known of other VMs.
    fn tell_seeds(&self, seeds: &SeedReport) {
        for name in &seeds.unknown {
            let message = format!("no VM named {name} has a point: nothing is known of it");
            self.monitor.event(&Event::warning("seed-unknown", message));
        }
        if !seeds.points.is_empty() {
            let names: Vec<&str> = seeds.points.iter().map(|(_, name)| name.as_str()).collect();
            let message = format!(
                "{} blocks of {} are known and need not be stored again",
                seeds.blocks,
                names.join(", ")
            );
            let event = Event::info("seeds-known", message).with("blocks", seeds.blocks);
            self.monitor.event(&event);
        }
    }

    fn check_cancel(&self) -> Result<(), Error> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Tells what happened to a disk.
    fn tell(&self, disk: &Disk, event: Event) {
        let event = of_disk(event, &disk.label, disk.device_key);
        self.monitor.event(&event);
    }

    fn full_after_bad_map(&self, disk: &Disk, bad: &BadMap) -> DiskPlan {
        let message = format!(
            "{}: {bad}; the answer is not used, the disk is read in full",
            disk.label
        );
        self.tell(disk, Event::warning("bad-map", message));
        DiskPlan::Full {
            cause: "bad-map",
            reason: format!("the map of changed areas cannot be believed: {bad}"),
            reuse_parent: true,
        }
    }

    fn full_after_fault(
        &self,
        disk: &Disk,
        error: &Error,
        refusal: Option<QueryRefusal>,
    ) -> DiskPlan {
        let mut why = chain(error);
        let mut then = "the disk is read in full";
        if let Some(refusal) = refusal {
            why = format!("{refusal} ({why})");
            then = refusal.remedy();
        }
        let message = format!("{}: {why}; {then}", disk.label);
        self.tell(disk, Event::warning("changed-areas-failed", message));
        DiskPlan::Full {
            cause: "changed-areas-failed",
            reason: format!("vSphere could not tell the changed areas: {why}"),
            reuse_parent: true,
        }
    }
}

/// What a disk builds on.
struct Ground {
    base: Option<Base>,
    plan: DiskPlan,
    /// Of an increment on a complete point: what a later run had read before it died.
    partial: Option<Base>,
    /// What points say of its tracking.
    known: Known,
}

/// An event that names its disk for programs.
fn of_disk(event: Event, label: &str, device_key: i32) -> Event {
    event.with("disk", label).with("device_key", device_key)
}

/// True for what may have cost tracking a change, and for what made it begin anew. With another size, or as another disk,
/// nothing is left to compare.
fn is_risky(event: TrackingEvent) -> bool {
    matches!(
        event,
        TrackingEvent::StorageMoved
            | TrackingEvent::Moved
            | TrackingEvent::Reverted
            | TrackingEvent::Restarted
            | TrackingEvent::RestartedByStorageMove
    )
}

/// The set is asked for at the tracking grain, before the disk's block size is known.
pub(super) const ASKED_SHIFT: u8 = 16;

/// The same bytes in blocks of another size.
fn rebuilt(set: &BlockSet, block_shift: u8) -> BlockSet {
    let mut other = BlockSet::empty(set.capacity_bytes(), block_shift);
    for run in set.runs() {
        other.insert_bytes(run.start << ASKED_SHIFT..run.end << ASKED_SHIFT);
    }
    other
}

/// Nothing had to be shown: all was read.
fn whole(plan: &DiskPlan) -> Coverage {
    let (cause, reason) = match plan {
        DiskPlan::Full { cause, reason, .. } => (*cause, reason.as_str()),
        DiskPlan::Incremental { .. } | DiskPlan::Skip { .. } => ("", ""),
    };
    Coverage {
        method: "full".to_owned(),
        cause: cause.to_owned(),
        reason: reason.to_owned(),
        ..Coverage::default()
    }
}

fn proof(coverage: &coverage::Coverage) -> Coverage {
    Coverage {
        method: "query-changed-disk-areas".to_owned(),
        digest: blake3::Hash::from(coverage.digest).to_hex().to_string(),
        pages: coverage.pages,
        areas: coverage.areas,
        area_bytes: coverage.changed_bytes,
        kept: kept(coverage).to_owned(),
        ..Coverage::default()
    }
}

/// How the answers are kept with the point.
fn kept(coverage: &coverage::Coverage) -> &'static str {
    let mut answers = coverage.answers.iter();
    if answers.all(|answer| answer.saved.has_pages()) {
        "pages"
    } else {
        "grains"
    }
}

/// What the server said has changed since each of the points that there are.
fn changed_areas(
    coverage: &mut coverage::Coverage,
    since: [Option<ParentDisk>; 2],
) -> Option<Vec<u8>> {
    let since = since.into_iter().flatten().map(|parent| parent.point);
    let answers = std::mem::take(&mut coverage.answers).into_iter();
    let answers: Vec<_> = since
        .zip(answers)
        .map(|(point, answer)| (point, answer.from_bytes, answer.saved))
        .collect();
    (!answers.is_empty()).then(|| write_changed_areas(&answers))
}

pub(super) fn identity(disk: &Disk) -> DiskIdentity {
    DiskIdentity {
        device_key: disk.device_key,
        label: disk.label.clone(),
        controller: disk
            .controller
            .as_ref()
            .map(|controller| controller.kind.as_str().to_owned())
            .unwrap_or_default(),
        bus: disk
            .controller
            .as_ref()
            .map_or(0, |controller| controller.bus_number),
        unit: disk.unit.unwrap_or(0),
        disk_uuid: disk.backing.disk_uuid.clone().unwrap_or_default(),
        base_file: disk.backing.base_file_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ASKED_SHIFT, BlockSet, rebuilt};

    #[test]
    fn grains_become_the_blocks_that_hold_them() {
        let mut grains = BlockSet::empty(1 << 20, ASKED_SHIFT);
        grains.insert_bytes(3 << 16..4 << 16);
        grains.insert_bytes((1 << 20) - 1..1 << 20);
        assert_eq!(
            rebuilt(&grains, 18).runs().collect::<Vec<_>>(),
            [0..1, 3..4]
        );
    }
}
