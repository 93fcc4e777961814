//! What of a disk is allocated: VDDK is asked, and vSphere where VDDK cannot tell.

use std::{ops::Range, sync::atomic::AtomicBool};

use super::{DiskRun, DiskTask, rebuilt};
use crate::{
    engine::{
        backup::OnBadMap,
        base::{Known, Landmark},
        block_set::BlockSet,
        coverage::{BadMap, Coverage, Uncovered},
        error::{Error, chain},
        monitor::Event,
        source::{DiskSource, VddkSource},
    },
    repo::Allocation,
    vsphere::{BackingKind, Disk},
};

/// In place of a change id: vSphere is asked for what is allocated ("vSphere API reference", 5.4).
const ALLOCATED: &str = "*";

/// What is allocated, by an answer that can be believed.
pub(super) struct Allocated {
    /// Blocks that hold something; all others are zeros.
    pub(super) blocks: BlockSet,
    /// Who told it.
    pub(super) told: Allocation,
}

impl DiskRun<'_> {
    /// The blocks that hold something, where an answer can be believed; else why none can.
    ///
    /// # Errors
    /// At a signal; for a false answer of vSphere's, where the run was told to fail then.
    pub(super) fn allocated(
        &self,
        source: &mut VddkSource,
        task: &DiskTask,
        halt: &AtomicBool,
    ) -> Result<Result<Allocated, String>, Error> {
        if let Some(why) = self.keeps_from_asking(source, task) {
            return Ok(Err(why.to_owned()));
        }
        let error = match source.allocated() {
            Ok(areas) => return Ok(Ok(by_vddk(task, &areas))),
            Err(error) => error,
        };
        let label = &task.disk.label;
        let mut why = format!("its allocated areas are not known: {error}");
        if has_no_answer(&error) {
            let not = match self.keeps_from_asking_vsphere(task) {
                Some(not) => format!("vSphere is not asked in its place: {not}"),
                None => match self.changed(&task.disk, ALLOCATED, halt) {
                    Ok(answer) => {
                        self.tell_by_vsphere(&task.disk, &error, &answer);
                        return Ok(Ok(by_vsphere(task, &answer)));
                    }
                    Err(Uncovered::Query(Error::Interrupted)) => return Err(Error::Interrupted),
                    Err(Uncovered::Query(failed)) => {
                        format!("vSphere cannot tell either: {}", chain(&failed))
                    }
                    Err(Uncovered::Bad(bad)) if self.options.on_bad_map == OnBadMap::Fail => {
                        let disk = label.clone();
                        return Err(Error::BadMap { disk, bad });
                    }
                    Err(Uncovered::Bad(bad)) => return Ok(Err(self.tell_false(&task.disk, &bad))),
                },
            };
            why = format!("{why}; {not}");
        }
        let message = format!("{label} is read whole: {why}");
        self.tell(&task.disk, Event::info("allocation-unknown", message));
        Ok(Err(why))
    }

    /// Why nobody is asked what is allocated.
    fn keeps_from_asking(&self, source: &VddkSource, task: &DiskTask) -> Option<&'static str> {
        let only_ours = self.only_our_snapshot && task.disk.backing.chain_links <= 1;
        match () {
            () if task.is_distrusted => Some("what vSphere says of it was found wrong"),
            () if self.options.read_unallocated => Some("all of it was asked for"),
            () if !only_ours => Some("another snapshot lies below ours"),
            () if source.transport() == "file" => Some("it is a local file"),
            () => None,
        }
    }

    /// What of tracking and points keeps vSphere from being asked what is allocated ("vSphere API reference", 5.4).
    pub(super) fn keeps_from_vsphere(
        &self,
        disk: &Disk,
        landmark: &Landmark,
        known: &Known,
    ) -> Option<&'static str> {
        match () {
            () if !self.tracking.is_on() => Some("its changes are not tracked"),
            () if landmark.change_id.is_none() => Some("it has no change id"),
            () if known.is_saved => Some("a point has a change id of its tracking"),
            () if landmark.distrust.tracking.is_some() => Some("its tracking is not believed"),
            () if landmark.sound_tracking.is_none() => {
                Some("no run is known to have switched tracking on while there was no snapshot")
            }
            () if disk.backing.kind != BackingKind::FlatVer2 => Some("it is no plain virtual disk"),
            () => None,
        }
    }

    /// All that keeps vSphere from being asked, its datastore among it.
    fn keeps_from_asking_vsphere(&self, task: &DiskTask) -> Option<String> {
        if let Some(why) = task.keeps_from_vsphere {
            return Some(why.to_owned());
        }
        let Some(moref) = &task.disk.backing.datastore else {
            return Some("its datastore is not known".to_owned());
        };
        match self.site.ask(self.site.client.datastore(moref)) {
            Ok(datastore) if datastore.file_system.eq_ignore_ascii_case("VMFS") => None,
            Ok(datastore) => Some(format!(
                "its answer holds on VMFS only, and the disk lies on {}",
                datastore.file_system
            )),
            Err(error) => Some(format!(
                "what its datastore is cannot be told: {}",
                chain(&error)
            )),
        }
    }

    fn tell_by_vsphere(&self, disk: &Disk, error: &vddk::Error, answer: &Coverage) {
        let message = format!(
            "{}: what is allocated is known by vSphere, {} of {} bytes in {} areas: VDDK could not tell: {error}",
            disk.label, answer.changed_bytes, disk.capacity_bytes, answer.areas
        );
        let event = Event::info("allocation-by-vsphere", message);
        self.tell(disk, event.with("allocated_bytes", answer.changed_bytes));
    }

    /// Why a false answer is not used.
    fn tell_false(&self, disk: &Disk, bad: &BadMap) -> String {
        let why = format!("what vSphere says is allocated cannot be believed: {bad}");
        let message = format!("{}: {why}; the disk is read in full", disk.label);
        self.tell(disk, Event::warning("bad-map", message));
        why
    }
}

/// True where VDDK tells nothing. After an answer that contradicts itself, or on a disk that is given up, no other is sought.
fn has_no_answer(error: &vddk::Error) -> bool {
    matches!(
        error,
        vddk::Error::MissingFunction { .. } | vddk::Error::Call(_)
    )
}

fn by_vddk(task: &DiskTask, areas: &[Range<u64>]) -> Allocated {
    let mut blocks = BlockSet::empty(task.disk.capacity_bytes, task.block_shift);
    for area in areas {
        blocks.insert_bytes(area.clone());
    }
    let told = Allocation {
        method: "query-allocated-blocks".to_owned(),
        area_bytes: areas.iter().map(|area| area.end - area.start).sum(),
        areas: areas.len() as u64,
        ..Allocation::default()
    };
    Allocated { blocks, told }
}

fn by_vsphere(task: &DiskTask, answer: &Coverage) -> Allocated {
    Allocated {
        blocks: rebuilt(&answer.changed, task.block_shift),
        told: Allocation {
            method: "query-changed-disk-areas".to_owned(),
            area_bytes: answer.changed_bytes,
            areas: answer.areas,
            pages: answer.pages,
            digest: blake3::Hash::from(answer.digest).to_hex().to_string(),
        },
    }
}
