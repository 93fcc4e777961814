//! Points: which there are, and their roots.

use std::collections::BTreeSet;

use super::condemned::Condemned;
use super::error::Error;
use super::id::PackKind;
use super::id::{PointId, VmKey};
use super::name::{ROOT_LIMIT_BYTES, RootName};
use super::pack::PlainLength;
use super::repository::Repository;
use super::root::{Consistency, DiskRecord, FileRecord, Origin, PointKind, Root, RootNeeds};
use super::roots::Roots;
use super::sealed;
use super::tag::Tag;
use super::tombstone::one_of;
use super::verify::{Finding, Severity, name_vms};

/// Longest file of a VM's configuration.
pub(crate) const MAX_FILE_BYTES: usize = 64 << 20;

/// A point with its whole root.
#[derive(Clone, Debug)]
pub struct Point {
    /// Where the root stands.
    pub name: RootName,
    /// What it says.
    pub root: Root,
}

impl Point {
    /// The point's id.
    pub fn id(&self) -> PointId {
        self.name.point
    }
}

/// What a list shows of a point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PointSummary {
    /// The point.
    pub id: PointId,
    /// The VM's key.
    pub vm: VmKey,
    /// The VM's name when the point was made.
    pub vm_name: String,
    /// The vCenter's host name.
    pub vcenter: String,
    /// How much was read.
    pub kind: PointKind,
    /// What the guest knew of the snapshot.
    pub consistency: Consistency,
    /// vCenter's time of the snapshot, as text.
    pub snapshot_time: String,
    /// The same in milliseconds since 1970.
    pub snapshot_time_ms: i64,
    /// Number of disks.
    pub disks: usize,
    /// Device key and label of each disk that is there as it was at the snapshot.
    pub whole_disks: Vec<(i32, String)>,
    /// Disks that the VM had and that were left out, in words that begin with the disk's label.
    pub left_out: Vec<String>,
    /// Sum of their sizes in bytes.
    pub capacity_bytes: u64,
    /// Bytes the source sent for it.
    pub put_bytes: u64,
    /// Bytes it added to the repository's packs.
    pub stored_bytes: u64,
    /// True when every disk is as it was at the snapshot.
    pub complete: bool,
    /// Packs it needs are known to be lost or damaged: it is not complete then.
    pub damaged: bool,
    /// It was found out later that something in it is wrong.
    pub found_wrong: bool,
    /// The point it is a copy of, if it is one.
    pub origin: Option<Origin>,
    /// What people have called it.
    pub tags: BTreeSet<Tag>,
}

impl PointSummary {
    /// True when it says that it leaves out the disk of this label.
    pub fn leaves_out(&self, label: &str) -> bool {
        let is_of = |words: &String| {
            let rest = words.strip_prefix(label);
            rest.is_some_and(|rest| rest.starts_with(" is left out"))
        };
        self.left_out.iter().any(is_of)
    }

    /// Complete, and nothing in it was found wrong.
    pub fn is_sound(&self) -> bool {
        self.complete && !self.found_wrong
    }
}

impl From<&Point> for PointSummary {
    fn from(point: &Point) -> Self {
        let root = &point.root;
        Self {
            id: point.id(),
            vm: point.name.vm.clone(),
            vm_name: root.vm.name.clone(),
            vcenter: root.vm.vcenter.clone(),
            kind: root.kind,
            consistency: root.consistency,
            snapshot_time: root.snapshot_time.clone(),
            snapshot_time_ms: root.snapshot_time_ms,
            disks: root.disks.len(),
            whole_disks: whole_disks(root),
            left_out: root.left_out().map(str::to_owned).collect(),
            capacity_bytes: root.disks.iter().map(|disk| disk.capacity_bytes).sum(),
            put_bytes: root.stats.put_bytes,
            stored_bytes: root.stats.stored_bytes,
            complete: root.disks.iter().all(DiskRecord::is_whole),
            damaged: false,
            found_wrong: root.found_wrong().next().is_some(),
            origin: root.origin,
            tags: root.tags.clone(),
        }
    }
}

fn whole_disks(root: &Root) -> Vec<(i32, String)> {
    let whole = root.disks.iter().filter(|disk| disk.is_whole());
    let identities = whole.map(|disk| &disk.identity);
    identities
        .map(|identity| (identity.device_key, identity.label.clone()))
        .collect()
}

/// The points of a repository or of a VM.
#[derive(Clone, Debug, Default)]
pub struct PointList<T> {
    /// Those that can be read, oldest first.
    pub points: Vec<T>,
    /// Those that cannot.
    pub findings: Vec<Finding>,
}

impl Repository {
    /// The living points of a VM, or of all, oldest first.
    ///
    /// # Errors
    /// `Store`. A root that cannot be read becomes a finding.
    pub async fn points(&self, vm: Option<&VmKey>) -> Result<PointList<PointSummary>, Error> {
        let PointList {
            points,
            mut findings,
        } = self.full_points(vm).await?;
        let known = Condemned::quarantined(self, &mut findings).await?;
        let mut summaries = Vec::with_capacity(points.len());
        for point in &points {
            let mut summary = PointSummary::from(point);
            if !known.is_empty() && self.needs_any(point, &known).await? {
                (summary.complete, summary.damaged) = (false, true);
            }
            summaries.push(summary);
        }
        Ok(PointList {
            points: summaries,
            findings,
        })
    }

    /// Whether a point needs packs that are known to be lost or damaged.
    async fn needs_any(&self, point: &Point, known: &Condemned) -> Result<bool, Error> {
        let record = &point.root.usage;
        if known.contains(record.reference.pack(PackKind::Node)) {
            return Ok(true);
        }
        match self.usage(record).await {
            Ok(usage) => Ok(usage.packs().any(|pack| known.contains(pack))),
            Err(error) if error.is_damage() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// As [`Repository::points`], with the whole roots.
    ///
    /// # Errors
    /// As [`Repository::points`].
    pub async fn full_points(&self, vm: Option<&VmKey>) -> Result<PointList<Point>, Error> {
        let mut list = PointList {
            points: Vec::new(),
            findings: Vec::new(),
        };
        for name in Roots::read(self, vm).await?.living() {
            match self.read_root(&name).await {
                Ok(point) => list.points.push(point),
                // Removed between the LIST and the GET.
                Err(Error::Missing { .. }) => {}
                Err(error @ (Error::Store { .. } | Error::AccessDenied { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    let what = error.to_string();
                    let finding = Finding::new(Severity::Error, &name.to_string(), what);
                    list.findings.push(finding.of_root(&name));
                }
            }
        }
        name_vms(&mut list.findings, list.points.iter());
        list.points
            .sort_by_key(|point| (point.root.snapshot_time_ms, point.id()));
        Ok(list)
    }

    /// One living point.
    ///
    /// # Errors
    /// `PointNotFound`, `NeedsFeature`, `Damaged`, `Store`.
    pub async fn point(&self, id: &PointId) -> Result<Point, Error> {
        let names = Roots::read(self, None).await?.living();
        match names.into_iter().find(|name| name.point == *id) {
            Some(name) => self.read_root(&name).await,
            None => Err(Error::PointNotFound { id: id.to_string() }),
        }
    }

    /// The living point whose id begins with `prefix`, in any case of letters.
    ///
    /// # Errors
    /// `PointNotFound`, `PointAmbiguous`, `Store`.
    pub async fn resolve(&self, prefix: &str) -> Result<PointId, Error> {
        one_of(Roots::read(self, None).await?.living(), prefix)
    }

    /// Reads a file of a VM's configuration.
    ///
    /// # Errors
    /// `Missing`, `Damaged`, `TooLarge`, `Store`.
    pub async fn file(&self, file: &FileRecord) -> Result<Vec<u8>, Error> {
        let limit_bytes = MAX_FILE_BYTES as u64;
        if file.length_bytes > limit_bytes {
            let (object, size_bytes) = (file.name.clone(), file.length_bytes);
            return Err(Error::TooLarge {
                object,
                size_bytes,
                limit_bytes,
            });
        }
        let length = PlainLength::Exactly(file.length_bytes as usize);
        self.blob(PackKind::Node, &file.reference, length).await
    }

    pub(crate) async fn read_root(&self, name: &RootName) -> Result<Point, Error> {
        let object = name.to_string();
        let bytes = self.store().get(&object, ROOT_LIMIT_BYTES).await?;
        let plain = sealed::open(self.keys(), &object, &bytes, ROOT_LIMIT_BYTES)?;
        let bad = |error: serde_json::Error| Error::damaged(&object, error.to_string());
        let needs: RootNeeds = serde_json::from_slice(&plain).map_err(bad)?;
        needs.check(name)?;
        let root: Root = serde_json::from_slice(&plain).map_err(bad)?;
        root.check(name)?;
        Ok(Point {
            name: name.clone(),
            root,
        })
    }
}
