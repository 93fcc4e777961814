//! Lists of sweeps that cannot be read. Nobody knows what they condemn, so no session begins beside them.

use std::collections::BTreeSet;

use super::run::Sweep;
use crate::repo::condemned::PackList;
use crate::repo::error::Error;
use crate::repo::name::ObjectName;

impl Sweep<'_> {
    /// Removes them, on the word of whoever sweeps that no other sweep runs. It looks twice all the same: one that is at
    /// work takes packs, or ends and takes its lists along.
    pub(super) async fn remove_unreadable_lists(&mut self) -> Result<(), Error> {
        let lists = self.lists().await?;
        let Some(first) = self.unreadable(&lists).await?.pop() else {
            return Ok(());
        };
        let packs = self.repo.stored_packs().await?;
        self.monitor.looking_twice();
        self.nap().await?;
        let now = self.repo.stored_packs().await?;
        let all_there = packs.keys().all(|pack| now.contains_key(pack));
        if !all_there || self.lists().await? != lists {
            return Err(Error::OtherSweep { list: first });
        }
        for list in self.unreadable(&lists).await? {
            if self.remove(&list).await? {
                self.report.unreadable_lists.push(list);
            }
        }
        Ok(())
    }

    /// The names of all lists of sweeps.
    async fn lists(&self) -> Result<BTreeSet<String>, Error> {
        let names = self.repo.store().list("sweep").await?;
        let names = names.into_iter().map(|(name, _)| name);
        let of_sweep =
            |name: &String| matches!(ObjectName::parse(name), Some(ObjectName::Condemned(_)));
        Ok(names.filter(of_sweep).collect())
    }

    async fn unreadable(&self, lists: &BTreeSet<String>) -> Result<Vec<String>, Error> {
        let mut unreadable = Vec::new();
        for list in lists {
            match PackList::read(self.repo, list).await {
                Err(error) if error.is_damage() => unreadable.push(list.clone()),
                read => drop(read?),
            }
        }
        Ok(unreadable)
    }
}
