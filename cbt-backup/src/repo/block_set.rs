//! A set of blocks of a disk, in memory bounded by the disk's size.

use std::collections::BTreeMap;

use super::ranges::BlockRange;

/// Blocks of a chunk: 16 GiB of disk, at 256 KiB a block.
const CHUNK: u64 = 1 << 16;
const WORDS: usize = (CHUNK / 64) as usize;

/// A set of blocks. Long runs cost next to nothing; however scattered it is, a 62 TiB disk of
/// 256 KiB blocks needs 32 MiB.
#[derive(Clone, Default, Debug)]
pub(crate) struct BlockSet {
    /// By number; a chunk without blocks is not there.
    chunks: BTreeMap<u64, Chunk>,
}

#[derive(Clone, Debug)]
enum Chunk {
    All,
    Some(Box<[u64; WORDS]>),
}

impl Chunk {
    /// The first block from `from` on that is in the set, or that is not. It may lie some blocks behind
    /// `to`, at which the look ends.
    fn next(&self, from: u64, to: u64, wanted: bool) -> Option<u64> {
        let words = match self {
            Self::All => return wanted.then_some(from),
            Self::Some(words) => &words[..to.div_ceil(64) as usize],
        };
        let (first, bit) = ((from / 64) as usize, from % 64);
        for (index, word) in words.iter().enumerate().skip(first) {
            let word = if wanted { *word } else { !word };
            let word = if index == first {
                word >> bit << bit
            } else {
                word
            };
            if word != 0 {
                return Some(index as u64 * 64 + u64::from(word.trailing_zeros()));
            }
        }
        None
    }
}

/// The part of a range that lies in one chunk: its number, and the first block and the block after
/// the last one in it.
fn parts(first: u64, blocks: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let end = first.saturating_add(blocks);
    let chunks = first / CHUNK..end.div_ceil(CHUNK);
    chunks.filter(move |_| blocks > 0).map(move |chunk| {
        let start = chunk * CHUNK;
        let from = first.max(start) - start;
        (chunk, from, (end - start).min(CHUNK))
    })
}

/// The words that blocks `from..to` of a chunk touch, and the bits of them in each.
fn masks(from: u64, to: u64) -> impl Iterator<Item = (usize, u64)> {
    (from / 64..to.div_ceil(64)).map(move |word| {
        let low = from.saturating_sub(word * 64);
        let high = (to - word * 64).min(64);
        (word as usize, (u64::MAX >> (64 - (high - low))) << low)
    })
}

impl BlockSet {
    /// Adds `blocks` blocks from `first` on.
    pub(crate) fn insert(&mut self, first: u64, blocks: u64) {
        for (number, from, to) in parts(first, blocks) {
            if to - from == CHUNK {
                self.chunks.insert(number, Chunk::All);
                continue;
            }
            let chunk = self.chunks.entry(number);
            let chunk = chunk.or_insert_with(|| Chunk::Some(Box::new([0; WORDS])));
            let Chunk::Some(words) = chunk else { continue };
            for (word, bits) in masks(from, to) {
                words[word] |= bits;
            }
        }
    }

    /// Takes `blocks` blocks from `first` on out.
    pub(crate) fn remove(&mut self, first: u64, blocks: u64) {
        if blocks == 0 {
            return;
        }
        let last = first.saturating_add(blocks).div_ceil(CHUNK);
        let there = self.chunks.range(first / CHUNK..last.max(first / CHUNK));
        // Only chunks that are there: a range may be much longer than the set.
        let numbers: Vec<u64> = there.map(|(number, _)| *number).collect();
        for number in numbers {
            let start = number * CHUNK;
            let from = first.max(start) - start;
            let to = (first.saturating_add(blocks) - start).min(CHUNK);
            self.remove_here(number, from, to);
        }
    }

    fn remove_here(&mut self, number: u64, from: u64, to: u64) {
        let Some(chunk) = self.chunks.get_mut(&number) else {
            return;
        };
        let words = match chunk {
            _ if to - from == CHUNK => {
                self.chunks.remove(&number);
                return;
            }
            Chunk::Some(words) => words,
            Chunk::All => {
                *chunk = Chunk::Some(Box::new([u64::MAX; WORDS]));
                let Chunk::Some(words) = chunk else { return };
                words
            }
        };
        let mut emptied = false;
        for (word, bits) in masks(from, to) {
            words[word] &= !bits;
            emptied |= words[word] == 0;
        }
        if emptied && words.iter().all(|word| *word == 0) {
            self.chunks.remove(&number);
        }
    }

    /// True when the set has any of `blocks` blocks from `first` on.
    pub(crate) fn meets(&self, first: u64, blocks: u64) -> bool {
        self.first_within(first, first.saturating_add(blocks))
            .is_some()
    }

    /// True when the set has all of `blocks` blocks from `first` on.
    pub(crate) fn covers(&self, first: u64, blocks: u64) -> bool {
        let end = first.saturating_add(blocks);
        self.gap_within(first, end) == end
    }

    /// The first block of the set.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first_within(0, u64::MAX)
    }

    /// True when the set has no blocks.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Number of blocks in the set.
    pub(crate) fn len(&self) -> u64 {
        let chunks = self.chunks.values().map(|chunk| match chunk {
            Chunk::All => CHUNK,
            Chunk::Some(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
        });
        chunks.sum()
    }

    /// The runs in order, as long as they are.
    pub(crate) fn runs(&self) -> impl Iterator<Item = BlockRange> {
        self.runs_within(BlockRange {
            first: 0,
            blocks: u64::MAX,
        })
    }

    /// What of the runs lies in `range`, in order.
    pub(crate) fn runs_within(&self, range: BlockRange) -> impl Iterator<Item = BlockRange> {
        let (mut at, end) = (range.first, range.first.saturating_add(range.blocks));
        std::iter::from_fn(move || {
            let first = self.first_within(at, end)?;
            at = self.gap_within(first, end);
            let blocks = at - first;
            Some(BlockRange { first, blocks })
        })
    }

    /// The first block of the set from `from` on, and before `end`.
    fn first_within(&self, from: u64, end: u64) -> Option<u64> {
        let last = end.checked_sub(1).filter(|last| *last >= from)? / CHUNK;
        let mut chunks = self.chunks.range(from / CHUNK..=last);
        let found = chunks.find_map(|(number, chunk)| {
            let start = number * CHUNK;
            let (from, to) = (from.saturating_sub(start), (end - start).min(CHUNK));
            Some(start + chunk.next(from, to, true)?)
        });
        found.filter(|block| *block < end)
    }

    /// The first block from `from` on that is not in the set, or `end`.
    fn gap_within(&self, from: u64, end: u64) -> u64 {
        let mut at = from;
        while at < end {
            let start = at / CHUNK * CHUNK;
            let Some(chunk) = self.chunks.get(&(at / CHUNK)) else {
                return at;
            };
            match chunk.next(at - start, (end - start).min(CHUNK), false) {
                Some(gap) => return end.min(start + gap),
                None => at = start + CHUNK,
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Numbers near the places where something happens: word and chunk borders.
    fn number() -> impl Strategy<Value = u64> {
        (
            0_u64..4,
            prop_oneof![0_u64..3, 60_u64..70, 65_500_u64..65_536],
        )
            .prop_map(|(chunk, at)| chunk * CHUNK + at)
    }

    fn blocks_of(runs: impl Iterator<Item = BlockRange>) -> Vec<u64> {
        runs.flat_map(|run| run.first..run.first + run.blocks)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn behaves_like_a_set(
            steps in proptest::collection::vec((any::<bool>(), number(), number()), 0..8),
            asked in proptest::collection::vec((number(), number()), 8),
        ) {
            let (mut set, mut model) = (BlockSet::default(), BTreeSet::new());
            for (insert, first, end) in steps {
                let blocks = end.saturating_sub(first);
                if insert {
                    set.insert(first, blocks);
                    model.extend(first..first + blocks);
                } else {
                    set.remove(first, blocks);
                    model.retain(|block| !(first..first + blocks).contains(block));
                }
            }
            for (first, end) in asked {
                let blocks = end.saturating_sub(first);
                let range = BlockRange { first, blocks };
                let wanted: Vec<u64> = model.range(first..first + blocks).copied().collect();
                prop_assert_eq!(set.meets(first, blocks), !wanted.is_empty());
                prop_assert_eq!(set.covers(first, blocks), wanted.len() as u64 == blocks);
                prop_assert_eq!(blocks_of(set.runs_within(range)), wanted);
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(set.first(), model.first().copied());
            let runs: Vec<BlockRange> = set.runs().collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].first + pair[0].blocks < pair[1].first));
            prop_assert_eq!(blocks_of(runs.into_iter()), model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_range_of_everything_is_no_trouble() {
        let mut set = BlockSet::default();
        set.insert(CHUNK - 1, 3 * CHUNK);
        set.remove(0, u64::MAX);
        assert!(set.is_empty() && !set.meets(0, u64::MAX));
    }
}
