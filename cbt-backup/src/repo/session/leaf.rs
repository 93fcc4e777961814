//! The blocks of one leaf, as they come in.

use crate::repo::reference::Ref;

/// What was put into a leaf so far: at most 256 blocks, in any order.
#[derive(Default, Debug)]
pub(super) struct LeafBuilder {
    seen: [u64; 4],
    /// Slot, and its block; `None` for a hole.
    pub(super) puts: Vec<(u8, Option<Ref>)>,
}

impl LeafBuilder {
    /// Takes a block; false when the slot was taken before.
    pub(super) fn put(&mut self, slot: usize, block: Option<Ref>) -> bool {
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        if self.seen[word] & bit != 0 {
            return false;
        }
        self.seen[word] |= bit;
        self.puts.push((slot as u8, block));
        true
    }
}
