//! A part of a disk on its way: what differs, and its sealed blocks.

use bytes::Bytes;

use crate::repo::error::Error;
use crate::repo::image::fetch_blocks;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;
use crate::repo::tree::{Difference, Geometry, TreeDifference};

/// A window ends at so many parts, so that a disk of tiny holes cannot fill the memory.
const MAX_PARTS: usize = 1 << 16;

/// What is to be done with the blocks of a part. The parts of all windows tile the disk.
pub(super) enum Part {
    Same(BlockRange),
    Hole(BlockRange),
    Block {
        number: u64,
        reference: Ref,
        sealed: Result<Bytes, Error>,
    },
    /// A node could not be read.
    Damaged {
        range: BlockRange,
        node: Ref,
        error: Error,
    },
}

impl Part {
    pub(super) fn range(&self) -> BlockRange {
        match self {
            Self::Same(range) | Self::Hole(range) | Self::Damaged { range, .. } => *range,
            Self::Block { number, .. } => BlockRange {
                first: *number,
                blocks: 1,
            },
        }
    }
}

/// Goes on until `window_bytes` of blocks are there. An empty window is the end.
pub(super) async fn next_window(
    repo: &Repository,
    geometry: Geometry,
    difference: &mut TreeDifference,
    window_bytes: u64,
) -> Result<Vec<Part>, Error> {
    let mut parts: Vec<Part> = Vec::new();
    let mut wants = Vec::new();
    let mut bytes = 0;
    while bytes < window_bytes && parts.len() < MAX_PARTS {
        match difference.next().await? {
            None => break,
            Some(Difference::Same(range)) => match parts.last_mut() {
                Some(Part::Same(last)) => last.blocks += range.blocks,
                _ => parts.push(Part::Same(range)),
            },
            Some(Difference::Hole(range)) => match parts.last_mut() {
                Some(Part::Hole(last)) => last.blocks += range.blocks,
                _ => parts.push(Part::Hole(range)),
            },
            Some(Difference::Damaged { range, node, error }) => {
                parts.push(Part::Damaged { range, node, error });
            }
            Some(Difference::Block { number, reference }) => {
                bytes += geometry.block_bytes(number) as u64;
                wants.push((parts.len(), reference));
                parts.push(Part::Block {
                    number,
                    reference,
                    sealed: Ok(Bytes::new()),
                });
            }
        }
    }
    for (index, answer) in fetch_blocks(repo, wants).await {
        if let Some(Part::Block { sealed, .. }) = parts.get_mut(index) {
            *sealed = answer;
        }
    }
    Ok(parts)
}
