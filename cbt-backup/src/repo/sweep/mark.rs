//! Marks: which packs the roots need that count.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::clean::is_committed_and_whole;
use super::pins::Pins;
use super::recount::Recount;
use crate::repo::error::Error;
use crate::repo::id::{PackKind, PointId};
use crate::repo::name::RootName;
use crate::repo::pack_map::PackSet;
use crate::repo::repository::Repository;
use crate::repo::roots::Roots;

/// How often a mark begins again because a root went while it was made.
const TRIES: usize = 10;

/// One mark.
#[derive(Default, Debug)]
pub(super) struct Mark {
    pub(super) roots: Roots,
    pub(super) kept: PackSet,
}

impl Mark {
    /// Points that have a tombstone and no root of any kind.
    pub(super) fn rootless(&self) -> HashSet<PointId> {
        let roots = self.roots.unfenced.iter().chain(&self.roots.fenced);
        let rooted: HashSet<PointId> = roots.map(|root| root.point).collect();
        self.roots.dead.difference(&rooted).copied().collect()
    }
}

/// Makes marks and remembers what it has read: roots and tables never change.
#[derive(Debug)]
pub(super) struct Marker<'a> {
    repo: &'a Repository,
    /// Dropped points that are in the bin count; those that were dropped before this do not.
    bin_since_ms: i64,
    recount: Option<Recount>,
    needs: HashMap<RootName, Arc<PackSet>>,
    in_bin: HashMap<PointId, bool>,
}

impl<'a> Marker<'a> {
    pub(super) fn new(repo: &'a Repository, bin_since_ms: i64, recount: bool) -> Self {
        Self {
            repo,
            bin_since_ms,
            recount: recount.then(Recount::default),
            needs: HashMap::new(),
            in_bin: HashMap::new(),
        }
    }

    /// Marks what all roots need that live, lie in the bin, or are of a pinned point: all
    /// generations, also those with a mere proposal of a fence. The pins are looked at last.
    pub(super) async fn mark(&mut self, with_pins: bool) -> Result<Mark, Error> {
        for _ in 0..TRIES {
            match self.try_mark(with_pins).await {
                // Another sweep has removed a root since the list was made: look again.
                Err(Error::Missing { object }) if object.starts_with("point/") => {
                    tracing::debug!(%object, "a root went; the mark begins again");
                }
                marked => return marked,
            }
        }
        Err(Error::machine("the mark", "roots came and went too often"))
    }

    async fn try_mark(&mut self, with_pins: bool) -> Result<Mark, Error> {
        let roots = Roots::read(self.repo, None).await?;
        let pins = if with_pins {
            Pins::of(&self.repo.announcements().await?)
        } else {
            Pins::default()
        };
        let mut kept = PackSet::default();
        for root in &roots.unfenced {
            let dead = roots.is_dead(root);
            if dead && !pins.has(root.point) && !self.is_in_bin(root.point).await? {
                continue;
            }
            match self.needs_of(root).await {
                Ok(packs) => kept.extend(packs.iter()),
                // What is dead may be unreadable: nobody can bring it back, unless the medium gives it later.
                Err(error @ Error::Missing { .. }) if root_went(&error, root) => return Err(error),
                Err(error) if dead && error.is_damage() && !error.is_bad_medium() => {
                    tracing::warn!(%root, %error, "a dropped point cannot be read and is not kept");
                }
                Err(error) if error.is_damage() => {
                    if superseded(self.repo, &roots, root).await? {
                        tracing::warn!(%root, %error, "an old generation cannot be read and is not kept");
                        continue;
                    }
                    return Err(Error::Unsweepable {
                        point: root.point,
                        source: Box::new(error),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(recount) = &self.recount {
            kept.extend(recount.packs.iter().map(|pack| (*pack, ())));
        }
        Ok(Mark { roots, kept })
    }

    /// How many packs the trees need that no table has named.
    pub(super) fn untold(&self) -> u64 {
        let told = |pack| self.needs.values().any(|packs| packs.contains(pack));
        let recounted = self.recount.iter().flat_map(|recount| &recount.packs);
        recounted.filter(|pack| !told(**pack)).count() as u64
    }

    /// Whether a dropped point lies in the bin. One whose tombstone cannot be read does, unless
    /// there is no bin.
    pub(super) async fn is_in_bin(&mut self, point: PointId) -> Result<bool, Error> {
        if let Some(known) = self.in_bin.get(&point) {
            return Ok(*known);
        }
        let tombstone = self.repo.tombstone(point).await?;
        let dropped_ms = tombstone.map_or(i64::MAX, |tombstone| tombstone.deleted_ms);
        let in_bin = dropped_ms > self.bin_since_ms;
        self.in_bin.insert(point, in_bin);
        Ok(in_bin)
    }

    async fn needs_of(&mut self, name: &RootName) -> Result<Arc<PackSet>, Error> {
        if let Some(packs) = self.needs.get(name) {
            return Ok(Arc::clone(packs));
        }
        let point = self.repo.read_root(name).await?;
        let record = &point.root.usage;
        let table = self.repo.usage(record).await?;
        let own = record.reference.pack(PackKind::Node);
        let packs: PackSet = table.packs().chain([own]).collect();
        if let Some(recount) = &mut self.recount {
            recount.add(self.repo, &point).await?;
        }
        let packs = Arc::new(packs);
        self.needs.insert(name.clone(), Arc::clone(&packs));
        Ok(packs)
    }
}

/// Whether an old generation may be removed by any sweep: a higher one is committed and whole, and
/// nobody pins the point.
async fn superseded(repo: &Repository, roots: &Roots, old: &RootName) -> Result<bool, Error> {
    let of_point = roots
        .unfenced
        .iter()
        .filter(|root| root.point == old.point && root.generation > old.generation);
    let Some(newest) = of_point.max_by_key(|root| (root.generation, root.session)) else {
        return Ok(false);
    };
    let packs = repo.stored_packs().await?;
    Ok(is_committed_and_whole(repo, newest, &packs).await?
        && !Pins::of(&repo.announcements().await?).has(old.point))
}

fn root_went(error: &Error, root: &RootName) -> bool {
    matches!(error, Error::Missing { object } if *object == root.to_string())
}
