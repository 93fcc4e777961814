//! Cleaning: roots, tombstones, announcements and lists that nobody needs any more.

use std::collections::{HashMap, HashSet};

use super::mark::{Mark, Marker};
use super::options::MissedRoot;
use super::pins::Pins;
use super::run::Sweep;
use crate::repo::condemned::{Condemned, PackList};
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, PointId};
use crate::repo::name::{ObjectName, RootName};
use crate::repo::pack_map::PackSet;
use crate::repo::repository::Repository;
use crate::repo::roots::Roots;

impl Sweep<'_> {
    /// What sessions left that can no longer commit. A final fence stays for ever, so nothing can come
    /// in between.
    pub(super) async fn clean_fenced(&mut self) -> Result<(), Error> {
        let fenced = self.repo.fenced_sessions().await?;
        for root in Roots::read(self.repo, None).await?.fenced {
            self.remove_root(&root).await?;
        }
        for session in self.repo.announced_sessions().await? {
            if fenced.contains(&session) {
                let name = ObjectName::Open(session).to_string();
                self.report.leftovers_removed += u64::from(self.remove(&name).await?);
            }
        }
        Ok(())
    }

    /// Readers that did not move between two looks. Their pins have counted in this sweep; one that
    /// still lives announces itself again with its next heart-beat.
    pub(super) async fn clean_idle_readers(&mut self) -> Result<(), Error> {
        let now = self.repo.announcements().await?;
        for (session, bytes) in std::mem::take(&mut self.idle_readers) {
            if now.get(&session).is_some_and(|open| open.bytes == bytes) {
                let name = ObjectName::Open(session).to_string();
                self.report.leftovers_removed += u64::from(self.remove(&name).await?);
            }
        }
        Ok(())
    }

    /// Roots of dropped points that are past the bin and that no reader pins, looked for in this order.
    pub(super) async fn clean_dead(&mut self, marker: &mut Marker<'_>) -> Result<(), Error> {
        let roots = Roots::read(self.repo, None).await?;
        let pins = Pins::of(&self.repo.announcements().await?);
        let mut going = Vec::new();
        for root in roots.unfenced.iter().filter(|root| roots.is_dead(root)) {
            if !pins.has(root.point) && !marker.is_in_bin(root.point).await? {
                going.push(root);
            }
        }
        self.remove_roots(&going).await
    }

    /// Roots of which a higher generation is committed: its root was seen, then no fence of any
    /// kind, and all its packs are there. A point that is pinned keeps all its roots.
    pub(super) async fn clean_old_generations(
        &mut self,
        packs: &HashMap<PackId, u64>,
    ) -> Result<(), Error> {
        let roots = Roots::read(self.repo, None).await?;
        let mut going = Vec::new();
        let mut of_point: HashMap<PointId, Vec<&RootName>> = HashMap::new();
        for root in roots.unfenced.iter().filter(|root| !roots.is_dead(root)) {
            of_point.entry(root.point).or_default().push(root);
        }
        for (point, mut names) in of_point {
            names.sort_by_key(|name| (name.generation, name.session));
            let Some((newest, older)) = names.split_last() else {
                continue;
            };
            if older.is_empty() || !is_committed_and_whole(self.repo, newest, packs).await? {
                continue;
            }
            if Pins::of(&self.repo.announcements().await?).has(point) {
                continue;
            }
            let older = older.iter().copied();
            going.extend(older.filter(|root| root.generation < newest.generation));
        }
        self.remove_roots(&going).await
    }

    /// Tombstones that were there at the first mark, when no root of the point was, nor one at the second. None
    /// while a root may come yet: its point must then be as dead as it was.
    pub(super) async fn clean_tombstones(
        &mut self,
        first: &HashSet<PointId>,
        second: &Mark,
    ) -> Result<(), Error> {
        if self.report.missed_roots.iter().any(MissedRoot::is_held) {
            return Ok(());
        }
        for point in second.rootless().intersection(first) {
            let name = ObjectName::Dead(*point).to_string();
            self.report.leftovers_removed += u64::from(self.remove(&name).await?);
        }
        Ok(())
    }

    /// Lists of sweeps that died, and quarantines, whose packs are all gone and needed by nobody. Names
    /// of packs are never used again, so such a list says nothing more.
    pub(super) async fn clean_lists(&mut self, kept: &PackSet) -> Result<(), Error> {
        let mut lists = Vec::new();
        for (name, _) in self.repo.store().list("sweep").await? {
            let is_list = matches!(
                ObjectName::parse(&name),
                Some(ObjectName::Condemned(_) | ObjectName::Quarantine(_))
            );
            // A foreign file: verify tells of it.
            if !is_list {
                continue;
            }
            if let Some(list) = PackList::read(self.repo, &name).await? {
                let mut condemned = Condemned::default();
                condemned.add(list);
                lists.push((name, condemned));
            }
        }
        if lists.is_empty() {
            return Ok(());
        }
        let there: HashSet<PackId> = self.repo.stored_packs().await?.into_keys().collect();
        for (name, list) in lists {
            let mut packs = there.iter().copied().chain(kept.packs());
            if !packs.any(|pack| list.contains(pack)) {
                self.report.leftovers_removed += u64::from(self.remove(&name).await?);
            }
        }
        Ok(())
    }

    /// Removes roots that no fence speaks of.
    async fn remove_roots(&mut self, roots: &[&RootName]) -> Result<(), Error> {
        self.list_tables(roots).await?;
        for root in roots {
            self.remove_root(root).await?;
        }
        Ok(())
    }

    async fn remove_root(&mut self, root: &RootName) -> Result<(), Error> {
        self.report.roots_removed += u64::from(self.remove(&root.to_string()).await?);
        Ok(())
    }
}

/// Whether a root is of a session that nobody fences, and all its packs are there.
pub(super) async fn is_committed_and_whole(
    repo: &Repository,
    root: &RootName,
    packs: &HashMap<PackId, u64>,
) -> Result<bool, Error> {
    let fences = format!("fence/{}", root.session);
    if !repo.store().list(&fences).await?.is_empty() {
        return Ok(false);
    }
    let whole = async {
        let point = repo.read_root(root).await?;
        let record = &point.root.usage;
        let table = repo.usage(record).await?;
        let mut needs = table
            .rows()
            .map(|((_, pack), need)| (pack, need.pack_bytes));
        let own = record.reference.pack(PackKind::Node);
        Ok(needs.all(|(pack, bytes)| packs.get(&pack) == Some(&bytes))
            && packs.get(&own) == Some(&record.pack_bytes))
    };
    match whole.await {
        Err(error @ Error::Store { .. }) => Err(error),
        Err(error) => {
            tracing::warn!(%root, %error, "the newest root of a point cannot be read");
            Ok(false)
        }
        Ok(whole) => Ok(whole),
    }
}
