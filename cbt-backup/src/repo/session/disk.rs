//! A disk of a session: its parent's tree, and what was put so far.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::begin::Session;
use super::leaf::LeafBuilder;
use super::spec::{DiskOutcome, DiskSlot, DiskSpec};
use crate::repo::block_set::BlockSet;
use crate::repo::condemned::Condemned;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::node::Node;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::root::{DiskRecord, DiskState, Distrust, FileRecord, PutStats, TreeRecord};
use crate::repo::tree::{
    Against, BaseTree, Demand, Difference, Geometry, NodePlace, TreeCursor, TreeDifference,
    TreeItem,
};
use crate::repo::usage::{Needs, UsageChange};

/// Most disks a point may have; 255 means "none" in packs and tables.
const MAX_DISKS: usize = 250;

/// The disk that is built upon.
pub(super) struct Parent {
    pub(super) record: DiskRecord,
    pub(super) needs: Needs,
    /// The file of what the server said of the disk there.
    pub(super) changed_areas: Option<FileRecord>,
}

pub(super) struct DiskWork {
    pub(super) index: u8,
    pub(super) spec: DiskSpec,
    pub(super) geometry: Geometry,
    pub(super) parent: Option<Parent>,
    /// Packs that nothing of the disk may be built upon: condemned, lost, or of a wrong length.
    pub(super) avoided: Arc<Condemned>,
    /// A partial parent is of an earlier run: what that one has not covered must be put.
    pub(super) resumes: bool,
    /// Part of the parent is unreadable: its usage numbers are of no use, all is counted afresh.
    pub(super) recount: bool,
    /// Nodes of the parent that could not be read when the disk was added: all below them is to be put. One
    /// that is found damaged later is an error, for nobody would put what is below it.
    lost_nodes: HashSet<Ref>,
    work: Mutex<Work>,
}

#[derive(Default)]
pub(super) struct Work {
    /// Leaves some of whose blocks were put.
    pub(super) leaves: BTreeMap<u64, LeafBuilder>,
    /// Holes in leaves that are not written yet. They come first and are many.
    pub(super) holes: BlockSet,
    /// Leaves that are written and wait for the node above them; `None` for a hole.
    pub(super) written: BTreeMap<u64, Option<Ref>>,
    /// Leaves that are being written now: how many, by the node of level 2 above them.
    pub(super) writing: BTreeMap<u64, usize>,
    /// Nodes of level 2 that are written; `None` for a hole.
    pub(super) early: BTreeMap<u64, Option<Ref>>,
    /// Blocks that may still come.
    pub(super) open: BlockSet,
    /// References to blocks and nodes gained and lost.
    pub(super) change: UsageChange,
    /// Blocks the parent cannot supply and nobody has put yet.
    pub(super) missing: BlockSet,
    /// Blocks that are to be put and have not been; `None` when nobody said which.
    pub(super) expected: Option<BlockSet>,
    /// Blocks that are known to be lost: holes in the tree, and named in the root.
    pub(super) unreadable: BlockSet,
    /// What was found wrong since the disk was added.
    pub(super) distrust: Distrust,
    pub(super) outcome: Option<DiskOutcome>,
    pub(super) stats: PutStats,
}

impl Work {
    /// Of these blocks nothing will come any more.
    pub(super) fn decided(&mut self, first: u64, blocks: u64) {
        self.open.remove(first, blocks);
        self.missing.remove(first, blocks);
        if let Some(expected) = &mut self.expected {
            expected.remove(first, blocks);
        }
    }
}

impl DiskWork {
    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found now, or what is known from before.
    pub(super) fn distrust(&self) -> Distrust {
        let mut distrust = self.spec.distrust.clone();
        distrust.add(&self.work().distrust);
        distrust
    }

    pub(super) fn label(&self) -> String {
        self.spec.identity.label.clone()
    }

    pub(super) fn base(&self) -> Option<BaseTree> {
        Some(self.parent.as_ref()?.record.tree?.base())
    }
}

impl Session {
    /// Adds a disk to the point. Reads the parent's usage table, looks whether the packs it
    /// names are there at their full length, and reads the tree if any is not, or is condemned.
    /// Blocking.
    ///
    /// # Errors
    /// `BadParent` (unknown point or disk, absent, other block size, larger than the disk is now),
    /// `OutOfRange`, `Missing`, `Damaged`, `Store`.
    pub fn add_disk(&self, spec: DiskSpec) -> Result<DiskSlot, Error> {
        self.add(spec, true)
    }

    /// Adds a disk; `resumes` says that a partial parent is of an earlier run.
    pub(super) fn add(&self, spec: DiskSpec, resumes: bool) -> Result<DiskSlot, Error> {
        let parent = self.handle.block_on(self.find_parent(&spec))?;
        self.learn_seeds(parent.as_ref())?;
        let config = self.repo.config();
        let (shift, bits) = match &parent {
            Some(parent) => (parent.record.block_shift, parent.record.fan_out_bits),
            None => (
                spec.block_shift.unwrap_or(config.block_shift),
                config.fan_out_bits,
            ),
        };
        let geometry = Geometry::new(spec.capacity_bytes, shift, bits)?;
        let avoided = match &parent {
            Some(parent) => self
                .handle
                .block_on(self.avoided(&spec.identity.label, &parent.needs))?,
            None => Arc::clone(&self.condemned),
        };
        let mut disk = DiskWork {
            index: 0,
            spec,
            geometry,
            parent,
            avoided,
            resumes,
            recount: false,
            lost_nodes: HashSet::new(),
            work: Mutex::default(),
        };
        disk.work().open.insert(0, geometry.blocks());
        self.handle.block_on(self.find_missing(&mut disk))?;
        let mut disks = self.disks.write().unwrap_or_else(PoisonError::into_inner);
        if disks.len() >= MAX_DISKS {
            return Err(Error::OutOfRange {
                what: "disks of a point",
                value: disks.len() as u64 + 1,
            });
        }
        disk.index = disks.len() as u8;
        let slot = DiskSlot(disk.index);
        disks.push(Arc::new(disk));
        Ok(slot)
    }

    /// Blocks the parent cannot supply, in order. They must be put before the commit, whatever
    /// CBT says of them.
    pub fn unreadable_blocks(&self, slot: DiskSlot) -> Vec<BlockRange> {
        self.disk(slot).work().missing.runs().collect()
    }

    /// Says which blocks will be put; all others are zeros, or as they are in the parent. Without it
    /// a partial point covers nothing of the disk.
    pub fn expect_blocks(&self, slot: DiskSlot, runs: impl IntoIterator<Item = BlockRange>) {
        let disk = self.disk(slot);
        let mut work = disk.work();
        let expected = work.expected.get_or_insert_default();
        for run in runs {
            expected.insert(run.first, run.blocks);
        }
    }

    /// Says that no block will be put but those that are expected, and those the parent cannot supply. It
    /// need not be said, but then much of a large disk's tree waits in memory for the commit.
    pub fn expect_no_others(&self, slot: DiskSlot) {
        let disk = self.disk(slot);
        let mut work = disk.work();
        let work = &mut *work;
        if let Some(expected) = &work.expected {
            work.open = expected.clone();
            for run in work.missing.runs() {
                work.open.insert(run.first, run.blocks);
            }
        }
    }

    /// The shape of a disk.
    pub fn geometry(&self, slot: DiskSlot) -> Geometry {
        self.disk(slot).geometry
    }

    /// Tells what became of a disk. The last word counts.
    pub fn set_disk_state(&self, slot: DiskSlot, outcome: DiskOutcome) {
        self.disk(slot).work().outcome = Some(outcome);
    }

    /// Says what vSphere was found to say wrongly of the disk. Each root from now on has it, also a
    /// partial one.
    pub fn distrust(&self, slot: DiskSlot, found: &Distrust) {
        self.disk(slot).work().distrust.add(found);
    }

    /// Bytes that were put so far, over all disks.
    pub fn put_bytes(&self) -> u64 {
        let disks = self.disks.read().unwrap_or_else(PoisonError::into_inner);
        disks.iter().map(|disk| disk.work().stats.put_bytes).sum()
    }

    /// What was done with a disk's blocks so far.
    pub fn disk_stats(&self, slot: DiskSlot) -> PutStats {
        self.disk(slot).work().stats
    }

    pub(super) fn disk(&self, slot: DiskSlot) -> Arc<DiskWork> {
        let disks = self.disks.read().unwrap_or_else(PoisonError::into_inner);
        let disk = disks.get(slot.index());
        Arc::clone(disk.expect("a slot comes from add_disk of the same session"))
    }

    pub(super) async fn find_parent(&self, spec: &DiskSpec) -> Result<Option<Parent>, Error> {
        let Some(named) = spec.parent else {
            return Ok(None);
        };
        let bad = |why| {
            let (label, point) = (spec.identity.label.clone(), named.point);
            Error::BadParent { label, point, why }
        };
        let point = self.parents.iter().find(|point| point.id() == named.point);
        let point = point.ok_or_else(|| bad("it is not among the points of this VM"))?;
        let record = point.root.disks.get(named.disk);
        let record = record.ok_or_else(|| bad("it has no such disk"))?.clone();
        if !record.has_data() {
            return Err(bad("the disk is absent there"));
        }
        if spec
            .block_shift
            .is_some_and(|shift| shift != record.block_shift)
        {
            return Err(bad("its blocks have another size"));
        }
        if record.capacity_bytes > spec.capacity_bytes {
            return Err(bad("the disk was larger then"));
        }
        // MAX_DISKS is below 255, and a root beyond it was not written by this program.
        let index = u8::try_from(named.disk).map_err(|_| bad("it has no such disk"))?;
        let needs = self.repo.usage(&point.root.usage).await?.of_disk(index);
        let changed_areas = point.root.changed_areas(&record).cloned();
        Ok(Some(Parent {
            record,
            needs,
            changed_areas,
        }))
    }

    /// Finds the blocks that must be put because the parent cannot supply them.
    async fn find_missing(&self, disk: &mut DiskWork) -> Result<(), Error> {
        let Some(parent) = &disk.parent else {
            return Ok(());
        };
        let old = parent.record.geometry()?;
        let mut missing = BlockSet::default();
        let mut lost_nodes = HashSet::new();
        let recount = parent.needs.packs().any(|pack| disk.avoided.contains(pack));
        if recount {
            let tree = parent.record.tree.map(TreeRecord::base);
            let mut cursor = TreeCursor::new(&self.repo, old, tree).avoiding(&disk.avoided);
            while let Some(item) = cursor.next().await {
                match item {
                    TreeItem::Block { number, reference }
                        if disk.avoided.contains(reference.pack(PackKind::Data)) =>
                    {
                        missing.insert(number, 1);
                    }
                    TreeItem::Damaged { error, .. } if !error.is_damage() => return Err(error),
                    TreeItem::Damaged { range, node, .. } => {
                        missing.insert(range.first, range.blocks);
                        // Of a node with a slot behind the disk's end the others are good.
                        if range.blocks > 0 {
                            lost_nodes.insert(node);
                        }
                    }
                    _ => {}
                }
            }
        }
        disk.recount = recount;
        disk.lost_nodes = lost_nodes;
        // What a copy could not read is no hole.
        for run in &parent.record.unreadable {
            missing.insert(run.first, run.blocks);
        }
        // A run that was not over has not read the rest.
        let uncovered = parent.record.uncovered(old);
        if disk.resumes && !uncovered.is_empty() {
            match self.older_record(&disk.spec, &parent.record) {
                Some(older) => {
                    self.find_different(&parent.record, &older, uncovered.start, &mut missing)
                        .await?;
                }
                None => missing.insert(uncovered.start, uncovered.end - uncovered.start),
            }
        }
        // A last block that was cut by the disk's old end is longer now.
        let last = old.blocks() - 1;
        if old.block_bytes(last) != disk.geometry.block_bytes(last) {
            let (leaf, slot) = disk.geometry.leaf_of(last);
            let base = self.base_leaf(disk, leaf).await?;
            if base.is_some_and(|(_, node)| node.slots[slot].is_some()) {
                missing.insert(last, 1);
            }
        }
        disk.work().missing = missing;
        Ok(())
    }

    /// The whole disk that a partial parent can be compared with, if its tree has the same shape.
    fn older_record(&self, spec: &DiskSpec, parent: &DiskRecord) -> Option<DiskRecord> {
        let named = spec.unchanged_since?;
        let point = self
            .parents
            .iter()
            .find(|point| point.id() == named.point)?;
        let record = point.root.disks.get(named.disk)?;
        let shape = |record: &DiskRecord| {
            (
                record.capacity_bytes,
                record.block_shift,
                record.fan_out_bits,
            )
        };
        let is_whole = matches!(
            record.state,
            DiskState::Complete | DiskState::Carried { .. }
        );
        (is_whole && shape(record) == shape(parent)).then(|| record.clone())
    }

    /// From block `from` on: what is not in a partial parent as in the older point. That run has put
    /// it, or left a hole for what it could not take from its own parent, or built on another point.
    async fn find_different(
        &self,
        parent: &DiskRecord,
        older: &DiskRecord,
        from: u64,
        missing: &mut BlockSet,
    ) -> Result<(), Error> {
        let geometry = parent.geometry()?;
        let base = |record: &DiskRecord| record.tree.map(TreeRecord::base);
        let demand = Demand {
            from,
            ..Demand::default()
        };
        let against = Against::Tree(base(older));
        let tree = base(parent);
        let mut differences = TreeDifference::new(&self.repo, geometry, tree, against, demand);
        while let Some(item) = differences.next().await? {
            match item {
                Difference::Same(_) => {}
                Difference::Block { number, .. } => missing.insert(number, 1),
                Difference::Hole(range) | Difference::Damaged { range, .. } => {
                    // A node may reach to both sides of where the parent ends.
                    let first = range.first.max(from);
                    missing.insert(first, (range.first + range.blocks).saturating_sub(first));
                }
            }
        }
        // There the older point has holes that are none.
        for run in &older.unreadable {
            missing.insert(run.first, run.blocks);
        }
        Ok(())
    }

    /// The parent's leaf `leaf`: `None` for a hole, and for what counts as unreadable.
    pub(super) async fn base_leaf(
        &self,
        disk: &DiskWork,
        leaf: u64,
    ) -> Result<Option<(Ref, Arc<Node>)>, Error> {
        let place = NodePlace {
            level: 1,
            index: leaf,
        };
        let Some(base) = self.base_at(disk, place).await? else {
            return Ok(None);
        };
        let node = self.base_node(disk, &base.root, 1).await?;
        Ok(node.map(|node| (base.root, node)))
    }

    /// What the parent has at a place: a node of that level, or its whole tree where that is lower; `None`
    /// for a hole, and below what counts as unreadable.
    pub(super) async fn base_at(
        &self,
        disk: &DiskWork,
        place: NodePlace,
    ) -> Result<Option<BaseTree>, Error> {
        let Some(mut base) = disk.base() else {
            return Ok(None);
        };
        let bits = u32::from(disk.geometry.fan_out_bits());
        // The node of `level` that the place is below.
        let above =
            |level: u8| place.index >> (bits * u32::from(level.saturating_sub(place.level)));
        if above(base.level) > 0 {
            return Ok(None);
        }
        while base.level > place.level {
            let node = self.base_node(disk, &base.root, base.level).await?;
            let Some(node) = node else { return Ok(None) };
            let level = base.level - 1;
            let slot = above(level) & (disk.geometry.fan_out() as u64 - 1);
            match node.slots[slot as usize] {
                Some(root) => base = BaseTree { root, level },
                None => return Ok(None),
            }
        }
        Ok(Some(base))
    }

    /// A node of the parent's tree; `None` for one that was unreadable from the beginning.
    pub(super) async fn base_node(
        &self,
        disk: &DiskWork,
        reference: &Ref,
        level: u8,
    ) -> Result<Option<Arc<Node>>, Error> {
        if disk.lost_nodes.contains(reference) {
            return Ok(None);
        }
        let node = self.repo.node(reference, disk.geometry, level).await?;
        Ok(Some(node))
    }
}
