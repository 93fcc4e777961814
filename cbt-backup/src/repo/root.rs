//! What a point's root says, as JSON. Format: repository-format.md section 8.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::changed_areas;
use super::config::{refuse_features, refuse_format};
use super::error::Error;
use super::id::{ObjectId, PointId, SessionId};
use super::name::RootName;
use super::ranges::BlockRange;
use super::reference::Ref;
use super::tag::Tag;
use super::tree::{BaseTree, Geometry};

/// The name of the feature that a root needs when a disk of it has unreadable blocks.
pub(crate) const UNREADABLE: &str = "unreadable";
/// The features of roots that this program knows.
const FEATURES: [&str; 1] = [UNREADABLE];
/// A disk with more runs of unreadable blocks is not worth having, and its root would grow too large.
pub(crate) const MAX_UNREADABLE_RUNS: usize = 1 << 16;

/// The point that this one is a copy of: the first one, when copies were copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The repository in which the point was made.
    pub repository: ObjectId,
    /// The point there.
    pub point: PointId,
}

/// Whose disks these are.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VmIdentity {
    /// Instance UUID of the vCenter; of a bare host the UUID of its hardware.
    pub vcenter_instance_uuid: String,
    /// Its host name.
    pub vcenter: String,
    /// Managed object id of the VM.
    pub moref: String,
    /// Instance UUID of the VM.
    pub instance_uuid: String,
    /// Name in the inventory.
    pub name: String,
    /// Inventory path of the folder.
    pub folder: String,
    /// Managed object id of the ESXi host that ran it; empty where that is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub esxi_host: String,
}

/// How much was read for a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PointKind {
    /// All that is allocated.
    Full,
    /// What changed since the parent.
    Incremental,
    /// What a run had done when it was not over yet. It serves the next session and nobody else.
    Partial,
}

/// What the guest knew of the snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Nothing: as after a power cut.
    Crash,
    /// File systems were frozen.
    Quiesced,
    /// Applications took part.
    Vss,
}

/// What became of a disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum DiskState {
    /// It is as it was at the snapshot.
    Complete,
    /// It is as it was at an older point.
    Carried {
        /// The point whose data this is.
        from: PointId,
        /// Why.
        reason: String,
    },
    /// The run was not over: only its beginning is as it was at the snapshot.
    Partial {
        /// So many bytes are. What follows is of the point it was built on, or newer, or holes.
        covered_bytes: u64,
    },
    /// There is no data.
    Absent {
        /// Why.
        reason: String,
    },
}

/// How it was shown that all of a disk's changes were read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Where the work list came from.
    pub method: String,
    /// Digest over the pages of changed areas.
    pub digest: String,
    /// Number of pages.
    pub pages: u64,
    /// Number of areas.
    pub areas: u64,
    /// Sum of the areas in bytes.
    pub area_bytes: u64,
    /// How what the server said is kept in a file of the point: `pages`, or `grains` where the pages take too
    /// much room; empty where it is not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kept: String,
    /// Why not only changes were read, as a short name; empty where only they were.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// The same in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who told what is allocated, where only that was read; none where all was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation: Option<Allocation>,
}

/// Who told what of a disk is allocated, and how much that was.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Allocation {
    /// `query-allocated-blocks`: VDDK; `query-changed-disk-areas`: vSphere, asked with `*`.
    pub method: String,
    /// Sum of the areas in bytes.
    pub area_bytes: u64,
    /// Number of areas.
    pub areas: u64,
    /// Number of vSphere's pages; 0 for VDDK.
    pub pages: u64,
    /// Digest over those; empty for VDDK.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// What was done with a disk's blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PutStats {
    /// Blocks given to the session.
    pub put_blocks: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Blocks of zeros among them, and blocks told to be holes.
    pub hole_blocks: u64,
    /// Blocks equal to the parent's.
    pub unchanged_blocks: u64,
    /// Blocks this session has met elsewhere.
    pub duplicate_blocks: u64,
    /// Blocks stored.
    pub new_blocks: u64,
    /// Plain bytes of the stored blocks.
    pub new_bytes: u64,
    /// Sealed bytes of the stored blocks.
    pub stored_bytes: u64,
}

impl PutStats {
    pub(crate) fn add(&mut self, other: &Self) {
        self.put_blocks += other.put_blocks;
        self.put_bytes += other.put_bytes;
        self.hole_blocks += other.hole_blocks;
        self.unchanged_blocks += other.unchanged_blocks;
        self.duplicate_blocks += other.duplicate_blocks;
        self.new_blocks += other.new_blocks;
        self.new_bytes += other.new_bytes;
        self.stored_bytes += other.stored_bytes;
    }
}

/// A tree in a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TreeRecord {
    /// The root node.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// Its level.
    pub level: u8,
}

impl TreeRecord {
    pub(crate) fn base(self) -> BaseTree {
        BaseTree {
            root: self.reference,
            level: self.level,
        }
    }
}

/// What identifies a disk and places it in its VM.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskIdentity {
    /// Device key in the VM.
    pub device_key: i32,
    /// Label, such as "Hard disk 1".
    pub label: String,
    /// Kind of controller.
    pub controller: String,
    /// Bus number of the controller.
    pub bus: i32,
    /// Unit number on the controller.
    pub unit: i32,
    /// UUID of the disk.
    pub disk_uuid: String,
    /// Datastore path of the disk's file.
    pub base_file: String,
}

/// What was found wrong of what vSphere says of a disk. It is handed on from point to point.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Distrust {
    /// The tracking whose change ids are not to be believed: their first part.
    #[serde(rename = "distrusted_tracking")]
    pub tracking: Option<String>,
    /// Something was called unallocated and held data. Whatever becomes of the tracking, this stays with the disk.
    #[serde(
        rename = "allocation_distrusted",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub allocation: bool,
}

impl Distrust {
    /// Adds what was found later. Of two trackings the later one counts: the disk has no other any more.
    pub fn add(&mut self, later: &Self) {
        if later.tracking.is_some() {
            self.tracking.clone_from(&later.tracking);
        }
        self.allocation |= later.allocation;
    }
}

/// A disk in a root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskRecord {
    /// Which disk.
    #[serde(flatten)]
    pub identity: DiskIdentity,
    /// Size in bytes.
    pub capacity_bytes: u64,
    /// Block size as a power of two.
    pub block_shift: u8,
    /// Fan-out of the tree as a power of two.
    pub fan_out_bits: u8,
    /// The change id from which the next increment may start.
    pub change_id: Option<String>,
    /// Number of other snapshots that stood when the change id was taken; `None` when not known.
    #[serde(default)]
    pub snapshots_before: Option<u32>,
    /// The server's time in milliseconds since 1970 before the snapshot of the change id was made.
    #[serde(default)]
    pub change_id_after_ms: Option<i64>,
    /// What was found wrong of what vSphere says of it.
    #[serde(flatten)]
    pub distrust: Distrust,
    /// The tracking that a run switched on while the VM had no snapshot: the first part of its change ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound_tracking: Option<String>,
    /// What became of it.
    pub state: DiskState,
    /// The data; none for zeros only, and for an absent disk.
    pub tree: Option<TreeRecord>,
    /// Blocks that could not be read when the point was copied, in order and disjoint. They are holes
    /// in the tree, and no zeros.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<BlockRange>,
    /// How it was shown that all changes were read.
    #[serde(default)]
    pub coverage: Coverage,
    /// What was done.
    #[serde(default)]
    pub stats: PutStats,
}

impl DiskRecord {
    /// The disk's shape.
    ///
    /// # Errors
    /// `OutOfRange` for a shape no disk has.
    pub fn geometry(&self) -> Result<Geometry, Error> {
        Geometry::new(self.capacity_bytes, self.block_shift, self.fan_out_bits)
    }

    /// True when there is data to build on, of this point or of an older one.
    pub fn has_data(&self) -> bool {
        !matches!(self.state, DiskState::Absent { .. })
    }
}

impl DiskRecord {
    /// True when all of it is there as it was at the snapshot.
    pub fn is_whole(&self) -> bool {
        self.state == DiskState::Complete && self.unreadable.is_empty()
    }

    /// Number of bytes that could not be read when the point was copied.
    ///
    /// # Errors
    /// `OutOfRange` for a shape no disk has.
    pub fn unreadable_bytes(&self) -> Result<u64, Error> {
        let geometry = self.geometry()?;
        let lengths = self.unreadable.iter().map(|range| {
            let bytes = geometry.bytes_of(*range);
            bytes.end - bytes.start
        });
        Ok(lengths.sum())
    }

    fn check_unreadable(&self, geometry: Geometry) -> Result<(), &'static str> {
        let mut end = 0;
        for range in &self.unreadable {
            let next = range.first.checked_add(range.blocks);
            let next = next.filter(|next| *next <= geometry.blocks());
            match next {
                Some(next) if range.blocks > 0 && range.first >= end => end = next,
                _ => return Err("its unreadable blocks are no blocks of the disk, or in disorder"),
            }
        }
        if !self.unreadable.is_empty() && !self.has_data() {
            return Err("an absent disk has unreadable blocks");
        }
        Ok(())
    }

    /// The blocks that are not as they were at the snapshot, because the run was not over.
    pub(crate) fn uncovered(&self, geometry: Geometry) -> std::ops::Range<u64> {
        let blocks = geometry.blocks();
        match self.state {
            DiskState::Partial { covered_bytes } => {
                (covered_bytes >> geometry.block_shift()).min(blocks)..blocks
            }
            _ => blocks..blocks,
        }
    }
}

/// A file of the VM's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileRecord {
    /// What it is called.
    pub name: String,
    /// Its length in bytes.
    pub length_bytes: u64,
    /// Where it is.
    #[serde(rename = "ref")]
    pub reference: Ref,
}

/// Where the usage table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The table.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// Length in bytes of the pack that holds it.
    pub pack_bytes: u64,
}

/// The code of an event that was written into a point after it was made: something in it is wrong.
pub const FOUND_WRONG: &str = "found-wrong";
/// The code of an event that a disk of the VM was left out of the point, as asked for. Its text begins with the disk's label
/// and "is left out".
pub const DISK_EXCLUDED: &str = "disk-excluded";
/// The code of one that a disk was left out because it cannot be backed up. Its text begins in the same way.
pub const DISK_SKIPPED: &str = "disk-skipped";

/// Something a person should know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PointEvent {
    /// A short name that does not change.
    pub code: String,
    /// The words.
    pub text: String,
}

/// The whole root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Root {
    /// Format number.
    pub format: u32,
    /// Features a reader must know.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The point.
    pub point: PointId,
    /// The session that made it.
    pub session: SessionId,
    /// Rises when the point is rewritten.
    pub generation: u32,
    /// How much was read.
    pub kind: PointKind,
    /// Whose disks these are.
    pub vm: VmIdentity,
    /// The machine that made the point.
    #[serde(default)]
    pub host: String,
    /// vCenter's time of the snapshot, as text.
    pub snapshot_time: String,
    /// The same in milliseconds since 1970.
    pub snapshot_time_ms: i64,
    /// The zone it was told in.
    #[serde(default)]
    pub zone: String,
    /// What the guest knew.
    pub consistency: Consistency,
    /// The point it was built on.
    pub parent: Option<PointId>,
    /// The point it is a copy of, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What people have called it, for retention.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// The disks.
    pub disks: Vec<DiskRecord>,
    /// Files of the VM's configuration.
    #[serde(default)]
    pub files: Vec<FileRecord>,
    /// Which packs the point needs.
    pub usage: UsageRecord,
    /// What a person should know.
    #[serde(default)]
    pub events: Vec<PointEvent>,
    /// What was done, over all disks.
    #[serde(default)]
    pub stats: PutStats,
    /// The program that made the point.
    #[serde(default)]
    pub program: String,
}

/// The part that must be understood before the rest is.
#[derive(Deserialize)]
pub(crate) struct RootNeeds {
    format: u32,
    #[serde(default)]
    needs: Vec<String>,
}

impl RootNeeds {
    pub(crate) fn check(&self, name: &RootName) -> Result<(), Error> {
        refuse_format(self.format)?;
        refuse_features(&name.to_string(), &self.needs, &FEATURES)
    }
}

impl Root {
    /// What was found wrong of the point after it was made, in words.
    pub fn found_wrong(&self) -> impl Iterator<Item = &str> {
        self.said(FOUND_WRONG)
    }

    /// Which disks the VM had that are not in the point, in words: somebody wanted it so, or they cannot be backed up.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.said(DISK_EXCLUDED).chain(self.said(DISK_SKIPPED))
    }

    fn said(&self, code: &str) -> impl Iterator<Item = &str> {
        let events = self.events.iter().filter(move |event| event.code == code);
        events.map(|event| event.text.as_str())
    }

    /// True when every disk is as it was at the snapshot, as far as anybody knows.
    pub fn is_sound(&self) -> bool {
        self.disks.iter().all(DiskRecord::is_whole) && self.found_wrong().next().is_none()
    }

    /// The file of what the server said of a disk's changes, if it was kept.
    pub(crate) fn changed_areas(&self, disk: &DiskRecord) -> Option<&FileRecord> {
        let name = changed_areas::file_name(disk.identity.device_key);
        self.files.iter().find(|file| file.name == name)
    }

    /// True when `record`, a disk of this root, is that disk of a VM as it was before. Two VMs may have one instance
    /// UUID and their disks the same UUIDs, where somebody copied the files and registered them: then neither the
    /// managed object id is the same nor the file.
    pub fn is_earlier(&self, record: &DiskRecord, moref: &str, disk: &DiskIdentity) -> bool {
        let identity = &record.identity;
        (identity.device_key, &identity.disk_uuid) == (disk.device_key, &disk.disk_uuid)
            && (self.vm.moref == moref || identity.base_file == disk.base_file)
    }

    /// Checks what a root claims of itself.
    pub(crate) fn check(&self, name: &RootName) -> Result<(), Error> {
        let bad = |what: &str| Error::damaged(name, what);
        let RootName {
            point,
            generation,
            session,
            ..
        } = name;
        if (self.point, self.generation, self.session) != (*point, *generation, *session) {
            return Err(bad("it is the root of another point"));
        }
        for disk in &self.disks {
            let geometry = disk
                .geometry()
                .map_err(|_| bad("a disk has an impossible shape"))?;
            if disk.tree.is_some_and(|tree| tree.level != geometry.level()) {
                return Err(bad("a tree has not the level its disk demands"));
            }
            let partial = matches!(disk.state, DiskState::Partial { .. });
            if partial && self.kind != PointKind::Partial {
                return Err(bad("a disk is partial, and the point is not"));
            }
            if disk.tree.is_some() && !disk.has_data() {
                return Err(bad("an absent disk has a tree"));
            }
            disk.check_unreadable(geometry).map_err(bad)?;
            if !disk.unreadable.is_empty() && !self.needs.iter().any(|need| need == UNREADABLE) {
                return Err(bad(
                    "a disk has unreadable blocks, and readers are not told",
                ));
            }
        }
        let trees = self
            .disks
            .iter()
            .filter_map(|disk| Some(disk.tree?.reference));
        let files = self.files.iter().map(|file| file.reference);
        let all = trees.chain(files).chain([self.usage.reference]);
        if all.into_iter().any(|reference| reference.end().is_none()) {
            return Err(bad("it has an impossible address"));
        }
        Ok(())
    }
}
