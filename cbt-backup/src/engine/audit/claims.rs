//! What is claimed of the blocks of a disk, and the count of what held.

use std::{fmt, ops::Range};

use super::sample::certainty;
use crate::{
    engine::block_set::BlockSet,
    repo::{Distrust, PointId},
};

/// Something that is believed of a block without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It did not change since the point, which holds data there.
    Unchanged,
    /// It did not change since the point, which has zeros there.
    Zero,
    /// It is not allocated, and so reads as zeros.
    Unallocated,
}

impl Claim {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Unchanged, Self::Zero, Self::Unallocated];

    /// A short name for programs; it stays.
    pub fn id(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Zero => "zero",
            Self::Unallocated => "unallocated",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "unchanged",
            Self::Zero => "recorded as zero",
            Self::Unallocated => "unallocated",
        })
    }
}

/// What came of one claim on one disk.
#[derive(Clone, Debug)]
pub struct ClaimAudit {
    /// What is claimed.
    pub claim: Claim,
    /// Of how many blocks; `None` where that was not counted.
    pub blocks: Option<u64>,
    /// So many of them were compared.
    pub compared: u64,
    /// Blocks that were compared, and of which it does not hold, as bytes of the disk, in order.
    pub wrong: Vec<Range<u64>>,
}

impl ClaimAudit {
    /// With which chance damage of such a share of these blocks would have been noticed.
    pub fn certainty(&self, fraction: f64) -> f64 {
        certainty(self.blocks.unwrap_or(u64::MAX), self.compared, fraction)
    }
}

/// What came of the audit of a disk.
#[derive(Clone, Debug)]
pub struct DiskAudit {
    /// The point that the disk was compared with, if any holds it.
    pub point: Option<PointId>,
    /// The last whole point, where that one is of a run that died.
    pub whole: Option<PointId>,
    /// The newest point that holds the disk, though nothing may have been compared with it.
    pub newest: Option<PointId>,
    /// Why no block could be compared with what that point holds.
    pub not_asked: Option<String>,
    /// Why no allocated areas could be asked for, or are not believed in the first place.
    pub not_allocated: Option<String>,
    /// What was read for it.
    pub read_bytes: u64,
    /// One of each claim.
    pub claims: Vec<ClaimAudit>,
    /// The tracking that told what has changed: the first part of its change ids.
    pub tracking: Option<String>,
}

impl DiskAudit {
    /// True when a claim does not hold.
    pub fn is_wrong(&self) -> bool {
        self.claims.iter().any(|claim| !claim.wrong.is_empty())
    }

    /// What is not to be believed any more. Where zeros are recorded that are none, nobody can tell who said so.
    pub fn distrust(&self) -> Distrust {
        let mut wrong = self.claims.iter().filter(|claim| !claim.wrong.is_empty());
        Distrust {
            tracking: self.tracking.clone().filter(|_| self.is_wrong()),
            allocation: wrong.any(|claim| claim.claim != Claim::Unchanged),
        }
    }

    /// Blocks that were compared, over all claims.
    pub fn compared(&self) -> u64 {
        self.claims.iter().map(|claim| claim.compared).sum()
    }
}

/// What vSphere says of the blocks of a disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// Blocks that changed since the point; `None` where that was not asked or is not known.
    pub(super) changed: Option<&'a BlockSet>,
    /// Blocks that are allocated; `None` where no answer is believed.
    pub(super) allocated: Option<&'a BlockSet>,
    /// All blocks of the disk: its shape.
    pub(super) shape: (u64, u8),
}

impl Said<'_> {
    fn all(&self) -> BlockSet {
        BlockSet::full(self.shape.0, self.shape.1)
    }

    pub(super) fn none(&self) -> BlockSet {
        BlockSet::empty(self.shape.0, self.shape.1)
    }

    /// Blocks that are said to be allocated, or may be, and not to have changed.
    pub(super) fn unchanged(&self) -> BlockSet {
        let Some(changed) = self.changed else {
            return self.none();
        };
        let mut set = self.allocated.cloned().unwrap_or_else(|| self.all());
        set.remove_all(changed);
        set
    }

    /// Blocks that are said not to be allocated.
    pub(super) fn unallocated(&self) -> BlockSet {
        let Some(allocated) = self.allocated else {
            return self.none();
        };
        let mut set = self.all();
        set.remove_all(allocated);
        set
    }

    pub(super) fn is_unchanged(&self, block: u64) -> bool {
        self.changed.is_some_and(|changed| !changed.contains(block))
    }

    pub(super) fn is_unallocated(&self, block: u64) -> bool {
        self.allocated
            .is_some_and(|allocated| !allocated.contains(block))
    }
}

/// Counts what held.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [(Option<u64>, u64, BlockSet); 3],
    pub(super) read_bytes: u64,
}

impl Tally {
    pub(super) fn new(said: &Said<'_>) -> Self {
        Self {
            counts: [(); 3].map(|()| (None, 0, said.none())),
            read_bytes: 0,
        }
    }

    fn of(&mut self, claim: Claim) -> &mut (Option<u64>, u64, BlockSet) {
        &mut self.counts[match claim {
            Claim::Unchanged => 0,
            Claim::Zero => 1,
            Claim::Unallocated => 2,
        }]
    }

    /// There are so many blocks of which this is claimed.
    pub(super) fn population(&mut self, claim: Claim, blocks: u64) {
        self.of(claim).0 = Some(blocks);
    }

    /// A block was compared.
    pub(super) fn add(&mut self, claim: Claim, block: u64, holds: bool) {
        let (_, compared, wrong) = self.of(claim);
        *compared += 1;
        if !holds {
            wrong.insert_blocks(block..block + 1);
        }
    }

    pub(super) fn claims(self) -> Vec<ClaimAudit> {
        let counts = Claim::ALL.into_iter().zip(self.counts);
        let audits = counts.map(|(claim, (blocks, compared, wrong))| {
            let (shift, end) = (wrong.block_shift(), wrong.capacity_bytes());
            let bytes = |run: Range<u64>| run.start << shift..(run.end << shift).min(end);
            ClaimAudit {
                claim,
                blocks,
                compared,
                wrong: wrong.runs().map(bytes).collect(),
            }
        });
        audits.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockSet, Claim, Said, Tally};

    #[test]
    fn each_block_is_of_one_claim_or_of_none() {
        let capacity = (10 << 16) + 512;
        let mut changed = BlockSet::empty(capacity, 16);
        changed.insert_blocks(2..4);
        let mut allocated = BlockSet::empty(capacity, 16);
        allocated.insert_blocks(0..6);
        let said = Said {
            changed: Some(&changed),
            allocated: Some(&allocated),
            shape: (capacity, 16),
        };
        let runs = |set: BlockSet| set.runs().collect::<Vec<_>>();
        assert_eq!(runs(said.unchanged()), [0..2, 4..6]);
        assert_eq!(runs(said.unallocated()), vec![6..11]);
        let blind = Said {
            changed: None,
            allocated: None,
            ..said
        };
        assert!(blind.unchanged().is_empty() && blind.unallocated().is_empty());

        let mut tally = Tally::new(&said);
        tally.population(Claim::Unallocated, 5);
        tally.add(Claim::Unallocated, 9, false);
        tally.add(Claim::Unallocated, 10, false);
        tally.add(Claim::Unchanged, 0, true);
        let claims = tally.claims();
        assert_eq!(claims[2].wrong, vec![9 << 16..capacity]);
        assert_eq!((claims[2].blocks, claims[2].compared), (Some(5), 2));
        assert_eq!((claims[0].compared, claims[0].wrong.len()), (1, 0));
    }
}
