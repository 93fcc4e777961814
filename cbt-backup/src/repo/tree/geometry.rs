//! Which block is where. Format: repository-format.md section 7.

use crate::repo::config::{BLOCK_SHIFTS, FAN_OUT_BITS, check_range};
use crate::repo::error::Error;
use crate::repo::ranges::BlockRange;

/// Largest disk: 64 PiB. Real ones end at 62 TiB.
const MAX_CAPACITY_BYTES: u64 = 1 << 56;

/// The shape of a disk and of its tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    capacity_bytes: u64,
    block_shift: u8,
    fan_out_bits: u8,
}

impl Geometry {
    /// Checks and takes the numbers.
    ///
    /// # Errors
    /// `OutOfRange`; a disk of no bytes has no geometry.
    pub fn new(capacity_bytes: u64, block_shift: u8, fan_out_bits: u8) -> Result<Self, Error> {
        check_range("block shift", block_shift, &BLOCK_SHIFTS)?;
        check_range("fan-out bits", fan_out_bits, &FAN_OUT_BITS)?;
        if !(1..=MAX_CAPACITY_BYTES).contains(&capacity_bytes) {
            return Err(Error::OutOfRange {
                what: "disk capacity in bytes",
                value: capacity_bytes,
            });
        }
        Ok(Self {
            capacity_bytes,
            block_shift,
            fan_out_bits,
        })
    }

    /// Size of the disk in bytes.
    pub fn capacity_bytes(self) -> u64 {
        self.capacity_bytes
    }

    /// Size of every block but the last, as a power of two.
    pub fn block_shift(self) -> u8 {
        self.block_shift
    }

    /// Fan-out of the tree, as a power of two.
    pub fn fan_out_bits(self) -> u8 {
        self.fan_out_bits
    }

    /// Number of blocks.
    pub fn blocks(self) -> u64 {
        self.capacity_bytes.div_ceil(1 << self.block_shift)
    }

    /// Length in bytes of block `block`, which must be on the disk.
    pub fn block_bytes(self, block: u64) -> usize {
        let start = block << self.block_shift;
        (self.capacity_bytes - start).min(1 << self.block_shift) as usize
    }

    /// Byte range of blocks, clipped to the disk.
    pub fn bytes_of(self, range: BlockRange) -> std::ops::Range<u64> {
        let end = range.first.saturating_add(range.blocks).min(self.blocks());
        range.first << self.block_shift..(end << self.block_shift).min(self.capacity_bytes)
    }

    /// Level of the tree's root node.
    pub(crate) fn level(self) -> u8 {
        let last = self.blocks() - 1;
        let bits = (u64::BITS - last.leading_zeros()) as u8;
        bits.div_ceil(self.fan_out_bits).max(1)
    }

    /// Number of slots of a node.
    pub(crate) fn fan_out(self) -> usize {
        1 << self.fan_out_bits
    }

    /// Blocks under one slot of a node of `level`.
    pub(crate) fn slot_blocks(self, level: u8) -> u64 {
        1 << (u32::from(self.fan_out_bits) * u32::from(level - 1))
    }

    /// The node of level 1 that holds `block`, and the slot in it.
    pub(crate) fn leaf_of(self, block: u64) -> (u64, usize) {
        let mask = (1 << self.fan_out_bits) - 1;
        (block >> self.fan_out_bits, (block & mask) as usize)
    }

    /// Number of the disk's blocks in leaf `leaf`.
    pub(crate) fn leaf_blocks(self, leaf: u64) -> u64 {
        let first = leaf << self.fan_out_bits;
        (self.blocks() - first).min(1 << self.fan_out_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_has_its_true_length() {
        let g = Geometry::new((1 << 20) + 512, 18, 8).unwrap();
        assert_eq!(g.blocks(), 5);
        assert_eq!(g.block_bytes(3), 1 << 18);
        assert_eq!(g.block_bytes(4), 512);
        assert_eq!(
            g.bytes_of(BlockRange {
                first: 3,
                blocks: 9
            }),
            3 << 18..(1 << 20) + 512
        );
    }

    #[test]
    fn levels_grow_with_the_disk() {
        let level = |blocks: u64, bits| Geometry::new(blocks << 12, 12, bits).unwrap().level();
        assert_eq!(
            [level(1, 8), level(256, 8), level(257, 8), level(65_536, 8)],
            [1, 1, 2, 2]
        );
        assert_eq!(
            [level(4, 2), level(5, 2), level(16, 2), level(17, 2)],
            [1, 2, 2, 3]
        );
        assert_eq!(Geometry::new(62 << 40, 18, 8).unwrap().level(), 4);
        let deepest = Geometry::new(MAX_CAPACITY_BYTES, 12, 1).unwrap();
        assert!(deepest.level() <= crate::repo::node::MAX_LEVEL);
        assert!(Geometry::new(0, 18, 8).is_err());
        assert!(Geometry::new(u64::MAX, 18, 8).is_err());
    }
}
