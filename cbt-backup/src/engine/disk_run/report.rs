//! What a run tells of one of its disks.

use std::collections::BTreeMap;

use crate::{
    engine::audit::DiskAudit,
    repo::{DiskSlot, PointId},
};

/// What was done with a disk.
#[derive(Clone, Debug)]
pub struct DiskReport {
    /// vSphere's label, `Hard disk 1`.
    pub label: String,
    /// vSphere's device key.
    pub device_key: i32,
    /// What was done: `full`, `incremental`, `skipped` or `audited`.
    pub action: &'static str,
    /// Why, where it is not plain.
    pub reason: Option<String>,
    /// The disk's size.
    pub capacity_bytes: u64,
    /// What the server called changed; none in a full.
    pub changed_bytes: Option<u64>,
    /// What was read through VDDK.
    pub read_bytes: u64,
    /// What the repository did not hold yet, before compression.
    pub new_bytes: u64,
    /// What was stored for it.
    pub stored_bytes: u64,
    /// How the data came here, in VDDK's word.
    pub transport: Option<String>,
    /// Why the disk could not be read, where it could not.
    pub failure: Option<String>,
    /// The point that this disk builds on, if it does.
    pub parent: Option<PointId>,
    /// Keys and values of its disk database, as far as they could be had.
    pub database: BTreeMap<String, String>,
    /// What came of comparing it with the last point, where that was done.
    pub audit: Option<DiskAudit>,
    pub(super) slot: DiskSlot,
    /// The point whose data a disk without new data has.
    pub(super) origin: Option<PointId>,
}
