//! What a verification is told, and what it answers.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use crate::repo::id::{PackId, PointId, VmKey};
use crate::repo::name::RootName;
use crate::repo::point::Point;

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
    /// Odd, or known already; nothing that was stored is lost.
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
    /// The VM's name, where a point of it could be read.
    pub vm_name: Option<String>,
    /// Index of the disk in the point.
    pub disk: Option<usize>,
    /// Its label.
    pub disk_label: Option<String>,
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
        match (&self.vm_name, &self.vm) {
            (Some(name), _) => write!(f, " of VM {name}")?,
            (None, Some(vm)) => write!(f, " of VM {vm}")?,
            (None, None) => {}
        }
        match (&self.disk_label, self.disk) {
            (Some(label), Some(disk)) => write!(f, ", disk {disk} ({label})")?,
            (None, Some(disk)) => write!(f, ", disk {disk}")?,
            (_, None) => {}
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
            vm_name: None,
            disk: None,
            disk_label: None,
            byte_range: None,
            what: what.into(),
        }
    }

    /// It hits this point.
    pub(crate) fn of_point(self, point: &Point) -> Self {
        Self {
            point: Some(point.id()),
            vm: Some(point.name.vm.clone()),
            vm_name: Some(point.root.vm.name.clone()),
            ..self
        }
    }

    /// It hits the point of this root, which cannot be read or was not.
    pub(crate) fn of_root(self, root: &RootName) -> Self {
        Self {
            point: Some(root.point),
            vm: Some(root.vm.clone()),
            ..self
        }
    }

    /// It hits disk `index` of this point, and of that these bytes, if they are known.
    pub(crate) fn of_disk(
        self,
        point: &Point,
        index: usize,
        byte_range: Option<Range<u64>>,
    ) -> Self {
        let disk = point.root.disks.get(index);
        Self {
            disk: Some(index),
            disk_label: disk.map(|disk| disk.identity.label.clone()),
            byte_range,
            ..self.of_point(point)
        }
    }
}

/// Names the VMs of findings whose roots could not be read, as far as other points of them could be.
pub(crate) fn name_vms<'a>(findings: &mut [Finding], points: impl Iterator<Item = &'a Point>) {
    if findings.iter().all(|finding| finding.vm_name.is_some()) {
        return;
    }
    let names: HashMap<&VmKey, &str> = points
        .map(|point| (&point.name.vm, point.root.vm.name.as_str()))
        .collect();
    for finding in findings {
        if let (Some(vm), None) = (&finding.vm, &finding.vm_name) {
            finding.vm_name = names.get(vm).map(|name| (*name).to_owned());
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
    /// Disks whose changed areas were kept, and were held against what the root says of them.
    pub maps_checked: u64,
    /// Answers that were held against the trees of the two points that they lie between.
    pub maps_compared: u64,
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
    /// Lists of the quarantine that a full verification took away: all their packs are sound, or the list could
    /// not be read.
    pub lifted_lists: Vec<String>,
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
