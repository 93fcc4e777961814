//! What a disk's parent has at a place, and whether data is the same.

use std::ops::Range;

use super::begin::Session;
use super::put::is_zero;
use super::spec::DiskSlot;
use crate::repo::error::Error;

/// A block as the parent of a disk has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OldBlock {
    /// Zeros: it was not read, or read and all zeros.
    Zeros,
    /// Data with this id.
    Data([u8; 32]),
    /// It cannot be told: there is no parent, or what it has is lost.
    Unknown,
}

impl Session {
    /// What the parent of a disk has at each of these blocks. No block is read for it, and of the tree each leaf
    /// once. Blocking.
    ///
    /// # Errors
    /// `Store`; what is damaged is [`OldBlock::Unknown`].
    pub fn old_blocks(&self, slot: DiskSlot, blocks: Range<u64>) -> Result<Vec<OldBlock>, Error> {
        let disk = self.disk(slot);
        let mut old = Vec::new();
        let mut next = blocks.start;
        while next < blocks.end {
            if disk.parent.is_none() || next >= disk.geometry.blocks() {
                old.extend((next..blocks.end).map(|_| OldBlock::Unknown));
                break;
            }
            let (leaf, first) = disk.geometry.leaf_of(next);
            let end = next + (disk.geometry.leaf_blocks(leaf) - first as u64);
            let end = end.min(blocks.end);
            let node = match self.handle.block_on(self.base_leaf(&disk, leaf)) {
                Err(error) if error.is_damage() => None,
                // A hole, or a leaf that is lost.
                Ok(None) if disk.recount => None,
                base => Some(base?.map(|(_, node)| node)),
            };
            let work = disk.work();
            for (block, slot) in (next..end).zip(first..) {
                old.push(match &node {
                    Some(node) if !work.missing.meets(block, 1) => {
                        let there = node.as_ref().and_then(|node| node.slots[slot]);
                        there.map_or(OldBlock::Zeros, |there| OldBlock::Data(there.id))
                    }
                    _ => OldBlock::Unknown,
                });
            }
            next = end;
        }
        Ok(old)
    }

    /// Whether `data` is what the parent has. `None` where that cannot be told.
    pub fn is_same(&self, old: OldBlock, data: &[u8]) -> Option<bool> {
        match old {
            OldBlock::Zeros => Some(is_zero(data)),
            OldBlock::Data(id) => Some(!is_zero(data) && self.repo.keys().blob_id(data) == id),
            OldBlock::Unknown => None,
        }
    }
}
