//! From where a run asks for changes, and from where the next one can.

use super::{
    disk_run::{DiskRun, identity},
    growth,
    monitor::Event,
    plan::{BaseDisk, Tracking},
};
use crate::{
    repo::{DiskRecord, DiskState, Distrust, ParentDisk, Point, PointId},
    vsphere::{Disk, Moref, tracking_of},
};

/// From where the next run can ask for changes.
pub(super) struct Landmark {
    pub(super) change_id: Option<String>,
    pub(super) snapshots_before: Option<u32>,
    pub(super) change_id_after_ms: Option<i64>,
    pub(super) distrust: Distrust,
    pub(super) sound_tracking: Option<String>,
}

impl Landmark {
    /// The next run asks from where this one did. A revert to a snapshot of either time would make that
    /// id misleading.
    pub(super) fn stay_at(&mut self, base: Option<&Base>) {
        let Some(base) = base.map(|base| &base.disk) else {
            return;
        };
        self.change_id.clone_from(&base.change_id);
        self.change_id_after_ms = base.change_id_after_ms;
        self.snapshots_before = match (base.snapshots_before, self.snapshots_before) {
            (Some(then), Some(now)) => Some(then.max(now)),
            _ => None,
        };
    }
}

/// A disk in an earlier point, and what it can serve for.
pub(super) struct Base {
    pub(super) parent: ParentDisk,
    pub(super) disk: BaseDisk,
    /// The point whose run read the data: another one where the disk was carried there.
    pub(super) origin: PointId,
    /// That run was not over: there is something to build on, and nothing to restore. So many bytes from the
    /// disk's start are as they were at its snapshot.
    pub(super) covered_bytes: Option<u64>,
}

impl Base {
    /// Whether that run was not over.
    pub(super) fn is_partial(&self) -> bool {
        self.covered_bytes.is_some()
    }
}

/// The newest point that holds data of this disk, and the disk in it; `partial` ones only where asked
/// for.
pub(super) fn base_of(vm: &Moref, disk: &Disk, parents: &[Point], partial: bool) -> Option<Base> {
    let identity = identity(disk);
    parents.iter().find_map(|point| {
        let serves = |record: &DiskRecord| {
            point.root.is_earlier(record, &vm.id, &identity)
                && record.has_data()
                && (partial || !matches!(record.state, DiskState::Partial { .. }))
        };
        let index = point.root.disks.iter().position(serves)?;
        let record = &point.root.disks[index];
        let origin = match &record.state {
            DiskState::Carried { from, .. } => *from,
            _ => point.id(),
        };
        Some(Base {
            parent: ParentDisk {
                point: point.id(),
                disk: index,
            },
            disk: BaseDisk {
                change_id: record.change_id.clone(),
                snapshots_before: record.snapshots_before,
                change_id_after_ms: record.change_id_after_ms,
                distrust: record.distrust.clone(),
                capacity_bytes: record.capacity_bytes,
                base_file_name: record.identity.base_file.clone(),
                host: host_of(parents, origin),
            },
            origin,
            covered_bytes: match record.state {
                DiskState::Partial { covered_bytes } => Some(covered_bytes),
                _ => None,
            },
        })
    })
}

/// The host that ran the VM at a point, where that is known.
fn host_of(points: &[Point], id: PointId) -> Option<String> {
    let point = points.iter().find(|point| point.id() == id)?;
    let host = &point.root.vm.esxi_host;
    (!host.is_empty()).then(|| host.clone())
}

pub(super) fn is_of(disk: &Disk, record: &DiskRecord) -> bool {
    let uuid = disk.backing.disk_uuid.as_deref().unwrap_or_default();
    record.identity.device_key == disk.device_key && record.identity.disk_uuid == uuid
}

/// The newest point with the disk's UUID, where that is of another VM, or of this one as it was registered before, from
/// another place. Once a point of our own is newer there is nothing to tell.
pub(super) fn twin_of<'a>(vm: &Moref, disk: &Disk, parents: &'a [Point]) -> Option<&'a Point> {
    let identity = identity(disk);
    let (point, record) = parents.iter().find_map(|point| {
        let record = point.root.disks.iter().find(|record| is_of(disk, record));
        Some((point, record?))
    })?;
    (!point.root.is_earlier(record, &vm.id, &identity)).then_some(point)
}

/// What any point says was found wrong of the disk, as far as it concerns its present tracking. An older one may know
/// more than the newest: it is marked while that one is made elsewhere, and what was allocated is asked for whatever the tracking.
pub(super) fn found_wrong(disk: &Disk, parents: &[Point]) -> Distrust {
    let tracking = disk.backing.change_id.as_deref().and_then(tracking_of);
    let records = parents.iter().flat_map(|point| &point.root.disks);
    let mut found = Distrust::default();
    for record in records.filter(|record| is_of(disk, record)) {
        let theirs = record.distrust.tracking.as_deref();
        found.add(&Distrust {
            tracking: tracking
                .filter(|tracking| theirs == Some(*tracking))
                .map(str::to_owned),
            allocation: record.distrust.allocation,
        });
    }
    found
}

/// What points say of the present tracking of a disk.
#[derive(Default)]
pub(super) struct Known {
    /// What was found wrong.
    pub(super) distrust: Distrust,
    /// A run switched it on while the VM had no snapshot.
    pub(super) is_sound: bool,
    /// A point has a change id of it, whatever that is good for.
    pub(super) is_saved: bool,
}

impl Known {
    /// What was found wrong is told by [`found_wrong`].
    pub(super) fn of(vm: &Moref, disk: &Disk, parents: &[Point]) -> Self {
        let tracking = disk.backing.change_id.as_deref().and_then(tracking_of);
        let is_present = |other: Option<&str>| tracking.is_some() && other == tracking;
        let identity = identity(disk);
        let newest = parents.iter().find_map(|point| {
            let mut records = point.root.disks.iter();
            records.find(|record| point.root.is_earlier(record, &vm.id, &identity))
        });
        let mut records = parents.iter().flat_map(|point| &point.root.disks);
        Self {
            distrust: found_wrong(disk, parents),
            is_sound: newest.is_some_and(|record| is_present(record.sound_tracking.as_deref())),
            is_saved: records.any(|record| {
                let saved = record.change_id.as_deref().and_then(tracking_of);
                is_of(disk, record) && is_present(saved)
            }),
        }
    }
}

impl DiskRun<'_> {
    /// From where the next run can ask for this disk's changes.
    pub(super) fn landmark(&self, disk: &Disk, base: Option<&Base>, known: &Known) -> Landmark {
        let tracking = disk.backing.change_id.as_deref().and_then(tracking_of);
        let is_sound = match self.tracking {
            Tracking::Begun => self.snapshots_before == 0,
            Tracking::On => known.is_sound,
            Tracking::Off { .. } | Tracking::Unsound { .. } => false,
        };
        let known = &known.distrust;
        Landmark {
            sound_tracking: tracking.filter(|_| is_sound).map(str::to_owned),
            change_id: disk.backing.change_id.clone().filter(|id| !id.is_empty()),
            snapshots_before: Some(self.snapshots_before),
            change_id_after_ms: Some(self.before_snapshot.as_millisecond()),
            distrust: Distrust {
                tracking: self.distrusted(disk, base, known),
                allocation: known.allocation,
            },
        }
    }

    /// The tracking of this disk if it cannot be believed, which is said: the first part of its change ids.
    /// What was found is handed on from point to point, until the disk has another tracking.
    fn distrusted(&self, disk: &Disk, base: Option<&Base>, known: &Distrust) -> Option<String> {
        let tracking = disk.backing.change_id.as_deref().and_then(tracking_of)?;
        let base = base.map(|base| &base.disk);
        let why = if let Tracking::Unsound { .. } = self.tracking {
            "is tracked from now on beside a snapshot of somebody else".to_owned()
        } else if known.tracking.as_deref() == Some(tracking) {
            "has a tracking that was found to miss changes".to_owned()
        } else if self.host.loses_writes_of_consolidation() {
            // Even what is written while this run's own snapshot goes.
            format!(
                "is tracked by a host that loses what is written while a snapshot is consolidated ({})",
                self.host.product
            )
        } else if growth::is_mistracked(disk, base, self.host) {
            let host = match self.host.product.as_str() {
                "" => "its release is not known",
                product => product,
            };
            format!("grew on a host that may track grown disks wrongly ({host})")
        } else {
            return None;
        };
        self.monitor.event(&Event::warning(
            "tracking-distrusted",
            format!(
                "{} {why}, and is read in full until tracking begins anew: cbt-backup cbt reset",
                disk.label
            ),
        ));
        Some(tracking.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Known, base_of, found_wrong, twin_of};
    use crate::{
        engine::plan,
        repo::{Point, Root, RootName},
        vsphere::{Disk, Moref},
    };

    const UUID: &str = "6000C29";

    /// A point of `moref` whose only disk is `file`.
    fn point(id: u8, moref: &str, file: &str) -> Point {
        let point = format!("01J0000000000000000000000{id}");
        let session = "01J00000000000000000000009";
        let reference = json!({
            "session": session, "seq": 0, "offset": 64, "length": 100, "raw": false, "id": "33".repeat(32),
        });
        let root = json!({
            "format": 1, "point": point, "session": session, "generation": 0, "kind": "full",
            "vm": {"moref": moref}, "snapshot_time": "", "snapshot_time_ms": 1, "consistency": "crash", "parent": null,
            "disks": [{
                "device_key": 2000, "disk_uuid": UUID, "base_file": file, "capacity_bytes": 1 << 20, "block_shift": 18,
                "fan_out_bits": 8, "change_id": null, "state": {"state": "complete"}, "tree": null,
                "allocation_distrusted": true,
            }],
            "usage": {"ref": reference, "pack_bytes": 100},
        });
        let root: Root = serde_json::from_value(root).unwrap();
        Point {
            name: RootName {
                vm: "0123456789abcdef".parse().unwrap(),
                point: root.point,
                generation: 0,
                session: root.session,
            },
            root,
        }
    }

    fn disk(file: &str) -> Disk {
        let mut disk = plan::tests::disk(None);
        file.clone_into(&mut disk.backing.base_file_name);
        disk
    }

    #[test]
    fn a_copy_of_a_vm_with_its_uuids_is_no_base() {
        let vm = Moref::new("VirtualMachine", "12");
        let here = "[ds] app02/app02.vmdk";
        let twin = point(1, "11", "[ds] app01/app01.vmdk");
        let moved = point(2, "12", "[old] app02/app02.vmdk");
        let registered_again = point(3, "7", here);
        let base =
            |points: &[Point]| base_of(&vm, &disk(here), points, false).map(|base| base.origin);
        assert_eq!(base(std::slice::from_ref(&twin)), None);
        for other in [&moved, &registered_again] {
            let points = [twin.clone(), other.clone()];
            assert_eq!(base(&points), Some(other.id()));
            // Newest first: with a point of our own after it there is nothing to tell.
            let since = [other.clone(), twin.clone()];
            assert!(twin_of(&vm, &disk(here), &since).is_none());
            assert_eq!(
                twin_of(&vm, &disk(here), &points).map(Point::id),
                Some(twin.id())
            );
            assert!(twin_of(&vm, &disk(here), std::slice::from_ref(other)).is_none());
        }
        // What was found wrong is better believed of both.
        assert!(found_wrong(&disk(here), &[twin]).allocation);
    }

    #[test]
    fn how_tracking_began_is_known_by_the_newest_point_of_that_vm() {
        let vm = Moref::new("VirtualMachine", "12");
        let file = "[ds] app02/app02.vmdk";
        let mut now = disk(file);
        now.backing.change_id = Some("52 aa/3".to_owned());
        let known = |points: &[Point]| {
            let known = Known::of(&vm, &now, points);
            (known.is_sound, known.is_saved)
        };
        let with = |id, moref, file, sound: Option<&str>, saved: Option<&str>| {
            let mut point = point(id, moref, file);
            point.root.disks[0].sound_tracking = sound.map(str::to_owned);
            point.root.disks[0].change_id = saved.map(str::to_owned);
            point
        };
        let (here, other) = (Some("52 aa"), Some("52 bb"));
        assert_eq!(known(&[]), (false, false));
        assert_eq!(known(&[with(1, "12", file, here, None)]), (true, false));
        assert_eq!(known(&[with(1, "12", file, other, None)]), (false, false));
        let before = with(1, "12", file, here, Some("52 aa/1"));
        let after = with(2, "12", file, None, Some("52 bb/1"));
        assert_eq!(known(&[after, before.clone()]), (false, true));
        // A copy of the files has the map of the first VM, and a life of its own.
        let twin = with(3, "11", "[ds] app01/app01.vmdk", here, None);
        assert_eq!(known(std::slice::from_ref(&twin)), (false, false));
        assert_eq!(known(&[twin, before]), (true, true));
        assert!(!Known::of(&vm, &disk(file), &[with(1, "12", file, None, None)]).is_sound);
    }
}
