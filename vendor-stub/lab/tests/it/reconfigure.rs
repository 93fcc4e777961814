//! Changes of VMs: disks that come, grow and go, names, and all of it or nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lab::{
    Behaviour, DatastoreKind, DatastoreSpec, Disk, DiskChange, DiskSpec, Error, PowerState,
    SiteSpec, VmChange, VmSpec,
};

use crate::{Fixture, GRAIN, KEY};

fn grow(fixture: &Fixture, capacity_bytes: u64) {
    let change = VmChange {
        disks: vec![DiskChange::Grow {
            device_key: KEY,
            capacity_bytes,
        }],
        ..VmChange::default()
    };
    fixture.lab.reconfigure(&fixture.vm, change).unwrap();
}

/// Grains told as changed since `id`, after a write before and one behind the old end.
fn told(behaviour: Behaviour, before: u64, after: u64, writes: &[u64]) -> Vec<u64> {
    let fixture = Fixture::tracked(SiteSpec::default(), before);
    fixture.lab.set_behaviour(behaviour).unwrap();
    let (first, id) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    grow(&fixture, after);
    for grain in writes {
        fixture.write(grain * GRAIN, &[1; 512]);
    }
    let (second, _) = fixture.landmark("s2");
    let page = fixture
        .lab
        .changed_areas(&fixture.vm, Some(&second), KEY, 0, &id)
        .unwrap();
    let areas = page.areas.iter();
    areas
        .flat_map(|area| {
            let first = area.start_bytes / GRAIN;
            first..first + area.length_bytes.div_ceil(GRAIN)
        })
        .collect()
}

#[test]
fn what_came_with_growth_is_told_as_changed() {
    let right = told(Behaviour::default(), 4 * GRAIN, 6 * GRAIN, &[1, 5]);
    assert_eq!(right, [1, 4, 5]);
}

#[test]
fn hot_growth_may_lose_what_is_behind_the_old_end() {
    let behaviour = Behaviour {
        hot_growth_is_not_tracked: true,
        ..Behaviour::default()
    };
    assert_eq!(told(behaviour, 4 * GRAIN, 6 * GRAIN, &[1, 5]), [1]);
}

#[test]
fn growth_over_128_gib_may_shift_the_areas() {
    let behaviour = Behaviour {
        growth_over_128_gib_shifts_areas: true,
        ..Behaviour::default()
    };
    let border = 128_u64 << 30;
    let last = border / GRAIN;
    let wrong = told(behaviour.clone(), border - GRAIN, border + GRAIN, &[1]);
    assert_eq!(wrong, [2, last]);
    let small = told(behaviour, 4 * GRAIN, 6 * GRAIN, &[1]);
    assert_eq!(small, [1, 4, 5]);
}

fn change(disks: Vec<DiskChange>) -> VmChange {
    VmChange {
        disks,
        ..VmChange::default()
    }
}

fn small() -> DiskSpec {
    DiskSpec {
        capacity_bytes: 4 * GRAIN,
        ..DiskSpec::default()
    }
}

fn add(spec: DiskSpec, unit: Option<i32>) -> DiskChange {
    DiskChange::Add {
        spec,
        controller_key: 1000,
        unit,
    }
}

fn attach(file: &str) -> DiskChange {
    DiskChange::Attach {
        file: file.into(),
        mode: "persistent".into(),
        controller_key: 1000,
        unit: None,
    }
}

/// All files of a lab's datastores with their content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_change_that_fails_late_leaves_nothing_of_what_came_before() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let (first, _) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    let datastores = fixture.lab.root().join("datastores");
    let (vm, files) = (fixture.lab.vm(&fixture.vm).unwrap(), content(&datastores));
    let grow = DiskChange::Grow {
        device_key: KEY,
        capacity_bytes: 8 * GRAIN,
    };
    let last = [
        add(small(), Some(7)),
        attach("[datastore1] nowhere/none.vmdk"),
        DiskChange::Remove {
            device_key: 2050,
            destroy: true,
        },
    ];
    for last in last {
        let disks = vec![add(small(), Some(3)), grow.clone(), last];
        let wanted = VmChange {
            name: Some("other".into()),
            annotation: Some("other".into()),
            change_tracking: Some(false),
            ..change(disks)
        };
        fixture.lab.reconfigure(&fixture.vm, wanted).unwrap_err();
        let after = fixture.lab.vm(&fixture.vm).unwrap();
        assert_eq!(format!("{after:?}"), format!("{vm:?}"));
        assert_eq!(content(&datastores), files);
    }
}

#[test]
fn a_disk_moves_from_one_vm_to_another_with_its_content_and_uuid() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let lab = &fixture.lab;
    fixture.write(GRAIN, &[7; 512]);
    let other = lab.add_vm(VmSpec {
        name: "other".into(),
        ..VmSpec::default()
    });
    let other = other.unwrap().moref;
    let mine = lab.vm(&fixture.vm).unwrap().disks.remove(0);
    let file = mine.chain[0].file.clone();
    let held = lab.reconfigure(&other, change(vec![attach(&file)]));
    assert!(matches!(held, Err(Error::Locked { .. })), "{held:?}");

    let detach = DiskChange::Remove {
        device_key: KEY,
        destroy: false,
    };
    lab.reconfigure(&fixture.vm, change(vec![detach])).unwrap();
    lab.reconfigure(&other, change(vec![attach(&file)]))
        .unwrap();
    let disk = lab.vm(&other).unwrap().disks.remove(0);
    assert_eq!(disk.disk_uuid, mine.disk_uuid);
    assert_eq!(disk.capacity_bytes, 4 * GRAIN);
    assert_eq!(disk.chain[0].file, file);
    let path = lab.resolve_disk(&other, None, &file).unwrap();
    assert_eq!(crate::read_disk(&path)[GRAIN as usize], 7);
    let again = lab.reconfigure(&other, change(vec![attach(&file)]));
    assert!(matches!(again, Err(Error::Locked { .. })), "{again:?}");
}

#[test]
fn a_disk_with_snapshots_below_it_is_attached_with_its_whole_chain() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let lab = &fixture.lab;
    fixture.landmark("s1");
    fixture.write(0, &[9; 512]);
    fixture.landmark("s2");
    let frozen = lab.vm(&fixture.vm).unwrap().snapshots.remove(1).disks;
    let other = lab.add_vm(VmSpec {
        name: "other".into(),
        ..VmSpec::default()
    });
    let other = other.unwrap().moref;
    // What is frozen nobody writes to: a running VM may read it.
    let file = frozen[0].chain[1].file.clone();
    lab.reconfigure(&other, change(vec![attach(&file)]))
        .unwrap();
    let disk = lab.vm(&other).unwrap().disks.remove(0);
    let files = |disk: &Disk| -> Vec<String> {
        let links = disk.chain.iter();
        links.map(|link| link.file.clone()).collect()
    };
    assert_eq!(files(&disk), files(&frozen[0]));
}

#[test]
fn a_disk_that_came_later_is_tracked_from_the_next_stun_cycle_on() {
    let fixture = Fixture::tracked(SiteSpec::default(), 4 * GRAIN);
    let lab = &fixture.lab;
    fixture.landmark("s1");
    lab.reconfigure(&fixture.vm, change(vec![add(small(), None)]))
        .unwrap();
    let untracked = lab.vm(&fixture.vm).unwrap();
    assert!(untracked.disks[1].top().unwrap().tracking.is_none());
    fixture.landmark("s2");
    let snapshots = lab.vm(&fixture.vm).unwrap().snapshots;
    assert!(snapshots[1].disks[1].change_id.is_some());
}

#[test]
fn a_disk_is_not_destroyed_as_long_as_a_snapshot_needs_it() {
    let fixture = Fixture::new(4 * GRAIN);
    let (snapshot, _) = fixture.snapshot("s1");
    let destroy = DiskChange::Remove {
        device_key: KEY,
        destroy: true,
    };
    fixture
        .lab
        .reconfigure(&fixture.vm, change(vec![destroy]))
        .unwrap();
    assert_eq!(fixture.read(Some(&snapshot)), vec![0; 4 * GRAIN as usize]);
    assert_eq!(fixture.files(), ["app01-flat.vmdk", "app01.vmdk"]);
}

#[test]
fn names_are_taken_within_a_folder_only_and_files_go_where_they_are_wanted() {
    let site = SiteSpec::default().with_datastores([
        DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
        DatastoreSpec::new("fast", DatastoreKind::Vmfs),
    ]);
    let fixture = Fixture::with(site, GRAIN);
    let lab = &fixture.lab;
    let spec = |folder: Option<&str>, home: Option<&str>| VmSpec {
        name: "app01".into(),
        disks: vec![small()],
        folder: folder.map(Into::into),
        home: home.map(Into::into),
        ..VmSpec::default()
    };
    let taken = lab.add_vm(spec(None, Some("[fast]"))).unwrap_err();
    assert!(matches!(&taken, Error::DuplicateName { vm, .. } if *vm == fixture.vm));
    let place = |folder: &str, home: Option<&str>| {
        let vm = lab.add_vm(spec(Some(folder), home)).unwrap();
        (vm.vmx_path, vm.disks[0].chain[0].file.clone())
    };
    let pair = |vmx: &str, disk: &str| (vmx.to_owned(), disk.to_owned());
    assert_eq!(
        place("a", None),
        pair(
            "[datastore1] app01_1/app01_1.vmx",
            "[datastore1] app01_1/app01_1.vmdk"
        )
    );
    assert_eq!(
        place("b", Some("[fast]")),
        pair("[fast] app01/app01.vmx", "[fast] app01/app01.vmdk")
    );
    assert_eq!(
        place("c", Some("[fast] restored/x.vmx")),
        pair("[fast] restored/x.vmx", "[fast] restored/x.vmdk")
    );
    let there = lab.add_vm(spec(Some("d"), Some("[fast] restored/x.vmx")));
    assert!(matches!(there, Err(Error::AlreadyExists { .. })));
    for home in ["[none]", "[fast] ../x", "[fast] x.vmx", "fast", "[fast"] {
        let refused = lab.add_vm(spec(Some("d"), Some(home)));
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{home}");
    }
}

#[test]
fn a_vm_goes_with_its_own_files_only() {
    let fixture = Fixture::new(GRAIN);
    let folder = fixture.lab.root().join("datastores/datastore1/app01");
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    fixture
        .lab
        .set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    fixture.lab.destroy_vm(&fixture.vm).unwrap();
    let left: Vec<_> = content(&folder).into_keys().collect();
    assert_eq!(left, [folder.join("notes.txt")]);
}

#[test]
fn nvram_comes_with_the_first_power_on_and_is_not_written_over() {
    let fixture = Fixture::new(GRAIN);
    let lab = &fixture.lab;
    let vm = lab.add_vm(VmSpec {
        name: "new".into(),
        powered_on: false,
        ..VmSpec::default()
    });
    let vm = vm.unwrap().moref;
    let nvram = lab.root().join("datastores/datastore1/new/new.nvram");
    assert!(!nvram.exists());
    lab.set_power_state(&vm, PowerState::PoweredOn).unwrap();
    assert!(nvram.exists());
    std::fs::write(&nvram, "uploaded").unwrap();
    lab.set_power_state(&vm, PowerState::PoweredOff).unwrap();
    lab.set_power_state(&vm, PowerState::PoweredOn).unwrap();
    assert_eq!(std::fs::read_to_string(&nvram).unwrap(), "uploaded");
}
