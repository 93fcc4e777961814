//! Which blobs of some packs are needed, exactly: each counts once, whoever shares it.

use std::collections::{HashMap, HashSet};

use tokio::runtime::Handle;

use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::point::Point;
use crate::repo::reference::Ref;
use crate::repo::repository::{NODES_AHEAD, Repository};
use crate::repo::tree::Geometry;

/// Live blobs of the packs that are asked for.
pub(super) struct Live<'a> {
    pub(super) repo: &'a Repository,
    pub(super) handle: &'a Handle,
    /// By pack: the offsets of live blobs, and their sealed lengths.
    pub(super) blobs: HashMap<PackId, HashMap<u32, u32>>,
    nodes: HashSet<(PackId, u32)>,
}

impl<'a> Live<'a> {
    pub(super) fn of(
        repo: &'a Repository,
        handle: &'a Handle,
        packs: impl Iterator<Item = PackId>,
    ) -> Self {
        Self {
            repo,
            handle,
            blobs: packs.map(|pack| (pack, HashMap::new())).collect(),
            nodes: HashSet::new(),
        }
    }

    /// Counts what a point needs.
    pub(super) fn add(&mut self, point: &Point) -> Result<(), Error> {
        for file in &point.root.files {
            self.note(PackKind::Node, &file.reference);
        }
        for disk in &point.root.disks {
            if let Some(tree) = disk.tree {
                self.walk(disk.geometry()?, &tree.reference, tree.level)?;
            }
        }
        Ok(())
    }

    /// Bytes of a pack that are needed.
    pub(super) fn bytes(&self, pack: PackId) -> u64 {
        let blobs = self.blobs.get(&pack).into_iter().flatten();
        blobs.map(|(_, length)| u64::from(*length)).sum()
    }

    fn note(&mut self, kind: PackKind, reference: &Ref) {
        if let Some(blobs) = self.blobs.get_mut(&reference.pack(kind)) {
            blobs.insert(reference.offset, reference.length);
        }
    }

    fn walk(&mut self, geometry: Geometry, node: &Ref, level: u8) -> Result<(), Error> {
        if !self.nodes.insert((node.pack(PackKind::Node), node.offset)) {
            return Ok(());
        }
        self.note(PackKind::Node, node);
        let read = self
            .handle
            .block_on(self.repo.node(node, geometry, level))?;
        if level == 1 {
            for block in read.slots.iter().flatten() {
                self.note(PackKind::Data, block);
            }
            return Ok(());
        }
        for below in read.slots.chunks(NODES_AHEAD) {
            let below = || below.iter().flatten();
            let unknown = below().filter(|node| {
                let key = (node.pack(PackKind::Node), node.offset);
                !self.nodes.contains(&key)
            });
            let ahead = unknown.copied().collect();
            self.handle
                .block_on(self.repo.read_ahead(ahead, geometry, level - 1));
            for node in below() {
                self.walk(geometry, node, level - 1)?;
            }
        }
        Ok(())
    }
}
