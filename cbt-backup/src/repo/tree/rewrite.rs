//! Path copy: a new tree that shares with the old one all that did not change.

use std::sync::Arc;

use super::geometry::Geometry;
use crate::repo::error::Error;
use crate::repo::node::Node;
use crate::repo::reference::Ref;

/// The tree that is built upon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseTree {
    pub(crate) root: Ref,
    pub(crate) level: u8,
}

/// Where nodes come from and go to, and who counts them.
pub(crate) trait NodeStore {
    /// Reads a node of the base; `None` when it counts as unreadable and all below is replaced.
    fn load(&mut self, reference: &Ref, level: u8) -> Result<Option<Arc<Node>>, Error>;
    /// Writes a node.
    fn save(&mut self, node: &Node, first_block: u64) -> Result<Ref, Error>;
    /// A node of the base is no longer part of the tree.
    fn dropped(&mut self, node: &Ref);
    /// A node has become part of the tree.
    fn added(&mut self, node: &Ref);
}

/// The node to write: those of a level are numbered in disk order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodePlace {
    pub(crate) level: u8,
    pub(crate) index: u64,
}

/// Nodes that are written already and take the place of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewNodes<'a> {
    pub(crate) level: u8,
    /// Number and node, sorted by number; `None` makes a hole. Whoever wrote them has counted them, and
    /// those whose place they take.
    pub(crate) nodes: &'a [(u64, Option<Ref>)],
}

/// Writes the node at `place` and all that is between it and the new nodes, and returns it.
///
/// `base` is what stood there before. It may be lower than the place: then the disk has grown.
pub(crate) fn rewrite(
    nodes: &mut dyn NodeStore,
    geometry: Geometry,
    place: NodePlace,
    base: Option<BaseTree>,
    new: NewNodes<'_>,
) -> Result<Option<Ref>, Error> {
    let floor = new.level;
    let mut rewrite = Rewrite {
        nodes,
        geometry,
        floor,
    };
    rewrite.node(place.level, place.index, base, new.nodes)
}

struct Rewrite<'a> {
    nodes: &'a mut dyn NodeStore,
    geometry: Geometry,
    /// Level of the nodes that are written already.
    floor: u8,
}

impl Rewrite<'_> {
    /// `index` numbers the node among those of its level; `new` are the changes below it.
    fn node(
        &mut self,
        level: u8,
        index: u64,
        base: Option<BaseTree>,
        new: &[(u64, Option<Ref>)],
    ) -> Result<Option<Ref>, Error> {
        let here = base
            .filter(|base| base.level == level)
            .map(|base| base.root);
        if new.is_empty() && (here.is_some() || base.is_none()) {
            return Ok(here);
        }
        if let (true, [(_, new)]) = (level == self.floor, new) {
            return Ok(*new);
        }
        let (geometry, floor) = (self.geometry, self.floor);
        let slot_of = |number: u64| slot_of(geometry, level - 1 - floor, number);
        let old = self.old_slots(level, here)?;
        let mut slots = old
            .clone()
            .unwrap_or_else(|| vec![None; self.geometry.fan_out()].into());
        let child = |slots: &[Option<Ref>], slot: usize| match (here, base) {
            // The base is lower than this node: it is the first thing below it.
            (None, Some(base)) => (slot == 0).then_some(base),
            _ => slots[slot].map(|root| BaseTree {
                root,
                level: level - 1,
            }),
        };
        if here.is_none() && base.is_some() && new.first().is_none_or(|first| slot_of(first.0) != 0)
        {
            let below = child(&slots, 0);
            slots[0] = self.node(
                level - 1,
                index * self.geometry.fan_out() as u64,
                below,
                &[],
            )?;
        }
        for group in new.chunk_by(|a, b| slot_of(a.0) == slot_of(b.0)) {
            let slot = slot_of(group[0].0);
            let below = child(&slots, slot);
            let number = index * self.geometry.fan_out() as u64 + slot as u64;
            slots[slot] = self.node(level - 1, number, below, group)?;
        }
        if here.is_some() && old.as_ref() == Some(&slots) {
            return Ok(here);
        }
        let new = self.save(level, index, slots)?;
        self.replaced(here, new);
        Ok(new)
    }

    fn old_slots(
        &mut self,
        level: u8,
        here: Option<Ref>,
    ) -> Result<Option<Box<[Option<Ref>]>>, Error> {
        let Some(reference) = here else {
            return Ok(None);
        };
        let node = self.nodes.load(&reference, level)?;
        Ok(node.map(|node| node.slots.clone()))
    }

    fn save(
        &mut self,
        level: u8,
        index: u64,
        slots: Box<[Option<Ref>]>,
    ) -> Result<Option<Ref>, Error> {
        if slots.iter().all(Option::is_none) {
            return Ok(None);
        }
        let node = Node {
            level,
            block_shift: self.geometry.block_shift(),
            fan_out_bits: self.geometry.fan_out_bits(),
            slots,
        };
        let first_block = index * self.geometry.slot_blocks(level + 1);
        self.nodes.save(&node, first_block).map(Some)
    }

    fn replaced(&mut self, old: Option<Ref>, new: Option<Ref>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.nodes.dropped(&old);
        }
        if let Some(new) = new {
            self.nodes.added(&new);
        }
    }
}

/// The slot under which lies the node of this number, so many levels below the slot.
fn slot_of(geometry: Geometry, levels: u8, number: u64) -> usize {
    let bits = u32::from(geometry.fan_out_bits());
    (number >> (bits * u32::from(levels))) as usize & (geometry.fan_out() - 1)
}
