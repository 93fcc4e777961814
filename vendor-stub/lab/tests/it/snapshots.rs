//! Snapshots: chains, merging, holds.

use std::process::Command;

use lab::{DiskSpec, Error, PowerState, SnapshotSpec, VmSpec};

use crate::{Fixture, GRAIN, KEY};

const CAPACITY: u64 = 8 * GRAIN + 1536;

/// Moref of a snapshot, and what the disk held then.
type Frozen = (String, Vec<u8>);

/// A VM with the snapshots s1, s2, s3 and a write before each and after the last. Returns the
/// snapshots with what the disk held then, and what it holds now.
fn three() -> (Fixture, Vec<Frozen>, Vec<u8>) {
    let fixture = Fixture::new(CAPACITY);
    let mut content = vec![0; CAPACITY as usize];
    let mut snapshots = Vec::new();
    for turn in 0..4u8 {
        let offset = u64::from(turn) * 2 * GRAIN + 512;
        for (offset, length) in [(offset, GRAIN), (GRAIN / 2, 512), (CAPACITY - 1024, 1024)] {
            let data = vec![turn + 1; length.min(CAPACITY - offset) as usize / 512 * 512];
            fixture.write(offset, &data);
            content[offset as usize..][..data.len()].copy_from_slice(&data);
        }
        if turn > 0 {
            let hole = (u64::from(turn) - 1) * 2 * GRAIN;
            fixture
                .lab
                .guest_unmap(&fixture.vm, KEY, hole, GRAIN)
                .unwrap();
            content[hole as usize..][..GRAIN as usize].fill(0);
        }
        if turn < 3 {
            let (moref, _) = fixture.snapshot(&format!("s{}", turn + 1));
            snapshots.push((moref, content.clone()));
        }
    }
    (fixture, snapshots, content)
}

fn check(fixture: &Fixture, snapshots: &[Frozen], now: &[u8]) {
    for (moref, content) in snapshots {
        assert!(fixture.read(Some(moref)) == *content, "{moref}");
    }
    assert!(fixture.read(None) == now, "running state");
}

#[test]
fn a_snapshot_freezes_the_disk() {
    let (fixture, snapshots, now) = three();
    check(&fixture, &snapshots, &now);
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    let files: Vec<_> = vm.disks[0]
        .chain
        .iter()
        .map(|link| link.file.as_str())
        .collect();
    let delta = |number: u32| format!("[datastore1] app01/app01-00000{number}.vmdk");
    assert_eq!(
        files,
        [
            "[datastore1] app01/app01.vmdk",
            &delta(1),
            &delta(2),
            &delta(3)
        ]
    );
    let morefs: Vec<_> = vm
        .snapshots
        .iter()
        .map(|snapshot| snapshot.moref.as_str())
        .collect();
    assert_eq!(morefs, ["snapshot-2044", "snapshot-2045", "snapshot-2046"]);
    assert_eq!(vm.snapshots[2].parent.as_deref(), Some("snapshot-2045"));
    assert_eq!(vm.current_snapshot.as_deref(), Some("snapshot-2046"));
    assert_eq!(
        vm.snapshots
            .iter()
            .map(|snapshot| snapshot.id)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(vm.snapshots[0].disks[0].chain.len(), 1);
    assert_eq!(
        fixture.lab.vm_by_snapshot("snapshot-2045").unwrap().moref,
        fixture.vm
    );
    // No tracking, no change id.
    assert!(
        vm.snapshots
            .iter()
            .all(|snapshot| snapshot.disks[0].change_id.is_none())
    );
}

#[test]
fn every_order_of_removal_keeps_the_rest() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let (fixture, mut snapshots, now) = three();
        let morefs: Vec<String> = snapshots.iter().map(|(moref, _)| moref.clone()).collect();
        for position in order {
            fixture
                .lab
                .remove_snapshot(&morefs[position], false)
                .unwrap();
            snapshots.retain(|(moref, _)| *moref != morefs[position]);
            check(&fixture, &snapshots, &now);
            // The running state goes on in a link that can be written.
            fixture.write(3 * GRAIN, &[0; 0]);
            let vm = fixture.lab.vm(&fixture.vm).unwrap();
            let last = snapshots.last().map(|(moref, _)| moref.clone());
            assert_eq!(
                (vm.current_snapshot, vm.consolidation_needed),
                (last, false),
                "{order:?}"
            );
            assert_eq!(vm.disks[0].chain.len(), snapshots.len() + 1);
        }
        assert_eq!(
            fixture.files(),
            ["app01-flat.vmdk", "app01.vmdk"],
            "{order:?}"
        );
    }
}

#[test]
fn children_go_with_their_parent_if_asked() {
    let (fixture, mut snapshots, now) = three();
    fixture.lab.remove_snapshot(&snapshots[1].0, true).unwrap();
    snapshots.truncate(1);
    check(&fixture, &snapshots, &now);
    assert_eq!(
        fixture.files(),
        ["app01-000001.vmdk", "app01-flat.vmdk", "app01.vmdk"]
    );
    fixture.lab.remove_snapshot(&snapshots[0].0, true).unwrap();
    check(&fixture, &[], &now);
    let again = fixture.lab.remove_snapshot(&snapshots[0].0, false);
    assert!(matches!(again, Err(Error::NotFound { .. })));
}

#[test]
fn writes_after_a_middle_removal_go_to_a_chain_that_still_opens() {
    let (fixture, snapshots, mut now) = three();
    fixture.lab.remove_snapshot(&snapshots[1].0, false).unwrap();
    fixture.write(GRAIN, &[9; 512]);
    now[GRAIN as usize..][..512].fill(9);
    let (newest, _) = fixture.snapshot("s4");
    let kept = [
        snapshots[0].clone(),
        snapshots[2].clone(),
        (newest, now.clone()),
    ];
    check(&fixture, &kept, &now);
}

#[test]
fn a_held_link_is_not_merged_until_it_is_free() {
    let (fixture, snapshots, now) = three();
    let frozen = "[datastore1] app01/app01-000001.vmdk";
    let path = fixture
        .lab
        .resolve_disk(&fixture.vm, Some(&snapshots[1].0), frozen)
        .unwrap();
    let first = fixture.lab.disk_lock(&path).unwrap();
    let second = lab::Lab::open(fixture.lab.root())
        .unwrap()
        .disk_lock(&path)
        .unwrap();

    let refused = fixture.lab.remove_snapshot(&snapshots[1].0, false);
    assert!(matches!(refused, Err(Error::Locked { file }) if file == frozen));
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    assert!(vm.consolidation_needed && vm.snapshot(&snapshots[1].0).is_none());
    assert_eq!(vm.disks[0].chain.len(), 4);
    check(
        &fixture,
        &[snapshots[0].clone(), snapshots[2].clone()],
        &now,
    );
    // The reader's links are the base too; a link above is not.
    let refused = fixture.lab.remove_snapshot(&snapshots[0].0, false);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    drop(first);
    assert!(matches!(
        fixture.lab.consolidate(&fixture.vm),
        Err(Error::Locked { .. })
    ));
    drop(second);
    fixture.lab.consolidate(&fixture.vm).unwrap();
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    assert!(!vm.consolidation_needed);
    assert_eq!(vm.disks[0].chain.len(), 2);
    check(&fixture, &[snapshots[2].clone()], &now);
}

#[test]
fn a_hold_covers_the_links_below() {
    let (fixture, snapshots, now) = three();
    let frozen = "[datastore1] app01/app01-000002.vmdk";
    let path = fixture
        .lab
        .resolve_disk(&fixture.vm, Some(&snapshots[2].0), frozen)
        .unwrap();
    let hold = fixture.lab.disk_lock(&path).unwrap();
    let refused = fixture.lab.remove_snapshot(&snapshots[0].0, false);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    check(&fixture, &snapshots[1..], &now);
    drop(hold);
    fixture.lab.consolidate(&fixture.vm).unwrap();
    check(&fixture, &snapshots[1..], &now);
}

#[test]
fn a_hold_elsewhere_is_no_obstacle() {
    let (fixture, snapshots, now) = three();
    let base = fixture
        .lab
        .root()
        .join("datastores/datastore1/app01/app01.vmdk");
    let hold = fixture.lab.disk_lock(&base).unwrap();
    fixture.lab.remove_snapshot(&snapshots[2].0, false).unwrap();
    drop(hold);
    check(&fixture, &snapshots[..2], &now);
}

#[test]
fn independent_disks_are_left_out() {
    let fixture = Fixture::new(GRAIN);
    let disk = |mode: &str| DiskSpec {
        capacity_bytes: GRAIN,
        mode: mode.into(),
        ..DiskSpec::default()
    };
    let disks = vec![disk("persistent"), disk("independent_persistent")];
    let spec = VmSpec {
        name: "app02".into(),
        disks,
        ..VmSpec::default()
    };
    let vm = fixture.lab.add_vm(spec).unwrap().moref;
    fixture.lab.set_change_tracking(&vm, true).unwrap();
    let snapshot = fixture
        .lab
        .create_snapshot(&vm, &SnapshotSpec::named("s"))
        .unwrap();
    assert!(snapshot.disks[0].change_id.is_some() && snapshot.disks[1].change_id.is_none());
    let running = fixture.lab.vm(&vm).unwrap().disks;
    assert_eq!((running[0].chain.len(), running[1].chain.len()), (2, 1));
    assert_eq!(snapshot.disks[1], running[1]);
    fixture.lab.remove_snapshot(&snapshot.moref, false).unwrap();
}

#[test]
fn the_record_of_a_snapshot_is_that_of_its_moment() {
    let fixture = Fixture::new(GRAIN);
    let spec = SnapshotSpec {
        name: "n".into(),
        description: "d".into(),
        quiesce: true,
        ..SnapshotSpec::default()
    };
    let on = fixture.lab.create_snapshot(&fixture.vm, &spec).unwrap();
    assert!(on.quiesced && on.create_time.ends_with('Z') && on.create_time.contains('T'));
    fixture
        .lab
        .set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    assert!(
        !fixture
            .lab
            .create_snapshot(&fixture.vm, &spec)
            .unwrap()
            .quiesced
    );
    let before = fixture.lab.vm(&fixture.vm).unwrap();
    assert_ne!(before.change_version, on.change_version);
    assert!(matches!(
        fixture.lab.create_snapshot("vm-1", &spec),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn content_ids_change_with_the_content() {
    let fixture = Fixture::new(GRAIN);
    let id = || {
        fixture.lab.vm(&fixture.vm).unwrap().disks[0]
            .top()
            .unwrap()
            .content_id
            .clone()
    };
    let before = id();
    assert_eq!(before.len(), 32);
    fixture.write(0, &[1; 512]);
    assert_ne!(id(), before);
}

/// Compares a disk with its expected content by a program that is not ours.
fn judge(fixture: &Fixture, snapshot: Option<&str>, content: &[u8]) {
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    let disks = snapshot.map_or(&vm.disks, |moref| &vm.snapshot(moref).unwrap().disks);
    let file = &disks[0].top().unwrap().file;
    let disk = fixture
        .lab
        .resolve_disk(&fixture.vm, snapshot, file)
        .unwrap();
    let raw = fixture.folder.path().join("expected.raw");
    std::fs::write(&raw, content).unwrap();
    let result = Command::new("qemu-img")
        .args(["compare", "-f", "vmdk", "-F", "raw"])
        .args([&disk, &raw])
        .output()
        .unwrap();
    assert!(result.status.success(), "{result:?}");
}

#[test]
fn merged_chains_stand_the_judgement_of_qemu() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped: qemu-img not found");
        return;
    }
    let (fixture, snapshots, now) = three();
    fixture.lab.remove_snapshot(&snapshots[1].0, false).unwrap();
    for (moref, content) in [&snapshots[0], &snapshots[2]] {
        judge(&fixture, Some(moref), content);
    }
    judge(&fixture, None, &now);
}

#[test]
fn a_merge_that_was_cut_off_is_finished_later() {
    let fixture = Fixture::new(CAPACITY);
    let (snapshot, _) = fixture.snapshot("s");
    fixture.write(0, &vec![7; 2 * GRAIN as usize]);
    let now = fixture.read(None);
    // The first grain went down, then the process died: the base has another content id now.
    let base = fixture
        .lab
        .root()
        .join("datastores/datastore1/app01/app01.vmdk");
    let options = vmdk::OpenOptions {
        write: true,
        ..vmdk::OpenOptions::default()
    };
    let mut disk = vmdk::Disk::open(&base, options).unwrap();
    disk.write_at(0, &vec![7; GRAIN as usize]).unwrap();
    drop(disk);
    fixture.lab.remove_snapshot(&snapshot, false).unwrap();
    assert!(fixture.read(None) == now);
}

#[test]
fn a_branch_that_the_vm_left_goes_with_its_last_snapshot() {
    let (fixture, snapshots, _) = three();
    let [(first, content), (second, _), (third, _)] = snapshots.as_slice() else {
        panic!("there are three");
    };
    fixture.lab.revert_to_snapshot(first).unwrap();
    fixture.lab.remove_snapshot(third, false).unwrap();
    fixture.lab.remove_snapshot(second, false).unwrap();
    assert!(fixture.read(Some(first)) == *content);
    fixture.lab.remove_snapshot(first, false).unwrap();
    assert!(fixture.read(None) == *content, "running state");
    let left: Vec<String> = fixture.files();
    assert!(!left.iter().any(|file| file.contains("-00000")), "{left:?}");
}
