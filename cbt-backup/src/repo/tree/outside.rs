//! Where two trees differ though they should not.

use super::geometry::Geometry;
use super::rewrite::BaseTree;
use crate::repo::block_set::BlockSet;
use crate::repo::error::Error;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;

/// The runs of blocks before `end`, and not among `inside`, that two trees of one shape have otherwise: at most
/// `most` of them. Blocks are the same when their ids are, wherever they lie. Of what lies below a node that cannot
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
) -> Result<Vec<BlockRange>, Error> {
    let mut found: Vec<BlockRange> = Vec::new();
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
            match found.last_mut() {
                Some(last) if last.first + last.blocks == first => last.blocks += 1,
                _ => {
                    if found.len() == most {
                        break;
                    }
                    found.push(BlockRange { first, blocks: 1 });
                }
            }
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
