//! What a session is told, and what it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::repo::id::{PointId, SessionId};
use crate::repo::root::{
    Consistency, Coverage, DiskIdentity, DiskState, Distrust, PointEvent, PointKind, PutStats,
    VmIdentity,
};
use crate::repo::tag::Tag;

/// For whom a session works.
#[derive(Clone, Debug, Default)]
pub struct SessionSpec {
    /// The VM.
    pub vm: VmIdentity,
    /// This machine, for people.
    pub host: String,
    /// What the points of the session are called, for retention.
    pub tags: BTreeSet<Tag>,
    /// Names of VMs whose blocks need not be stored again for disks that have no point yet.
    pub seeds: BTreeSet<String>,
}

/// How a session works.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Time between heart-beats.
    pub heartbeat: Duration,
    /// Size in bytes at which a pack is closed, up to 256 MiB.
    pub pack_bytes: usize,
    /// Packs on their way to the store at once. Each holds its memory until it is stored.
    pub uploads: u32,
    /// Compression level of zstd.
    pub level: i32,
    /// Blocks the session remembers in order not to store them twice; about 120 bytes each.
    pub dedup_entries: usize,
    /// Time between two looks at a proposed fence.
    pub fence_interval: Duration,
    /// Number of looks before the session gives up.
    pub fence_looks: u32,
}

impl Default for SessionOptions {
    /// 60 s, packs of 32 MiB, 4 uploads, zstd 1, 96 MiB of dedup table.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_mins(1),
            pack_bytes: 32 << 20,
            uploads: 4,
            level: 1,
            dedup_entries: 800_000,
            fence_interval: Duration::from_secs(2),
            fence_looks: 60,
        }
    }
}

/// A disk of the point that is built upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParentDisk {
    /// One of the session's parents.
    pub point: PointId,
    /// Index in that point's list of disks.
    pub disk: usize,
}

/// A disk to be put.
#[derive(Clone, Debug, Default)]
pub struct DiskSpec {
    /// Which disk.
    pub identity: DiskIdentity,
    /// Size in bytes at the snapshot.
    pub capacity_bytes: u64,
    /// Block size as a power of two; the parent's, or the repository's default, when not given.
    pub block_shift: Option<u8>,
    /// The change id the snapshot has.
    pub change_id: Option<String>,
    /// Number of other snapshots that stood when the change id was taken; `None` when not known.
    pub snapshots_before: Option<u32>,
    /// The server's time in milliseconds since 1970 before the snapshot of the change id was made.
    pub change_id_after_ms: Option<i64>,
    /// What is known to be wrong of what vSphere says of it.
    pub distrust: Distrust,
    /// Its tracking, where a run switched that on while the VM had no snapshot.
    pub sound_tracking: Option<String>,
    /// Where blocks that are not put come from. Without a parent they are holes.
    pub parent: Option<ParentDisk>,
    /// An older point that has the disk whole, for a parent that is partial. Whoever names it puts all that
    /// changed since that point's snapshot. Then of what the parent has not covered, only that need be put
    /// besides which differs between the two.
    pub unchanged_since: Option<ParentDisk>,
}

/// Names a disk of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DiskSlot(pub(super) u8);

impl DiskSlot {
    /// The disk's index in the root.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PutOutcome {
    /// All zeros: nothing is stored.
    Hole,
    /// The parent has the same at this place.
    Unchanged,
    /// This session has met the same elsewhere.
    Duplicate,
    /// Stored.
    New {
        /// Sealed length in bytes.
        stored_bytes: u32,
    },
}

/// What became of a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskOutcome {
    /// All of it was put or is as in the parent.
    Complete {
        /// How it was shown that nothing was missed.
        coverage: Coverage,
        /// The file of what the server said, from [`write_changed_areas`](crate::repo::write_changed_areas).
        changed_areas: Option<Vec<u8>>,
    },
    /// It failed: the point has the parent's data and change id instead. When packs the parent
    /// needs are lost, damaged or condemned, the disk is absent, and its reason says so.
    Carried {
        /// The point whose data this is.
        from: PointId,
        /// Why.
        reason: String,
    },
    /// It was copied from another repository: all of it was put, or is as in the parent.
    Copied {
        /// Its state there: complete or carried.
        state: DiskState,
        /// What is known there of how it was read.
        coverage: Coverage,
    },
    /// It failed and there is no older data.
    Absent {
        /// Why.
        reason: String,
    },
}

/// A file of the VM's configuration to be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewFile {
    /// What it is called.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// What the root says beside the disks.
#[derive(Clone, Debug)]
pub struct RootInfo {
    /// How much was read.
    pub kind: PointKind,
    /// vCenter's time of the snapshot, RFC 3339.
    pub snapshot_time: String,
    /// The same in milliseconds since 1970.
    pub snapshot_time_ms: i64,
    /// The zone it was told in.
    pub zone: String,
    /// What the guest knew.
    pub consistency: Consistency,
    /// The point it was built on.
    pub parent: Option<PointId>,
    /// Files of the VM's configuration.
    pub files: Vec<NewFile>,
    /// What a person should know.
    pub events: Vec<PointEvent>,
    /// The program, with its version.
    pub program: String,
}

/// A point was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The point.
    pub point: PointId,
    /// The session that made it.
    pub session: SessionId,
    /// What was done, over all disks.
    pub stats: PutStats,
    /// Packs written.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
}
