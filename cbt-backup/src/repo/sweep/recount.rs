//! What the trees of roots need, counted node by node. A node is read once, whoever shares it.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};

use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::point::Point;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;

const NODES_AT_ONCE: usize = 16;

/// What was met so far.
#[derive(Default, Debug)]
pub(super) struct Recount {
    nodes: HashSet<[u8; 32]>,
    pub(super) packs: HashSet<PackId>,
}

impl Recount {
    /// Adds the packs that the trees and files of a point need. Where a node cannot be read, the
    /// usage table is all there is.
    pub(super) async fn add(&mut self, repo: &Repository, point: &Point) -> Result<(), Error> {
        for file in &point.root.files {
            self.packs.insert(file.reference.pack(PackKind::Node));
        }
        self.packs
            .insert(point.root.usage.reference.pack(PackKind::Node));
        for disk in &point.root.disks {
            let Some(tree) = disk.tree else { continue };
            let geometry = disk.geometry()?;
            let mut front = self.new_ones([tree.reference]);
            for level in (1..=tree.level).rev() {
                let read =
                    |reference: Ref| async move { repo.node(&reference, geometry, level).await };
                let mut nodes = stream::iter(front)
                    .map(read)
                    .buffer_unordered(NODES_AT_ONCE);
                let mut below = Vec::new();
                while let Some(node) = nodes.next().await {
                    match node {
                        Ok(node) if level == 1 => {
                            let blocks = node.slots.iter().flatten();
                            self.packs
                                .extend(blocks.map(|block| block.pack(PackKind::Data)));
                        }
                        Ok(node) => {
                            let nodes = node.slots.iter().flatten().copied();
                            below.extend(self.new_ones(nodes));
                        }
                        Err(error) if error.is_damage() => {
                            tracing::warn!(point = %point.id(), %error, "a node cannot be counted");
                        }
                        Err(error) => return Err(error),
                    }
                }
                front = below;
            }
        }
        Ok(())
    }

    /// The packs of all these nodes are needed; the nodes themselves are read once.
    fn new_ones(&mut self, nodes: impl IntoIterator<Item = Ref>) -> Vec<Ref> {
        let mut new = Vec::new();
        for node in nodes {
            self.packs.insert(node.pack(PackKind::Node));
            if self.nodes.insert(node.id) {
                new.push(node);
            }
        }
        new
    }
}
