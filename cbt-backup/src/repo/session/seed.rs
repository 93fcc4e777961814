//! Seeds: what other VMs have, so that the first full of a similar one does not store it again.
//!
//! They are learnt after the session was announced and has read the lists of condemned packs, as the parent is
//! chosen. So a sweep whose list the session has not seen sees the session, and waits for its root or fences it.
//! What a sweep of before has removed is missing when the packs are listed here, and is not learnt.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::begin::Session;
use super::disk::Parent;
use super::put::lock;
use crate::repo::condemned::Condemned;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, PointId};
use crate::repo::pack_map::PackMap;
use crate::repo::point::Point;
use crate::repo::reference::Ref;
use crate::repo::repository::NODES_AHEAD;
use crate::repo::root::{DiskRecord, DiskState, PointKind};
use crate::repo::roots::Roots;
use crate::repo::usage::Needs;

/// What a session has learnt of other VMs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SeedReport {
    /// The newest points of the VMs that were named, with their names.
    pub points: Vec<(PointId, String)>,
    /// Blocks that need not be stored again.
    pub blocks: u64,
    /// Names that no VM with a point has.
    pub unknown: Vec<String>,
}

/// What was learnt.
#[derive(Default)]
pub(super) struct Seeds {
    /// Lengths of the packs that the blocks lie in.
    lengths_bytes: PackMap<u64>,
    untold: Option<SeedReport>,
}

impl Session {
    /// What was learnt of other VMs, once.
    pub fn take_seed_report(&self) -> Option<SeedReport> {
        lock(&self.seeds).as_mut()?.untold.take()
    }

    /// The length of a pack that blocks of other VMs lie in.
    pub(super) fn seed_pack_bytes(&self, pack: PackId) -> Option<u64> {
        lock(&self.seeds).as_ref()?.lengths_bytes.get(pack)
    }

    /// Learns the blocks of the VMs that were named, once, and only for a disk that has no whole parent.
    pub(super) fn learn_seeds(&self, parent: Option<&Parent>) -> Result<(), Error> {
        let is_partial = |parent: &Parent| matches!(parent.record.state, DiskState::Partial { .. });
        if self.spec.seeds.is_empty() || !parent.is_none_or(is_partial) {
            return Ok(());
        }
        let mut seeds = lock(&self.seeds);
        if seeds.is_none() {
            *seeds = Some(self.handle.block_on(self.read_seeds())?);
        }
        Ok(())
    }

    async fn read_seeds(&self) -> Result<Seeds, Error> {
        let mut seeds = Seeds::default();
        let mut report = SeedReport::default();
        // The rest of the table is for what this VM has.
        let mut room = self.options.dedup_entries / 2;
        let points = self.seed_points().await?;
        for name in &self.spec.seeds {
            if !points.iter().any(|point| point.root.vm.name == *name) {
                report.unknown.push(name.clone());
            }
        }
        for point in points {
            let usage = match self.repo.usage(&point.root.usage).await {
                Ok(usage) => usage,
                Err(error) if error.is_damage() => {
                    tracing::warn!(point = %point.id(), %error, "its blocks are not known");
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (disk, index) in point.root.disks.iter().zip(0_u8..) {
                let needs = usage.of_disk(index);
                let avoided = self.avoided(&disk.identity.label, &needs).await?;
                let learnt = self.learn_disk(disk, &needs, &avoided, &mut room).await?;
                report.blocks += learnt;
                let usable = needs.iter().filter(|(pack, _)| !avoided.contains(*pack));
                let lengths = usable.map(|(pack, need)| (pack, need.pack_bytes));
                seeds.lengths_bytes.extend(lengths);
            }
            report.points.push((point.id(), point.root.vm.name));
        }
        seeds.untold = Some(report);
        Ok(seeds)
    }

    /// The newest point of each VM that was named, but for partial ones; the newest first.
    async fn seed_points(&self) -> Result<Vec<Point>, Error> {
        let mut living = Roots::read(&self.repo, None).await?.living();
        living.sort_unstable_by_key(|root| Reverse(root.point));
        let (mut seen, mut points) = (HashSet::new(), Vec::new());
        for name in living {
            if seen.contains(&name.vm) {
                continue;
            }
            let point = match self.repo.read_root(&name).await {
                Ok(point) => point,
                Err(error @ (Error::Store { .. } | Error::AccessDenied { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(root = %name, %error, "a point cannot be read");
                    continue;
                }
            };
            if point.root.kind == PointKind::Partial {
                continue;
            }
            seen.insert(name.vm);
            if self.spec.seeds.contains(&point.root.vm.name) {
                points.push(point);
            }
        }
        Ok(points)
    }

    /// Learns the blocks of a disk, level by level, as long as there is room. Returns their number.
    async fn learn_disk(
        &self,
        disk: &DiskRecord,
        needs: &Needs,
        avoided: &Arc<Condemned>,
        room: &mut usize,
    ) -> Result<u64, Error> {
        let geometry = disk.geometry()?;
        let (mut learnt, mut nodes) = (0, Vec::new());
        nodes.extend(disk.tree.map(|tree| tree.reference));
        for level in (1..=geometry.level()).rev() {
            // Each node has a block below it.
            nodes.truncate(*room);
            nodes.retain(|node: &Ref| !avoided.contains(node.pack(PackKind::Node)));
            let reads = nodes
                .iter()
                .map(|node| self.repo.node(node, geometry, level));
            let mut reads = stream::iter(reads).buffered(NODES_AHEAD);
            let mut below = Vec::new();
            while let Some(read) = reads.next().await {
                let node = match read {
                    Ok(node) => node,
                    Err(error) if error.is_damage() => {
                        tracing::warn!(%error, "blocks of another VM are not known");
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let slots = node.slots.iter().flatten();
                if level > 1 {
                    below.extend(slots.take(*room - below.len().min(*room)));
                    continue;
                }
                for block in slots {
                    let pack = block.pack(PackKind::Data);
                    // A pack that the usage table does not name was not looked for.
                    let usable = needs.contains(pack) && !avoided.contains(pack);
                    if *room > 0 && usable && self.dedup.learn_new(*block) {
                        *room -= 1;
                        learnt += 1;
                    }
                }
            }
            drop(reads);
            nodes = below;
        }
        Ok(learnt)
    }
}
