//! What a verification is told, and what it answers.

use std::fmt;
use std::ops::Range;

use crate::repo::id::{PackId, PointId, VmKey};

/// How deep to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VerifyLevel {
    /// Names and lengths of packs, roots, usage tables, all nodes.
    Structure,
    /// Structure, and the content of each pack whose name's hash has this remainder.
    Sample {
        /// Number of shares.
        divisor: u64,
        /// Which of them, from 0.
        remainder: u64,
    },
    /// Structure, and the content of every pack that a point needs.
    Full,
    /// Structure of one point, and every block of it, decoded as a restore does.
    Point(PointId),
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Odd, but no point suffers.
    Warning,
    /// Something of a point is lost, or may be.
    Error,
}

/// Something that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the object.
    pub object: String,
    /// The point that is hit.
    pub point: Option<PointId>,
    /// Its VM.
    pub vm: Option<VmKey>,
    /// Index of the disk in the point.
    pub disk: Option<usize>,
    /// The bytes of the disk that are hit.
    pub byte_range: Option<Range<u64>>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    /// One line: severity, object, what is wrong, and whom it hits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}: {}", self.object, self.what)?;
        if let Some(point) = &self.point {
            write!(f, ", point {point}")?;
        }
        if let Some(disk) = self.disk {
            write!(f, ", disk {disk}")?;
        }
        if let Some(range) = &self.byte_range {
            write!(f, ", bytes {} to {}", range.start, range.end)?;
        }
        Ok(())
    }
}

impl Finding {
    pub(crate) fn new(severity: Severity, object: &str, what: impl Into<String>) -> Self {
        Self {
            severity,
            object: object.to_owned(),
            point: None,
            vm: None,
            disk: None,
            byte_range: None,
            what: what.into(),
        }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct VerifyCounts {
    /// Points.
    pub points: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Packs that no point needs.
    pub garbage_packs: u64,
    /// Packs whose content was read.
    pub packs_read: u64,
    /// Nodes and blocks met in the trees, each time they are met.
    pub references: u64,
    /// Blobs opened and compared with their ids.
    pub blobs_checked: u64,
    /// Bytes of packs read for that; of disks, for [`VerifyLevel::Point`].
    pub bytes_read: u64,
}

/// The outcome. No findings of severity error: all is well at this level.
#[derive(Clone, Default, Debug)]
pub struct VerifyReport {
    /// What is not as it must be.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub counts: VerifyCounts,
    /// Packs that are lost or damaged.
    pub damaged_packs: Vec<PackId>,
    /// True when there are damaged packs and all of them are in quarantine now, by this
    /// verification or an earlier one: the next backup reads what was in them again.
    pub quarantined: bool,
}

impl VerifyReport {
    /// True when nothing is lost.
    pub fn is_clean(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }
}

/// Follows a verification, and may stop it.
pub trait VerifyMonitor: Sync {
    /// So many bytes will be read.
    fn total_bytes(&self, _bytes: u64) {}
    /// So many more bytes were read.
    fn advance_bytes(&self, _bytes: u64) {}
    /// Asked now and then.
    fn should_stop(&self) -> bool {
        false
    }
    /// This machine, for people who read the announcement.
    fn host(&self) -> String {
        String::new()
    }
}

/// Nobody follows.
impl VerifyMonitor for () {}
