//! A set of block numbers of one disk, in memory bounded by the disk's size.

use std::ops::Range;

/// Which blocks of a disk are meant, one bit each.
///
/// A 62 TiB disk at 256 KiB a block needs 31 MiB, however scattered the set is.
#[derive(Clone, PartialEq, Eq)]
pub struct BlockSet {
    words: Vec<u64>,
    capacity_bytes: u64,
    block_shift: u8,
}

impl BlockSet {
    /// The empty set over a disk of `capacity_bytes`, in blocks of `1 << block_shift` bytes.
    pub fn empty(capacity_bytes: u64, block_shift: u8) -> Self {
        let blocks = capacity_bytes.div_ceil(1 << block_shift);
        Self {
            words: vec![0; blocks.div_ceil(64) as usize],
            capacity_bytes,
            block_shift,
        }
    }

    /// Every block of the disk.
    pub fn full(capacity_bytes: u64, block_shift: u8) -> Self {
        let mut set = Self::empty(capacity_bytes, block_shift);
        set.insert_bytes(0..capacity_bytes);
        set
    }

    /// The disk's size.
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// Size of a block, as a power of two.
    pub fn block_shift(&self) -> u8 {
        self.block_shift
    }

    /// Blocks on the disk, in the set or not.
    pub fn disk_blocks(&self) -> u64 {
        self.capacity_bytes.div_ceil(1 << self.block_shift)
    }

    /// Adds every block that `bytes` touches; what lies past the disk's end is left out.
    pub fn insert_bytes(&mut self, bytes: Range<u64>) {
        let end = bytes.end.min(self.capacity_bytes);
        if bytes.start >= end {
            return;
        }
        let first = bytes.start >> self.block_shift;
        let last = (end - 1) >> self.block_shift;
        self.insert_blocks(first..last + 1);
    }

    /// Adds blocks by number; what lies past the disk's end is left out.
    pub fn insert_blocks(&mut self, blocks: Range<u64>) {
        self.change(blocks, |word, mask| *word |= mask);
    }

    /// Takes a block out.
    pub fn remove(&mut self, block: u64) {
        self.remove_blocks(block..block.saturating_add(1));
    }

    /// Takes blocks out by number.
    pub fn remove_blocks(&mut self, blocks: Range<u64>) {
        self.change(blocks, |word, mask| *word &= !mask);
    }

    /// Takes out what another set of the same disk has.
    pub fn remove_all(&mut self, other: &Self) {
        for run in other.runs() {
            self.remove_blocks(run);
        }
    }

    fn change(&mut self, blocks: Range<u64>, change: impl Fn(&mut u64, u64)) {
        let end = blocks.end.min(self.disk_blocks());
        let mut block = blocks.start;
        while block < end {
            let (word, bit) = ((block / 64) as usize, block % 64);
            let count = (64 - bit).min(end - block);
            let mask = if count == 64 {
                u64::MAX
            } else {
                ((1 << count) - 1) << bit
            };
            change(&mut self.words[word], mask);
            block += count;
        }
    }

    /// True when the block is in the set.
    pub fn contains(&self, block: u64) -> bool {
        self.words
            .get((block / 64) as usize)
            .is_some_and(|word| word >> (block % 64) & 1 == 1)
    }

    /// How many blocks are in the set.
    pub fn len(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// True when no block is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many bytes of the disk the blocks cover; the last block may be short.
    pub fn bytes(&self) -> u64 {
        let whole = self.len() << self.block_shift;
        let tail = self.capacity_bytes % (1 << self.block_shift);
        match self.disk_blocks().checked_sub(1) {
            Some(last) if tail > 0 && self.contains(last) => whole - (1 << self.block_shift) + tail,
            _ => whole,
        }
    }

    /// The runs of blocks in the set, in order.
    pub fn runs(&self) -> Runs<'_> {
        Runs {
            set: self,
            at: 0,
            wanted: true,
        }
    }

    /// The runs of blocks that are not in the set, in order.
    pub fn gaps(&self) -> Runs<'_> {
        Runs {
            set: self,
            at: 0,
            wanted: false,
        }
    }

    /// The first block from `from` on whose membership is `wanted`, or the number of blocks.
    fn next(&self, from: u64, wanted: bool) -> u64 {
        let blocks = self.disk_blocks();
        let mut block = from;
        while block < blocks {
            let word = self.words[(block / 64) as usize];
            let word = if wanted { word } else { !word };
            let rest = word >> (block % 64);
            if rest != 0 {
                return (block + u64::from(rest.trailing_zeros())).min(blocks);
            }
            block = (block / 64 + 1) * 64;
        }
        blocks
    }
}

impl std::fmt::Debug for BlockSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "BlockSet({} of {} blocks)",
            self.len(),
            self.disk_blocks()
        )
    }
}

/// Runs of blocks, from [`BlockSet::runs`] and [`BlockSet::gaps`].
#[derive(Debug)]
pub struct Runs<'a> {
    set: &'a BlockSet,
    at: u64,
    wanted: bool,
}

impl Iterator for Runs<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let start = self.set.next(self.at, self.wanted);
        if start >= self.set.disk_blocks() {
            return None;
        }
        self.at = self.set.next(start, !self.wanted);
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::BlockSet;
    use proptest::prelude::*;

    #[test]
    fn the_short_last_block_counts_as_it_is() {
        let mut set = BlockSet::empty(3 * 1024 + 512, 10);
        set.insert_bytes(3 * 1024 + 511..u64::MAX);
        assert_eq!((set.len(), set.bytes(), set.disk_blocks()), (1, 512, 4));
        assert_eq!(BlockSet::full(3 * 1024 + 512, 10).bytes(), 3 * 1024 + 512);
        assert!(BlockSet::empty(0, 18).is_empty());
        assert_eq!(BlockSet::full(0, 18).runs().count(), 0);
    }

    proptest! {
        #[test]
        fn runs_and_gaps_tile_the_disk_like_a_naive_set(
            capacity in 1_u64..300_000,
            ranges in prop::collection::vec((0_u64..300_000, 0_u64..40_000), 0..20),
        ) {
            let mut set = BlockSet::empty(capacity, 10);
            let mut naive = vec![false; capacity.div_ceil(1024) as usize];
            for (start, length) in ranges {
                set.insert_bytes(start..start + length);
                for byte in start..(start + length).min(capacity) {
                    naive[(byte / 1024) as usize] = true;
                }
            }
            let mut seen = vec![None; naive.len()];
            for (run, member) in set.runs().map(|r| (r, true)).chain(set.gaps().map(|r| (r, false))) {
                for block in run {
                    prop_assert!(seen[block as usize].replace(member).is_none(), "block {} twice", block);
                }
            }
            for (block, member) in naive.iter().enumerate() {
                prop_assert_eq!(seen[block], Some(*member));
                prop_assert_eq!(set.contains(block as u64), *member);
            }
            prop_assert_eq!(set.len(), naive.iter().filter(|m| **m).count() as u64);
        }
    }
}
