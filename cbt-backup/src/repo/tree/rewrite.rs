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

/// Replaces leaves (nodes of level 1) of `base` and returns the new root node.
///
/// `leaves` is sorted by leaf number; `None` makes a leaf a hole. The base may be lower than the
/// geometry demands: then the disk has grown.
pub(crate) fn rewrite(
    nodes: &mut dyn NodeStore,
    geometry: Geometry,
    base: Option<BaseTree>,
    leaves: &[(u64, Option<Ref>)],
) -> Result<Option<Ref>, Error> {
    Rewrite { nodes, geometry }.node(geometry.level(), 0, base, leaves)
}

struct Rewrite<'a> {
    nodes: &'a mut dyn NodeStore,
    geometry: Geometry,
}

impl Rewrite<'_> {
    /// `index` numbers the node among those of its level; `leaves` are the changes below it.
    fn node(
        &mut self,
        level: u8,
        index: u64,
        base: Option<BaseTree>,
        leaves: &[(u64, Option<Ref>)],
    ) -> Result<Option<Ref>, Error> {
        let here = base
            .filter(|base| base.level == level)
            .map(|base| base.root);
        if leaves.is_empty() && (here.is_some() || base.is_none()) {
            return Ok(here);
        }
        if level == 1 {
            let [(_, new)] = leaves else { return Ok(here) };
            self.replaced(here, *new);
            return Ok(*new);
        }
        let geometry = self.geometry;
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
        if here.is_none()
            && base.is_some()
            && leaves
                .first()
                .is_none_or(|l| slot_of(geometry, level, l.0) != 0)
        {
            let below = child(&slots, 0);
            slots[0] = self.node(
                level - 1,
                index * self.geometry.fan_out() as u64,
                below,
                &[],
            )?;
        }
        for group in
            leaves.chunk_by(|a, b| slot_of(geometry, level, a.0) == slot_of(geometry, level, b.0))
        {
            let slot = slot_of(geometry, level, group[0].0);
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

/// The slot of a node of `level` under which leaf `leaf` lies.
fn slot_of(geometry: Geometry, level: u8, leaf: u64) -> usize {
    let bits = u32::from(geometry.fan_out_bits());
    (leaf >> (bits * u32::from(level - 2))) as usize & (geometry.fan_out() - 1)
}
