//! The repository: where backups live.
//!
//! Three nouns: a *pack* holds sealed blobs and is never changed; a *node* names the places and
//! ids of blocks or of other nodes; a *root* is a point. Three verbs: a session *announces*
//! itself, *commits* one root, and a later *sweep* removes what no root needs. No lock and no clock is trusted.
//! The format is described to the byte in `doc/repository-format.md`.
//!
//! Methods of [`Repository`] are async. [`Session`], [`Image`] and [`Repository::verify`] block
//! and take a tokio handle; they are for OS threads, and the runtime must have threads of its own.

mod alive;
mod announce;
mod block_set;
mod changed_areas;
mod cipher;
mod codec;
mod compaction;
mod condemned;
mod config;
mod copy;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod image;
mod key;
mod lost_root;
mod name;
mod node;
mod node_cache;
mod pack;
mod pack_map;
mod point;
mod ranges;
mod reference;
mod repository;
mod retention;
mod root;
mod roots;
mod sealed;
mod session;
mod space;
mod store;
mod sweep;
mod tag;
mod threads;
mod tombstone;
mod tree;
mod usage;
mod verify;

#[cfg(test)]
mod tests;

pub use alive::{Look, WatchedVm};
pub use announce::{OpenSession, Pin, SessionKind};
pub use changed_areas::{
    AnswerWriter, BadPages, Page, SavedAnswer, Tiling, Totals, write as write_changed_areas,
};
pub use compaction::{CompactOptions, CompactReport};
pub use config::{Config, FORMAT};
pub use copy::{CopiedPoint, CopyMonitor, CopyOptions, CopyReport};
pub use error::Error;
pub use id::{BadId, ObjectId, PackId, PackKind, PointId, SessionId, VmKey};
pub use image::{Image, Piece, Salvaged, WalkOptions};
pub use key::{ConfigRepair, KdfParams, KeySlotInfo, KeySlotState, RepositoryKey, SlotKind};
pub use name::RootName;
pub use point::{Point, PointList, PointSummary};
pub use ranges::BlockRange;
pub use reference::Ref;
pub use repository::{InitOptions, Repository};
pub use retention::{RetentionPolicy, Verdict, before, plan};
pub use root::{
    Allocation, Consistency, Coverage, DISK_EXCLUDED, DISK_SKIPPED, DiskIdentity, DiskRecord,
    DiskState, Distrust, FOUND_WRONG, FileRecord, Origin, PointEvent, PointKind, PutStats, Root,
    TreeRecord, UsageRecord, VmIdentity,
};
pub use session::{
    Asked, Committed, DiskOutcome, DiskSlot, DiskSpec, NewFile, OldBlock, ParentDisk, PointMark,
    PutOutcome, PutTimes, RootInfo, RowInterval, SETTLED_LIMIT, SeedReport, Session,
    SessionOptions, SessionRow, SessionSpec,
};
pub use space::{SpaceReport, VmSpace};
pub use store::{ProbeCheck, ProbeOutcome, ProbeReport, Store, StoreLimits, StoreSaid};
pub use sweep::{MissedRoot, SweepMonitor, SweepOptions, SweepReport};
pub use tag::{MAX_TAGS, Tag, join_tags};
pub use tombstone::{DeletedPoint, Tombstone};
pub use tree::Geometry;
pub use verify::{Finding, Severity, VerifyCounts, VerifyLevel, VerifyMonitor, VerifyReport};
