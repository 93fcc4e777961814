//! What a disk's parent has at a place, and whether data is the same.

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
    /// What the parent of a disk has at block `block`. No block is read for it. Blocking.
    ///
    /// # Errors
    /// `Store`; what is damaged is [`OldBlock::Unknown`].
    pub fn old_block(&self, slot: DiskSlot, block: u64) -> Result<OldBlock, Error> {
        let disk = self.disk(slot);
        let is_known = disk.parent.is_some()
            && block < disk.geometry.blocks()
            && !disk.work().missing.meets(block, 1);
        if !is_known {
            return Ok(OldBlock::Unknown);
        }
        let (leaf, slot) = disk.geometry.leaf_of(block);
        let base = match self.handle.block_on(self.base_leaf(&disk, leaf)) {
            Err(error) if error.is_damage() => return Ok(OldBlock::Unknown),
            base => base?,
        };
        let old = base.and_then(|(_, node)| node.slots[slot]);
        Ok(old.map_or(OldBlock::Zeros, |old| OldBlock::Data(old.id)))
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
