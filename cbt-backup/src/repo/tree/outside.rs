//! Where two trees differ though they should not.

use super::geometry::Geometry;
use super::rewrite::BaseTree;
use crate::repo::block_set::BlockSet;
use crate::repo::error::Error;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;

/// Blocks that differ, in the order of the disk.
#[derive(Default, Debug)]
pub(crate) struct Different {
    /// The first runs of them.
    pub(crate) runs: Vec<BlockRange>,
    /// How many runs follow.
    pub(crate) more_runs: u64,
    /// The blocks in those.
    pub(crate) more_blocks: u64,
    /// Where the last run ends.
    end: u64,
}

impl Different {
    /// Adds a block behind all others; at most `most` runs are kept, and the others are counted.
    fn add(&mut self, block: u64, most: usize) {
        let follows = self.end == block;
        self.end = block + 1;
        let kept = self.runs.len();
        match self.runs.last_mut() {
            Some(last) if follows && self.more_runs == 0 => last.blocks += 1,
            _ if kept < most => self.runs.push(BlockRange {
                first: block,
                blocks: 1,
            }),
            _ => {
                self.more_runs += u64::from(!follows);
                self.more_blocks += 1;
            }
        }
    }
}

/// The runs of blocks before `end`, and not among `inside`, that two trees of one shape have otherwise, `most` of
/// them by their places. Blocks are the same when their ids are, wherever they lie. Of what lies below a node that cannot
/// be read nothing is said. `go_on` is asked at each node.
///
/// # Errors
/// Those of reading nodes that are no damage; what `go_on` says.
pub(crate) async fn different_outside(
    repo: &Repository,
    geometry: Geometry,
    trees: [Option<BaseTree>; 2],
    (inside, end): (&BlockSet, u64),
    most: usize,
    go_on: impl Fn() -> Result<(), Error>,
) -> Result<Different, Error> {
    let mut found = Different::default();
    let level = geometry.level();
    if trees.iter().flatten().any(|tree| tree.level != level) {
        return Ok(found);
    }
    let end = end.min(geometry.blocks());
    let [one, other] = trees.map(|tree| tree.map(|tree| tree.root));
    // What is still to be looked at; the last one lies first on the disk.
    let mut stack = vec![(level, 0, one, other)];
    while let Some((level, first, one, other)) = stack.pop() {
        if first >= end || one == other {
            continue;
        }
        let blocks = geometry.slot_blocks(level + 1).min(end - first);
        if inside.covers(first, blocks) {
            continue;
        }
        if level == 0 {
            if one.map(|one| one.id) == other.map(|other| other.id) {
                continue;
            }
            found.add(first, most);
            continue;
        }
        go_on()?;
        let (Some(one), Some(other)) = (
            slots(repo, geometry, level, one).await?,
            slots(repo, geometry, level, other).await?,
        ) else {
            continue;
        };
        let step = geometry.slot_blocks(level);
        for slot in (0..geometry.fan_out()).rev() {
            let below = |slots: &[Option<Ref>]| slots.get(slot).copied().flatten();
            let first = first + step * slot as u64;
            stack.push((level - 1, first, below(&one), below(&other)));
        }
    }
    Ok(found)
}

/// What stands in a node; nothing in a hole. `None` when it cannot be read.
async fn slots(
    repo: &Repository,
    geometry: Geometry,
    level: u8,
    reference: Option<Ref>,
) -> Result<Option<Vec<Option<Ref>>>, Error> {
    let Some(reference) = reference else {
        return Ok(Some(Vec::new()));
    };
    match repo.node(&reference, geometry, level).await {
        Ok(node) => Ok(Some(node.slots.to_vec())),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_beyond_the_limit_are_counted() {
        let mut different = Different::default();
        for block in [0, 1, 5, 9, 10, 11, 20] {
            different.add(block, 2);
        }
        let runs = |found: &Different| {
            let runs = found.runs.iter().map(|run| (run.first, run.blocks));
            runs.collect::<Vec<_>>()
        };
        assert_eq!(runs(&different), [(0, 2), (5, 1)]);
        assert_eq!((different.more_runs, different.more_blocks), (2, 4));
        different.add(21, 2);
        assert_eq!((different.more_runs, different.more_blocks), (2, 5));

        let mut all = Different::default();
        for block in [3, 4, 7, 8] {
            all.add(block, 2);
        }
        assert_eq!(runs(&all), [(3, 2), (7, 2)]);
        assert_eq!((all.more_runs, all.more_blocks), (0, 0));
    }
}
