//! Power, migration, moves to other datastores, upgrades, and going back to snapshots.

use lab::{
    Behaviour, DatastoreKind, DatastoreSpec, Error, NEWEST_HARDWARE_VERSION, PowerState, SiteSpec,
    SnapshotSpec,
};

use crate::{Fixture, GRAIN, KEY};

fn uuid_of(id: &str) -> &str {
    id.rsplit_once('/').unwrap().0
}

fn enabled(fixture: &Fixture) -> bool {
    fixture.lab.vm(&fixture.vm).unwrap().change_tracking.enabled
}

#[test]
fn migration_and_resume_are_stun_cycles_and_a_vm_that_is_off_has_none() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
    lab.migrate(vm).unwrap();
    assert!(enabled(&fixture));
    lab.set_change_tracking(vm, false).unwrap();
    lab.change_power_state(vm, PowerState::Suspended).unwrap();
    assert!(enabled(&fixture));
    lab.change_power_state(vm, PowerState::PoweredOn).unwrap();
    assert!(!enabled(&fixture));
    lab.set_change_tracking(vm, true).unwrap();
    lab.change_power_state(vm, PowerState::PoweredOff).unwrap();
    lab.migrate(vm).unwrap();
    assert!(!enabled(&fixture));
    for wanted in [PowerState::PoweredOff, PowerState::Suspended] {
        let refused = lab.change_power_state(vm, wanted).unwrap_err();
        assert!(matches!(
            refused,
            Error::InvalidPowerState {
                existing: PowerState::PoweredOff,
                ..
            }
        ));
    }
}

#[test]
fn a_power_failure_gives_another_uuid_with_the_next_power_on() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let (first, before) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    fixture.lab.power_failure(&fixture.vm).unwrap();
    fixture
        .lab
        .set_power_state(&fixture.vm, PowerState::PoweredOn)
        .unwrap();
    let (_, after) = fixture.landmark("s2");
    assert_ne!(uuid_of(&before), uuid_of(&after));
}

#[test]
fn hardware_is_upgraded_while_off_and_once() {
    let fixture = Fixture::new(GRAIN);
    let upgrade = |version| fixture.lab.upgrade_hardware(&fixture.vm, version);
    assert!(matches!(
        upgrade(None),
        Err(Error::InvalidPowerState { .. })
    ));
    fixture
        .lab
        .change_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    assert!(matches!(upgrade(Some(99)), Err(Error::InvalidSpec { .. })));
    upgrade(None).unwrap();
    let version = fixture.lab.vm(&fixture.vm).unwrap().hardware_version;
    assert_eq!(version, NEWEST_HARDWARE_VERSION);
    assert!(matches!(upgrade(None), Err(Error::AlreadyUpgraded { .. })));
}

#[test]
fn after_a_move_everything_is_on_the_other_datastore() {
    for reset in [false, true] {
        let site = SiteSpec::default().with_datastores([
            DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
            DatastoreSpec::new("second", DatastoreKind::Nfs),
        ]);
        let fixture = Fixture::tracked(site, 8 * GRAIN);
        fixture
            .lab
            .set_behaviour(Behaviour {
                relocation_resets_tracking: reset,
                ..Behaviour::default()
            })
            .unwrap();
        let mut shadow = vec![0; (8 * GRAIN) as usize];
        fixture.write(GRAIN, &[1; 512]);
        shadow[GRAIN as usize..][..512].fill(1);
        let (first, before) = fixture.landmark("s1");
        let frozen = shadow.clone();
        fixture.write(3 * GRAIN, &[2; 512]);
        shadow[3 * GRAIN as usize..][..512].fill(2);

        fixture.lab.relocate(&fixture.vm, "second").unwrap();
        assert_eq!(fixture.read(None), shadow);
        assert_eq!(fixture.read(Some(&first)), frozen);
        let vm = fixture.lab.vm(&fixture.vm).unwrap();
        assert!(vm.vmx_path.starts_with("[second] "));
        let old = fixture.lab.root().join("datastores/datastore1/app01");
        assert!(!old.exists());
        let (second, after) = fixture.landmark("s2");
        assert_eq!(uuid_of(&before) != uuid_of(&after), reset);
        if !reset {
            let page = fixture
                .lab
                .changed_areas(&fixture.vm, Some(&second), KEY, 0, &before)
                .unwrap();
            assert_eq!(page.areas.len(), 1);
            assert_eq!(page.areas[0].start_bytes, 3 * GRAIN);
        }
        let nowhere = fixture.lab.relocate(&fixture.vm, "nowhere");
        assert!(matches!(nowhere, Err(Error::NotFound { .. })));
    }
}

#[test]
fn a_revert_brings_the_data_back_and_numbers_come_again() {
    let fixture = Fixture::tracked(SiteSpec::default(), 8 * GRAIN);
    fixture.write(0, &[1; 512]);
    let (first, first_id) = fixture.landmark("s1");
    let frozen = fixture.read(Some(&first));
    fixture.write(0, &[2; 512]);
    let (second, second_id) = fixture.landmark("s2");
    fixture.write(GRAIN, &[3; 512]);
    let files = fixture.files().len();

    fixture.lab.revert_to_snapshot(&first).unwrap();
    assert_eq!(fixture.read(None), frozen);
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    assert_eq!(vm.current_snapshot.as_deref(), Some(first.as_str()));
    assert_eq!(vm.power_state, PowerState::PoweredOff);
    assert_eq!(vm.disks[0].change_id, None);
    // One delta and its map went, one of each came.
    assert_eq!(fixture.files().len(), files);

    fixture.write(5 * GRAIN, &[4; 512]);
    let third = fixture
        .lab
        .create_snapshot(&fixture.vm, &SnapshotSpec::named("s3"))
        .unwrap();
    assert_eq!(third.parent.as_deref(), Some(first.as_str()));
    assert_eq!(
        third.disks[0].change_id.as_deref(),
        Some(second_id.as_str())
    );
    let page = fixture
        .lab
        .changed_areas(&fixture.vm, Some(&third.moref), KEY, 0, &first_id)
        .unwrap();
    let starts: Vec<u64> = page.areas.iter().map(|area| area.start_bytes).collect();
    assert_eq!(starts, [5 * GRAIN]);
    assert_eq!(fixture.lab.vm(&fixture.vm).unwrap().snapshots.len(), 3);
    fixture.lab.revert_to_snapshot(&second).unwrap();
    fixture.lab.remove_all_snapshots(&fixture.vm).unwrap();
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    assert!(vm.snapshots.is_empty() && vm.disks[0].chain.len() == 1);
    let mut expected = frozen;
    expected[..512].fill(2);
    assert_eq!(fixture.read(None), expected);
}
