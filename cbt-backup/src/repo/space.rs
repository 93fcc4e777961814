//! Who needs how much of what is stored, told by whole packs.
//!
//! A pack is what a prune removes, so these are the bytes that would come free. Parts of a pack that nobody
//! needs any more count for those who need the rest, until a compaction.

use std::collections::{BTreeMap, HashMap};

use super::error::Error;
use super::id::{PackId, PackKind, VmKey};
use super::name::RootName;
use super::point::Point;
use super::repository::Repository;
use super::roots::Roots;
use super::verify::{Finding, Severity};

/// What one VM needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSpace {
    /// The VM.
    pub vm: VmKey,
    /// Its name in the newest point.
    pub vm_name: String,
    /// Number of living points.
    pub points: u64,
    /// Sum of the sizes of the disks in the newest point.
    pub logical_bytes: u64,
    /// The packs that any of its points needs.
    pub stored_bytes: u64,
    /// Those among them that no other VM's living points need.
    pub unique_bytes: u64,
}

/// What the repository holds, and for whom.
#[derive(Clone, Debug, Default)]
pub struct SpaceReport {
    /// By VM, the one that needs most first.
    pub vms: Vec<VmSpace>,
    /// All packs.
    pub total_bytes: u64,
    /// Packs that only dropped points need.
    pub bin_bytes: u64,
    /// Packs that no point needs: a prune removes them, unless a session that runs has just made them.
    pub unneeded_bytes: u64,
    /// Packs that points need and that are not there, or not whole.
    pub missing_packs: u64,
    /// Points that cannot be counted; what they need may be told as not needed.
    pub findings: Vec<Finding>,
}

#[derive(Default)]
struct Tally {
    name: String,
    newest_ms: Option<i64>,
    logical_bytes: u64,
    points: u64,
    packs: HashMap<PackId, u64>,
}

impl Repository {
    /// Counts what each VM needs. One small table is read for each point; trees are not walked.
    ///
    /// # Errors
    /// `Store`. A point that cannot be read becomes a finding.
    pub async fn space(&self) -> Result<SpaceReport, Error> {
        let roots = Roots::read(self, None).await?;
        let mut report = SpaceReport::default();
        let mut tallies: BTreeMap<String, (VmKey, Tally)> = BTreeMap::new();
        for name in roots.living() {
            let Some((point, packs)) = self.needs(&name, &mut report.findings).await? else {
                continue;
            };
            let entry = tallies.entry(name.vm.to_string());
            let (_, tally) = entry.or_insert_with(|| (name.vm.clone(), Tally::default()));
            tally.add(&point, packs);
        }
        let mut dropped: HashMap<PackId, u64> = HashMap::new();
        for name in roots.deleted() {
            if let Some((_, packs)) = self.needs(&name, &mut report.findings).await? {
                dropped.extend(packs);
            }
        }
        // Listed last: a pack that a point above needs was there before it.
        let stored = self.stored_packs().await?;
        let mut holders: HashMap<PackId, u32> = HashMap::new();
        for (_, tally) in tallies.values() {
            for pack in tally.packs.keys() {
                *holders.entry(*pack).or_default() += 1;
            }
        }
        report.total_bytes = stored.values().sum();
        let of_nobody = stored
            .iter()
            .filter(|(pack, _)| !holders.contains_key(pack));
        for (pack, bytes) in of_nobody {
            if dropped.contains_key(pack) {
                report.bin_bytes += bytes;
            } else {
                report.unneeded_bytes += bytes;
            }
        }
        let needed: HashMap<PackId, u64> = tallies
            .values()
            .flat_map(|(_, tally)| tally.packs.iter().map(|(pack, bytes)| (*pack, *bytes)))
            .collect();
        let missing = |(pack, bytes): &(&PackId, &u64)| stored.get(pack) != Some(bytes);
        report.missing_packs = needed.iter().filter(missing).count() as u64;
        report.vms = tallies
            .into_values()
            .map(|(vm, tally)| tally.told(vm, &holders))
            .collect();
        report
            .vms
            .sort_by_key(|vm| (std::cmp::Reverse(vm.stored_bytes), vm.vm.to_string()));
        Ok(report)
    }

    /// A point and the packs it needs, with their lengths. `None`: it went meanwhile, or is a finding.
    async fn needs(
        &self,
        name: &RootName,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<(Point, HashMap<PackId, u64>)>, Error> {
        match self.read_needs(name).await {
            Ok(needs) => Ok(Some(needs)),
            // Removed between the LIST and the GET.
            Err(Error::Missing { object }) if object == name.to_string() => Ok(None),
            Err(error @ (Error::Store { .. } | Error::AccessDenied { .. })) => Err(error),
            Err(error) => {
                let finding = Finding::new(Severity::Error, &name.to_string(), error.to_string());
                findings.push(finding.of_root(name));
                Ok(None)
            }
        }
    }

    async fn read_needs(&self, name: &RootName) -> Result<(Point, HashMap<PackId, u64>), Error> {
        let point = self.read_root(name).await?;
        let record = &point.root.usage;
        let table = self.usage(record).await?;
        let rows = table.rows();
        let mut packs: HashMap<PackId, u64> = rows
            .map(|((_, pack), need)| (pack, need.pack_bytes))
            .collect();
        packs.insert(record.reference.pack(PackKind::Node), record.pack_bytes);
        Ok((point, packs))
    }
}

impl Tally {
    fn add(&mut self, point: &Point, packs: HashMap<PackId, u64>) {
        let root = &point.root;
        if self.newest_ms.is_none_or(|ms| root.snapshot_time_ms >= ms) {
            self.newest_ms = Some(root.snapshot_time_ms);
            self.name.clone_from(&root.vm.name);
            let sizes = root.disks.iter().map(|disk| disk.capacity_bytes);
            self.logical_bytes = sizes.fold(0, u64::saturating_add);
        }
        self.points += 1;
        self.packs.extend(packs);
    }

    fn told(self, vm: VmKey, holders: &HashMap<PackId, u32>) -> VmSpace {
        let sum = |wanted: &dyn Fn(&PackId) -> bool| {
            let packs = self.packs.iter().filter(|(pack, _)| wanted(pack));
            packs.fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
        };
        VmSpace {
            stored_bytes: sum(&|_| true),
            unique_bytes: sum(&|pack| holders.get(pack) == Some(&1)),
            vm,
            vm_name: self.name,
            points: self.points,
            logical_bytes: self.logical_bytes,
        }
    }
}
