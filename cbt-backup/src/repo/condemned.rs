//! Packs that must not be built upon: condemned by a sweep, or known lost or damaged.
//! Format: repository-format.md section 9.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::config::FORMAT;
use super::error::Error;
use super::id::{ObjectId, PackId, PackKind, SessionId};
use super::name::{LIST_LIMIT_BYTES, ObjectName};
use super::repository::Repository;
use super::verify::{Finding, Severity};

/// A list as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PackList {
    format: u32,
    packs: Vec<PackRun>,
}

/// Packs with numbers that follow each other.
#[derive(Debug, Serialize, Deserialize)]
struct PackRun {
    session: SessionId,
    kind: PackKind,
    first: u32,
    count: u32,
}

/// Most runs in one list. A run takes at most 90 bytes of JSON, so the list stays below its limit.
const MAX_RUNS: usize = 600_000;

impl PackList {
    pub(crate) fn new(packs: Vec<PackId>) -> Self {
        Self::of(runs(packs))
    }

    /// As many lists as it takes; none of no packs.
    pub(crate) fn split(packs: Vec<PackId>) -> Vec<Self> {
        Self::split_at(packs, MAX_RUNS)
    }

    fn split_at(packs: Vec<PackId>, max_runs: usize) -> Vec<Self> {
        let mut runs = runs(packs).into_iter();
        let mut lists = Vec::new();
        loop {
            let some: Vec<PackRun> = runs.by_ref().take(max_runs).collect();
            if some.is_empty() {
                return lists;
            }
            lists.push(Self::of(some));
        }
    }

    fn of(packs: Vec<PackRun>) -> Self {
        Self {
            format: FORMAT,
            packs,
        }
    }

    /// Stores it.
    pub(crate) async fn write(&self, repo: &Repository, name: &str) -> Result<(), Error> {
        let put = repo
            .store()
            .put_sealed(repo.keys(), name, self, LIST_LIMIT_BYTES);
        put.await
    }

    /// Stores it, if need be in the room of the reserve.
    pub(crate) async fn write_or_spend(&self, repo: &Repository, name: &str) -> Result<(), Error> {
        let put = repo
            .store()
            .put_sealed_or_spend(repo.keys(), name, self, LIST_LIMIT_BYTES);
        put.await
    }

    /// Reads a list; `None` when it is gone, because its sweep has ended.
    pub(crate) async fn read(repo: &Repository, name: &str) -> Result<Option<Self>, Error> {
        let read = repo.store().get_sealed(repo.keys(), name, LIST_LIMIT_BYTES);
        match read.await {
            Ok(list) => Ok(Some(list)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The runs of these packs, in order.
fn runs(mut packs: Vec<PackId>) -> Vec<PackRun> {
    packs.sort_unstable();
    packs.dedup();
    let runs = packs
        .chunk_by(|a, b| {
            (a.kind, a.session, a.seq.checked_add(1)) == (b.kind, b.session, Some(b.seq))
        })
        .map(|run| PackRun {
            session: run[0].session,
            kind: run[0].kind,
            first: run[0].seq,
            count: run.len() as u32,
        });
    runs.collect()
}

/// Packs that must not be built upon.
#[derive(Clone, Default, Debug)]
pub(crate) struct Condemned {
    packs: HashMap<(PackKind, SessionId), Vec<Range<u64>>>,
}

impl Condemned {
    pub(crate) fn contains(&self, pack: PackId) -> bool {
        let runs = self.packs.get(&(pack.kind, pack.session));
        runs.is_some_and(|runs| runs.iter().any(|run| run.contains(&u64::from(pack.seq))))
    }

    /// Adds what a list names.
    pub(crate) fn add(&mut self, list: PackList) {
        for run in list.packs {
            let first = u64::from(run.first);
            let packs = self.packs.entry((run.kind, run.session)).or_default();
            packs.push(first..first + u64::from(run.count));
        }
    }

    /// These, and `packs`.
    pub(crate) fn with(&self, packs: Vec<PackId>) -> Self {
        let mut more = self.clone();
        more.add(PackList::new(packs));
        more
    }

    /// The packs that are known to be lost or damaged. A list that cannot be read is told.
    pub(crate) async fn quarantined(
        repo: &Repository,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Error> {
        let mut known = Self::default();
        for (name, _) in repo.store().list("sweep").await? {
            let Some(ObjectName::Quarantine(_)) = ObjectName::parse(&name) else {
                continue;
            };
            match PackList::read(repo, &name).await {
                Ok(list) => list.into_iter().for_each(|list| known.add(list)),
                Err(error) if error.is_damage() => {
                    findings.push(Finding::new(Severity::Error, &name, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Reads all lists. A list that cannot be read fails: what it condemns is not known.
    pub(crate) async fn read(repo: &Repository) -> Result<Self, Error> {
        let mut condemned = Self::default();
        for (name, _) in repo.store().list("sweep").await? {
            match ObjectName::parse(&name) {
                Some(ObjectName::Condemned(_) | ObjectName::Quarantine(_)) => {}
                _ => continue,
            }
            if let Some(list) = PackList::read(repo, &name).await? {
                condemned.add(list);
            }
        }
        Ok(condemned)
    }
}

impl Repository {
    /// Writes down that packs are lost or damaged. Later backups read what was in them from the
    /// source again, and so heal the newest points. Returns the names of the lists.
    ///
    /// # Errors
    /// `NotWritable`, `NeedsFeature`, `Store`.
    pub async fn quarantine(&self, packs: Vec<PackId>) -> Result<Vec<String>, Error> {
        self.config().check_writable()?;
        let mut names = Vec::new();
        for list in PackList::split(packs) {
            let name = ObjectName::Quarantine(ObjectId::generate()).to_string();
            list.write(self, &name).await?;
            names.push(name);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_run() {
        let session = SessionId::generate();
        let pack = |kind, seq| PackId { kind, session, seq };
        let list = PackList::new(vec![
            pack(PackKind::Data, 3),
            pack(PackKind::Data, 2),
            pack(PackKind::Node, 4),
            pack(PackKind::Data, 3),
            pack(PackKind::Data, u32::MAX),
        ]);
        let runs: Vec<_> = list
            .packs
            .iter()
            .map(|run| (run.kind, run.first, run.count))
            .collect();
        assert_eq!(
            runs,
            [
                (PackKind::Data, 2, 2),
                (PackKind::Data, u32::MAX, 1),
                (PackKind::Node, 4, 1)
            ]
        );
    }
    #[test]
    fn what_one_list_may_not_hold_goes_into_more() {
        let session = SessionId::generate();
        // Every other pack, so that each is a run of its own.
        let all: Vec<PackId> = (0..7)
            .map(|seq| PackId {
                kind: PackKind::Data,
                session,
                seq: seq * 2,
            })
            .collect();
        assert!(PackList::split_at(Vec::new(), 3).is_empty());
        let lists = PackList::split_at(all.clone(), 3);
        let runs: Vec<usize> = lists.iter().map(|list| list.packs.len()).collect();
        assert_eq!(runs, [3, 3, 1]);
        let mut condemned = Condemned::default();
        for list in lists {
            condemned.add(list);
        }
        for pack in all {
            let next = PackId {
                seq: pack.seq + 1,
                ..pack
            };
            assert!(condemned.contains(pack) && !condemned.contains(next));
        }
    }

    #[test]
    fn the_longest_list_stays_below_its_limit() {
        let run = PackRun {
            session: SessionId::generate(),
            kind: PackKind::Data,
            first: u32::MAX,
            count: u32::MAX,
        };
        let run_bytes = serde_json::to_vec(&run).unwrap().len() + 1;
        let head_bytes = serde_json::to_vec(&PackList::of(Vec::new())).unwrap().len();
        // Sealing adds its header and tag, and zstd a little where nothing can be saved.
        let most_bytes = (head_bytes + MAX_RUNS * run_bytes) as u64;
        assert!(
            most_bytes + most_bytes / 100 < LIST_LIMIT_BYTES,
            "{run_bytes}"
        );
    }
}
