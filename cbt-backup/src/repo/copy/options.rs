//! What a copy is told, and what it answers.

use std::time::Duration;

use crate::repo::error::Error;
use crate::repo::id::{PackId, PointId};
use crate::repo::image::WalkOptions;
use crate::repo::point::PointSummary;
use crate::repo::root::PutStats;
use crate::repo::session::{RowInterval, SessionOptions};
use crate::repo::verify::Finding;

/// How points are copied.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Tell what would be copied and write nothing.
    pub dry_run: bool,
    /// This machine, for people.
    pub host: String,
    /// This program with its version, for people.
    pub program: String,
    /// How the target is written.
    pub session: SessionOptions,
    /// How the source is read.
    pub walk: WalkOptions,
    /// How often an unfinished point is committed, so that a copy that dies goes on from there.
    pub interval: RowInterval,
}

impl CopyOptions {
    /// Time between heart-beats of the announcement in the source.
    pub(super) fn heartbeat(&self) -> Duration {
        self.session.heartbeat
    }
}

/// A point that was copied, or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopiedPoint {
    /// The point in the source.
    pub from: PointSummary,
    /// The point in the target; none in a dry run.
    pub to: Option<PointId>,
    /// The point of the source whose copy it builds upon: what they share was not read.
    pub base: Option<PointId>,
    /// Blocks that were read from the source, or would be.
    pub read_blocks: u64,
    /// Their sealed bytes.
    pub read_bytes: u64,
    /// Bytes of the disks that cannot be read in the source. The copy has them as unreadable.
    pub unreadable_bytes: u64,
    /// What was put into the target.
    pub stats: PutStats,
}

/// What a copy did.
#[derive(Clone, Default, Debug)]
pub struct CopyReport {
    /// The points that were copied, in order.
    pub copied: Vec<CopiedPoint>,
    /// Points whose copy is in the target already, or that are there themselves.
    pub there: Vec<PointId>,
    /// Points of runs that were not over: nobody restores from them, and they are not copied.
    pub unfinished: Vec<PointId>,
    /// What could not be read in the source.
    pub findings: Vec<Finding>,
}

impl CopyReport {
    /// True when nothing was lost on the way.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Follows a copy, and may stop it.
pub trait CopyMonitor: Sync {
    /// The next point.
    fn point_begins(&self, _point: &PointSummary) {}
    /// The next disk of it, of so many bytes.
    fn disk_begins(&self, _label: &str, _bytes: u64) {}
    /// So many more bytes of the disk are done.
    fn advance_bytes(&self, _bytes: u64) {}
    /// The disk is done.
    fn disk_ends(&self) {}
    /// A pack of the target is damaged. It is in quarantine now, and the point begins again.
    fn pack_damaged(&self, _pack: PackId, _error: &Error) {}
    /// The point is in the target, or would be.
    fn point_ends(&self, _point: &CopiedPoint) {}
    /// Asked now and then.
    fn should_stop(&self) -> bool {
        false
    }
}

/// Nobody follows.
impl CopyMonitor for () {}
