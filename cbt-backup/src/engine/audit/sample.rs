//! How many blocks are compared, which ones, and what can be said then.

use std::collections::BTreeSet;

use crate::engine::block_set::BlockSet;

/// A larger sample is no sample: then everything is compared.
const MOST_SAMPLED: u64 = 1 << 22;

/// How much of what is claimed is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scope {
    /// Every block.
    Full,
    /// As many blocks, drawn at random, as it takes.
    Sample(Precision),
}

/// How sure one wants to be, and of how little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// With this chance, between 0 and 1, damage is found.
    pub certainty: f64,
    /// If at least this share of the blocks, between 0 and 1, is damaged.
    pub fraction: f64,
}

impl Default for Precision {
    /// 99 % sure that less than one block in a thousand is wrong: some 4600 blocks.
    fn default() -> Self {
        Self {
            certainty: 0.99,
            fraction: 0.001,
        }
    }
}

impl Precision {
    /// The precision of what a backup audits on its way: some 300 blocks.
    pub const ON_THE_WAY: Self = Self {
        certainty: 0.95,
        fraction: 0.01,
    };

    /// The least number of blocks of `population` that makes one as sure.
    pub fn sample(self, population: u64) -> u64 {
        let is_enough = |compared| certainty(population, compared, self.fraction) >= self.certainty;
        let endless = ((1.0 - self.certainty).ln() / (1.0 - self.fraction).ln()).ceil();
        // Of a small population fewer will do; a rounded share may want a few more.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is positive, and what is too large becomes the largest number"
        )]
        let mut most = (endless.max(1.0) as u64).min(population);
        while !is_enough(most) && most < population {
            most = most.saturating_mul(2).min(population);
        }
        let mut least = 0;
        while least < most {
            let middle = least + (most - least) / 2;
            if is_enough(middle) {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        most
    }
}

/// The chance that damage of `fraction` of the population, and of one block at least, would be met by a random
/// sample of so many blocks: one less the hypergeometric chance that none of the damaged ones is drawn.
pub fn certainty(population: u64, compared: u64, fraction: f64) -> f64 {
    if compared >= population {
        return 1.0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of the population, and not exact"
    )]
    let damaged = ((population as f64 * fraction) as u64).clamp(1, population);
    // Drawing so many of so many is symmetric in the two numbers.
    let (few, many) = (damaged.min(compared), damaged.max(compared));
    let mut missed = 1.0;
    for drawn in 0..few {
        let left = population - drawn;
        if left <= many {
            return 1.0;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a chance, shown with few digits"
        )]
        let chance = (left - many) as f64 / left as f64;
        missed *= chance;
        if missed < 1e-12 {
            break;
        }
    }
    1.0 - missed
}

/// Numbers that nobody guesses who does not know the seed.
pub struct Random(blake3::OutputReader);

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cbt-backup audit sample");
        hasher.update(seed);
        Self(hasher.finalize_xof())
    }

    /// A number below `end`, which is above 0.
    fn below(&mut self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        let wide = u128::from(u64::from_le_bytes(bytes)) * u128::from(end);
        (wide >> 64) as u64
    }

    /// So many blocks of the set, each choice as likely as any other.
    pub fn draw(&mut self, set: &BlockSet, blocks: u64) -> BlockSet {
        let population = set.len();
        if blocks >= population || blocks > MOST_SAMPLED {
            return set.clone();
        }
        // Floyd's way: one number a choice, and no choice twice.
        let mut ranks = BTreeSet::new();
        for last in population - blocks..population {
            let rank = self.below(last + 1);
            if !ranks.insert(rank) {
                ranks.insert(last);
            }
        }
        let mut drawn = BlockSet::empty(set.capacity_bytes(), set.block_shift());
        let mut runs = set.runs();
        let (mut run, mut before) = (0..0, 0);
        for rank in ranks {
            while rank - before >= run.end - run.start {
                before += run.end - run.start;
                let Some(next) = runs.next() else {
                    return drawn;
                };
                run = next;
            }
            let block = run.start + (rank - before);
            drawn.insert_blocks(block..block + 1);
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BlockSet, Precision, Random, certainty};

    #[test]
    fn the_size_of_a_sample_is_that_of_the_books() {
        let precise = Precision::default();
        // ln(0.01) / ln(0.999).
        let large = precise.sample(u64::MAX / 1000);
        assert!((4600..=4606).contains(&large), "{large}");
        // One block of a hundred: all but one must be seen.
        assert_eq!(precise.sample(100), 99);
        assert_eq!(precise.sample(1), 1);
        assert_eq!(precise.sample(0), 0);
        let way = Precision::ON_THE_WAY.sample(1 << 30);
        assert!((295..=300).contains(&way), "{way}");
        // Of few blocks fewer will do.
        assert!(precise.sample(10_000) < 4000);
    }

    #[test]
    fn certainty_grows_with_the_sample_and_ends_with_all() {
        let mut before = 0.0;
        for compared in [0, 10, 100, 500, 999] {
            let now = certainty(1000, compared, 0.01);
            assert!(now >= before, "{compared}: {now}");
            before = now;
        }
        assert!(certainty(1000, 0, 0.01).abs() < f64::EPSILON);
        assert!((certainty(1000, 1000, 0.01) - 1.0).abs() < f64::EPSILON);
        // One damaged block in ten, five drawn: one in two.
        assert!((certainty(10, 5, 0.1) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_sample_is_as_sure_as_asked_and_one_less_is_not(
            population in 1_u64..20_000, certain in 0.5_f64..0.999, fraction in 0.0005_f64..0.2,
        ) {
            let precision = Precision { certainty: certain, fraction };
            let size = precision.sample(population);
            prop_assert!(size <= population);
            prop_assert!(certainty(population, size, fraction) >= certain);
            if size > 0 {
                prop_assert!(certainty(population, size - 1, fraction) < certain);
            }
        }

        #[test]
        fn what_is_drawn_is_of_the_set_and_as_many(
            runs in prop::collection::vec((0_u64..900, 1_u64..60), 0..12),
            blocks in 0_u64..500, seed in any::<u64>(),
        ) {
            let mut set = BlockSet::empty(1000 << 16, 16);
            for (first, length) in runs {
                set.insert_blocks(first..first + length);
            }
            let drawn = Random::new(&seed.to_le_bytes()).draw(&set, blocks);
            prop_assert_eq!(drawn.len(), blocks.min(set.len()));
            for block in drawn.runs().flatten() {
                prop_assert!(set.contains(block));
            }
        }
    }

    #[test]
    fn every_block_has_its_turn() {
        let mut set = BlockSet::empty(64 << 16, 16);
        set.insert_blocks(0..10);
        set.insert_blocks(30..40);
        let mut random = Random::new(b"turns");
        let mut seen = BlockSet::empty(64 << 16, 16);
        for _ in 0..200 {
            for run in random.draw(&set, 2).runs() {
                seen.insert_blocks(run);
            }
        }
        assert_eq!(seen, set);
    }
}
