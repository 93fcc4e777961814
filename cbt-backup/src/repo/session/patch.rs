//! A block of which only a part is new.

use super::begin::Session;
use super::disk::DiskWork;
use super::spec::{DiskSlot, PutOutcome};
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::pack::PlainLength;

impl Session {
    /// As [`Session::put`], of a block that is as it is in the parent but for `part`, `from_bytes` behind
    /// its beginning. The parent's block is read from the repository and checked by its id. `None` when it
    /// cannot be had: nothing is put then, and the block is to be put whole. Blocking.
    ///
    /// # Errors
    /// As [`Session::put`]; `BadBlock` when the part is not within the block.
    pub fn patch(
        &self,
        slot: DiskSlot,
        block: u64,
        from_bytes: usize,
        part: &[u8],
    ) -> Result<Option<PutOutcome>, Error> {
        self.uploads.check()?;
        let disk = self.disk(slot);
        let geometry = disk.geometry;
        let is_within = block < geometry.blocks()
            && part.len() <= geometry.block_bytes(block)
            && from_bytes <= geometry.block_bytes(block) - part.len();
        if !is_within {
            let (label, length_bytes) = (disk.label(), part.len() as u64);
            return Err(Error::BadBlock {
                label,
                block,
                length_bytes,
            });
        }
        let Some(mut whole) = self.parents_block(&disk, block) else {
            return Ok(None);
        };
        whole[from_bytes..from_bytes + part.len()].copy_from_slice(part);
        self.put(slot, block, &whole).map(Some)
    }

    /// The block as it is in the parent, if that can be read and relied on.
    fn parents_block(&self, disk: &DiskWork, block: u64) -> Option<Vec<u8>> {
        if disk.parent.is_none() || disk.work().missing.meets(block, 1) {
            return None;
        }
        let bytes = disk.geometry.block_bytes(block);
        let read = || {
            let (leaf, slot) = disk.geometry.leaf_of(block);
            let base = self.handle.block_on(self.base_leaf(disk, leaf))?;
            let Some(old) = base.and_then(|(_, node)| node.slots[slot]) else {
                return Ok(vec![0; bytes]);
            };
            let length = PlainLength::Exactly(bytes);
            let blob = self.repo.blob(PackKind::Data, &old, length);
            self.handle.block_on(blob)
        };
        read()
            .inspect_err(|error: &Error| {
                tracing::warn!(disk = disk.label(), block, %error, "the block before cannot be read");
            })
            .ok()
    }
}
