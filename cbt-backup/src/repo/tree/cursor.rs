//! Walks a tree in disk order.

use std::sync::Arc;

use super::geometry::Geometry;
use super::rewrite::BaseTree;
use crate::repo::condemned::Condemned;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::node::Node;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;

/// What the cursor meets.
#[derive(Debug)]
pub(crate) enum TreeItem {
    /// A node that was read; what is below follows.
    Node(Ref),
    /// A block.
    Block { number: u64, reference: Ref },
    /// Blocks of zeros.
    Hole(BlockRange),
    /// A node that could not be read, or a slot that cannot be; the walk goes on behind it.
    Damaged {
        range: BlockRange,
        node: Ref,
        error: Error,
    },
}

struct Step {
    node: Arc<Node>,
    reference: Ref,
    /// First block of the node.
    first: u64,
    next_slot: usize,
}

/// A walk over the tree of one disk. It holds one node a level.
pub(crate) struct TreeCursor {
    repo: Repository,
    geometry: Geometry,
    tree: Option<BaseTree>,
    started: bool,
    path: Vec<Step>,
    /// Packs whose nodes count as damaged.
    avoided: Option<Arc<Condemned>>,
}

impl TreeCursor {
    pub(crate) fn new(repo: &Repository, geometry: Geometry, tree: Option<BaseTree>) -> Self {
        Self {
            repo: repo.clone(),
            geometry,
            tree,
            started: false,
            path: Vec::new(),
            avoided: None,
        }
    }

    /// Takes nodes in condemned packs for damaged.
    pub(crate) fn avoiding(mut self, condemned: &Arc<Condemned>) -> Self {
        self.avoided = Some(Arc::clone(condemned));
        self
    }

    /// The next item in disk order; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<TreeItem> {
        if !self.started {
            self.started = true;
            return Some(self.start().await);
        }
        loop {
            let step = self.path.last_mut()?;
            let Some(slot) = step.node.slots.get(step.next_slot).copied() else {
                self.path.pop();
                continue;
            };
            let level = step.node.level;
            let blocks = self.geometry.slot_blocks(level);
            let first = step.first + blocks * step.next_slot as u64;
            let (node, end) = (step.reference, self.geometry.blocks());
            step.next_slot += 1;
            if first >= end {
                if slot.is_none() {
                    continue;
                }
                let error = Error::damaged("node", "it has a block behind the end of the disk");
                let range = BlockRange { first, blocks: 0 };
                return Some(TreeItem::Damaged { range, node, error });
            }
            let range = BlockRange {
                first,
                blocks: blocks.min(end - first),
            };
            return Some(match slot {
                None => TreeItem::Hole(range),
                Some(reference) if level == 1 => TreeItem::Block {
                    number: first,
                    reference,
                },
                Some(reference) => self.enter(reference, level - 1, range).await,
            });
        }
    }

    async fn start(&mut self) -> TreeItem {
        let range = BlockRange {
            first: 0,
            blocks: self.geometry.blocks(),
        };
        match self.tree {
            None => TreeItem::Hole(range),
            Some(tree) if tree.level == self.geometry.level() => {
                self.enter(tree.root, tree.level, range).await
            }
            Some(tree) => {
                let error = Error::damaged("node", "the tree has not the level its disk demands");
                TreeItem::Damaged {
                    range,
                    node: tree.root,
                    error,
                }
            }
        }
    }

    async fn enter(&mut self, reference: Ref, level: u8, range: BlockRange) -> TreeItem {
        let pack = reference.pack(PackKind::Node);
        if self
            .avoided
            .as_ref()
            .is_some_and(|avoided| avoided.contains(pack))
        {
            let error = Error::damaged(&pack, "it is condemned or in quarantine");
            return TreeItem::Damaged {
                range,
                node: reference,
                error,
            };
        }
        match self.repo.node(&reference, self.geometry, level).await {
            Ok(node) => {
                self.path.push(Step {
                    node,
                    reference,
                    first: range.first,
                    next_slot: 0,
                });
                TreeItem::Node(reference)
            }
            Err(error) => TreeItem::Damaged {
                range,
                node: reference,
                error,
            },
        }
    }
}
