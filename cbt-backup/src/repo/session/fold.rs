//! From leaves to the root node, as early as it can be known.
//!
//! A leaf is written when none of its blocks may still come, and a node of level 2 when that is true
//! of all its leaves. So what waits for the commit is one reference for each 65,536 blocks.

use std::sync::Arc;

use super::begin::Session;
use super::disk::{DiskWork, Work};
use super::leaf::LeafBuilder;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::node::Node;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::tree::{BaseTree, Geometry, NewNodes, NodePlace, NodeStore, rewrite};
use crate::repo::usage::UsageChange;

/// Level of the nodes that are written while blocks still come.
const EARLY: u8 = 2;

/// The nodes of a disk, as the path copy sees them.
struct DiskNodes<'a> {
    session: &'a Session,
    disk: &'a DiskWork,
    change: UsageChange,
}

impl NodeStore for DiskNodes<'_> {
    fn load(&mut self, reference: &Ref, level: u8) -> Result<Option<Arc<Node>>, Error> {
        let Self { session, disk, .. } = self;
        session
            .handle
            .block_on(session.base_node(disk, reference, level))
    }

    fn save(&mut self, node: &Node, first_block: u64) -> Result<Ref, Error> {
        self.session.store_node(self.disk, node, first_block)
    }

    fn dropped(&mut self, node: &Ref) {
        self.change.remove(PackKind::Node, node);
    }

    fn added(&mut self, node: &Ref) {
        self.change.add(PackKind::Node, node);
    }
}

/// The node of level 2 above a leaf.
fn early_of(geometry: Geometry, leaf: u64) -> u64 {
    leaf >> geometry.fan_out_bits()
}

/// The leaves below a node of level 2.
fn leaves_of(geometry: Geometry, early: u64) -> std::ops::Range<u64> {
    let bits = geometry.fan_out_bits();
    early << bits..(early + 1) << bits
}

impl Work {
    /// The first leaf from `from` to `last` whose blocks have all come, if its node is not written yet. It
    /// counts as being written then.
    pub(super) fn take_leaf(
        &mut self,
        geometry: Geometry,
        from: u64,
        last: u64,
    ) -> Option<(u64, LeafBuilder)> {
        let leaves = self.leaves.range(from..=last).map(|(leaf, _)| *leaf);
        let bits = geometry.fan_out_bits();
        // Leaves with holes alone have no entry; those in the middle of a range are written at the end.
        let edges = [from, last].into_iter();
        let holes = edges.filter(|leaf| self.holes.meets(leaf << bits, 1 << bits));
        let over = |leaf: &u64| !self.open.meets(leaf << bits, 1 << bits);
        let leaf = leaves.chain(holes).find(over)?;
        *self.writing.entry(early_of(geometry, leaf)).or_default() += 1;
        Some((leaf, self.take_builder(geometry, leaf)))
    }

    /// All that was put into a leaf.
    fn take_builder(&mut self, geometry: Geometry, leaf: u64) -> LeafBuilder {
        let mut builder = self.leaves.remove(&leaf).unwrap_or_default();
        let first = leaf << geometry.fan_out_bits();
        let range = BlockRange {
            first,
            blocks: geometry.leaf_blocks(leaf),
        };
        for run in self.holes.runs_within(range) {
            for block in run.first..run.first + run.blocks {
                builder.put((block - first) as usize, None);
            }
        }
        self.holes.remove(range.first, range.blocks);
        builder
    }

    /// The first leaf that waits for blocks which will not come.
    fn next_unfinished(&self, geometry: Geometry) -> Option<u64> {
        let leaf = self.leaves.keys().next().copied();
        let hole = self.holes.first();
        let hole = hole.map(|block| geometry.leaf_of(block).0);
        leaf.into_iter().chain(hole).min()
    }

    /// Says that a leaf is written.
    pub(super) fn written(&mut self, geometry: Geometry, leaf: u64, node: Option<Ref>) {
        self.written.insert(leaf, node);
        let early = early_of(geometry, leaf);
        // Leaves that are written at the end were never taken.
        if let Some(writing) = self.writing.get_mut(&early) {
            *writing -= 1;
            if *writing == 0 {
                self.writing.remove(&early);
            }
        }
    }

    /// The leaves below a node of level 2, if they are all written.
    fn take_early(&mut self, geometry: Geometry, early: u64) -> Option<Vec<(u64, Option<Ref>)>> {
        let below = leaves_of(geometry, early);
        let bits = geometry.fan_out_bits();
        let (first, blocks) = (below.start << bits, (below.end - below.start) << bits);
        let waits = self.writing.contains_key(&early)
            || self.leaves.range(below.clone()).next().is_some()
            || self.open.meets(first, blocks)
            || self.holes.meets(first, blocks);
        (!waits).then(|| self.take_written(below))
    }

    fn take_written(&mut self, leaves: std::ops::Range<u64>) -> Vec<(u64, Option<Ref>)> {
        let mut rest = self.written.split_off(&leaves.start);
        let mut after = rest.split_off(&leaves.end);
        self.written.append(&mut after);
        rest.into_iter().collect()
    }
}

impl Session {
    /// Writes what is complete of the leaves that `blocks` blocks from `first` on are in.
    pub(super) fn fold(&self, disk: &DiskWork, first: u64, blocks: u64) -> Result<(), Error> {
        let Some(last) = blocks.checked_sub(1).map(|more| first + more) else {
            return Ok(());
        };
        let geometry = disk.geometry;
        let (from, last) = (geometry.leaf_of(first).0, geometry.leaf_of(last).0);
        loop {
            let taken = disk.work().take_leaf(geometry, from, last);
            let Some((leaf, builder)) = taken else { break };
            self.finish_leaf(disk, leaf, &builder)?;
        }
        self.fold_leaves(disk, from, last)
    }

    /// Writes a leaf, and the node above it if that was all it waited for.
    pub(super) fn fold_leaf(
        &self,
        disk: &DiskWork,
        leaf: u64,
        builder: &LeafBuilder,
    ) -> Result<(), Error> {
        self.finish_leaf(disk, leaf, builder)?;
        self.fold_leaves(disk, leaf, leaf)
    }

    /// Writes what is complete of the nodes above the leaves from `from` to `last`.
    fn fold_leaves(&self, disk: &DiskWork, from: u64, last: u64) -> Result<(), Error> {
        let geometry = disk.geometry;
        if geometry.level() < EARLY {
            return Ok(());
        }
        let (mut early, last) = (early_of(geometry, from), early_of(geometry, last));
        while early <= last {
            let below = disk.work().take_early(geometry, early);
            if let Some(leaves) = below.filter(|leaves| !leaves.is_empty()) {
                self.write_early(disk, early, &leaves)?;
            }
            // Only nodes with leaves that wait: a range may be as long as the disk.
            let work = disk.work();
            let mut after = work.written.range(leaves_of(geometry, early).end..);
            let Some((next, _)) = after.next() else { break };
            early = early_of(geometry, *next);
        }
        Ok(())
    }

    fn write_early(
        &self,
        disk: &DiskWork,
        early: u64,
        leaves: &[(u64, Option<Ref>)],
    ) -> Result<(), Error> {
        let place = NodePlace {
            level: EARLY,
            index: early,
        };
        let base = self.handle.block_on(self.base_at(disk, place))?;
        let new = NewNodes {
            level: 1,
            nodes: leaves,
        };
        let (node, change) = self.rewrite(disk, place, base, new)?;
        let mut work = disk.work();
        work.change.join(&change);
        work.early.insert(early, node);
        Ok(())
    }

    fn rewrite(
        &self,
        disk: &DiskWork,
        place: NodePlace,
        base: Option<BaseTree>,
        new: NewNodes<'_>,
    ) -> Result<(Option<Ref>, UsageChange), Error> {
        let mut nodes = DiskNodes {
            session: self,
            disk,
            change: UsageChange::default(),
        };
        let node = rewrite(&mut nodes, disk.geometry, place, base, new)?;
        Ok((node, nodes.change))
    }

    /// Writes what is left to write, now that no more blocks come. Gives the root node, and what the tree
    /// gained and lost.
    pub(super) fn finish_nodes(
        &self,
        disk: &DiskWork,
    ) -> Result<(Option<Ref>, UsageChange), Error> {
        let geometry = disk.geometry;
        let next = || {
            let mut work = disk.work();
            let leaf = work.next_unfinished(geometry)?;
            Some((leaf, work.take_builder(geometry, leaf)))
        };
        while let Some((leaf, builder)) = next() {
            self.finish_leaf(disk, leaf, &builder)?;
        }
        let written = std::mem::take(&mut disk.work().written);
        let mut written: Vec<_> = written.into_iter().collect();
        let mut level = 1;
        if geometry.level() >= EARLY {
            for leaves in
                written.chunk_by(|a, b| early_of(geometry, a.0) == early_of(geometry, b.0))
            {
                self.write_early(disk, early_of(geometry, leaves[0].0), leaves)?;
            }
            written = std::mem::take(&mut disk.work().early).into_iter().collect();
            level = EARLY;
        }
        let place = NodePlace {
            level: geometry.level(),
            index: 0,
        };
        let nodes = &written;
        let (root, change) = self.rewrite(disk, place, disk.base(), NewNodes { level, nodes })?;
        let mut all = std::mem::take(&mut disk.work().change);
        all.join(&change);
        Ok((root, all))
    }
}
