//! The changed-areas query: answers, pages, faults.

use lab::{
    Area, ChangedAreas, ChangedAreasError, DatastoreKind, DatastoreSpec, Lab, PowerState, SiteSpec,
    SnapshotSpec,
};

use crate::{Fixture, GRAIN, KEY};

fn grains(start: u64, count: u64) -> Area {
    Area {
        start_bytes: start * GRAIN,
        length_bytes: count * GRAIN,
    }
}

fn query(
    fixture: &Fixture,
    snapshot: &str,
    start_bytes: u64,
    id: &str,
) -> Result<ChangedAreas, ChangedAreasError> {
    fixture
        .lab
        .changed_areas(&fixture.vm, Some(snapshot), KEY, start_bytes, id)
}

/// Walks over all pages as a client does. Returns the areas and how many pages there were.
fn walk(
    fixture: &Fixture,
    snapshot: &str,
    id: &str,
    capacity_bytes: u64,
) -> (Vec<Area>, Vec<usize>) {
    let (mut areas, mut pages, mut offset) = (Vec::new(), Vec::new(), 0);
    while offset < capacity_bytes {
        let page = query(fixture, snapshot, offset, id).unwrap();
        assert_eq!(page.start_offset_bytes, offset);
        assert!(page.length_bytes > 0);
        let end = offset + page.length_bytes;
        assert!(page.areas.iter().all(|area| area.length_bytes > 0));
        assert!(
            page.areas
                .iter()
                .all(|area| offset <= area.start_bytes
                    && area.start_bytes + area.length_bytes <= end)
        );
        pages.push(page.areas.len());
        areas.extend(page.areas);
        offset = end;
    }
    assert_eq!(offset, capacity_bytes);
    (areas, pages)
}

#[test]
fn a_query_answers_what_was_written_between() {
    let fixture = Fixture::tracked(SiteSpec::default(), 32 * GRAIN);
    fixture.write(0, &[1; 512]);
    let (first, id1) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    fixture.write(3 * GRAIN + 512, &[2; 512]);
    fixture.write(6 * GRAIN - 512, &[2; 1024]);
    fixture
        .lab
        .guest_unmap(&fixture.vm, KEY, 20 * GRAIN, 512)
        .unwrap();
    let (second, id2) = fixture.landmark("s2");
    // Later writes do not show.
    fixture.write(30 * GRAIN, &[3; 512]);
    let page = query(&fixture, &second, 0, &id1).unwrap();
    assert_eq!(page.length_bytes, 32 * GRAIN);
    assert_eq!(page.areas, [grains(3, 1), grains(5, 2), grains(20, 1)]);
    assert_eq!(query(&fixture, &second, 0, &id2).unwrap().areas, []);

    fixture.lab.remove_snapshot(&second, false).unwrap();
    let (third, _) = fixture.landmark("s3");
    // Ids stay usable when their snapshots are gone.
    assert_eq!(
        query(&fixture, &third, 0, &id2).unwrap().areas,
        [grains(30, 1)]
    );
    assert_eq!(
        query(&fixture, &third, 4 * GRAIN, &id1).unwrap().areas,
        [grains(5, 2), grains(20, 1), grains(30, 1)]
    );
}

#[test]
fn a_start_inside_a_grain_cuts_its_area() {
    let fixture = Fixture::tracked(SiteSpec::default(), 8 * GRAIN);
    let (_, id) = fixture.landmark("s1");
    fixture.write(GRAIN, &[1; 512]);
    let (second, _) = fixture.landmark("s2");
    let page = query(&fixture, &second, GRAIN + 512, &id).unwrap();
    assert_eq!(
        page.areas,
        [Area {
            start_bytes: GRAIN + 512,
            length_bytes: GRAIN - 512
        }]
    );
    assert_eq!(page.length_bytes, 7 * GRAIN - 512);
}

#[test]
fn the_last_area_ends_with_the_disk() {
    let capacity = 5 * GRAIN + 3 * 512;
    let fixture = Fixture::tracked(SiteSpec::default(), capacity);
    let (_, id) = fixture.landmark("s1");
    fixture.write(capacity - 512, &[1; 512]);
    let (second, _) = fixture.landmark("s2");
    let tail = Area {
        start_bytes: 5 * GRAIN,
        length_bytes: 3 * 512,
    };
    assert_eq!(query(&fixture, &second, 0, &id).unwrap().areas, [tail]);
    let last = query(&fixture, &second, capacity - 512, &id).unwrap();
    assert_eq!((last.length_bytes, last.areas[0].length_bytes), (512, 512));
    assert_eq!(
        fixture.read(Some(&second))[capacity as usize - 512..],
        [1; 512]
    );
    let all = query(&fixture, &second, 0, "*").unwrap();
    assert_eq!((all.length_bytes, all.areas), (capacity, vec![tail]));
}

#[test]
fn pages_cover_exactly_what_they_examined() {
    let capacity = 64 * GRAIN;
    let fixture = Fixture::tracked(
        SiteSpec {
            page_extents: 3,
            ..SiteSpec::default()
        },
        capacity,
    );
    let (_, id) = fixture.landmark("s1");
    for grain in [1, 3, 4, 7, 20, 22, 40] {
        fixture.write(grain * GRAIN, &[1; 512]);
    }
    let (second, _) = fixture.landmark("s2");
    let page = query(&fixture, &second, 0, &id).unwrap();
    assert_eq!(page.areas, [grains(1, 1), grains(3, 2), grains(7, 1)]);
    assert_eq!(page.length_bytes, 8 * GRAIN);
    for id in [id.as_str(), "*"] {
        let (areas, pages) = walk(&fixture, &second, id, capacity);
        assert_eq!(
            areas,
            [
                grains(1, 1),
                grains(3, 2),
                grains(7, 1),
                grains(20, 1),
                grains(22, 1),
                grains(40, 1)
            ]
        );
        assert_eq!(pages, [3, 3]);
    }
}

#[test]
fn pages_of_limited_span_may_be_empty_in_the_middle() {
    let capacity = 64 * GRAIN + 512;
    let site = SiteSpec {
        page_span_bytes: Some(10 * GRAIN + 512),
        ..SiteSpec::default()
    };
    let fixture = Fixture::tracked(site, capacity);
    let (_, id) = fixture.landmark("s1");
    for grain in [0, 10, 63] {
        fixture.write(grain * GRAIN, &[1; 512]);
    }
    let (second, _) = fixture.landmark("s2");
    for id in [id.as_str(), "*"] {
        let (areas, pages) = walk(&fixture, &second, id, capacity);
        assert_eq!(pages, [2, 1, 0, 0, 0, 0, 1]);
        let total: u64 = areas.iter().map(|area| area.length_bytes).sum();
        assert_eq!(total, 3 * GRAIN);
    }
}

#[test]
fn star_answers_the_allocated_areas_on_vmfs() {
    let fixture = Fixture::tracked(SiteSpec::default(), 32 * GRAIN);
    fixture.write(4 * GRAIN, &[1; 512]);
    fixture.snapshot("s1");
    fixture.write(9 * GRAIN, &[1; 512]);
    let (second, _) = fixture.snapshot("s2");
    fixture.write(12 * GRAIN, &[1; 512]);
    let page = query(&fixture, &second, 0, "*").unwrap();
    assert_eq!(
        (page.length_bytes, page.areas),
        (32 * GRAIN, vec![grains(4, 1), grains(9, 1)])
    );
}

#[test]
fn star_answers_the_whole_disk_elsewhere() {
    let whole = |start: u64| ChangedAreas {
        start_offset_bytes: start,
        length_bytes: 32 * GRAIN - start,
        areas: vec![Area {
            start_bytes: start,
            length_bytes: 32 * GRAIN - start,
        }],
    };
    for kind in [DatastoreKind::Nfs, DatastoreKind::Vsan] {
        let datastores = vec![DatastoreSpec::new("d", kind)];
        let fixture = Fixture::tracked(
            SiteSpec {
                datastores,
                ..SiteSpec::default()
            },
            32 * GRAIN,
        );
        let (snapshot, _) = fixture.landmark("s1");
        assert_eq!(query(&fixture, &snapshot, 512, "*").unwrap(), whole(512));
    }
}

#[test]
fn star_needs_a_disk_that_is_tracked() {
    let fixture = Fixture::new(32 * GRAIN);
    let (early, _) = fixture.snapshot("s1");
    let refused = query(&fixture, &early, 0, "*").unwrap_err();
    assert!(
        matches!(
            refused,
            ChangedAreasError::InvalidArgument {
                property: "deviceKey"
            }
        ),
        "{refused:?}"
    );
    // Tracked since: the snapshot is older than that, and what it holds is not known.
    fixture.lab.set_change_tracking(&fixture.vm, true).unwrap();
    let (late, _) = fixture.snapshot("s2");
    let page = query(&fixture, &early, 0, "*").unwrap();
    assert_eq!(page.areas, [grains(0, 32)]);
    assert!(query(&fixture, &late, 0, "*").unwrap().areas.is_empty());
}

#[test]
fn wrong_arguments_are_named() {
    let fixture = Fixture::tracked(SiteSpec::default(), 8 * GRAIN);
    let (first, id1) = fixture.landmark("s1");
    let (second, id2) = fixture.landmark("s2");
    let property = |key: i32, snapshot: Option<&str>, start: u64, id: &str| match fixture
        .lab
        .changed_areas(&fixture.vm, snapshot, key, start, id)
    {
        Err(ChangedAreasError::InvalidArgument { property }) => property,
        other => panic!("{other:?}"),
    };
    let second = Some(second.as_str());
    assert_eq!(property(2001, second, 0, &id1), "deviceKey");
    assert_eq!(property(-1, second, 0, "*"), "deviceKey");
    for start in [8 * GRAIN, 8 * GRAIN + 512, u64::MAX] {
        assert_eq!(property(KEY, second, start, &id1), "startOffset");
        assert_eq!(property(KEY, second, start, "*"), "startOffset");
    }
    let foreign = "52 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00/1";
    let uuid = id1.rsplit_once('/').unwrap().0;
    let newer = format!("{uuid}/3");
    for id in [
        "",
        "/",
        "**",
        "1",
        uuid,
        foreign,
        &newer,
        &format!("{uuid}/-1"),
        &format!("{uuid}/99999999999"),
    ] {
        assert_eq!(property(KEY, second, 0, id), "changeId", "{id:?}");
    }
    assert_eq!(property(KEY, Some(&first), 0, &id2), "changeId");
    // Without a snapshot only for a VM that is off.
    assert_eq!(property(KEY, None, 0, &id1), "snapshot");
    fixture
        .lab
        .set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    fixture.write(GRAIN, &[1; 512]);
    let page = fixture
        .lab
        .changed_areas(&fixture.vm, None, KEY, 0, &id2)
        .unwrap();
    assert_eq!(page.areas, [grains(1, 1)]);
}

#[test]
fn a_disk_without_tracking_takes_no_ids() {
    let fixture = Fixture::new(8 * GRAIN);
    let (snapshot, _) = fixture.snapshot("s1");
    let refused = query(&fixture, &snapshot, 0, "52 00/1");
    assert!(matches!(
        refused,
        Err(ChangedAreasError::InvalidArgument {
            property: "deviceKey"
        })
    ));
}

#[test]
fn unknown_objects_are_not_found() {
    let fixture = Fixture::tracked(SiteSpec::default(), 8 * GRAIN);
    let (snapshot, id) = fixture.landmark("s1");
    let ask =
        |lab: &Lab, vm: &str, snapshot: &str| lab.changed_areas(vm, Some(snapshot), KEY, 0, &id);
    assert!(matches!(
        ask(&fixture.lab, "vm-1", &snapshot),
        Err(ChangedAreasError::NotFound)
    ));
    assert!(matches!(
        ask(&fixture.lab, &fixture.vm, "snapshot-1"),
        Err(ChangedAreasError::NotFound)
    ));
    fixture.lab.remove_snapshot(&snapshot, false).unwrap();
    assert!(matches!(
        ask(&fixture.lab, &fixture.vm, &snapshot),
        Err(ChangedAreasError::NotFound)
    ));
}

#[test]
fn a_lost_or_damaged_map_is_a_file_fault() {
    let fixture = Fixture::tracked(SiteSpec::default(), 8 * GRAIN);
    let (snapshot, id) = fixture.landmark("s1");
    let map = fixture
        .lab
        .root()
        .join("datastores/datastore1/app01/app01-ctk.vmdk");
    for damage in [true, false] {
        if damage {
            std::fs::write(&map, "damage").unwrap();
        } else {
            std::fs::remove_file(&map).unwrap();
        }
        let fault = query(&fixture, &snapshot, 0, &id);
        assert!(
            matches!(fault, Err(ChangedAreasError::FileFault { file }) if file == "[datastore1] app01/app01.vmdk")
        );
    }
    // Removing the snapshot still works, and tracking goes on with the map of the child.
    fixture.lab.remove_snapshot(&snapshot, false).unwrap();
    let (second, _) = fixture.landmark("s2");
    assert_eq!(query(&fixture, &second, 0, &id).unwrap().areas, []);
}

#[test]
fn a_guest_write_marks_before_it_writes() {
    let fixture = Fixture::tracked(SiteSpec::default(), 8 * GRAIN);
    let (first, id) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    let flat = fixture
        .lab
        .root()
        .join("datastores/datastore1/app01/app01-flat.vmdk");
    let hidden = flat.with_extension("hidden");
    std::fs::rename(&flat, &hidden).unwrap();
    assert!(
        fixture
            .lab
            .guest_write(&fixture.vm, KEY, 0, &[1; 512])
            .is_err()
    );
    std::fs::rename(&hidden, &flat).unwrap();
    let second = fixture
        .lab
        .create_snapshot(&fixture.vm, &SnapshotSpec::named("s2"))
        .unwrap();
    assert_eq!(
        query(&fixture, &second.moref, 0, &id).unwrap().areas,
        [grains(0, 1)]
    );
}
