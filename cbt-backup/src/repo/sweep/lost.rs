//! Lost roots: the packs of a point whose root nobody has removed are held for a time.

use std::collections::{HashMap, HashSet};

use super::mark::Mark;
use super::options::MissedRoot;
use super::run::Sweep;
use crate::repo::condemned::PackList;
use crate::repo::error::Error;
use crate::repo::id::{ObjectId, PackId, SessionId};
use crate::repo::lost_root::{LostRecord, LostRoot, stored_tables};
use crate::repo::name::{ObjectName, RootName, SMALL_LIMIT_BYTES};

/// What a session needs that is announced, and has a table and no root.
pub(super) struct HeldRoot {
    pub(super) root: LostRoot,
    pub(super) noticed_ms: i64,
}

impl Sweep<'_> {
    /// Takes out of the garbage what lost roots need, until their time is over.
    pub(super) async fn hold_lost(
        &mut self,
        packs: &HashMap<PackId, u64>,
        mark: &Mark,
        garbage: &mut HashMap<PackId, u64>,
    ) -> Result<(), Error> {
        let roots = LostRoot::find(self.repo, packs, |pack| mark.kept.contains(pack)).await?;
        for root in roots {
            let noticed_ms = self.noticed_ms(root.session).await?;
            let held = self.is_held(noticed_ms);
            let needed = garbage
                .iter()
                .filter(|(pack, _)| root.needs.contains(**pack));
            let (count, bytes) =
                needed.fold((0, 0), |(count, all), (_, bytes)| (count + 1, all + bytes));
            if held {
                garbage.retain(|pack, _| !root.needs.contains(*pack));
            }
            self.report.missed_roots.push(MissedRoot {
                session: root.session,
                vm: root.vm,
                packs: count,
                bytes,
                announced: false,
                held_until_ms: held.then(|| noticed_ms.saturating_add(self.options.lost_ms)),
            });
        }
        Ok(())
    }

    /// Takes out of the garbage what announced sessions need whose root may be lost. Their own packs were never in it.
    pub(super) fn hold_announced(&mut self, garbage: &mut HashMap<PackId, u64>) {
        for HeldRoot { root, noticed_ms } in std::mem::take(&mut self.held) {
            let (mut packs, mut bytes) = root.own;
            garbage.retain(|pack, pack_bytes| {
                let held = root.needs.contains(*pack);
                if held && pack.session != root.session {
                    packs += 1;
                    bytes += *pack_bytes;
                }
                !held
            });
            self.report.missed_roots.push(MissedRoot {
                session: root.session,
                vm: root.vm,
                packs,
                bytes,
                announced: true,
                held_until_ms: Some(noticed_ms.saturating_add(self.options.lost_ms)),
            });
        }
    }

    /// Whether the time is not over for which the packs of a root are held that was missed then.
    pub(super) fn is_held(&self, noticed_ms: i64) -> bool {
        noticed_ms > self.options.since_ms(self.options.lost_ms)
    }

    /// When the root was first missed. A record that cannot be read holds its packs as long as any are held.
    pub(super) async fn noticed_ms(&self, session: SessionId) -> Result<i64, Error> {
        let now_ms = self.options.now_ms;
        match LostRecord::read(self.repo, session).await {
            Ok(Some(record)) => Ok(record.noticed_ms),
            Ok(None) if self.options.dry_run || self.options.lost_ms == 0 => Ok(now_ms),
            Ok(None) => {
                let record = LostRecord::new(session, now_ms);
                let name = ObjectName::Lost(session).to_string();
                let (store, keys) = (self.repo.store(), self.repo.keys());
                store
                    .put_sealed_or_spend(keys, &name, &record, SMALL_LIMIT_BYTES)
                    .await?;
                Ok(now_ms)
            }
            Err(error) if error.is_damage() => {
                tracing::warn!(%error, "when a root was missed cannot be read");
                Ok(i64::MAX)
            }
            Err(error) => Err(error),
        }
    }

    /// Records of roots that are there again, or whose packs went in an earlier sweep.
    pub(super) async fn clean_lost(&mut self) -> Result<(), Error> {
        let missed: HashSet<SessionId> = self
            .report
            .missed_roots
            .iter()
            .map(|root| root.session)
            .collect();
        for (name, _) in self.repo.store().list("lost").await? {
            match ObjectName::parse(&name) {
                Some(ObjectName::Lost(session)) if !missed.contains(&session) => {
                    self.report.leftovers_removed += u64::from(self.remove(&name).await?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lists the tables of roots that are about to be removed and are still there, so that nobody takes
    /// these roots for lost. No other root needs such a pack; the next sweep takes pack and list.
    pub(super) async fn list_tables(&self, roots: &[&RootName]) -> Result<(), Error> {
        let sessions = roots.iter().map(|root| root.session);
        let tables = stored_tables(self.repo, sessions).await?;
        for list in PackList::split(tables) {
            let name = ObjectName::Condemned(ObjectId::generate()).to_string();
            list.write_or_spend(self.repo, &name).await?;
        }
        Ok(())
    }
}
