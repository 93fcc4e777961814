//! The commit: usage table, root, and the look for fences.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::begin::{Session, forget};
use super::put::lock;
use super::spec::Committed;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::name::{ObjectName, ROOT_LIMIT_BYTES, RootName};
use crate::repo::pack::{BlobKind, NO_DISK};
use crate::repo::point::Point;
use crate::repo::root::{DiskRecord, PointKind, Root, UsageRecord};
use crate::repo::usage::{MAX_USAGE_BYTES, Usage};

impl Session {
    /// Writes the usage table, alone in the session's last pack.
    pub(super) fn write_usage(&self, usage: &Usage) -> Result<UsageRecord, Error> {
        let plain = usage.encode()?;
        if plain.len() > MAX_USAGE_BYTES {
            let value = plain.len() as u64;
            return Err(Error::OutOfRange {
                what: "usage table in bytes",
                value,
            });
        }
        self.table_sent.store(true, Ordering::Relaxed);
        let id = self.repo.keys().blob_id(&plain);
        let reference = self.store_blob(&self.nodes, BlobKind::Usage, NO_DISK, 0, id, &plain)?;
        lock(&self.nodes).flush(&self.uploads)?;
        self.uploads.wait()?;
        let pack = reference.pack(PackKind::Node);
        let pack_bytes = self.uploads.stored_bytes(pack);
        let pack_bytes = pack_bytes.ok_or_else(|| Error::Missing {
            object: pack.to_string(),
        })?;
        Ok(UsageRecord {
            reference,
            pack_bytes,
        })
    }

    /// Publishes a root that was made; nothing is left of a session that could make none.
    pub(super) fn publish_or_abandon(
        self,
        made: Result<(Root, RootName), Error>,
    ) -> Result<Committed, Error> {
        match made {
            Ok((root, name)) => self.publish(&root, &name),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Puts the root, all of whose packs are stored, and looks for fences. The root is left alone in
    /// every case.
    pub(super) fn publish(self, root: &Root, name: &RootName) -> Result<Committed, Error> {
        let (handle, name) = (self.handle.clone(), name.to_string());
        handle.block_on(async {
            let (store, keys) = (self.repo.store(), self.repo.keys());
            let written = store.put_sealed(keys, &name, root, ROOT_LIMIT_BYTES);
            if let Err(error) = written.await {
                // The root may yet appear, so the announcement stays and guards its packs.
                self.announcement.leave().await;
                return Err(error);
            }
            if let Err(error) = self.check_fences().await {
                self.announcement.leave().await;
                return Err(error);
            }
            self.drop_partial_roots(root).await;
            let stored = self.uploads.stored();
            let committed = Committed {
                point: self.point,
                session: self.id,
                stats: root.stats,
                packs: stored.len() as u64,
                pack_bytes: stored.iter().map(|(_, bytes)| bytes).sum(),
            };
            forget(self.announcement).await;
            Ok(committed)
        })
    }

    /// Drops the partial points that this one, which is whole, makes useless. One that stays is
    /// dropped by retention.
    async fn drop_partial_roots(&self, root: &Root) {
        let whole = root.origin.is_some() || root.disks.iter().all(DiskRecord::is_whole);
        if root.kind == PointKind::Partial || !whole {
            return;
        }
        // A copy ends what copies of the same point have begun, and a backup what backups have: but no run of a
        // later snapshot, which may go on on another machine.
        let partial = |point: &&Point| {
            point.root.kind == PointKind::Partial
                && point.root.origin == root.origin
                && point.root.snapshot_time_ms <= root.snapshot_time_ms
        };
        for point in self.parents.iter().filter(partial) {
            let why = format!("point {} is whole", root.point);
            let (host, now_ms) = (&self.spec.host, Timestamp::now().as_millisecond());
            let dropped = self.repo.drop_point(point.id(), host, &why, now_ms);
            match dropped.await {
                Ok(()) | Err(Error::PointNotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(point = %point.id(), %error, "a partial point stays");
                }
            }
        }
    }

    /// Looks whether a sweep has decided that this session no longer counts.
    async fn check_fences(&self) -> Result<(), Error> {
        let (point, session) = (self.point, self.id);
        for look in 0..self.options.fence_looks.max(1) {
            if look > 0 {
                tokio::time::sleep(self.options.fence_interval).await;
            }
            let fences = self.repo.store().list(&format!("fence/{session}")).await?;
            let last = |(name, _): &(String, u64)| {
                matches!(
                    ObjectName::parse(name),
                    Some(ObjectName::Fence { last: true, .. })
                )
            };
            if fences.is_empty() {
                return Ok(());
            }
            if fences.iter().any(last) {
                return Err(Error::Fenced { point, session });
            }
        }
        Err(Error::FenceUndecided { point, session })
    }
}

#[cfg(test)]
impl Session {
    /// Gives up when everything is stored but the root.
    pub(crate) fn abandon_before_root(self, info: super::spec::RootInfo) {
        let (session, ..) = self.prepare_or_abandon(info, false).unwrap();
        session.abandon();
    }

    /// Commits, and something happens before the root is written.
    pub(crate) fn commit_after(
        self,
        info: super::spec::RootInfo,
        happens: impl FnOnce(),
    ) -> Result<Committed, Error> {
        let (session, root, name) = self.prepare_or_abandon(info, false)?;
        happens();
        session.publish(&root, &name)
    }

    /// Commits the content of `old` with another usage table, be it wrong.
    pub(crate) fn forge_root(
        self,
        old: &crate::repo::Point,
        usage: &Usage,
    ) -> Result<crate::repo::PointId, Error> {
        let usage = self.write_usage(usage)?;
        let name = RootName {
            point: self.point,
            session: self.id,
            ..old.name.clone()
        };
        let root = Root {
            point: self.point,
            session: self.id,
            usage,
            ..old.root.clone()
        };
        self.publish(&root, &name).map(|made| made.point)
    }
}
