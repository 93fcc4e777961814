//! Which packs are worth being emptied.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use super::CompactOptions;
use super::live::Live;
use crate::repo::condemned::Condemned;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::pack::blob_bytes;
use crate::repo::point::Point;
use crate::repo::repository::{READS_AT_ONCE, Repository};
use crate::repo::usage::Usage;

/// The packs to be emptied, and the points that need something of them.
#[derive(Default)]
pub(crate) struct Candidates {
    pub(crate) packs: HashSet<PackId>,
    /// Their bytes, live or not.
    pub(crate) all_bytes: u64,
    /// Sealed bytes of what is live in them.
    pub(crate) live_bytes: u64,
    /// The points, oldest first.
    pub(crate) points: Vec<Point>,
}

impl Candidates {
    /// Looks at the usage tables first, and at the trees of those points that need a pack which
    /// looks empty enough. A living point that
    /// cannot be read is an error: what it needs is not known.
    pub(crate) fn find(
        repo: &Repository,
        handle: &Handle,
        options: &CompactOptions,
    ) -> Result<Self, Error> {
        let condemned = handle.block_on(Condemned::read(repo))?;
        let list = handle.block_on(repo.full_points(None))?;
        if let Some(finding) = list.findings.first() {
            return Err(Error::damaged(&finding.object, finding.what.clone()));
        }
        let tables = list
            .points
            .iter()
            .map(|point| repo.usage(&point.root.usage));
        let tables = stream::iter(tables).buffered(READS_AT_ONCE);
        let tables: Vec<Usage> = handle.block_on(tables.try_collect())?;
        let few = few_live(&tables, options, &condemned);
        let needs = |table: &Usage| table.packs().any(|pack| few.contains_key(&pack));
        let points = list.points.into_iter().zip(&tables);
        let points: Vec<Point> = points
            .filter(|(_, table)| needs(table))
            .map(|(point, _)| point)
            .collect();
        let mut live = Live::of(repo, handle, few.keys().copied());
        for point in &points {
            live.add(point)?;
        }
        let chosen = choose(repo, handle, options, &few, &live)?;
        Ok(Self {
            all_bytes: chosen.iter().map(|pack| few[pack]).sum(),
            live_bytes: chosen.iter().map(|pack| live.bytes(*pack)).sum(),
            packs: chosen,
            points,
        })
    }
}

/// Packs of which no point needs as much as a pack must hold. What several points need together
/// may be more.
fn few_live(
    tables: &[Usage],
    options: &CompactOptions,
    condemned: &Condemned,
) -> HashMap<PackId, u64> {
    let mut most: HashMap<PackId, (u64, u64)> = HashMap::new();
    for table in tables {
        let mut of_point: HashMap<PackId, (u64, u64)> = HashMap::new();
        for ((_, pack), need) in table.rows() {
            let entry = of_point.entry(pack).or_default();
            entry.0 += need.bytes;
            entry.1 = need.pack_bytes;
        }
        for (pack, (bytes, pack_bytes)) in of_point {
            let entry = most.entry(pack).or_default();
            *entry = (entry.0.max(bytes), pack_bytes);
        }
    }
    let percent = u64::from(options.min_live_percent);
    most.retain(|pack, (bytes, pack_bytes)| {
        bytes.saturating_mul(100) < pack_bytes.saturating_mul(percent) && !condemned.contains(*pack)
    });
    most.into_iter()
        .map(|(pack, (_, pack_bytes))| (pack, pack_bytes))
        .collect()
}

/// The emptiest first, as far as the budget goes.
fn choose(
    repo: &Repository,
    handle: &Handle,
    options: &CompactOptions,
    few: &HashMap<PackId, u64>,
    live: &Live<'_>,
) -> Result<HashSet<PackId>, Error> {
    let lengths = few.iter().map(|(pack, pack_bytes)| async move {
        // Header, footer and trailer are no loss: a pack of little is full though it is small.
        (*pack, blob_bytes(repo, *pack, *pack_bytes).await)
    });
    let lengths = stream::iter(lengths).buffer_unordered(READS_AT_ONCE);
    let mut shares = Vec::new();
    for (pack, blobs) in handle.block_on(lengths.collect::<Vec<_>>()) {
        let blobs = match blobs {
            Ok(bytes) => bytes,
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error),
        };
        let bytes = live.bytes(pack);
        let percent = bytes.saturating_mul(100) / blobs.max(1);
        if percent < u64::from(options.min_live_percent) {
            shares.push((percent, pack.kind == PackKind::Data, pack, bytes));
        }
    }
    shares.sort_unstable();
    let mut left = options.budget_bytes;
    let mut chosen = HashSet::new();
    for (_, _, pack, bytes) in shares {
        let Some(rest) = left.checked_sub(bytes) else {
            break;
        };
        left = rest;
        chosen.insert(pack);
    }
    Ok(chosen)
}
