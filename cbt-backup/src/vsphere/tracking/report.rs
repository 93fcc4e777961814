//! What holds now of a VM's tracking, judged from what the server tells.

use std::collections::BTreeMap;
use std::fmt;

use super::{MIN_TRACKED_HARDWARE, TrackingCause};
use crate::vsphere::disk::DiskTracking;
use crate::vsphere::moref::Moref;
use crate::vsphere::vm::Vm;

/// Whether a VM's changes are tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackingState {
    /// They are.
    On,
    /// They will be, once the cause is gone.
    Pending,
    /// They are not.
    Off,
}

impl TrackingState {
    /// The word for tables and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Pending => "pending",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for TrackingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known besides the VM itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackingFacts {
    /// A reconfiguration of the VM has not ended.
    pub reconfiguring: bool,
    /// It was switched on or off just now, and the task ended well.
    pub just_switched: Option<bool>,
    /// A stun cycle was made since; `change_ids` are those of its snapshot.
    pub just_cycled: bool,
    /// The release of its host, such as `8.0.2`, if it was read.
    pub host_version: Option<String>,
    /// The change ids that a snapshot has, by device key: the proof that a disk is tracked.
    pub change_ids: BTreeMap<i32, String>,
    /// The snapshot they are from, while it exists.
    pub snapshot: Option<Moref>,
}

/// One disk of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskReport {
    /// Its device key.
    pub device_key: i32,
    /// Such as `Hard disk 1`.
    pub label: String,
    /// Such as `scsi0:1`, where its controller is known.
    pub address: Option<String>,
    /// What the configuration says of it.
    pub tracking: DiskTracking,
    /// The change id that a snapshot gave, if one was looked at.
    pub change_id: Option<String>,
}

/// What holds now of a VM's tracking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackingReport {
    /// On, pending or off.
    pub state: TrackingState,
    /// Why it is pending or off; with a VM that is tracked, disks that are not.
    pub causes: Vec<TrackingCause>,
    /// Its disks.
    pub disks: Vec<DiskReport>,
    /// The snapshot that the change ids are from, while it exists.
    pub snapshot: Option<Moref>,
}

impl TrackingReport {
    /// Judges by "vSphere API reference, 5.1, 5.2 and 3.3".
    pub fn judge(vm: &Vm, facts: TrackingFacts) -> Self {
        let disks: Vec<DiskReport> = vm
            .disks
            .iter()
            .map(|d| disk_report(vm, d, &facts))
            .collect();
        let mut causes = blockers(vm, &facts);
        let state = match vm.change_tracking_enabled {
            _ if !causes.is_empty() => TrackingState::Off,
            Some(true) => state_of_enabled(vm, &disks, &facts, &mut causes),
            _ => state_of_disabled(vm, &facts, &mut causes),
        };
        causes.extend(disks.iter().filter_map(switched_off));
        Self {
            state,
            causes,
            disks,
            snapshot: facts.snapshot,
        }
    }

    /// The causes for which switching on must not be tried.
    pub fn obstacles(&self) -> Vec<TrackingCause> {
        let causes = self.causes.iter();
        causes
            .filter(|cause| cause.forbids_switching_on())
            .cloned()
            .collect()
    }
}

fn disk_report(vm: &Vm, disk: &crate::vsphere::Disk, facts: &TrackingFacts) -> DiskReport {
    DiskReport {
        device_key: disk.device_key,
        label: disk.label.clone(),
        address: disk.address(),
        tracking: disk.tracking(vm.change_tracking_enabled, &vm.tracking_keys),
        change_id: facts.change_ids.get(&disk.device_key).cloned(),
    }
}

/// What makes tracking impossible, whatever is switched on.
fn blockers(vm: &Vm, facts: &TrackingFacts) -> Vec<TrackingCause> {
    let mut causes = Vec::new();
    if vm.is_template {
        causes.push(TrackingCause::Template);
    }
    if !vm.is_connected() {
        let state = vm.connection_state.clone();
        causes.push(TrackingCause::NotConnected { state });
    }
    causes.extend(facts.host_version.clone().and_then(too_old));
    let too_old = vm.hardware_version.filter(|v| *v < MIN_TRACKED_HARDWARE);
    if let Some(version) = too_old {
        causes.push(TrackingCause::HardwareTooOld { version });
    } else if vm.change_tracking_supported == Some(false) {
        let hardware_version = vm.hardware_version;
        causes.push(TrackingCause::NotSupported { hardware_version });
    }
    causes
}

/// The cause for a host of a release before 4.0. One that can't be read is not held against it.
fn too_old(version: String) -> Option<TrackingCause> {
    let major = version.split('.').next().unwrap_or_default();
    let is_too_old = major.parse::<u32>().is_ok_and(|major| major < 4);
    is_too_old.then_some(TrackingCause::HostTooOld { version })
}

fn state_of_enabled(
    vm: &Vm,
    disks: &[DiskReport],
    facts: &TrackingFacts,
    causes: &mut Vec<TrackingCause>,
) -> TrackingState {
    if facts.just_switched == Some(false) {
        causes.push(TrackingCause::StillOn);
        return TrackingState::Pending;
    }
    if !disks.is_empty() && !disks.iter().any(is_trackable) {
        if disks.iter().any(|disk| switched_off(disk).is_none()) {
            causes.push(TrackingCause::NoTrackableDisk);
        }
        return TrackingState::Off;
    }
    if facts.just_cycled {
        return state_after_cycle(disks, causes);
    }
    // Servers may write a disk's setting at once: what was switched just now waits in any case.
    let is_new = facts.just_switched == Some(true);
    let is_waiting = |disk: &DiskReport| {
        disk.change_id.is_none() && (is_new || matches!(disk.tracking, DiskTracking::Pending))
    };
    if disks.iter().any(is_waiting) {
        causes.push(if facts.reconfiguring {
            TrackingCause::ReadTooEarly
        } else {
            TrackingCause::NoCycleYet
        });
        push_snapshots(vm, causes);
        return TrackingState::Pending;
    }
    TrackingState::On
}

/// After a cycle a change id is the proof, whatever the settings say.
fn state_after_cycle(disks: &[DiskReport], causes: &mut Vec<TrackingCause>) -> TrackingState {
    let trackable = disks.iter().filter(|disk| is_trackable(disk));
    let lacking: Vec<&DiskReport> = trackable
        .clone()
        .filter(|disk| disk.change_id.is_none())
        .collect();
    causes.extend(lacking.iter().map(|disk| TrackingCause::NoChangeId {
        disk: disk.label.clone(),
    }));
    if lacking.is_empty() || lacking.len() < trackable.count() {
        TrackingState::On
    } else {
        TrackingState::Off
    }
}

/// True for a disk that should have a change id once its VM is tracked.
fn is_trackable(disk: &DiskReport) -> bool {
    matches!(disk.tracking, DiskTracking::Pending | DiskTracking::On)
}

fn state_of_disabled(
    vm: &Vm,
    facts: &TrackingFacts,
    causes: &mut Vec<TrackingCause>,
) -> TrackingState {
    if facts.reconfiguring {
        causes.push(TrackingCause::ReadTooEarly);
        return TrackingState::Pending;
    }
    match (facts.just_switched, facts.just_cycled) {
        (Some(true), false) => {
            causes.push(TrackingCause::NoCycleYet);
            return TrackingState::Pending;
        }
        (Some(true), true) => {
            causes.push(TrackingCause::NotTaken);
            return TrackingState::Off;
        }
        _ => {}
    }
    // What was wanted needs no cause.
    if facts.just_switched != Some(false) {
        causes.push(TrackingCause::NotSwitchedOn);
        push_snapshots(vm, causes);
    }
    TrackingState::Off
}

/// Snapshots stand in the way of what is not on yet.
fn push_snapshots(vm: &Vm, causes: &mut Vec<TrackingCause>) {
    let count = vm.snapshots.iter().count();
    if count > 0 {
        causes.push(TrackingCause::SnapshotsExist { count });
    }
}

fn switched_off(disk: &DiskReport) -> Option<TrackingCause> {
    match &disk.tracking {
        DiskTracking::SwitchedOff { key } => Some(TrackingCause::DiskSwitchedOff {
            disk: disk.label.clone(),
            key: key.clone(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{TrackingFacts, TrackingReport, TrackingState};
    use crate::vsphere::device::{Controller, ControllerKind, SharedBus};
    use crate::vsphere::{Backing, BackingKind, Disk, Moref, SnapshotNode, Vm};

    fn disk(unit: i32) -> Disk {
        Disk {
            device_key: 2000 + unit,
            label: format!("Hard disk {}", unit + 1),
            controller: Some(Controller {
                key: 1000,
                kind: ControllerKind::ParaVirtualScsi,
                bus_number: 0,
                shared_bus: SharedBus::No,
            }),
            unit: Some(unit),
            capacity_bytes: 1 << 30,
            backing: Backing {
                kind: BackingKind::FlatVer2,
                file_name: "[ds] vm/vm.vmdk".to_owned(),
                base_file_name: "[ds] vm/vm.vmdk".to_owned(),
                chain_links: 1,
                datastore: None,
                disk_uuid: None,
                change_id: None,
                disk_mode: "persistent".to_owned(),
                sharing: None,
                thin: None,
                eager_zeroed: None,
                is_encrypted: false,
                encryption_key: None,
                delta_format: None,
            },
        }
    }

    fn vm(enabled: bool, keys: &[(&str, &str)]) -> Vm {
        let mut vm = Vm {
            id: "vm-1".to_owned(),
            connection_state: "connected".to_owned(),
            hardware_version: Some(19),
            change_tracking_enabled: Some(enabled),
            change_tracking_supported: Some(true),
            disks: vec![disk(0), disk(1)],
            ..Vm::default()
        };
        for (key, value) in keys {
            vm.tracking_keys.note(key, value);
        }
        vm
    }

    fn judged(vm: &Vm, facts: TrackingFacts) -> (TrackingState, Vec<&'static str>) {
        let report = TrackingReport::judge(vm, facts);
        let ids = report.causes.iter().map(super::TrackingCause::id).collect();
        (report.state, ids)
    }

    const BOTH: &[(&str, &str)] = &[
        ("ctkEnabled", "TRUE"),
        ("scsi0:0.ctkEnabled", "TRUE"),
        ("scsi0:1.ctkEnabled", "TRUE"),
    ];

    #[test]
    fn each_state_has_its_causes() {
        use TrackingState::{Off, On, Pending};
        let usual = TrackingFacts::default;
        assert_eq!(judged(&vm(true, BOTH), usual()), (On, vec![]));
        assert_eq!(
            judged(&vm(true, &BOTH[..2]), usual()),
            (Pending, vec!["no-cycle-yet"])
        );
        assert_eq!(
            judged(&vm(false, &[]), usual()),
            (Off, vec!["not-switched-on"])
        );
        let early = || TrackingFacts {
            reconfiguring: true,
            ..TrackingFacts::default()
        };
        for enabled in [true, false] {
            assert_eq!(
                judged(&vm(enabled, &[]), early()),
                (Pending, vec!["read-too-early"])
            );
        }
    }

    #[test]
    fn what_was_done_just_now_is_judged_by_what_it_led_to() {
        use TrackingState::{Off, On, Pending};
        let just = |switched, cycled, ids: &[i32]| TrackingFacts {
            just_switched: Some(switched),
            just_cycled: cycled,
            change_ids: ids.iter().map(|key| (*key, "52/1".to_owned())).collect(),
            ..TrackingFacts::default()
        };
        let (on, off) = (vm(true, BOTH), vm(false, &[]));
        for (vm, facts, expected) in [
            (
                &off,
                just(true, false, &[]),
                (Pending, vec!["no-cycle-yet"]),
            ),
            (&off, just(true, true, &[]), (Off, vec!["not-taken"])),
            (&on, just(true, true, &[2000, 2001]), (On, vec![])),
            (&on, just(true, true, &[2000]), (On, vec!["no-change-id"])),
            (
                &on,
                just(true, true, &[]),
                (Off, vec!["no-change-id", "no-change-id"]),
            ),
            (&on, just(false, false, &[]), (Pending, vec!["still-on"])),
            (&on, just(false, true, &[]), (Pending, vec!["still-on"])),
            (&off, just(false, true, &[]), (Off, vec![])),
            // The settings are there, and the cycle is not.
            (&on, just(true, false, &[]), (Pending, vec!["no-cycle-yet"])),
        ] {
            assert_eq!(judged(vm, facts.clone()), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_vm_without_a_disk_that_can_be_tracked_is_not() {
        let mut vm = vm(true, BOTH);
        for disk in &mut vm.disks {
            disk.backing.kind = BackingKind::RawPhysical;
        }
        assert_eq!(
            judged(&vm, TrackingFacts::default()),
            (TrackingState::Off, vec!["no-trackable-disk"])
        );
        vm.disks.clear();
        assert_eq!(
            judged(&vm, TrackingFacts::default()),
            (TrackingState::On, vec![])
        );
    }

    #[test]
    fn a_change_id_of_a_snapshot_is_proof_enough() {
        let mut facts = TrackingFacts::default();
        facts.change_ids.insert(2000, "52/1".to_owned());
        assert_eq!(
            judged(&vm(true, &[]), facts.clone()).0,
            TrackingState::Pending
        );
        facts.change_ids.insert(2001, "53/1".to_owned());
        assert_eq!(judged(&vm(true, &[]), facts).0, TrackingState::On);
    }

    #[test]
    fn a_disk_that_is_switched_off_is_named_though_the_vm_is_tracked() {
        let keys = [
            ("scsi0:0.ctkEnabled", "TRUE"),
            ("scsi0:1.ctkEnabled", "FALSE"),
        ];
        let report = TrackingReport::judge(&vm(true, &keys), TrackingFacts::default());
        assert_eq!(report.state, TrackingState::On);
        assert_eq!(
            report.causes[0].to_string(),
            "Hard disk 2 is switched off by scsi0:1.ctkEnabled, it has no change id"
        );
        let none = [
            ("scsi0:0.ctkEnabled", "FALSE"),
            ("scsi0:1.ctkEnabled", "FALSE"),
        ];
        let report = TrackingReport::judge(&vm(true, &none), TrackingFacts::default());
        assert_eq!((report.state, report.causes.len()), (TrackingState::Off, 2));
    }

    #[test]
    fn what_makes_it_impossible_is_off_and_told_with_its_version() {
        let causes = |vm: &Vm, host: Option<&str>| {
            let facts = TrackingFacts {
                host_version: host.map(str::to_owned),
                ..TrackingFacts::default()
            };
            let report = TrackingReport::judge(vm, facts);
            assert_eq!(report.state, TrackingState::Off);
            assert_eq!(report.obstacles().len(), 1, "{report:?}");
            report.causes[0].to_string()
        };
        let mut old = vm(true, BOTH);
        old.hardware_version = Some(4);
        old.change_tracking_supported = Some(false);
        assert_eq!(
            causes(&old, None),
            "the hardware is vmx-04, tracking needs vmx-07"
        );
        let mut unsupported = vm(false, &[]);
        unsupported.change_tracking_supported = Some(false);
        assert!(causes(&unsupported, None).contains("vmx-19"));
        let mut template = vm(false, &[]);
        template.is_template = true;
        assert_eq!(causes(&template, None), "it is a template");
        let mut orphan = vm(false, &[]);
        orphan.connection_state = "orphaned".to_owned();
        assert!(causes(&orphan, None).contains("orphaned"));
        assert_eq!(
            causes(&vm(false, &[]), Some("3.5.0")),
            "the host has release 3.5.0, tracking needs 4.0"
        );
    }

    #[test]
    fn snapshots_forbid_switching_on_but_do_not_hide_that_it_is_on() {
        let mut vm = vm(false, &[]);
        vm.snapshots.roots.push(SnapshotNode {
            snapshot: Moref::snapshot("s-1"),
            name: "mine".to_owned(),
            description: String::new(),
            created: None,
            is_quiesced: false,
            children: Vec::new(),
        });
        let (state, ids) = judged(&vm, TrackingFacts::default());
        assert_eq!(state, TrackingState::Off);
        assert_eq!(ids, ["not-switched-on", "snapshots-exist"]);
        vm.change_tracking_enabled = Some(true);
        let (state, ids) = judged(&vm, TrackingFacts::default());
        assert_eq!(state, TrackingState::Pending);
        assert_eq!(ids, ["no-cycle-yet", "snapshots-exist"]);
        for (key, value) in BOTH {
            vm.tracking_keys.note(key, value);
        }
        assert_eq!(
            judged(&vm, TrackingFacts::default()),
            (TrackingState::On, vec![])
        );
    }

    #[test]
    fn a_disk_that_no_snapshot_holds_is_not_waited_for() {
        for mode in [
            "independent_persistent",
            "independent_nonpersistent",
            "nonpersistent",
        ] {
            let mut vm = vm(
                true,
                &[("ctkEnabled", "TRUE"), ("scsi0:0.ctkEnabled", "TRUE")],
            );
            let mut outside = disk(1);
            outside.backing.disk_mode = mode.to_owned();
            vm.disks = vec![disk(0), outside];
            let before = TrackingReport::judge(&vm, TrackingFacts::default());
            let cycled = TrackingFacts {
                just_cycled: true,
                change_ids: [(2000, "52 00/1".to_owned())].into(),
                ..TrackingFacts::default()
            };
            let after = TrackingReport::judge(&vm, cycled);
            for report in [before, after] {
                assert_eq!(report.state, TrackingState::On, "{mode}");
                assert_eq!(report.causes, [], "{mode}");
                let told = report.disks[1].tracking.to_string();
                assert!(told.starts_with("impossible: "), "{told}");
            }
        }
    }
}
