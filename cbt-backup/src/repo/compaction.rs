//! Compaction: what is still needed of packs that are mostly garbage moves into new ones.
//!
//! It is a row of writing sessions, one a point: each copies live blobs, writes the touched nodes
//! anew and commits the point's next generation. Old generations and old packs are left to a sweep.
//! repository-format.md section 11 tells the rules.

mod candidates;
mod live;

pub(crate) use candidates::Candidates;

use super::id::PointId;
use super::session::SessionOptions;

/// How a compaction works.
#[derive(Clone, Copy, Debug)]
pub struct CompactOptions {
    /// Packs with a smaller share of live bytes are candidates, in percent.
    pub min_live_percent: u8,
    /// Most live bytes that are copied in one run. The emptiest packs come first.
    pub budget_bytes: u64,
    /// How its sessions work.
    pub session: SessionOptions,
}

impl Default for CompactOptions {
    /// Packs under 60 percent, 16 GiB a run.
    fn default() -> Self {
        Self {
            min_live_percent: 60,
            budget_bytes: 16 << 30,
            session: SessionOptions::default(),
        }
    }
}

/// What a compaction did.
#[derive(Clone, Debug, Default)]
pub struct CompactReport {
    /// Packs whose live blobs were to be copied.
    pub candidates: u64,
    /// Their bytes, live or not.
    pub candidate_bytes: u64,
    /// Points that have a new generation.
    pub rewritten: Vec<PointId>,
    /// Points that were left as they are, and why. Their packs stay.
    pub skipped: Vec<(PointId, String)>,
    /// Blobs copied.
    pub copied_blobs: u64,
    /// Their sealed bytes.
    pub copied_bytes: u64,
}
