//! Ranges of blocks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A run of blocks of one disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockRange {
    /// Number of the first block.
    pub first: u64,
    /// Number of blocks.
    pub blocks: u64,
}

/// A set of blocks, kept as disjoint runs.
#[derive(Clone, Default, Debug)]
pub(crate) struct BlockSet {
    /// First block to the block after the last.
    runs: BTreeMap<u64, u64>,
}

impl BlockSet {
    /// Adds `blocks` blocks from `first` on.
    pub(crate) fn insert(&mut self, first: u64, blocks: u64) {
        let (mut from, mut to) = (first, first + blocks);
        if blocks == 0 {
            return;
        }
        while let Some((&start, &end)) = self.runs.range(..=to).next_back() {
            if end < from {
                break;
            }
            self.runs.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.runs.insert(from, to);
    }

    /// Takes `blocks` blocks from `first` on out.
    pub(crate) fn remove(&mut self, first: u64, blocks: u64) {
        let to = first + blocks;
        if blocks == 0 {
            return;
        }
        while let Some((&start, &end)) = self.runs.range(..to).next_back() {
            if end <= first {
                break;
            }
            self.runs.remove(&start);
            if start < first {
                self.runs.insert(start, first);
            }
            if end > to {
                self.runs.insert(to, end);
            }
        }
    }

    /// True when the set has any of `blocks` blocks from `first` on.
    pub(crate) fn meets(&self, first: u64, blocks: u64) -> bool {
        let before = self.runs.range(..first.saturating_add(blocks)).next_back();
        blocks > 0 && before.is_some_and(|(_, &end)| end > first)
    }

    /// The first block of the set.
    pub(crate) fn first(&self) -> Option<u64> {
        self.runs.keys().next().copied()
    }

    /// Number of runs.
    pub(crate) fn number_of_runs(&self) -> usize {
        self.runs.len()
    }

    /// Number of blocks in the set.
    pub(crate) fn len(&self) -> u64 {
        self.runs.iter().map(|(start, end)| end - start).sum()
    }

    /// What of the runs lies in `range`, in order.
    pub(crate) fn runs_within(&self, range: BlockRange) -> Vec<BlockRange> {
        let end = range.first + range.blocks;
        let before = self.runs.range(..=range.first).next_back();
        let inside = self.runs.range(range.first + 1..end.max(range.first + 1));
        let cut = before.into_iter().chain(inside).map(|(&from, &to)| {
            let (from, to) = (from.max(range.first), to.min(end));
            (from, to)
        });
        cut.filter(|(from, to)| from < to)
            .map(|(first, to)| BlockRange {
                first,
                blocks: to - first,
            })
            .collect()
    }

    /// The runs in order.
    pub(crate) fn runs(&self) -> Vec<BlockRange> {
        let run = |(&first, &end): (&u64, &u64)| BlockRange {
            first,
            blocks: end - first,
        };
        self.runs.iter().map(run).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..40)) {
            let (mut set, mut model) = (BlockSet::default(), BTreeSet::new());
            for (insert, first, blocks) in steps {
                if insert {
                    set.insert(first, blocks);
                    model.extend(first..first + blocks);
                } else {
                    set.remove(first, blocks);
                    model.retain(|block| !(first..first + blocks).contains(block));
                }
            }
            for (first, blocks) in [(0, 5), (7, 1), (20, 0), (33, 12), (70, 20)] {
                let meets = model.range(first..first + blocks).next().is_some();
                prop_assert_eq!(set.meets(first, blocks), meets);
                let within: Vec<u64> = set
                    .runs_within(BlockRange { first, blocks })
                    .iter()
                    .flat_map(|run| run.first..run.first + run.blocks)
                    .collect();
                let wanted: Vec<u64> = model.range(first..first + blocks).copied().collect();
                prop_assert_eq!(within, wanted);
            }
            let all: Vec<u64> = set.runs().iter().flat_map(|run| run.first..run.first + run.blocks).collect();
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
            prop_assert!(set.runs().windows(2).all(|pair| pair[0].first + pair[0].blocks < pair[1].first));
        }
    }
}
