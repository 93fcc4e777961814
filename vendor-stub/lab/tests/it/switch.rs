//! Switching change tracking on and off.

use lab::{
    ChangedAreasError, DatastoreKind, DatastoreSpec, DiskChange, DiskSpec, Error, PowerState,
    Provisioning, SiteSpec, SnapshotSpec, VmChange, VmSpec,
};

use crate::{Fixture, GRAIN, KEY};

#[test]
fn the_switch_is_pending_until_a_stun_cycle() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let tracking = || fixture.lab.vm(&fixture.vm).unwrap().change_tracking;
    assert_eq!(
        (tracking().enabled, tracking().pending),
        (false, Some(true))
    );
    assert_eq!(fixture.files(), ["app01-flat.vmdk", "app01.vmdk"]);
    let (_, id) = fixture.snapshot("s");
    assert_eq!((tracking().enabled, tracking().pending), (true, None));
    assert!(id.unwrap().ends_with("/1"));
    assert!(fixture.files().contains(&"app01-ctk.vmdk".to_owned()));
}

#[test]
fn taking_it_back_in_time_changes_nothing() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    fixture.lab.set_change_tracking(&fixture.vm, false).unwrap();
    assert_eq!(fixture.snapshot("s").1, None);
    assert!(!fixture.lab.vm(&fixture.vm).unwrap().change_tracking.enabled);
}

#[test]
fn powering_on_and_removing_a_snapshot_are_stun_cycles() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    fixture
        .lab
        .set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    assert!(!fixture.lab.vm(&fixture.vm).unwrap().change_tracking.enabled);
    fixture
        .lab
        .set_power_state(&fixture.vm, PowerState::PoweredOn)
        .unwrap();
    assert!(fixture.lab.vm(&fixture.vm).unwrap().change_tracking.enabled);

    let (snapshot, _) = fixture.snapshot("s");
    fixture.lab.set_change_tracking(&fixture.vm, false).unwrap();
    assert!(fixture.lab.vm(&fixture.vm).unwrap().change_tracking.enabled);
    fixture.lab.remove_snapshot(&snapshot, false).unwrap();
    assert!(!fixture.lab.vm(&fixture.vm).unwrap().change_tracking.enabled);
    assert_eq!(fixture.files(), ["app01-flat.vmdk", "app01.vmdk"]);
}

#[test]
fn off_and_on_again_gives_another_uuid() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let (first, old_id) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    fixture.lab.set_change_tracking(&fixture.vm, false).unwrap();
    let (second, none) = fixture.snapshot("s2");
    assert_eq!(none, None);
    fixture.lab.remove_snapshot(&second, false).unwrap();
    fixture.lab.set_change_tracking(&fixture.vm, true).unwrap();
    let (third, new_id) = fixture.landmark("s3");
    assert_ne!(
        old_id.rsplit_once('/').unwrap().0,
        new_id.rsplit_once('/').unwrap().0
    );
    let refused = fixture
        .lab
        .changed_areas(&fixture.vm, Some(&third), KEY, 0, &old_id);
    assert!(matches!(
        refused,
        Err(ChangedAreasError::InvalidArgument {
            property: "changeId"
        })
    ));
}

#[test]
fn a_vm_that_cannot_track_says_so() {
    let fixture = Fixture::new(GRAIN);
    let disks = || {
        vec![DiskSpec {
            capacity_bytes: GRAIN,
            ..DiskSpec::default()
        }]
    };
    let specs = [
        VmSpec {
            name: "a".into(),
            disks: disks(),
            change_tracking_supported: false,
            ..VmSpec::default()
        },
        VmSpec {
            name: "b".into(),
            disks: disks(),
            hardware_version: 4,
            ..VmSpec::default()
        },
    ];
    for spec in specs {
        let vm = fixture.lab.add_vm(spec).unwrap().moref;
        let refused = fixture.lab.set_change_tracking(&vm, true);
        assert!(matches!(
            refused,
            Err(Error::ChangeTrackingNotSupported { .. })
        ));
        fixture.lab.set_change_tracking(&vm, false).unwrap();
    }
}

#[test]
fn the_map_is_filled_with_what_is_allocated() {
    let fixture = Fixture::tracked(SiteSpec::default(), 64 * GRAIN);
    fixture.write(32 * GRAIN, &[1; 512]);
    let (_, id) = fixture.landmark("s1");
    let uuid = id.rsplit_once('/').unwrap().0;
    // Sequence number 0 would be before tracking.
    let before = fixture.lab.changed_areas(
        &fixture.vm,
        Some("snapshot-2044"),
        KEY,
        0,
        &format!("{uuid}/0"),
    );
    assert!(matches!(before, Err(ChangedAreasError::FileFault { .. })));
    let (second, _) = fixture.landmark("s2");
    let page = fixture
        .lab
        .changed_areas(&fixture.vm, Some(&second), KEY, 0, &id)
        .unwrap();
    assert!(page.areas.is_empty());
    let map = std::fs::read(
        fixture
            .lab
            .root()
            .join("datastores/datastore1/app01/app01-ctk.vmdk"),
    )
    .unwrap();
    assert!(map.ends_with(&[0; 3]) && map.contains(&1));
}

#[test]
fn each_stun_cycle_lets_the_switch_take_effect_and_nothing_else_does() {
    type Step = fn(&Fixture, &str);
    let cycles: [(&str, Step); 8] = [
        ("power-on", |fixture, _| {
            let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
            lab.set_power_state(vm, PowerState::PoweredOff).unwrap();
            assert!(!lab.vm(vm).unwrap().change_tracking.enabled);
            lab.set_power_state(vm, PowerState::PoweredOn).unwrap();
        }),
        ("resume", |fixture, _| {
            let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
            lab.change_power_state(vm, PowerState::Suspended).unwrap();
            assert!(!lab.vm(vm).unwrap().change_tracking.enabled);
            lab.change_power_state(vm, PowerState::PoweredOn).unwrap();
        }),
        ("migration", |fixture, _| {
            fixture.lab.migrate(&fixture.vm).unwrap();
        }),
        ("relocation", |fixture, _| {
            fixture.lab.relocate(&fixture.vm, "other").unwrap();
        }),
        ("snapshot", |fixture, _| drop(fixture.snapshot("s"))),
        ("removal", |fixture, snapshot| {
            fixture.lab.remove_snapshot(snapshot, false).unwrap();
        }),
        ("removal of all", |fixture, _| {
            fixture.lab.remove_all_snapshots(&fixture.vm).unwrap();
        }),
        ("restart", |fixture, _| {
            let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
            lab.power_failure(vm).unwrap();
            lab.set_power_state(vm, PowerState::PoweredOn).unwrap();
        }),
    ];
    for (name, cycle) in cycles {
        let site = SiteSpec::default().with_datastores([
            DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
            DatastoreSpec::new("other", DatastoreKind::Nfs),
        ]);
        let fixture = Fixture::with(site, 4 * GRAIN);
        let (snapshot, _) = fixture.snapshot("before");
        let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
        lab.set_change_tracking(vm, true).unwrap();
        // What changes the configuration only, and a guest that writes, are none.
        let change = VmChange {
            memory_mib: Some(4096),
            ..VmChange::default()
        };
        lab.reconfigure(vm, change).unwrap();
        fixture.write(0, &[1; 512]);
        assert!(!lab.vm(vm).unwrap().change_tracking.enabled, "{name}");
        cycle(&fixture, &snapshot);
        assert!(lab.vm(vm).unwrap().change_tracking.enabled, "{name}");
    }
}

#[test]
fn the_map_is_filled_by_what_each_kind_of_disk_counts_as_allocated() {
    for (provisioning, kind, told) in [
        (Provisioning::Thin, DatastoreKind::Vmfs, vec![3]),
        (Provisioning::LazyThick, DatastoreKind::Local, vec![3]),
        (
            Provisioning::EagerThick,
            DatastoreKind::Vmfs,
            vec![0, 1, 2, 3],
        ),
        (
            Provisioning::ClonedThick,
            DatastoreKind::Vmfs,
            vec![0, 1, 2, 3],
        ),
        (Provisioning::Thin, DatastoreKind::Nfs, vec![0, 1, 2, 3]),
        (Provisioning::Thin, DatastoreKind::Vsan, vec![0, 1, 2, 3]),
        (Provisioning::Thin, DatastoreKind::Vvol, vec![0, 1, 2, 3]),
    ] {
        let site = SiteSpec::default().with_datastores([DatastoreSpec::new("d", kind)]);
        let fixture = Fixture::with(site, GRAIN);
        let lab = &fixture.lab;
        let spec = VmSpec {
            name: "other".into(),
            disks: vec![DiskSpec {
                capacity_bytes: 4 * GRAIN,
                provisioning,
                ..DiskSpec::default()
            }],
            ..VmSpec::default()
        };
        let vm = lab.add_vm(spec).unwrap().moref;
        lab.guest_write(&vm, KEY, 3 * GRAIN, &[1; 512]).unwrap();
        lab.set_change_tracking(&vm, true).unwrap();
        let snapshot = lab.create_snapshot(&vm, &SnapshotSpec::named("s")).unwrap();
        let page = lab
            .changed_areas(&vm, Some(&snapshot.moref), KEY, 0, "*")
            .unwrap();
        let grains: Vec<u64> = page
            .areas
            .iter()
            .flat_map(|area| {
                let first = area.start_bytes / GRAIN;
                first..first + area.length_bytes.div_ceil(GRAIN)
            })
            .collect();
        assert_eq!(grains, told, "{provisioning:?} on {kind:?}");
    }
}

/// A VM with two disks, its second switched by that value of its own key.
fn two_disks(value: &str) -> (Fixture, VmChange) {
    let fixture = Fixture::new(4 * GRAIN);
    let second = DiskChange::Add {
        spec: DiskSpec {
            capacity_bytes: GRAIN,
            ..DiskSpec::default()
        },
        controller_key: 1000,
        unit: Some(1),
    };
    let change = VmChange {
        disks: vec![second],
        ..VmChange::default()
    };
    fixture.lab.reconfigure(&fixture.vm, change).unwrap();
    (fixture, keys(&[("scsi0:1.ctkEnabled", value)]))
}

fn keys(entries: &[(&str, &str)]) -> VmChange {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    VmChange {
        extra_config: entries.iter().map(own).collect(),
        ..VmChange::default()
    }
}

/// Makes a snapshot, and tells which disks have a change id there.
fn tracked(fixture: &Fixture) -> Vec<bool> {
    let spec = SnapshotSpec::named("s");
    let snapshot = fixture.lab.create_snapshot(&fixture.vm, &spec).unwrap();
    let disks = snapshot.disks.iter();
    disks.map(|disk| disk.change_id.is_some()).collect()
}

#[test]
fn a_disk_that_its_key_switches_off_is_not_tracked_from_the_next_cycle_on() {
    let (fixture, off) = two_disks("FALSE");
    let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
    lab.set_change_tracking(vm, true).unwrap();
    assert_eq!(tracked(&fixture), [true, true]);
    lab.reconfigure(vm, off).unwrap();
    assert_eq!(tracked(&fixture), [true, false]);
    let running = lab.vm(vm).unwrap();
    let shown = running.shown_extra_config(true, &running.disks);
    let shown: Vec<(&str, &str)> = shown
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("ctkEnabled", "TRUE"),
            ("scsi0:0.ctkEnabled", "TRUE"),
            ("scsi0:1.ctkEnabled", "FALSE"),
        ],
    );
    // Without its key it goes with the VM again; another disk in its place has no key.
    lab.reconfigure(vm, keys(&[("scsi0:1.ctkEnabled", "")]))
        .unwrap();
    assert_eq!(tracked(&fixture), [true, true]);
    lab.reconfigure(vm, keys(&[("scsi0:1.ctkEnabled", "FALSE")]))
        .unwrap();
    let remove = DiskChange::Remove {
        device_key: KEY + 1,
        destroy: false,
    };
    let change = VmChange {
        disks: vec![remove],
        ..VmChange::default()
    };
    lab.reconfigure(vm, change).unwrap();
    assert!(lab.vm(vm).unwrap().extra_config.is_empty());
}

#[test]
fn keys_written_while_a_vm_is_off_take_effect_at_power_on() {
    let (fixture, _) = two_disks("FALSE");
    let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
    lab.set_power_state(vm, PowerState::PoweredOff).unwrap();
    // The second disk has no key, so it is left out.
    let on = keys(&[("ctkEnabled", "TRUE"), ("scsi0:0.ctkEnabled", "true")]);
    lab.reconfigure(vm, on).unwrap();
    assert!(!lab.vm(vm).unwrap().change_tracking.enabled);
    lab.set_power_state(vm, PowerState::PoweredOn).unwrap();
    assert!(lab.vm(vm).unwrap().change_tracking.enabled);
    assert_eq!(tracked(&fixture), [true, false]);

    // The API takes in all disks; its keys go when it switches off.
    lab.set_change_tracking(vm, true).unwrap();
    assert_eq!(tracked(&fixture), [true, true]);
    lab.set_change_tracking(vm, false).unwrap();
    assert_eq!(tracked(&fixture), [false, false]);
    let off = lab.vm(vm).unwrap();
    assert!(off.extra_config.is_empty(), "{:?}", off.extra_config);

    // The key of the VM is read at power-on only, and switches off too.
    lab.set_change_tracking(vm, true).unwrap();
    assert_eq!(tracked(&fixture), [true, true]);
    lab.reconfigure(vm, keys(&[("ctkEnabled", "FALSE")]))
        .unwrap();
    assert_eq!(tracked(&fixture), [true, true]);
    lab.set_power_state(vm, PowerState::PoweredOff).unwrap();
    lab.set_power_state(vm, PowerState::PoweredOn).unwrap();
    assert!(!lab.vm(vm).unwrap().change_tracking.enabled);
    assert_eq!(tracked(&fixture), [false, false]);
}

#[test]
fn keys_do_not_make_a_vm_track_that_cannot() {
    let fixture = Fixture::new(GRAIN);
    let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
    lab.set_power_state(vm, PowerState::PoweredOff).unwrap();
    lab.update_vm(vm, |vm| {
        vm.hardware_version = 4;
        Ok(())
    })
    .unwrap();
    let on = keys(&[("ctkEnabled", "TRUE"), ("scsi0:0.ctkEnabled", "TRUE")]);
    lab.reconfigure(vm, on).unwrap();
    lab.set_power_state(vm, PowerState::PoweredOn).unwrap();
    assert!(!lab.vm(vm).unwrap().change_tracking.enabled);
    assert_eq!(tracked(&fixture), [false]);
}
