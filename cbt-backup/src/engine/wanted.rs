//! What is read of a disk: whole blocks, and of partly changed ones no more than changed.

use std::ops::Range;

use super::block_set::BlockSet;

/// Of a block that is to be read to this share, in percent, all is read: an older block that supplies the
/// rest must be fetched, too.
const WHOLE_PERCENT: u64 = 75;

/// What to read of a disk.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The blocks that are stored anew.
    pub blocks: BlockSet,
    /// The grains that changed. Of a block of `blocks` that has some of them only the part from the first
    /// to the last is read, and the rest comes from the block before. A block without any is read whole.
    pub grains: Option<BlockSet>,
}

impl Wanted {
    /// All of these blocks, whole.
    pub fn whole(blocks: BlockSet) -> Self {
        Self {
            blocks,
            grains: None,
        }
    }

    /// Adds blocks that no older block can supply a part of.
    pub fn insert_whole(&mut self, blocks: Range<u64>) {
        if let Some(grains) = &mut self.grains {
            let shift = self.blocks.block_shift();
            grains.insert_bytes(blocks.start << shift..blocks.end << shift);
        }
        self.blocks.insert_blocks(blocks);
    }

    /// The bytes to read, in order, in pieces of at most `read_bytes`. A block is never in two pieces,
    /// and it is not longer than `read_bytes`.
    pub fn reads(&self, read_bytes: u64) -> impl Iterator<Item = Range<u64>> {
        let mut spans = self.spans().peekable();
        std::iter::from_fn(move || {
            let mut read = spans.next()?;
            while let Some(next) =
                spans.next_if(|next| next.start == read.end && next.end - read.start <= read_bytes)
            {
                read.end = next.end;
            }
            Some(read)
        })
    }

    /// How many bytes are read.
    pub fn bytes(&self) -> u64 {
        match &self.grains {
            None => self.blocks.bytes(),
            Some(_) => self.spans().map(|span| span.end - span.start).sum(),
        }
    }

    /// What is read of each block, in order.
    fn spans(&self) -> impl Iterator<Item = Range<u64>> {
        self.blocks.runs().flatten().map(|block| self.span(block))
    }

    fn span(&self, block: u64) -> Range<u64> {
        let shift = self.blocks.block_shift();
        let start = block << shift;
        let end = ((block + 1) << shift).min(self.blocks.capacity_bytes());
        let Some(grains) = &self.grains else {
            return start..end;
        };
        let grain_bytes = 1 << grains.block_shift();
        let mut first_last = None;
        for grain in start / grain_bytes..end.div_ceil(grain_bytes) {
            if grains.contains(grain) {
                let (first, _) = first_last.unwrap_or((grain, grain));
                first_last = Some((first, grain));
            }
        }
        let Some((first, last)) = first_last else {
            return start..end;
        };
        // A grain may be larger than a block.
        let part = start.max(first * grain_bytes)..end.min((last + 1) * grain_bytes);
        if (part.end - part.start) * 100 >= (end - start) * WHOLE_PERCENT {
            start..end
        } else {
            part
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BlockSet, Wanted};

    const BLOCK: u64 = 1 << 18;
    const GRAIN: u64 = 1 << 16;

    fn wanted(capacity_bytes: u64, blocks: &[u64], grains: Option<&[u64]>) -> Wanted {
        let mut set = BlockSet::empty(capacity_bytes, 18);
        for block in blocks {
            set.insert_blocks(*block..block + 1);
        }
        let grains = grains.map(|grains| {
            let mut set = BlockSet::empty(capacity_bytes, 16);
            for grain in grains {
                set.insert_blocks(*grain..grain + 1);
            }
            set
        });
        Wanted {
            blocks: set,
            grains,
        }
    }

    #[test]
    fn whole_blocks_are_read_in_bounded_pieces_that_end_with_the_disk() {
        let cut = |blocks: &[u64]| {
            let wanted = wanted(10 * BLOCK + 512, blocks, None);
            let reads: Vec<_> = wanted.reads(2 * BLOCK).collect();
            let bytes: u64 = reads.iter().map(|read| read.end - read.start).sum();
            assert_eq!(bytes, wanted.bytes());
            reads
        };
        assert_eq!(cut(&[0, 1, 2]), [0..2 * BLOCK, 2 * BLOCK..3 * BLOCK]);
        let end = 10 * BLOCK + 512;
        assert_eq!(cut(&[0, 9, 10]), [0..BLOCK, 9 * BLOCK..end]);
        assert_eq!(cut(&[0, 10]), [0..BLOCK, 10 * BLOCK..end]);
        assert_eq!(cut(&[]), []);
    }

    #[test]
    fn of_partly_changed_blocks_the_changed_part_is_read() {
        // Block 0: its second grain. Block 1: three of four. Block 2: the first; the read goes on from
        // block 1. Block 4: without any, because the block before cannot supply it.
        let wanted = wanted(6 * BLOCK, &[0, 1, 2, 4], Some(&[1, 4, 6, 8]));
        let reads: Vec<_> = wanted.reads(8 * BLOCK).collect();
        assert_eq!(
            reads,
            [
                GRAIN..2 * GRAIN,
                BLOCK..2 * BLOCK + GRAIN,
                4 * BLOCK..5 * BLOCK
            ]
        );
    }

    proptest! {
        #[test]
        fn what_changed_is_read_and_hardly_more(
            grains in prop::collection::btree_set(0_u64..4000, 0..60),
            read_bytes in (1_u64..9).prop_map(|blocks| blocks * BLOCK),
        ) {
            let grains: Vec<u64> = grains.into_iter().collect();
            let blocks: Vec<u64> = grains.iter().map(|grain| grain / 4).collect();
            let wanted = wanted(1000 * BLOCK, &blocks, Some(&grains));
            let reads: Vec<_> = wanted.reads(read_bytes).collect();
            prop_assert!(reads.windows(2).all(|pair| pair[0].end <= pair[1].start));
            for grain in &grains {
                let bytes = grain * GRAIN..(grain + 1) * GRAIN;
                prop_assert!(reads.iter().any(|read| read.start <= bytes.start && bytes.end <= read.end));
            }
            for read in &reads {
                prop_assert!(read.end - read.start <= read_bytes);
                // No block lies in two reads.
                let others = reads.iter().filter(|other| *other != read);
                for other in others {
                    prop_assert!((other.end - 1) / BLOCK < read.start / BLOCK || other.start / BLOCK > (read.end - 1) / BLOCK);
                }
            }
            let bytes: u64 = reads.iter().map(|read| read.end - read.start).sum();
            prop_assert_eq!(bytes, wanted.bytes());
            prop_assert!(bytes <= blocks.len() as u64 * BLOCK);
        }
    }
}
