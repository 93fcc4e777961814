//! A sweep from end to end.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::lost::HeldRoot;
use super::mark::Marker;
use super::options::{SweepMonitor, SweepOptions, SweepReport};
use crate::repo::condemned::PackList;
use crate::repo::error::Error;
use crate::repo::id::{ObjectId, PackId, SessionId};
use crate::repo::name::ObjectName;
use crate::repo::repository::Repository;

/// A sweep at work.
pub(super) struct Sweep<'a> {
    pub(super) repo: &'a Repository,
    pub(super) id: ObjectId,
    pub(super) options: SweepOptions,
    pub(super) monitor: &'a dyn SweepMonitor,
    pub(super) report: SweepReport,
    /// Readers whose announcement did not change between two looks, with its bytes.
    pub(super) idle_readers: Vec<(SessionId, Bytes)>,
    /// Dead writers that have all of a point but its root.
    pub(super) held: Vec<HeldRoot>,
}

/// Packs that no root needs, with their lengths in bytes.
type Garbage = HashMap<PackId, u64>;

impl Repository {
    /// Removes what no point needs. Backups, restores, verifications and other sweeps may run at
    /// the same time, on any machine.
    ///
    /// # Errors
    /// `Unsweepable` when a living point cannot be read: what it needs is not known.
    /// `TooMuchGarbage`, `NotWritable`, `NeedsFeature`, `Damaged` for a list of condemned packs, `OtherSweep`, `Stopped`, `Store`. Whatever
    /// happens, no point is hurt, and the next sweep finishes the work.
    pub async fn sweep(
        &self,
        options: SweepOptions,
        monitor: &dyn SweepMonitor,
    ) -> Result<SweepReport, Error> {
        self.config().check_writable()?;
        let mut sweep = Sweep {
            repo: self,
            id: ObjectId::generate(),
            options,
            monitor,
            report: SweepReport::default(),
            idle_readers: Vec::new(),
            held: Vec::new(),
        };
        sweep.run().await?;
        Ok(sweep.report)
    }
}

impl Sweep<'_> {
    /// The order of the looks and of the changes is the protocol.
    async fn run(&mut self) -> Result<(), Error> {
        if self.options.remove_unreadable_lists && !self.options.dry_run {
            self.remove_unreadable_lists().await?;
        }
        let packs = self.repo.stored_packs().await?;
        let open = self.repo.announced_sessions().await?;
        let bin_since_ms = self.options.since_ms(self.options.bin_ms);
        let mut marker = Marker::new(self.repo, bin_since_ms, self.options.recount);
        let first = marker.mark(self.options.dry_run).await?;
        let mut garbage = packs.clone();
        garbage.retain(|pack, _| !first.kept.contains(*pack) && !open.contains(&pack.session));
        self.hold_lost(&packs, &first, &mut garbage).await?;
        self.report.packs = packs.len() as u64;
        self.report.pack_bytes = packs.values().sum();
        self.report.packs_untold = marker.untold();
        if self.options.dry_run {
            self.report.packs_deleted = garbage.len() as u64;
            self.report.bytes_deleted = garbage.values().sum();
            return Ok(());
        }
        self.refuse_too_much(&garbage)?;
        let rootless = first.rootless();
        let lists = self.condemn(&garbage).await?;
        let settled = match self.settle_writers().await {
            Ok(settled) => settled,
            Err(error) => {
                // Nothing was deleted, so the list may go.
                if let Err(error) = self.retract(&lists).await {
                    tracing::warn!(%error, "a list of a sweep stays until the next one");
                }
                return Err(error);
            }
        };
        if !settled {
            self.retract(&lists).await?;
            return self.clean_fenced().await;
        }
        let second = marker.mark(true).await?;
        garbage.retain(|pack, _| !second.kept.contains(*pack));
        self.hold_announced(&mut garbage);
        self.report.packs_untold = marker.untold();
        self.delete(garbage).await?;
        self.retract(&lists).await?;
        self.clean_fenced().await?;
        self.clean_dead(&mut marker).await?;
        self.clean_old_generations(&packs).await?;
        self.clean_tombstones(&rootless, &second).await?;
        self.clean_idle_readers().await?;
        self.clean_lost().await?;
        self.clean_lists(&second.kept).await?;
        let store = self.repo.store();
        self.report.leftovers_removed += store.remove_cut_writes().await?;
        store.remove_emptied_folders().await?;
        store.keep_reserve().await;
        Ok(())
    }

    /// Publishes what it is about to delete: who announces itself from now on does not build on it.
    /// What one list may not hold goes into more of them.
    async fn condemn(&self, garbage: &Garbage) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for list in PackList::split(garbage.keys().copied().collect()) {
            let id = if names.is_empty() {
                self.id
            } else {
                ObjectId::generate()
            };
            let name = ObjectName::Condemned(id).to_string();
            list.write_or_spend(self.repo, &name).await?;
            names.push(name);
        }
        Ok(names)
    }

    async fn retract(&self, lists: &[String]) -> Result<(), Error> {
        for name in lists {
            self.remove(name).await?;
        }
        Ok(())
    }

    fn refuse_too_much(&self, garbage: &Garbage) -> Result<(), Error> {
        let bytes: u64 = garbage.values().sum();
        let all = self.report.pack_bytes;
        let limit_percent = self.options.max_percent;
        if u128::from(bytes) * 100 > u128::from(all) * u128::from(limit_percent) {
            return Err(Error::TooMuchGarbage {
                garbage_bytes: bytes,
                all_bytes: all,
                limit_percent,
            });
        }
        Ok(())
    }

    async fn delete(&mut self, garbage: Garbage) -> Result<(), Error> {
        self.monitor.total_bytes(garbage.values().sum());
        let (repo, monitor) = (self.repo, self.monitor);
        let delete = |(pack, bytes): (PackId, u64)| async move {
            if monitor.should_stop() {
                return Err(Error::Stopped);
            }
            let deleted = remove(repo, &pack.to_string()).await;
            monitor.advance_bytes(bytes);
            Ok((deleted, bytes))
        };
        let at_once = self.options.deletes.max(1);
        let mut deletes = stream::iter(garbage).map(delete).buffer_unordered(at_once);
        let mut outcome = Ok(());
        while let Some(deleted) = deletes.next().await {
            match deleted {
                Ok((Ok(there), bytes)) => {
                    self.report.packs_deleted += u64::from(there);
                    self.report.bytes_deleted += if there { bytes } else { 0 };
                }
                Ok((Err(Error::DeleteRefused { .. }), _)) => self.report.packs_denied += 1,
                Ok((Err(error), _)) | Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        // After a failure the list stays: a delete whose answer was lost may come yet.
        outcome
    }

    /// Deletes an object; tells whether it went. One that the store keeps is left to a later sweep.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, Error> {
        match remove(self.repo, name).await {
            Err(Error::DeleteRefused { .. }) => Ok(false),
            removed => removed,
        }
    }

    pub(super) fn check_stop(&self) -> Result<(), Error> {
        if self.monitor.should_stop() {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }
}

async fn remove(repo: &Repository, name: &str) -> Result<bool, Error> {
    match repo.store().delete(name).await {
        Ok(()) => Ok(true),
        Err(Error::Missing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
