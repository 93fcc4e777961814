//! Roots that are lost: a session has stored all of a point, and no root of it is there.
//!
//! A session writes the pack of its usage table when everything else of the point is stored, and its
//! root next. So a pack with a usage table, whose session is not announced, was not ended by a fence and
//! has no root, is what a lost root leaves. A sweep that removes a root lists that pack before.
//!
//! Where the session is announced still, it may as well have died between table and root. From the table on it takes
//! over nothing more, so its packs can be held without a fence, and both ways out stay open.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::condemned::{Condemned, PackList};
use super::config::FORMAT;
use super::error::Error;
use super::id::{PackId, PackKind, SessionId};
use super::name::{ObjectName, RootName, SMALL_LIMIT_BYTES};
use super::pack::{PlainLength, table_of};
use super::pack_map::PackSet;
use super::repository::Repository;
use super::usage::{MAX_USAGE_BYTES, Usage};

/// Packs that are looked into at once.
const LOOKS_AT_ONCE: usize = 16;

/// The object `lost/<session>`: when a sweep first missed the root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct LostRecord {
    pub(super) format: u32,
    pub(super) session: SessionId,
    /// In milliseconds since 1970, by the clock of whoever swept.
    pub(super) noticed_ms: i64,
}

impl LostRecord {
    pub(super) fn new(session: SessionId, noticed_ms: i64) -> Self {
        Self {
            format: FORMAT,
            session,
            noticed_ms,
        }
    }

    /// The record of a session; `None` when there is none.
    pub(super) async fn read(repo: &Repository, session: SessionId) -> Result<Option<Self>, Error> {
        let name = ObjectName::Lost(session).to_string();
        let read = repo
            .store()
            .get_sealed(repo.keys(), &name, SMALL_LIMIT_BYTES);
        match read.await {
            Ok(record) => Ok(Some(record)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A session whose root is lost.
#[derive(Debug)]
pub(super) struct LostRoot {
    pub(super) session: SessionId,
    /// What its point needed, as far as that can be read: its own packs, and those its table names.
    pub(super) needs: PackSet,
    /// The VM, where a point that is there shares packs with it.
    pub(super) vm: Option<String>,
    /// Number and bytes of the packs that the session has written itself.
    pub(super) own: (u64, u64),
}

/// What was seen in the last node pack of a session.
enum Seen {
    Table(Box<Usage>),
    Unreadable,
    NoTable,
}

impl LostRoot {
    /// The lost roots whose packs are among `packs`, in the order of their sessions. A pack that
    /// `is_needed` by a root is no table of another one.
    ///
    /// `packs` was listed before. The order of looks is what makes it true: a session that is not announced
    /// now, and has packs, has ended, so its root would be there; a sweep that removes a root has listed or deleted
    /// the pack of its table before.
    pub(super) async fn find(
        repo: &Repository,
        packs: &HashMap<PackId, u64>,
        is_needed: impl Fn(PackId) -> bool,
    ) -> Result<Vec<Self>, Error> {
        let mut last = last_node_packs(packs);
        last.retain(|_, (pack, _)| !is_needed(*pack));
        if last.is_empty() {
            return Ok(Vec::new());
        }
        let mut roots = Vec::new();
        for folder in ["open", "point", "fence"] {
            for (name, _) in repo.store().list(folder).await? {
                let name = ObjectName::parse(&name);
                // A mere proposal says nothing: without a root or a final fence no announcement would have gone.
                if let Some(ObjectName::Fence { last: false, .. }) = name {
                    continue;
                }
                if let Some(session) = name.as_ref().and_then(ObjectName::session) {
                    last.remove(&session);
                }
                if let Some(ObjectName::Root(root)) = name {
                    roots.push(root);
                }
            }
        }
        if !last.is_empty() {
            let listed = swept_packs(repo).await?;
            last.retain(|_, (pack, _)| !listed.contains(*pack));
        }
        let mut lost = Vec::new();
        for (pack, seen) in look_into_all(repo, last).await? {
            let session = pack.session;
            let named = match seen {
                Seen::NoTable => continue,
                Seen::Unreadable => None,
                Seen::Table(table) => Some(table),
            };
            lost.push(Self::new(repo, session, packs, named.as_deref(), &roots).await?);
        }
        lost.sort_unstable_by_key(|root| root.session);
        Ok(lost)
    }

    /// What a session needs that is announced, and whose root was looked for just now and is not among `roots`: it died
    /// before it wrote the root, or the root is lost. `None` without a table that can be read, and where a sweep has
    /// listed the table, because it removed the root.
    ///
    /// Whoever wants to fence the session has proposed that before, so a root may only come where this finds no table
    /// when somebody has seen the proposal.
    pub(super) async fn of_announced(
        repo: &Repository,
        session: SessionId,
        roots: &[RootName],
    ) -> Result<Option<Self>, Error> {
        let packs = packs_of(repo, session).await?;
        let mut last = last_node_packs(&packs);
        if !last.is_empty() {
            let listed = swept_packs(repo).await?;
            last.retain(|_, (pack, _)| !listed.contains(*pack));
        }
        match look_into_all(repo, last).await?.pop() {
            Some((_, Seen::Table(table))) => {
                let root = Self::new(repo, session, &packs, Some(&table), roots).await?;
                Ok(Some(root))
            }
            _ => Ok(None),
        }
    }

    /// `packs` has those of the session, and perhaps others.
    async fn new(
        repo: &Repository,
        session: SessionId,
        packs: &HashMap<PackId, u64>,
        table: Option<&Usage>,
        roots: &[RootName],
    ) -> Result<Self, Error> {
        let own = || packs.iter().filter(|(pack, _)| pack.session == session);
        let named = table.into_iter().flat_map(Usage::packs);
        let needs: PackSet = own().map(|(pack, _)| *pack).chain(named).collect();
        Ok(Self {
            session,
            vm: vm_of(repo, roots, &needs).await?,
            own: own().fold((0, 0), |(count, all), (_, bytes)| (count + 1, all + bytes)),
            needs,
        })
    }
}

/// The packs that a session has stored, with their lengths in bytes.
async fn packs_of(repo: &Repository, session: SessionId) -> Result<HashMap<PackId, u64>, Error> {
    let names = repo.store().list(&format!("pack/{session}")).await?;
    let packs = names.into_iter();
    let packs = packs.filter_map(|(name, bytes)| match ObjectName::parse(&name) {
        Some(ObjectName::Pack(pack)) => Some((pack, bytes)),
        _ => None,
    });
    Ok(packs.collect())
}

/// The last node pack of each session, where its usage table is, and its length in bytes.
fn last_node_packs(packs: &HashMap<PackId, u64>) -> HashMap<SessionId, (PackId, u64)> {
    let mut last: HashMap<SessionId, (PackId, u64)> = HashMap::new();
    for (pack, bytes) in packs.iter().filter(|(pack, _)| pack.kind == PackKind::Node) {
        let best = last.entry(pack.session).or_insert((*pack, *bytes));
        if pack.seq > best.0.seq {
            *best = (*pack, *bytes);
        }
    }
    last
}

/// The VM of a point that was made by a session whose packs are among these: an increment takes over what the points
/// before it have. What cannot be read says nothing.
async fn vm_of(
    repo: &Repository,
    roots: &[RootName],
    needs: &PackSet,
) -> Result<Option<String>, Error> {
    let sessions: HashSet<SessionId> = needs.sessions().collect();
    let related = roots.iter().filter(|root| sessions.contains(&root.session));
    let Some(newest) = related.max_by_key(|root| root.session) else {
        return Ok(None);
    };
    match repo.read_root(newest).await {
        Ok(point) => Ok(Some(point.root.vm.name)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What sweeps have condemned, as far as that can be read. Quarantines are something else.
async fn swept_packs(repo: &Repository) -> Result<Condemned, Error> {
    let mut swept = Condemned::default();
    for (name, _) in repo.store().list("sweep").await? {
        let Some(ObjectName::Condemned(_)) = ObjectName::parse(&name) else {
            continue;
        };
        match PackList::read(repo, &name).await {
            Ok(list) => list.into_iter().for_each(|list| swept.add(list)),
            // What it named looks lost at worst, and is kept.
            Err(error) if error.is_damage() => tracing::warn!(%error, "a list cannot be read"),
            Err(error) => return Err(error),
        }
    }
    Ok(swept)
}

/// The packs of the usage tables of these sessions, as far as they are there. They are looked for now: a root
/// may be younger than any list of packs that was made before.
pub(super) async fn stored_tables(
    repo: &Repository,
    sessions: impl Iterator<Item = SessionId>,
) -> Result<Vec<PackId>, Error> {
    let lists = sessions.map(|session| packs_of(repo, session));
    let lists = stream::iter(lists).buffer_unordered(LOOKS_AT_ONCE);
    let lists: Vec<_> = lists.try_collect().await?;
    let packs = lists.into_iter().flatten().collect();
    let seen = look_into_all(repo, last_node_packs(&packs)).await?;
    let tables = seen
        .into_iter()
        .filter(|(_, seen)| matches!(seen, Seen::Table(_)));
    Ok(tables.map(|(pack, _)| pack).collect())
}

async fn look_into_all(
    repo: &Repository,
    last: HashMap<SessionId, (PackId, u64)>,
) -> Result<Vec<(PackId, Seen)>, Error> {
    let looks = last.into_values().map(|(pack, bytes)| async move {
        let seen = look_into(repo, pack, bytes).await;
        seen.map(|seen| (pack, seen))
    });
    let looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
    looks.try_collect().await
}

async fn look_into(repo: &Repository, pack: PackId, pack_bytes: u64) -> Result<Seen, Error> {
    let looked = async {
        let Some(reference) = table_of(repo, pack, pack_bytes).await? else {
            return Ok(None);
        };
        let limit = PlainLength::AtMost(MAX_USAGE_BYTES);
        let plain = repo.blob(PackKind::Node, &reference, limit).await?;
        let table = Usage::decode(&plain).map_err(|what| Error::damaged(&pack, what))?;
        Ok(Some(Box::new(table)))
    };
    match looked.await {
        Ok(Some(table)) => Ok(Seen::Table(table)),
        // Gone since the packs were listed: a sweep took it.
        Ok(None) | Err(Error::Missing { .. }) => Ok(Seen::NoTable),
        Err(error) if error.is_damage() => {
            tracing::warn!(%error, "what a session without a root has written last cannot be read");
            Ok(Seen::Unreadable)
        }
        Err(error) => Err(error),
    }
}
