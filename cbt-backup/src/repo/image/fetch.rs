//! A window of a disk: its blocks found, and fetched with few requests.

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;
use crate::repo::tree::{Geometry, TreeCursor, TreeItem};

/// Blobs nearer than this are fetched together, up to the other number.
const MAX_GAP_BYTES: u32 = 64 << 10;
const MAX_GET_BYTES: u32 = 8 << 20;
const GETS_AT_ONCE: usize = 8;
/// A window ends at so many parts, so that a disk of tiny holes cannot fill the memory.
const MAX_PARTS: usize = 1 << 16;

/// A part of a window, in disk order.
pub(super) enum Part {
    Block {
        number: u64,
        reference: Ref,
        sealed: Result<Bytes, Error>,
    },
    Hole(BlockRange),
    /// The pack is the one of the node that cannot be read.
    Damaged(BlockRange, PackId, Error),
}

/// Reads on from `cursor` until `window_bytes` of blocks are there. An empty window is the end.
pub(super) async fn next_window(
    repo: &Repository,
    geometry: Geometry,
    cursor: &mut TreeCursor,
    window_bytes: u64,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut bytes = 0;
    while bytes < window_bytes && parts.len() < MAX_PARTS {
        match cursor.next().await {
            None => break,
            Some(TreeItem::Node(_)) => {}
            Some(TreeItem::Block { number, reference }) => {
                bytes += geometry.block_bytes(number) as u64;
                parts.push(Part::Block {
                    number,
                    reference,
                    sealed: Ok(Bytes::new()),
                });
            }
            Some(TreeItem::Hole(hole)) => match parts.last_mut() {
                Some(Part::Hole(last)) if last.first + last.blocks == hole.first => {
                    last.blocks += hole.blocks;
                }
                _ => parts.push(Part::Hole(hole)),
            },
            Some(TreeItem::Damaged { range, node, error }) => {
                let pack = node.pack(PackKind::Node);
                parts.push(Part::Damaged(range, pack, error));
            }
        }
    }
    fetch(repo, &mut parts).await;
    parts
}

/// Blobs of one pack that are fetched with one request.
struct Get {
    first: Ref,
    end: u32,
    /// Part numbers, and their Refs.
    wants: Vec<(usize, Ref)>,
}

async fn fetch(repo: &Repository, parts: &mut [Part]) {
    let wants = parts.iter().enumerate().filter_map(|(index, part)| {
        let Part::Block { reference, .. } = part else {
            return None;
        };
        Some((index, *reference))
    });
    for (part, bytes) in fetch_blocks(repo, wants.collect()).await {
        if let Some(Part::Block { sealed, .. }) = parts.get_mut(part) {
            *sealed = bytes;
        }
    }
}

/// Fetches sealed blocks with few requests. Each answer has the number that came with its block.
pub(crate) async fn fetch_blocks(
    repo: &Repository,
    wants: Vec<(usize, Ref)>,
) -> Vec<(usize, Result<Bytes, Error>)> {
    let mut answers = Vec::with_capacity(wants.len());
    let mut possible = wants;
    possible.retain(|(index, reference)| {
        let is_possible = reference.end().is_some();
        if !is_possible {
            let error = Error::damaged("node", "it has an impossible address");
            answers.push((*index, Err(error)));
        }
        is_possible
    });
    let mut gets = stream::iter(plan(possible))
        .map(|get| run(repo, get))
        .buffer_unordered(GETS_AT_ONCE);
    while let Some(answer) = gets.next().await {
        answers.extend(answer);
    }
    answers
}

fn plan(mut wants: Vec<(usize, Ref)>) -> Vec<Get> {
    wants.sort_by_key(|(_, r)| (r.session, r.seq, r.offset));
    let mut gets: Vec<Get> = Vec::new();
    for (index, next) in wants {
        let next_end = next.offset.saturating_add(next.length);
        match gets.last_mut() {
            Some(get)
                if (get.first.session, get.first.seq) == (next.session, next.seq)
                    && next.offset <= get.end.saturating_add(MAX_GAP_BYTES)
                    && next_end - get.first.offset <= MAX_GET_BYTES =>
            {
                get.end = get.end.max(next_end);
                get.wants.push((index, next));
            }
            _ => gets.push(Get {
                first: next,
                end: next_end,
                wants: vec![(index, next)],
            }),
        }
    }
    gets
}

async fn run(repo: &Repository, get: Get) -> Vec<(usize, Result<Bytes, Error>)> {
    let start = get.first.offset;
    let name = get.first.pack(PackKind::Data).to_string();
    let range = u64::from(start)..u64::from(get.end);
    match repo.store().get_range(&name, range).await {
        Ok(bytes) => {
            let cut = |r: &Ref| {
                bytes.slice((r.offset - start) as usize..(r.offset - start + r.length) as usize)
            };
            get.wants
                .iter()
                .map(|(index, r)| (*index, Ok(cut(r))))
                .collect()
        }
        // What one request cannot give, single ones may: a pack that was cut has a good beginning.
        Err(_) if get.wants.len() > 1 => {
            let mut answers = Vec::with_capacity(get.wants.len());
            for (index, r) in get.wants {
                let range = u64::from(r.offset)..u64::from(r.offset + r.length);
                answers.push((index, repo.store().get_range(&name, range).await));
            }
            answers
        }
        Err(error) => get
            .wants
            .iter()
            .map(|(index, _)| (*index, Err(error.clone())))
            .collect(),
    }
}
