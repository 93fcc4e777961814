//! The blocks of one leaf, as they come in.

use crate::repo::reference::Ref;

/// What was put into a leaf so far: at most 256 blocks, in any order, each once.
#[derive(Default, Debug)]
pub(super) struct LeafBuilder {
    /// Bit by bit, which blocks became holes: they are many on a disk that is mostly empty.
    holes: [u64; 4],
    blocks: Vec<(u8, Ref)>,
}

impl LeafBuilder {
    /// Takes a block, or a hole.
    pub(super) fn put(&mut self, slot: usize, block: Option<Ref>) {
        match block {
            // A leaf has at most 256 slots.
            Some(block) => self.blocks.push((slot as u8, block)),
            None => self.holes[slot / 64] |= 1 << (slot % 64),
        }
    }

    /// Changes the slots of the parent's leaf into those of the new one.
    pub(super) fn change(&self, slots: &mut [Option<Ref>]) {
        for (slot, old) in slots.iter_mut().enumerate() {
            if self.holes[slot / 64] >> (slot % 64) & 1 == 1 {
                *old = None;
            }
        }
        for (slot, block) in &self.blocks {
            slots[usize::from(*slot)] = Some(*block);
        }
    }
}
