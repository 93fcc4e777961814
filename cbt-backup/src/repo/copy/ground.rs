//! What the copy of a disk is built upon in the target, and what it is compared with in the source.

use crate::repo::id::PointId;
use crate::repo::point::Point;
use crate::repo::root::{DiskRecord, DiskState, Origin, Root, TreeRecord};
use crate::repo::session::ParentDisk;
use crate::repo::tree::Against;

/// The points that a copy rests on.
#[derive(Clone, Default)]
pub(super) struct Grounds {
    /// A point of the source, and its copy in the target.
    pub(super) base: Option<(Point, PointId)>,
    /// Points of the target, by the root: the copy of the base, or another one of the VM.
    pub(super) built_on: Option<Point>,
    /// What an earlier copy of the same point has done before it was over.
    pub(super) resumed: Option<Point>,
}

/// What one disk rests on.
pub(super) struct Ground {
    pub(super) parent: Option<ParentDisk>,
    pub(super) against: Against,
    /// So many bytes from the beginning need not be looked at.
    pub(super) covered_bytes: u64,
}

impl Grounds {
    /// Chooses among the points of the target that may be built upon, newest first, and `bases` of the
    /// source with their copies, in order of preference.
    pub(super) fn choose(
        parents: &[Point],
        point: &Point,
        origin: Origin,
        bases: Vec<(Point, PointId)>,
    ) -> Self {
        let of_target = |id: &PointId| parents.iter().find(|point| point.id() == *id);
        let earlier = |parent: &&Point| parent.root.origin == Some(origin);
        let resumed = parents.iter().find(earlier).cloned();
        let built_before = resumed.as_ref().and_then(|resumed| resumed.root.parent);
        let mut usable: Vec<_> = bases
            .into_iter()
            .filter_map(|base| {
                let copy = of_target(&base.1)?.clone();
                Some((base, copy))
            })
            .collect();
        // What an earlier copy was built on is the only thing it can be compared with.
        usable.sort_by_key(|((_, copy), _)| Some(*copy) != built_before);
        if let Some((base, copy)) = usable.into_iter().next() {
            return Self {
                base: Some(base),
                built_on: Some(copy),
                resumed,
            };
        }
        Self {
            base: None,
            built_on: neighbour(parents, point).cloned(),
            resumed,
        }
    }

    /// The point that the copy's root names as its parent.
    pub(super) fn parent(&self) -> Option<PointId> {
        self.built_on.as_ref().map(Point::id)
    }

    /// The ground of disk `index`.
    pub(super) fn of_disk(&self, index: usize, disk: &DiskRecord) -> Ground {
        if let Some(ground) = self.resumed_disk(index, disk) {
            return ground;
        }
        let fresh = Ground {
            parent: None,
            against: Against::Tree(None),
            covered_bytes: 0,
        };
        let Some(built_on) = &self.built_on else {
            return fresh;
        };
        if let Some((base, _)) = &self.base {
            return match compared(base, built_on, disk) {
                Some((parent, against)) => Ground {
                    parent: Some(parent),
                    against,
                    ..fresh
                },
                None => fresh,
            };
        }
        match same_disk(&built_on.root, disk) {
            Some((index, _)) => Ground {
                parent: Some(ParentDisk {
                    point: built_on.id(),
                    disk: index,
                }),
                against: Against::Nothing,
                ..fresh
            },
            None => fresh,
        }
    }

    /// The same, where an earlier copy of the same point has begun.
    pub(super) fn resumed_disk(&self, index: usize, disk: &DiskRecord) -> Option<Ground> {
        let resumed = self.resumed.as_ref()?;
        let record = resumed.root.disks.get(index)?;
        if !record.has_data() || !fits(record, disk) {
            return None;
        }
        let covered_bytes = match record.state {
            DiskState::Partial { covered_bytes } => covered_bytes,
            _ => disk.capacity_bytes,
        };
        // Behind that the earlier copy is as the point it was built on, if that is known here.
        let against = match (resumed.root.parent, &self.base, &self.built_on) {
            (None, _, _) => Against::Tree(None),
            (Some(parent), Some((base, copy)), Some(built_on)) if parent == *copy => {
                compared(base, built_on, disk).map_or(Against::Tree(None), |(_, against)| against)
            }
            _ => Against::Nothing,
        };
        let parent = Some(ParentDisk {
            point: resumed.id(),
            disk: index,
        });
        Some(Ground {
            parent,
            against,
            covered_bytes,
        })
    }
}

/// Without anything to compare with: the VM's newest point that is no newer than this one, or the newest. All
/// of it is read, and what is the same is not stored again.
fn neighbour<'a>(parents: &'a [Point], point: &Point) -> Option<&'a Point> {
    let mut whole = parents
        .iter()
        .filter(|parent| !super::catalog::is_unfinished(parent));
    let newest = whole.clone().next();
    let older = |parent: &&Point| parent.root.snapshot_time_ms <= point.root.snapshot_time_ms;
    whole.find(older).or(newest)
}

/// The disk of the base and its copy, where both can serve.
fn compared(base: &Point, copy: &Point, disk: &DiskRecord) -> Option<(ParentDisk, Against)> {
    let (index, _) = same_disk(&base.root, disk)?;
    let against = compared_in_source(base, disk)?;
    let old = &base.root.disks[index];
    let copied = copy.root.disks.get(index)?;
    let is_copy = fits(copied, disk) && copied.capacity_bytes == old.capacity_bytes;
    if !is_copy || !copied.has_data() {
        return None;
    }
    let parent = ParentDisk {
        point: copy.id(),
        disk: index,
    };
    Some((parent, against))
}

/// What a disk can be compared with in another point of the source.
pub(super) fn compared_in_source(base: &Point, disk: &DiskRecord) -> Option<Against> {
    let (_, old) = same_disk(&base.root, disk)?;
    let same_shape = old.fan_out_bits == disk.fan_out_bits;
    same_shape.then(|| Against::Tree(old.tree.map(TreeRecord::base)))
}

/// The same disk in another point, if it can be built upon.
fn same_disk<'a>(root: &'a Root, disk: &DiskRecord) -> Option<(usize, &'a DiskRecord)> {
    let mut disks = root.disks.iter().enumerate();
    disks.find(|(_, record)| record.has_data() && fits(record, disk))
}

/// The same disk, of the same block size, and not larger than now.
fn fits(record: &DiskRecord, disk: &DiskRecord) -> bool {
    let (a, b) = (&record.identity, &disk.identity);
    (a.device_key, &a.disk_uuid) == (b.device_key, &b.disk_uuid)
        && record.block_shift == disk.block_shift
        && record.capacity_bytes <= disk.capacity_bytes
}
