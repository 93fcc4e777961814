//! The changed-areas query ("vSphere Web Services API" sections 5.4 and 5.6).

use std::ops::Range;

use vmdk::OpenOptions;

use crate::tracking::map::Map;
use crate::tracking::{GRAIN_BYTES, change_id, grains_allocated, grains_touched};
use crate::{Disk, Error, Kind, Lab, Link, LinkTracking, PowerState, Site, UnknownAllocation};

/// The change id that asks for the allocated areas.
const ALLOCATED: &str = "*";

/// A piece of a disk that changed or is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Where it starts.
    pub start_bytes: u64,
    /// How long it is.
    pub length_bytes: u64,
}

/// One page of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedAreas {
    /// Where the page starts: the offset that was asked for.
    pub start_offset_bytes: u64,
    /// How much of the disk the page examined.
    pub length_bytes: u64,
    /// What was found: ascending, disjoint, inside the page.
    pub areas: Vec<Area>,
}

/// Why a query was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangedAreasError {
    /// A parameter is wrong.
    #[error("invalid argument {property}")]
    InvalidArgument {
        /// Name of the parameter in the call: `deviceKey`, `startOffset`, `changeId`, `snapshot`.
        property: &'static str,
    },
    /// The time asked for lies before tracking, or the map cannot be used.
    #[error("file fault on {file}")]
    FileFault {
        /// Datastore path of the link.
        file: String,
    },
    /// No such VM, or no such snapshot of it.
    #[error("virtual machine or snapshot not found")]
    NotFound,
    /// The lab itself failed.
    #[error("the lab failed")]
    Lab(#[source] Error),
}

impl From<Error> for ChangedAreasError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound {
                kind: Kind::Vm | Kind::Snapshot,
                ..
            } => Self::NotFound,
            other => Self::Lab(other),
        }
    }
}

impl Lab {
    /// What changed on a disk between a change id and a snapshot. `snapshot` may be `None` only
    /// for a VM that is off. The change id `*` asks for the allocated areas. Where those are not
    /// known, off VMFS and in a snapshot that is older than tracking, the answer is the whole disk
    /// or a fault, as [`Behaviour::unknown_allocation`](crate::Behaviour) says.
    ///
    /// # Errors
    ///
    /// [`ChangedAreasError::NotFound`] for an unknown VM or snapshot;
    /// [`ChangedAreasError::InvalidArgument`] for a device that is unknown or not tracked, for an
    /// offset at or behind the capacity, for an id that is malformed, of another disk, or newer
    /// than the snapshot; [`ChangedAreasError::FileFault`] for an id older than tracking and for a
    /// map that is missing or damaged.
    pub fn changed_areas(
        &self,
        vm: &str,
        snapshot: Option<&str>,
        device_key: i32,
        start_offset_bytes: u64,
        change_id: &str,
    ) -> Result<ChangedAreas, ChangedAreasError> {
        // State and maps must not move on while they are read.
        let _lock = self.lock_shared()?;
        let vm = self.load_vm(vm)?;
        if snapshot.is_none() && vm.power_state != PowerState::PoweredOff {
            return invalid("snapshot");
        }
        let disks = vm.disks_of(snapshot)?;
        let Some(disk) = disks.iter().find(|disk| disk.device_key == device_key) else {
            return invalid("deviceKey");
        };
        let Some(link) = disk.top() else {
            return invalid("deviceKey");
        };
        if start_offset_bytes >= disk.capacity_bytes {
            return invalid("startOffset");
        }
        let site = self.load_site()?;
        let page = Page::new(&site, disk.capacity_bytes, start_offset_bytes);
        if change_id == ALLOCATED {
            if link.tracking.is_none() && !is_tracked(vm.disk(device_key)) {
                return invalid("deviceKey");
            }
            return self.allocated_page(page, disk, link);
        }
        let Some(tracking) = &link.tracking else {
            return invalid("deviceKey");
        };
        let since = since(change_id, link, tracking)?;
        let fault = |_error| ChangedAreasError::FileFault {
            file: link.file.clone(),
        };
        let runs = self
            .path_of(&tracking.ctk_file)
            .and_then(|path| Map::open(&path, disk.capacity_bytes, &tracking.uuid))
            .and_then(|map| map.written_since(page.grains(), since, page.runs_wanted()))
            .map_err(fault)?;
        let runs = if tracking.shifted {
            shifted(&runs, &page.grains())
        } else {
            runs
        };
        let (more, at_once) = (
            site.behaviour.over_reported_grains,
            site.behaviour.grains_told_at_once.max(1),
        );
        Ok(match (more, at_once) {
            (0, 1) => page.answer(runs),
            _ => page.widened_answer(runs, more, at_once),
        })
    }

    /// The answer to `*`.
    fn allocated_page(
        &self,
        page: Page,
        disk: &Disk,
        link: &Link,
    ) -> Result<ChangedAreas, ChangedAreasError> {
        let site = self.load_site()?;
        let on_vmfs = site
            .datastore(&disk.datastore)
            .is_some_and(|datastore| datastore.kind.is_vmfs());
        let Some(tracking) = link.tracking.as_ref().filter(|_| on_vmfs) else {
            return match site.behaviour.unknown_allocation {
                UnknownAllocation::WholeDisk => Ok(page.whole()),
                UnknownAllocation::FileFault => Err(ChangedAreasError::FileFault {
                    file: link.file.clone(),
                }),
            };
        };
        if disk.provisioning.is_all_allocated() {
            return Ok(page.whole());
        }
        let path = self.path_of(&link.file)?;
        let span = page.span();
        let start_sector = span.start / vmdk::SECTOR_BYTES;
        let sectors = span.end.div_ceil(vmdk::SECTOR_BYTES) - start_sector;
        let options = OpenOptions {
            single_link: tracking.incomplete,
            ..OpenOptions::default()
        };
        let allocated = vmdk::Disk::open(&path, options)
            .and_then(|disk| disk.allocated(start_sector, sectors))
            .map_err(Error::disk("map", path))?;
        let mut runs: Vec<Range<u64>> = Vec::new();
        for run in allocated {
            let (start, length) = (
                run.start_sector * vmdk::SECTOR_BYTES,
                run.sectors * vmdk::SECTOR_BYTES,
            );
            let block_bytes = site.block_bytes(&disk.datastore);
            let grains = grains_allocated(block_bytes, (start, length), disk.capacity_bytes);
            let bounds = page.grains();
            let grains = grains.start.max(bounds.start)..grains.end.min(bounds.end);
            match runs.last_mut() {
                Some(last) if grains.start <= last.end => last.end = last.end.max(grains.end),
                _ => runs.push(grains),
            }
        }
        runs.truncate(page.runs_wanted());
        Ok(page.answer(runs))
    }
}

/// Are changes of the running disk tracked, at least since its last snapshot?
fn is_tracked(running: Option<&Disk>) -> bool {
    running
        .and_then(Disk::top)
        .is_some_and(|link| link.tracking.is_some())
}

/// Runs one grain too far up, inside the bounds.
fn shifted(runs: &[Range<u64>], bounds: &Range<u64>) -> Vec<Range<u64>> {
    let moved = runs
        .iter()
        .map(|run| run.start + 1..bounds.end.min(run.end + 1));
    moved.filter(|run| run.start < run.end).collect()
}

/// Runs with more grains around each, and of whole multiples of grains, inside the bounds.
fn widened(runs: &[Range<u64>], more: u64, at_once: u64, bounds: &Range<u64>) -> Vec<Range<u64>> {
    let mut wide: Vec<Range<u64>> = Vec::with_capacity(runs.len());
    for run in runs {
        let start = run.start.saturating_sub(more) / at_once * at_once;
        let start = start.max(bounds.start);
        let end = run.end.saturating_add(more).div_ceil(at_once);
        let end = end.saturating_mul(at_once).min(bounds.end);
        match wide.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => wide.push(start..end),
        }
    }
    wide
}

fn invalid<T>(property: &'static str) -> Result<T, ChangedAreasError> {
    Err(ChangedAreasError::InvalidArgument { property })
}

/// The sequence number of a change id that fits the disk.
fn since(text: &str, link: &Link, tracking: &LinkTracking) -> Result<u32, ChangedAreasError> {
    match change_id::parse(text) {
        Some((uuid, 0)) if uuid == tracking.uuid => Err(ChangedAreasError::FileFault {
            file: link.file.clone(),
        }),
        Some((uuid, sequence)) if uuid == tracking.uuid && sequence <= tracking.sequence => {
            Ok(sequence)
        }
        _ => invalid("changeId"),
    }
}

/// What one answer may cover.
#[derive(Clone, Copy, Debug)]
struct Page {
    start_bytes: u64,
    end_bytes: u64,
    capacity_bytes: u64,
    max_areas: usize,
}

impl Page {
    fn new(site: &Site, capacity_bytes: u64, start_bytes: u64) -> Self {
        let span_bytes = site.page_span_bytes.unwrap_or(u64::MAX);
        let end_bytes = capacity_bytes.min(start_bytes.saturating_add(span_bytes));
        Self {
            start_bytes,
            end_bytes,
            capacity_bytes,
            max_areas: site.page_extents,
        }
    }

    /// The grains to examine.
    fn grains(&self) -> Range<u64> {
        grains_touched(self.start_bytes, self.end_bytes - self.start_bytes)
    }

    /// The bytes of those grains, as far as the disk has them.
    fn span(&self) -> Range<u64> {
        let grains = self.grains();
        grains.start * GRAIN_BYTES..self.capacity_bytes.min(grains.end * GRAIN_BYTES)
    }

    /// One run more than fits, which tells that there is more.
    fn runs_wanted(&self) -> usize {
        self.max_areas.saturating_add(1)
    }

    /// Runs of grains as areas inside the page. With a run too many the page ends with the last
    /// area that fits.
    fn answer(&self, mut runs: Vec<Range<u64>>) -> ChangedAreas {
        let complete = runs.len() <= self.max_areas;
        runs.truncate(self.max_areas);
        let areas: Vec<Area> = runs
            .into_iter()
            .map(|run| {
                let start_bytes = self.start_bytes.max(run.start * GRAIN_BYTES);
                let end_bytes = self.end_bytes.min(run.end * GRAIN_BYTES);
                Area {
                    start_bytes,
                    length_bytes: end_bytes - start_bytes,
                }
            })
            .collect();
        let end_bytes = match areas.last() {
            Some(last) if !complete => last.start_bytes + last.length_bytes,
            _ => self.end_bytes,
        };
        ChangedAreas {
            start_offset_bytes: self.start_bytes,
            length_bytes: end_bytes - self.start_bytes,
            areas,
        }
    }

    /// As `answer`, with more grains around each run. With a run too many the page ends before what
    /// is told for that one.
    fn widened_answer(
        mut self,
        mut runs: Vec<Range<u64>>,
        more: u64,
        at_once: u64,
    ) -> ChangedAreas {
        if runs.len() > self.max_areas
            && let Some(next) = runs.pop()
        {
            let told = runs.last().map_or(0, |last| last.end.div_ceil(at_once));
            let end = told.max(next.start / at_once).saturating_mul(at_once);
            self.end_bytes = self.end_bytes.min(end.saturating_mul(GRAIN_BYTES));
        }
        self.answer(widened(&runs, more, at_once, &self.grains()))
    }

    /// One area over all that is left of the disk.
    fn whole(&self) -> ChangedAreas {
        let length_bytes = self.capacity_bytes - self.start_bytes;
        ChangedAreas {
            start_offset_bytes: self.start_bytes,
            length_bytes,
            areas: vec![Area {
                start_bytes: self.start_bytes,
                length_bytes,
            }],
        }
    }
}
