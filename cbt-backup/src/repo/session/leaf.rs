//! The blocks of one leaf, as they come in.

use crate::repo::reference::Ref;

/// What was put into a leaf so far: at most 256 blocks, in any order, each once.
#[derive(Default, Debug)]
pub(super) struct LeafBuilder {
    blocks: Vec<(u8, Option<Ref>)>,
}

impl LeafBuilder {
    /// Takes a block, or a hole.
    pub(super) fn put(&mut self, slot: usize, block: Option<Ref>) {
        // A leaf has at most 256 slots.
        self.blocks.push((slot as u8, block));
    }

    /// Changes the slots of the parent's leaf into those of the new one.
    pub(super) fn change(&self, slots: &mut [Option<Ref>]) {
        for (slot, block) in &self.blocks {
            slots[usize::from(*slot)] = *block;
        }
    }
}
