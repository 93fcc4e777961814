//! Which places of a file are taken.

use std::collections::{BTreeMap, HashSet};

/// Places in one part of the set.
const PART_PLACES: u32 = 1 << 15;

/// Sectors at which something starts. Those on a border of the usual step take a bit each, so that a
/// file of 2 TiB with grains of 64 KiB takes 4 MiB.
#[derive(Debug)]
pub(super) struct Seen {
    step_sectors: u32,
    parts: BTreeMap<u32, Vec<u64>>,
    odd: HashSet<u32>,
}

impl Seen {
    /// An empty set for things of this length, at least one sector.
    pub(super) fn new(step_sectors: u64) -> Self {
        Self {
            step_sectors: u32::try_from(step_sectors).unwrap_or(u32::MAX).max(1),
            parts: BTreeMap::new(),
            odd: HashSet::new(),
        }
    }

    /// Adds neighbouring sectors; false, and nothing added, if one of them was there.
    pub(super) fn insert_all(&mut self, sectors: std::ops::Range<u32>) -> bool {
        let free = sectors.clone().all(|sector| !self.contains(sector));
        if free {
            for sector in sectors {
                self.insert(sector);
            }
        }
        free
    }

    fn contains(&self, sector: u32) -> bool {
        if !sector.is_multiple_of(self.step_sectors) {
            return self.odd.contains(&sector);
        }
        let place = sector / self.step_sectors;
        let part = self.parts.get(&(place / PART_PLACES));
        part.is_some_and(|part| part[(place % PART_PLACES / 64) as usize] & 1 << (place % 64) != 0)
    }

    /// Adds a sector; false if it was there.
    pub(super) fn insert(&mut self, sector: u32) -> bool {
        if !sector.is_multiple_of(self.step_sectors) {
            return self.odd.insert(sector);
        }
        let place = sector / self.step_sectors;
        let part = self.parts.entry(place / PART_PLACES);
        let part = part.or_insert_with(|| vec![0; PART_PLACES as usize / 64]);
        let word = &mut part[(place % PART_PLACES / 64) as usize];
        let bit = 1 << (place % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sector_is_new_once() {
        let mut seen = Seen::new(128);
        for sector in [0, 1, 127, 128, 256, 128 * 64, 128 << 16, u32::MAX] {
            assert!(seen.insert(sector), "{sector}");
            assert!(!seen.insert(sector), "{sector}");
        }
    }

    #[test]
    fn neighbours_are_added_together_or_not_at_all() {
        let mut seen = Seen::new(1);
        assert!(seen.insert_all(22..26));
        assert!(!seen.insert_all(25..29));
        assert!(seen.insert_all(26..30));
        assert!(!seen.insert_all(21..23));
        assert!(seen.insert(21));
    }
}
