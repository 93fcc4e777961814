//! What is done with each disk, and why, in words.

use crate::{
    repo::Distrust,
    vsphere::{Disk, Landmark, TrackingEvent, tracking_of},
};

/// What is done with one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskPlan {
    /// Left out: no snapshot holds it.
    Skip {
        /// Why.
        reason: String,
    },
    /// Every allocated block is read.
    Full {
        /// Why not only the changed ones, as a short name for programs; it stays.
        cause: &'static str,
        /// The same in words.
        reason: String,
        /// True where the parent's tree has the same shape, so that equal blocks cost nothing.
        reuse_parent: bool,
    },
    /// Only what changed since `base_change_id` is read.
    Incremental {
        /// The id of the last point, as vSphere gave it.
        base_change_id: String,
    },
}

/// Whether vSphere tracks the VM's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// It does.
    On,
    /// It does since this run, which switched it on while the VM had no snapshot.
    Begun,
    /// It does not; the reason is for people.
    Off {
        /// Why not.
        reason: String,
    },
    /// It does not, and snapshots exist: should it begin with the snapshot of this run, because somebody
    /// switched it on, it would miss changes from then on.
    Unsound {
        /// Why.
        reason: String,
    },
}

impl Tracking {
    /// Whether the snapshot of this run has change ids.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On | Self::Begun)
    }
}

/// A disk as the last point of this VM holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseDisk {
    /// The id to ask for changes since; none when that run found no tracking.
    pub change_id: Option<String>,
    /// Number of other snapshots that stood when the id was taken; `None` when not known.
    pub snapshots_before: Option<u32>,
    /// The server's time in milliseconds since 1970 before the snapshot of that id was made.
    pub change_id_after_ms: Option<i64>,
    /// What was found wrong of what vSphere says of it.
    pub distrust: Distrust,
    /// The size then.
    pub capacity_bytes: u64,
    /// The name of its base file then.
    pub base_file_name: String,
    /// The host that ran the VM then, where that is known.
    pub host: Option<String>,
}

/// Decides for one disk of the snapshot (vSphere reference, 5.3, 5.5 and 5.7). `may_be_reverted` says why
/// the base may belong to a state that a revert threw away; it is asked only where that matters.
pub fn plan(
    disk: &Disk,
    tracking: &Tracking,
    base: Option<&BaseDisk>,
    may_be_reverted: impl FnOnce(&BaseDisk) -> Option<String>,
) -> DiskPlan {
    if let Some(exclusion) = disk.exclusion() {
        return DiskPlan::Skip {
            reason: exclusion.to_string(),
        };
    }
    let Some(base) = base else {
        return DiskPlan::Full {
            cause: "first",
            reason: "no earlier point holds this disk".to_owned(),
            reuse_parent: false,
        };
    };
    // That of the host keeps no tracking from being believed.
    let event = event(disk, base, None);
    if event == TrackingEvent::Resized {
        return DiskPlan::Full {
            cause: event.id(),
            reason: format!(
                "its size changed from {} to {} bytes",
                base.capacity_bytes, disk.capacity_bytes
            ),
            // What is read is compared with what the parent has at the same place.
            reuse_parent: disk.capacity_bytes > base.capacity_bytes,
        };
    }
    let full = |cause, reason: String| DiskPlan::Full {
        cause,
        reason,
        reuse_parent: true,
    };
    if let Tracking::Off { reason } | Tracking::Unsound { reason } = tracking {
        return full("tracking-off", reason.clone());
    }
    match &base.change_id {
        Some(base_change_id) if event.keeps_tracking() => {
            if let Some(reason) = distrust(disk, base) {
                return full("distrusted", reason);
            }
            match may_be_reverted(base) {
                Some(reason) => full("may-be-reverted", reason),
                None => DiskPlan::Incremental {
                    base_change_id: base_change_id.clone(),
                },
            }
        }
        _ => full(event.id(), event.to_string()),
    }
}

/// Why ids that follow each other are not believed all the same.
fn distrust(disk: &Disk, base: &BaseDisk) -> Option<String> {
    let tracking = disk.backing.change_id.as_deref().and_then(tracking_of)?;
    (base.distrust.tracking.as_deref() == Some(tracking))
        .then(|| "its tracking was found to miss changes, and has not begun anew since".to_owned())
}

/// What happened to the disk's tracking since the last point; `host` runs the VM now.
pub fn event(disk: &Disk, base: &BaseDisk, host: Option<&str>) -> TrackingEvent {
    let old = Landmark {
        change_id: base.change_id.clone(),
        capacity_bytes: base.capacity_bytes,
        base_file_name: base.base_file_name.clone(),
        host: base.host.clone(),
        ..Landmark::default()
    };
    let new = Landmark {
        change_id: disk.backing.change_id.clone(),
        capacity_bytes: disk.capacity_bytes,
        base_file_name: disk.backing.base_file_name.clone(),
        host: host.map(str::to_owned),
        ..Landmark::default()
    };
    TrackingEvent::between(&old, &new)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{BaseDisk, DiskPlan, Distrust, Tracking, event};
    use crate::vsphere::{Backing, BackingKind, Disk, TrackingEvent};

    const UUID: &str = "52 2d 7b 8f ac 61 51 cc-77 4c 7b ec 91 50 bb 7b";

    /// A disk of a gibibyte, with the UUID `6000C29`.
    pub(in crate::engine) fn disk(change_id: Option<&str>) -> Disk {
        Disk {
            device_key: 2000,
            label: "Hard disk 1".to_owned(),
            controller: None,
            unit: Some(0),
            capacity_bytes: 1 << 30,
            backing: Backing {
                kind: BackingKind::FlatVer2,
                file_name: "[ds] vm/vm-000001.vmdk".to_owned(),
                base_file_name: "[ds] vm/vm.vmdk".to_owned(),
                chain_links: 2,
                datastore: None,
                disk_uuid: Some("6000C29".to_owned()),
                change_id: change_id.map(str::to_owned),
                disk_mode: "persistent".to_owned(),
                sharing: None,
                thin: Some(true),
                eager_zeroed: None,
                is_encrypted: false,
                encryption_key: None,
                delta_format: None,
            },
        }
    }

    fn base(change_id: Option<&str>) -> BaseDisk {
        BaseDisk {
            change_id: change_id.map(str::to_owned),
            snapshots_before: Some(0),
            change_id_after_ms: None,
            distrust: Distrust::default(),
            capacity_bytes: 1 << 30,
            base_file_name: "[ds] vm/vm.vmdk".to_owned(),
            host: Some("host-1".to_owned()),
        }
    }

    /// Where no revert is possible.
    fn plan(disk: &Disk, tracking: &Tracking, base: Option<&BaseDisk>) -> DiskPlan {
        super::plan(disk, tracking, base, |_| None)
    }

    #[test]
    fn a_base_that_a_revert_can_have_thrown_away_is_a_full() {
        let (old, new) = (format!("{UUID}/16"), format!("{UUID}/17"));
        let base = base(Some(&old));
        let plan = super::plan(&disk(Some(&new)), &Tracking::On, Some(&base), |_| {
            Some("reverted".to_owned())
        });
        assert_eq!(reason(&plan), "reverted");
        let reused = matches!(plan, DiskPlan::Full { reuse_parent, .. } if reuse_parent);
        assert!(reused, "equal blocks cost nothing");
    }

    fn reason(plan: &DiskPlan) -> &str {
        match plan {
            DiskPlan::Full { reason, .. } | DiskPlan::Skip { reason } => reason,
            DiskPlan::Incremental { .. } => panic!("incremental, but a full was expected"),
        }
    }

    #[test]
    fn a_growing_id_of_the_same_tracking_is_incremental() {
        let (old, new) = (format!("{UUID}/16"), format!("{UUID}/17"));
        let plan = plan(&disk(Some(&new)), &Tracking::On, Some(&base(Some(&old))));
        assert_eq!(
            plan,
            DiskPlan::Incremental {
                base_change_id: old
            }
        );
    }

    #[test]
    fn every_trap_is_a_full_with_its_reason() {
        let id = |sequence: u32| format!("{UUID}/{sequence}");
        let other = "52 00 00 00 00 00 00 00-77 4c 7b ec 91 50 bb 7b/17";
        let off = Tracking::Off {
            reason: "tracking is off".to_owned(),
        };
        let cases = [
            (disk(Some(&id(17))), Tracking::On, None, "no earlier point"),
            (
                disk(Some(&id(17))),
                off,
                Some(base(Some(&id(16)))),
                "tracking is off",
            ),
            (
                disk(None),
                Tracking::On,
                Some(base(Some(&id(16)))),
                "no change id",
            ),
            (
                disk(Some("")),
                Tracking::On,
                Some(base(Some(&id(16)))),
                "no change id",
            ),
            (
                disk(Some(&id(17))),
                Tracking::On,
                Some(base(None)),
                "for the first time",
            ),
            (
                disk(Some(other)),
                Tracking::On,
                Some(base(Some(&id(16)))),
                "begins anew",
            ),
            (
                disk(Some(&id(16))),
                Tracking::On,
                Some(base(Some(&id(16)))),
                "did not grow",
            ),
            (
                disk(Some(&id(3))),
                Tracking::On,
                Some(base(Some(&id(16)))),
                "did not grow",
            ),
            (
                disk(Some("nonsense")),
                Tracking::On,
                Some(base(Some(&id(16)))),
                "unknown form",
            ),
        ];
        for (disk, tracking, base, wanted) in cases {
            let plan = plan(&disk, &tracking, base.as_ref());
            assert!(
                reason(&plan).contains(wanted),
                "{plan:?} does not say {wanted:?}"
            );
        }
        for (capacity_bytes, is_reused) in [(1 << 29, true), (1 << 31, false)] {
            let resized = BaseDisk {
                capacity_bytes,
                ..base(Some(&id(16)))
            };
            let plan = plan(&disk(Some(&id(17))), &Tracking::On, Some(&resized));
            assert!(reason(&plan).contains("size changed"), "{plan:?}");
            assert!(
                matches!(&plan, DiskPlan::Full { reuse_parent, .. } if *reuse_parent == is_reused),
                "{plan:?}"
            );
        }
    }

    #[test]
    fn a_disk_that_was_moved_goes_on_while_its_id_does() {
        let old = BaseDisk {
            base_file_name: "[old] vm/vm.vmdk".to_owned(),
            ..base(Some(&format!("{UUID}/16")))
        };
        let moved = disk(Some(&format!("{UUID}/17")));
        assert_eq!(event(&moved, &old, None), TrackingEvent::StorageMoved);
        let went_on = plan(&moved, &Tracking::On, Some(&old));
        assert!(matches!(went_on, DiskPlan::Incremental { .. }));
        let anew = disk(Some("52 00/1"));
        let began = plan(&anew, &Tracking::On, Some(&old));
        assert!(reason(&began).contains("files moved"), "{began:?}");
    }

    #[test]
    fn a_disk_that_no_snapshot_holds_is_skipped_by_name() {
        let mut independent = disk(None);
        independent.backing.disk_mode = "independent_persistent".to_owned();
        let plan = plan(&independent, &Tracking::On, None);
        assert!(
            matches!(&plan, DiskPlan::Skip { reason } if reason.contains("independent_persistent")),
            "{plan:?}"
        );
    }
}
