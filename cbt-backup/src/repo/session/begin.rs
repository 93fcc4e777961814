//! The beginning of a session, and its end without a point.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::dedup::DedupTable;
use super::disk::DiskWork;
use super::presence::StoredPacks;
use super::seed::Seeds;
use super::spec::{SessionOptions, SessionSpec};
use super::stream::PackStream;
use super::times::TimeCounter;
use super::upload::Uploads;
use crate::repo::announce::{Announcement, OpenSession, SessionKind};
use crate::repo::codec::Packer;
use crate::repo::condemned::Condemned;
use crate::repo::error::Error;
use crate::repo::id::{ObjectId, PackKind, PointId, SessionId, VmKey};
use crate::repo::name::ObjectName;
use crate::repo::point::Point;
use crate::repo::repository::Repository;
use crate::repo::root::Origin;

const PACK_TARGETS: std::ops::RangeInclusive<usize> = 1 << 12..=256 << 20;

/// A backup at work. It makes one point, or none.
///
/// Its methods block, so they are for OS threads and not for tasks of the runtime. `put` and
/// `put_hole` may be called from many threads at once. The handle's runtime must have threads
/// of its own. A session that is dropped leaves its announcement to a later prune.
pub struct Session {
    pub(super) repo: Repository,
    pub(super) handle: Handle,
    pub(super) id: SessionId,
    pub(super) point: PointId,
    pub(super) vm: VmKey,
    pub(super) generation: u32,
    pub(super) spec: SessionSpec,
    pub(super) options: SessionOptions,
    pub(super) parents: Vec<Point>,
    pub(super) condemned: Arc<Condemned>,
    pub(super) stored_packs: Mutex<StoredPacks>,
    pub(super) uploads: Uploads,
    /// Of all sessions of the run.
    pub(super) times: Arc<TimeCounter>,
    pub(super) blocks: Mutex<PackStream>,
    pub(super) nodes: Mutex<PackStream>,
    pub(super) dedup: DedupTable,
    /// None before they were looked for.
    pub(super) seeds: Mutex<Option<Seeds>>,
    pub(super) packers: Mutex<Vec<Packer>>,
    pub(super) disks: RwLock<Vec<Arc<DiskWork>>>,
    pub(super) announcement: Announcement,
    /// The pack of the usage table is on its way: from now on a root may be missed.
    pub(super) table_sent: AtomicBool,
    /// The point that is being copied, if one is.
    pub(super) origin: Option<Origin>,
    /// The partial points that the run has made before.
    pub(super) made: BTreeSet<PointId>,
}

/// What a session writes.
pub(super) struct Writing {
    pub(super) kind: SessionKind,
    pub(super) vm: VmKey,
    pub(super) point: PointId,
    pub(super) generation: u32,
    pub(super) spec: SessionSpec,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} for point {})", self.id, self.point)
    }
}

impl Repository {
    /// Announces a session, then reads what is condemned and which points there are.
    ///
    /// # Errors
    /// `NotWritable`, `NeedsFeature`, `OutOfRange` for an option, `Damaged` for a list of
    /// condemned packs, `Store`. Points that cannot be read are no parents, with a warning.
    pub async fn begin(
        &self,
        spec: SessionSpec,
        handle: &Handle,
        options: SessionOptions,
    ) -> Result<Session, Error> {
        let vm = self.vm_key(&spec.vm.vcenter_instance_uuid, &spec.vm.instance_uuid);
        let writing = Writing {
            kind: SessionKind::Backup,
            point: PointId::generate(),
            vm: vm.clone(),
            generation: 0,
            spec,
        };
        let mut session = self.open_writer(writing, handle, options).await?;
        match self.possible_parents(&vm).await {
            Ok(parents) => session.parents = parents,
            Err(error) => {
                forget(session.announcement).await;
                return Err(error);
            }
        }
        Ok(session)
    }

    /// Announces a writing session, then reads what is condemned: the order is part of the protocol.
    pub(super) async fn open_writer(
        &self,
        writing: Writing,
        handle: &Handle,
        options: SessionOptions,
    ) -> Result<Session, Error> {
        self.config().check_writable()?;
        if !PACK_TARGETS.contains(&options.pack_bytes) {
            let value = options.pack_bytes as u64;
            return Err(Error::OutOfRange {
                what: "pack size in bytes",
                value,
            });
        }
        let id = SessionId::generate();
        let mut open = OpenSession::new(id, writing.kind, &writing.spec.host);
        open.vm = Some(writing.vm.clone());
        open.instance = Some(self.instance_key(&writing.spec.vm.instance_uuid));
        open.point = Some(writing.point);
        let announcement = Announcement::start(self, open, options.heartbeat, handle).await?;
        let condemned = match Condemned::read(self).await {
            Ok(condemned) => condemned,
            Err(error) => {
                forget(announcement).await;
                return Err(error);
            }
        };
        Ok(Session {
            repo: self.clone(),
            handle: handle.clone(),
            id,
            point: writing.point,
            vm: writing.vm,
            generation: writing.generation,
            spec: writing.spec,
            options,
            parents: Vec::new(),
            condemned: Arc::new(condemned),
            stored_packs: Mutex::default(),
            uploads: Uploads::new(self, handle, options.uploads),
            times: Arc::default(),
            blocks: Mutex::new(PackStream::new(PackKind::Data, id, options.pack_bytes)),
            nodes: Mutex::new(PackStream::new(PackKind::Node, id, options.pack_bytes)),
            dedup: DedupTable::new(options.dedup_entries),
            seeds: Mutex::default(),
            packers: Mutex::default(),
            disks: RwLock::default(),
            announcement,
            table_sent: AtomicBool::new(false),
            origin: None,
            made: BTreeSet::new(),
        })
    }

    /// The points of the VM, newest first. They are looked for after the condemned packs.
    async fn possible_parents(&self, vm: &VmKey) -> Result<Vec<Point>, Error> {
        let mut list = self.full_points(Some(vm)).await?;
        for finding in &list.findings {
            tracing::warn!(object = %finding.object, what = %finding.what, "a point cannot be read");
        }
        list.points.reverse();
        Ok(list.points)
    }
}

impl Session {
    /// The session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The living points of the VM that may be built upon, newest first.
    pub fn parents(&self) -> &[Point] {
        &self.parents
    }

    /// False for a point whose usage table is in quarantine: what its disks need is not known.
    pub(crate) fn may_build_upon(&self, point: &Point) -> bool {
        let table = point.root.usage.reference.pack(PackKind::Node);
        !self.condemned.contains(table)
    }

    /// Ends without a point, as well as it can: waits for packs on their way and deletes the
    /// announcement. The packs are garbage for a later prune. Blocking.
    pub fn abandon(self) {
        let _ = self.uploads.wait();
        let handle = self.handle;
        if !self.table_sent.into_inner() {
            handle.block_on(forget(self.announcement));
            return;
        }
        // Without a trace of its end its root would be taken for lost, so it fences itself.
        let fence = ObjectName::Fence {
            session: self.id,
            sweep: ObjectId::generate(),
            last: true,
        };
        handle.block_on(async {
            let fence = fence.to_string();
            match self.repo.store().put(&fence, Bytes::new()).await {
                Ok(()) => forget(self.announcement).await,
                Err(error) => {
                    tracing::warn!(%error, "an announcement stays until the next prune");
                    self.announcement.leave().await;
                }
            }
        });
    }
}

pub(super) async fn forget(announcement: Announcement) {
    if let Err(error) = announcement.close().await {
        tracing::warn!(%error, "an announcement stays until the next prune");
    }
}
