//! Where a tree differs from another one. Subtrees that are the same are passed over unread.

use std::collections::VecDeque;
use std::sync::Arc;

use super::geometry::Geometry;
use super::rewrite::BaseTree;
use crate::repo::block_set::BlockSet;
use crate::repo::error::Error;
use crate::repo::node::Node;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;

/// What a tree is compared with. Both must be of one block size and one fan-out; the other may be of a
/// smaller disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Against {
    /// Nothing: all of the tree is told.
    Nothing,
    /// Another tree; `None` is a disk of zeros.
    Tree(Option<BaseTree>),
}

/// What is met, in disk order. The ranges tile the disk.
#[derive(Debug)]
pub(crate) enum Difference {
    /// The same on both sides, or not asked for.
    Same(BlockRange),
    /// A block that the other tree has not, or has otherwise.
    Block { number: u64, reference: Ref },
    /// Zeros where the other tree may have blocks.
    Hole(BlockRange),
    /// A node that could not be read.
    Damaged {
        range: BlockRange,
        node: Ref,
        error: Error,
    },
}

/// Which blocks are asked for, whatever the other tree says.
#[derive(Clone, Default, Debug)]
pub(crate) struct Demand {
    /// What lies before this block is not asked for,
    pub(crate) from: u64,
    /// but these blocks are, and they never count as the same.
    pub(crate) always: BlockSet,
    /// These are not asked for at all.
    pub(crate) never: BlockSet,
}

/// The other side of a slot.
#[derive(Clone, Copy)]
enum Other {
    Unknown,
    Hole,
    Blob(Ref),
    /// A whole tree that is lower than this place: it is the first thing below.
    Lower(BaseTree),
}

/// The other side of a node.
enum OtherNode {
    Unknown,
    Hole,
    Node(Arc<Node>),
    Lower(BaseTree),
}

struct Step {
    node: Arc<Node>,
    other: OtherNode,
    first: u64,
    next_slot: usize,
}

/// A comparison at work. It holds two nodes a level.
pub(crate) struct TreeDifference {
    repo: Repository,
    geometry: Geometry,
    start: Option<(Option<BaseTree>, Other)>,
    path: Vec<Step>,
    demand: Demand,
    ready: VecDeque<Difference>,
}

impl TreeDifference {
    pub(crate) fn new(
        repo: &Repository,
        geometry: Geometry,
        tree: Option<BaseTree>,
        against: Against,
        demand: Demand,
    ) -> Self {
        let other = match against {
            Against::Tree(None) => Other::Hole,
            Against::Tree(Some(base)) if base.level == geometry.level() => Other::Blob(base.root),
            Against::Tree(Some(base)) if base.level < geometry.level() => Other::Lower(base),
            // A tree of a larger disk does not fit here.
            Against::Nothing | Against::Tree(Some(_)) => Other::Unknown,
        };
        Self {
            repo: repo.clone(),
            geometry,
            start: Some((tree, other)),
            path: Vec::new(),
            demand,
            ready: VecDeque::new(),
        }
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// Those of reading nodes that are no damage.
    pub(crate) async fn next(&mut self) -> Result<Option<Difference>, Error> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if let Some((tree, other)) = self.start.take() {
                self.begin(tree, other).await?;
                continue;
            }
            let Some(step) = self.path.last_mut() else {
                return Ok(None);
            };
            let Some(mine) = step.node.slots.get(step.next_slot).copied() else {
                self.path.pop();
                continue;
            };
            let level = step.node.level;
            let other = step.other.slot(step.next_slot, level);
            let first = step.first + self.geometry.slot_blocks(level) * step.next_slot as u64;
            step.next_slot += 1;
            if first < self.geometry.blocks() {
                self.visit(level - 1, first, mine, other).await?;
            }
        }
    }

    async fn begin(&mut self, tree: Option<BaseTree>, other: Other) -> Result<(), Error> {
        let level = self.geometry.level();
        match tree {
            Some(tree) if tree.level != level => {
                let error = Error::damaged("node", "the tree has not the level its disk demands");
                let range = BlockRange {
                    first: 0,
                    blocks: self.geometry.blocks(),
                };
                self.tell_damage(range, tree.root, &error);
                Ok(())
            }
            tree => {
                self.visit(level, 0, tree.map(|tree| tree.root), other)
                    .await
            }
        }
    }

    /// Looks at a blob of `level`, 0 for a block.
    async fn visit(
        &mut self,
        level: u8,
        first: u64,
        mine: Option<Ref>,
        other: Other,
    ) -> Result<(), Error> {
        let blocks = self.geometry.slot_blocks(level + 1);
        let range = BlockRange {
            first,
            blocks: blocks.min(self.geometry.blocks() - first),
        };
        let demanded = self.demand.always.meets(range.first, range.blocks);
        let asked = demanded || range.first + range.blocks > self.demand.from;
        if !asked || (!demanded && is_same(level, mine, other)) {
            self.ready.push_back(Difference::Same(range));
            return Ok(());
        }
        let Some(reference) = mine else {
            self.tell(range, Difference::Hole);
            return Ok(());
        };
        if level == 0 {
            let number = first;
            self.tell(range, |_| Difference::Block { number, reference });
            return Ok(());
        }
        self.enter(level, range, reference, other).await
    }

    async fn enter(
        &mut self,
        level: u8,
        range: BlockRange,
        reference: Ref,
        other: Other,
    ) -> Result<(), Error> {
        let node = match self.repo.node(&reference, self.geometry, level).await {
            Ok(node) => node,
            Err(error) if error.is_damage() => {
                self.tell_damage(range, reference, &error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let other = match other {
            Other::Unknown => OtherNode::Unknown,
            Other::Hole => OtherNode::Hole,
            Other::Lower(base) => OtherNode::Lower(base),
            Other::Blob(other) => match self.repo.node(&other, self.geometry, level).await {
                Ok(node) => OtherNode::Node(node),
                Err(error) if error.is_damage() => OtherNode::Unknown,
                Err(error) => return Err(error),
            },
        };
        self.path.push(Step {
            node,
            other,
            first: range.first,
            next_slot: 0,
        });
        Ok(())
    }

    fn tell_damage(&mut self, range: BlockRange, node: Ref, error: &Error) {
        self.tell(range, |range| Difference::Damaged {
            range,
            node,
            error: error.clone(),
        });
    }

    /// Tells what of `range` is asked for; the rest is told as the same.
    fn tell(&mut self, range: BlockRange, what: impl Fn(BlockRange) -> Difference) {
        let end = range.first + range.blocks;
        let mut asked = BlockSet::default();
        let from = self.demand.from.clamp(range.first, end);
        asked.insert(from, end - from);
        for run in self.demand.always.runs_within(range) {
            asked.insert(run.first, run.blocks);
        }
        for run in self.demand.never.runs_within(range) {
            asked.remove(run.first, run.blocks);
        }
        let mut next = range.first;
        for run in asked.runs() {
            self.tell_same(next, run.first);
            self.ready.push_back(what(run));
            next = run.first + run.blocks;
        }
        self.tell_same(next, end);
    }

    fn tell_same(&mut self, first: u64, end: u64) {
        if first < end {
            let blocks = end - first;
            self.ready
                .push_back(Difference::Same(BlockRange { first, blocks }));
        }
    }
}

/// Two blobs at one place are the same when they are in one place, and blocks also when their ids are.
fn is_same(level: u8, mine: Option<Ref>, other: Other) -> bool {
    match (mine, other) {
        (None, Other::Hole) => true,
        (Some(mine), Other::Blob(other)) => mine == other || (level == 0 && mine.id == other.id),
        _ => false,
    }
}

impl OtherNode {
    /// What stands at a slot of a node of `level`.
    fn slot(&self, slot: usize, level: u8) -> Other {
        match self {
            Self::Unknown => Other::Unknown,
            Self::Hole => Other::Hole,
            Self::Node(node) => match node.slots.get(slot).copied().flatten() {
                Some(reference) => Other::Blob(reference),
                None => Other::Hole,
            },
            Self::Lower(_) if slot > 0 => Other::Hole,
            Self::Lower(base) if base.level + 1 == level => Other::Blob(base.root),
            Self::Lower(base) => Other::Lower(*base),
        }
    }
}
