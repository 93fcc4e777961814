//! What is not the same on every site.

use lab::{
    Behaviour, ChangedAreasError, DatastoreKind, DatastoreSpec, DiskSpec, Error, PhysicalRawDisk,
    SiteSpec, SnapshotSpec, TrackingOverSnapshots, UnknownAllocation, VmSpec,
};

use crate::{Fixture, GRAIN, KEY};

fn behave(fixture: &Fixture, behaviour: Behaviour) {
    fixture.lab.set_behaviour(behaviour).unwrap();
}

#[test]
fn a_physical_raw_disk_is_skipped_or_fails_the_snapshot() {
    let fixture = Fixture::new(GRAIN);
    let disk = |raw_physical, shared_bus| DiskSpec {
        capacity_bytes: GRAIN,
        raw_physical,
        shared_bus,
        ..DiskSpec::default()
    };
    let vm = |name: &str, second: DiskSpec| {
        let spec = VmSpec {
            name: name.into(),
            disks: vec![disk(false, false), second],
            ..VmSpec::default()
        };
        fixture.lab.add_vm(spec).unwrap().moref
    };
    let raw = vm("raw", disk(true, false));
    let shared = vm("shared", disk(false, true));
    fixture.lab.set_change_tracking(&raw, true).unwrap();
    let spec = SnapshotSpec::named("s");
    let snapshot = fixture.lab.create_snapshot(&raw, &spec).unwrap();
    assert!(snapshot.disks[0].change_id.is_some());
    assert_eq!(snapshot.disks[1].change_id, None);
    let after = fixture.lab.vm(&raw).unwrap();
    let links: Vec<usize> = after.disks.iter().map(|disk| disk.chain.len()).collect();
    assert_eq!(links, [2, 1]);

    let refused = fixture.lab.create_snapshot(&shared, &spec);
    assert!(matches!(
        refused,
        Err(Error::NoSnapshot {
            device_key: 2001,
            ..
        })
    ));
    behave(
        &fixture,
        Behaviour {
            physical_raw_disk: PhysicalRawDisk::SnapshotFails,
            ..Behaviour::default()
        },
    );
    let refused = fixture.lab.create_snapshot(&raw, &spec);
    assert!(matches!(
        refused,
        Err(Error::NoSnapshot {
            device_key: 2001,
            ..
        })
    ));
    assert_eq!(fixture.lab.vm(&raw).unwrap().snapshots.len(), 1);
}

#[test]
fn allocated_areas_off_vmfs_are_the_whole_disk_or_a_fault() {
    let nfs = DatastoreSpec::new("nfs", DatastoreKind::Nfs);
    let fixture = Fixture::tracked(SiteSpec::default().with_datastores([nfs]), 4 * GRAIN);
    let (snapshot, _) = fixture.landmark("s");
    let ask = || {
        fixture
            .lab
            .changed_areas(&fixture.vm, Some(&snapshot), KEY, 0, "*")
    };
    let whole = ask().unwrap();
    assert_eq!(whole.areas.len(), 1);
    assert_eq!(whole.areas[0].length_bytes, 4 * GRAIN);
    behave(
        &fixture,
        Behaviour {
            unknown_allocation: UnknownAllocation::FileFault,
            ..Behaviour::default()
        },
    );
    assert!(matches!(ask(), Err(ChangedAreasError::FileFault { .. })));
}

#[test]
fn tracking_over_snapshots_works_fails_or_leaves_out() {
    for behaviour in [
        TrackingOverSnapshots::Works,
        TrackingOverSnapshots::FileFault,
        TrackingOverSnapshots::Incomplete,
    ] {
        let fixture = Fixture::new(16 * GRAIN);
        behave(
            &fixture,
            Behaviour {
                tracking_over_snapshots: behaviour,
                ..Behaviour::default()
            },
        );
        fixture.write(2 * GRAIN, &[1; 512]);
        fixture.snapshot("before");
        fixture.lab.set_change_tracking(&fixture.vm, true).unwrap();
        fixture.write(8 * GRAIN, &[1; 512]);
        let (first, id) = fixture.landmark("s1");
        let ask = |snapshot: &str, id: &str| {
            let vm = fixture.vm.as_str();
            let page = fixture.lab.changed_areas(vm, Some(snapshot), KEY, 0, id);
            page.map(|page| {
                let areas = page.areas.iter();
                areas
                    .map(|area| area.start_bytes / GRAIN)
                    .collect::<Vec<_>>()
            })
        };
        let (second, _) = fixture.landmark("s2");
        match behaviour {
            TrackingOverSnapshots::Works => assert_eq!(ask(&first, "*").unwrap(), [2, 8]),
            TrackingOverSnapshots::Incomplete => assert_eq!(ask(&first, "*").unwrap(), [8]),
            TrackingOverSnapshots::FileFault => assert!(matches!(
                ask(&second, &id),
                Err(ChangedAreasError::FileFault { .. })
            )),
        }
    }
}

#[test]
fn over_reported_areas_still_cover_the_disk_page_by_page() {
    let site = SiteSpec {
        page_extents: 2,
        ..SiteSpec::default()
    };
    let fixture = Fixture::tracked(site, 64 * GRAIN);
    behave(
        &fixture,
        Behaviour {
            over_reported_grains: 1,
            ..Behaviour::default()
        },
    );
    let (first, id) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    let written = [0, 3, 5, 20, 40, 63];
    for grain in written {
        fixture.write(grain * GRAIN, &[1; 512]);
    }
    let (second, _) = fixture.landmark("s2");
    let (mut offset, mut told) = (0, Vec::new());
    while offset < 64 * GRAIN {
        let page = fixture
            .lab
            .changed_areas(&fixture.vm, Some(&second), KEY, offset, &id)
            .unwrap();
        assert_eq!(page.start_offset_bytes, offset);
        assert!(page.length_bytes > 0 && page.areas.len() <= 2);
        for area in &page.areas {
            assert!(area.start_bytes + area.length_bytes <= offset + page.length_bytes);
            let first = area.start_bytes / GRAIN;
            told.extend(first..first + area.length_bytes / GRAIN);
        }
        offset += page.length_bytes;
    }
    assert!(written.iter().all(|grain| told.contains(grain)), "{told:?}");
    assert!(told.len() > written.len());
}

#[test]
fn changes_are_told_by_several_grains_at_once_where_a_site_says_so() {
    let site = SiteSpec {
        page_extents: 1,
        ..SiteSpec::default()
    };
    let fixture = Fixture::tracked(site, 16 * GRAIN);
    let behaviour = Behaviour {
        grains_told_at_once: 4,
        ..Behaviour::default()
    };
    fixture.lab.set_behaviour(behaviour).unwrap();
    let (first, id) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    for grain in [1, 3, 9] {
        fixture.write(grain * GRAIN, &[1; 512]);
    }
    let (second, _) = fixture.landmark("s2");
    let mut told = std::collections::BTreeSet::new();
    let mut offset = 0;
    while offset < 16 * GRAIN {
        let page = fixture
            .lab
            .changed_areas(&fixture.vm, Some(&second), KEY, offset, &id)
            .unwrap();
        assert!(page.length_bytes > 0 && page.areas.len() <= 1);
        for area in &page.areas {
            let end = area.start_bytes + area.length_bytes;
            told.extend(area.start_bytes / GRAIN..end.div_ceil(GRAIN));
        }
        offset += page.length_bytes;
    }
    let told: Vec<u64> = told.into_iter().collect();
    assert_eq!(told, [0, 1, 2, 3, 8, 9, 10, 11]);
}

#[test]
fn what_is_allocated_is_told_by_the_blocks_of_the_datastore() {
    let block = 4 * 16; // MiB in grains.
    let datastore = DatastoreSpec::new("datastore1", DatastoreKind::Vmfs).formatted(3, 4);
    let site = SiteSpec::default().with_datastores([datastore]);
    let fixture = Fixture::with(site, (3 * block - 5) * GRAIN);
    fixture.write((block + 7) * GRAIN, &[1; 512]);
    fixture.write((3 * block - 8) * GRAIN, &[1; 512]);
    fixture.lab.set_change_tracking(&fixture.vm, true).unwrap();
    let (snapshot, _) = fixture.landmark("s1");
    let page = fixture
        .lab
        .changed_areas(&fixture.vm, Some(&snapshot), KEY, 0, "*")
        .unwrap();
    let areas: Vec<(u64, u64)> = page
        .areas
        .iter()
        .map(|area| (area.start_bytes / GRAIN, area.length_bytes / GRAIN))
        .collect();
    assert_eq!(areas, [(block, 2 * block - 5)]);
    let wrong = DatastoreSpec::new("x", DatastoreKind::Vmfs).formatted(6, 4);
    let site = SiteSpec::default().with_datastores([wrong]);
    let folder = tempfile::tempdir().unwrap();
    assert!(lab::Lab::create(&folder.path().join("lab"), site).is_err());
}
