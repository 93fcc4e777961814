//! Where VDDK cannot tell what is allocated: vSphere is asked with `*`, under each of its conditions or not at all.

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome, stand_in_library};
use lab::{
    Behaviour, BlocksLie, DatastoreKind, Fault, KitSpec, Lie, SnapshotSpec, TrackingOverSnapshots,
};
use serde_json::Value;

const FIRST: i32 = 2000;
const SECOND: i32 = 2001;
const MIB: u64 = 1 << 20;

/// A bench whose library is that of VDDK 6.5, which has no question for allocated areas.
fn with_old_library(options: &BenchOptions) -> Result<Bench> {
    let mut bench = Bench::with(options)?;
    let kit = bench.path("old-kit");
    bench
        .lab
        .install_kit_in(&stand_in_library()?, &KitSpec::release_6_5(), &kit)?;
    bench.kit = kit;
    let _ = bench.init()?.expect_code(0);
    Ok(bench)
}

/// How often vSphere was asked what is allocated.
fn stars(bench: &Bench) -> Result<usize> {
    let calls = bench.calls()?;
    let asked = calls.of("vcenter", "QueryChangedDiskAreas").into_iter();
    Ok(asked.filter(|entry| entry.args["changeId"] == "*").count())
}

/// What a point says of who told what is allocated.
fn told(bench: &Bench, made: &Outcome, device_key: i32) -> Result<Value> {
    let shown = bench.run(bench.repository_arguments("show", &[&made.point()]))?;
    let shown = shown.expect_code(0).result();
    let mut disks = shown["point"]["disks"].as_array().into_iter().flatten();
    let disk = disks.find(|disk| disk["device_key"] == device_key);
    Ok(disk.map_or(Value::Null, |disk| disk["coverage"]["allocation"].clone()))
}

/// All of the disk was read, and the point says of nobody that he told what is allocated.
#[track_caller]
fn assert_read_whole(bench: &Bench, made: &Outcome, device_key: i32) -> Result<()> {
    let disk = made.disk(device_key);
    assert_eq!(disk.text("action"), "full", "{made:#?}");
    let capacity = bench.capacity_bytes(device_key)?;
    assert_eq!(disk.bytes("read_bytes"), capacity, "{made:#?}");
    assert_eq!(told(bench, made, device_key)?, Value::Null);
    Ok(())
}

fn count(made: &Outcome, kind: &str) -> usize {
    let events = made.events();
    events.iter().filter(|event| *event == kind).count()
}

#[test]
fn what_an_old_library_cannot_tell_vsphere_tells() -> Result<()> {
    let options = BenchOptions {
        page_extents: 3,
        ..BenchOptions::default()
    };
    let mut usual = Bench::with(&options)?;
    let _ = usual.init()?.expect_code(0);
    let by_vddk = usual.backup(&[])?.expect_code(0);
    let said = told(&usual, &by_vddk, FIRST)?;
    assert_eq!(said["method"], "query-allocated-blocks", "{said}");

    let mut bench = with_old_library(&options)?;
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        full.events(),
        [
            "tracking-on",
            "allocation-by-vsphere",
            "allocation-by-vsphere"
        ]
    );
    for key in [FIRST, SECOND] {
        let read = full.disk(key).bytes("read_bytes");
        assert!(read < bench.capacity_bytes(key)?, "{full:#?}");
        assert_eq!(read, by_vddk.disk(key).bytes("read_bytes"));
        let said = told(&bench, &full, key)?;
        assert_eq!(said["method"], "query-changed-disk-areas", "{said}");
        assert!(said["pages"].as_u64() > Some(1), "{said}");
    }
    let shown = bench.repository_arguments("show", &[&full.point()]);
    let shown = bench.run(shown.into_iter().filter(|word| word != "--json"))?;
    assert!(
        shown
            .stdout
            .contains("allocation told by vSphere, asked with *"),
        "{shown:#?}"
    );
    bench.assert_put_back()?;

    // With an id that is saved it is asked for changes only, and for nothing else in a full.
    let asked = stars(&bench)?;
    assert!(asked > 2);
    bench.guest_write(FIRST, 3 * MIB, &[7; 4096])?;
    bench.guest_unmap(SECOND, MIB, MIB)?;
    let increment = bench.backup(&[])?.expect_code(0);
    assert_eq!(increment.result()["kind"], "incremental", "{increment:#?}");
    assert_eq!(told(&bench, &increment, FIRST)?, Value::Null);
    let again = bench.backup(&["--full"])?.expect_code(0);
    assert_read_whole(&bench, &again, FIRST)?;
    assert_eq!(count(&again, "allocation-unknown"), 2, "{again:#?}");
    let audit = bench.audit(&["--full"])?.expect_code(0);
    assert_eq!(audit.result()["mismatch"], false, "{audit:#?}");
    assert_eq!(stars(&bench)?, asked);
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn after_a_refusal_of_the_library_it_is_asked_too_and_its_refusal_is_a_whole_read() -> Result<()> {
    let refused = Fault {
        call: "VixDiskLib_QueryAllocatedBlocks".to_owned(),
        count: Some(0),
        code: Some(6),
        ..Fault::default()
    };
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let star = Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        fault: Some("FileFault".to_owned()),
        ..Fault::default()
    };
    bench.order(&[refused, star])?;
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        full.events(),
        ["tracking-on", "allocation-unknown", "allocation-by-vsphere"]
    );
    assert_read_whole(&bench, &full, FIRST)?;
    assert!(full.disk(SECOND).bytes("read_bytes") < bench.capacity_bytes(SECOND)?);
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// Whatever keeps the id from being used: it can be compared later, and what `*` says cannot.
#[test]
fn it_is_not_asked_while_an_id_is_saved() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    let _ = bench.backup(&[])?.expect_code(0);
    let asked = stars(&bench)?;
    assert_eq!(asked, 2);
    let refused = Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        fault: Some("FileFault".to_owned()),
        ..Fault::default()
    };
    for (fault, event) in [
        (lie(Lie::StalledPage), "bad-map"),
        (refused, "changed-areas-failed"),
    ] {
        bench.guest_write(FIRST, 5 * MIB, &[3; 512])?;
        bench.order(&[fault])?;
        let made = bench.backup(&[])?.expect_code(0);
        assert_eq!(made.events(), [event, "allocation-unknown"]);
        assert_read_whole(&bench, &made, FIRST)?;
    }
    bench.order(&[])?;
    bench.grow(FIRST, 32 * MIB)?;
    let grown = bench.backup(&[])?.expect_code(0);
    assert_eq!(count(&grown, "allocation-unknown"), 1, "{grown:#?}");
    assert_read_whole(&bench, &grown, FIRST)?;
    assert_eq!(stars(&bench)?, asked);
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// Somebody makes a snapshot and removes it: a stun cycle.
fn cycle(bench: &Bench) -> Result<()> {
    let made = bench
        .lab
        .create_snapshot(&bench.vm, &SnapshotSpec::named("passing"))?;
    Ok(bench.lab.remove_snapshot(&made.moref, false)?)
}

/// All is read, vSphere is not asked with `*`, and the event says why.
#[track_caller]
fn assert_not_asked(bench: &mut Bench, options: &[&str], why: Option<&str>) -> Result<()> {
    let full = bench.backup(options)?.expect_code(0);
    for key in [FIRST, SECOND] {
        assert_read_whole(bench, &full, key)?;
    }
    match why {
        Some(why) => {
            assert_eq!(count(&full, "allocation-unknown"), 2, "{full:#?}");
            assert!(full.stdout.contains(why), "{why}: {full:#?}");
        }
        // Then VDDK would not have been asked either.
        None => assert_eq!(count(&full, "allocation-unknown"), 0, "{full:#?}"),
    }
    assert_eq!(stars(bench)?, 0);
    bench.assert_restores(&full.point())
}

#[test]
fn it_is_not_asked_off_vmfs() -> Result<()> {
    for datastore in [DatastoreKind::Nfs, DatastoreKind::Vsan, DatastoreKind::Vvol] {
        let mut bench = with_old_library(&BenchOptions {
            datastore,
            ..BenchOptions::default()
        })?;
        assert_not_asked(&mut bench, &[], Some("holds on VMFS only"))?;
    }
    Ok(())
}

#[test]
fn it_is_not_asked_while_changes_are_not_tracked() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    assert_not_asked(&mut bench, &["--cbt", "never"], Some("are not tracked"))
}

#[test]
fn it_is_not_asked_where_all_is_to_be_read() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    assert_not_asked(&mut bench, &["--read-unallocated"], None)
}

#[test]
fn it_is_not_asked_beside_a_snapshot_of_somebody_else() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    let _ = bench.take_snapshot("theirs")?;
    assert_not_asked(&mut bench, &[], None)
}

/// The answer leaves out what lies below the snapshot that stood when tracking was switched on.
#[test]
fn it_is_not_asked_where_somebody_else_switched_tracking_on() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    bench.lab.set_behaviour(Behaviour {
        tracking_over_snapshots: TrackingOverSnapshots::Incomplete,
        ..Behaviour::default()
    })?;
    let standing = bench.take_snapshot("standing")?;
    bench.lab.set_change_tracking(&bench.vm, true)?;
    cycle(&bench)?;
    bench.lab.remove_snapshot(&standing.moref, false)?;
    assert_not_asked(&mut bench, &[], Some("no run is known"))
}

/// The first disk is absent in the first point, which knows how its tracking began all the same.
#[test]
fn an_earlier_point_knows_how_tracking_began() -> Result<()> {
    for begins_anew in [false, true] {
        let mut bench = with_old_library(&BenchOptions::default())?;
        bench.order(&[Fault {
            call: "VixDiskLib_Open".to_owned(),
            code: Some(13),
            ..Fault::default()
        }])?;
        let failed = bench.backup(&[])?.expect_code(3);
        assert_eq!(count(&failed, "allocation-by-vsphere"), 1, "{failed:#?}");
        bench.order(&[])?;
        if begins_anew {
            for enabled in [false, true] {
                bench.lab.set_change_tracking(&bench.vm, enabled)?;
                cycle(&bench)?;
            }
        }
        let asked = stars(&bench)?;
        let next = bench.backup(&[])?.expect_code(0);
        if begins_anew {
            assert!(next.stdout.contains("no run is known"), "{next:#?}");
            assert_read_whole(&bench, &next, FIRST)?;
            assert_read_whole(&bench, &next, SECOND)?;
            assert_eq!(stars(&bench)?, asked);
        } else {
            assert!(next.disk(FIRST).bytes("read_bytes") < bench.capacity_bytes(FIRST)?);
            assert_eq!(next.disk(SECOND).text("action"), "incremental");
            assert_eq!(stars(&bench)?, asked + 1);
        }
        bench.assert_put_back()?;
        bench.assert_restores(&next.point())?;
    }
    Ok(())
}

fn lie(lie: Lie) -> Fault {
    // The short page is the first answer, and the empty one that follows it the second.
    let count = if lie == Lie::EmptyEnd { 2 } else { 1 };
    Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        count: Some(count),
        lie: Some(lie),
        ..Fault::default()
    }
}

#[test]
fn a_false_answer_is_not_used() -> Result<()> {
    for kind in [
        Lie::StalledPage,
        Lie::WrongStart,
        Lie::OutOfPage,
        Lie::BeyondCapacity,
        Lie::EmptyEnd,
    ] {
        let mut bench = with_old_library(&BenchOptions::default())?;
        bench.order(&[lie(kind)])?;
        let full = bench.backup(&[])?.expect_code(0);
        assert_eq!(
            full.events(),
            ["tracking-on", "bad-map", "allocation-by-vsphere"],
            "{kind:?}"
        );
        assert_read_whole(&bench, &full, FIRST)?;
        bench.order(&[])?;
        let next = bench.backup(&[])?.expect_code(0);
        assert_eq!(next.disk(FIRST).text("action"), "incremental");
        bench.assert_put_back()?;
        bench.assert_restores(&full.point())?;
    }
    Ok(())
}

#[test]
fn a_false_answer_fails_the_run_where_that_is_wanted() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    bench.order(&[lie(Lie::StalledPage)])?;
    let _ = bench
        .backup(&["--on-bad-map", "fail"])?
        .expect_code(13)
        .expect_said("Hard disk 1");
    bench.assert_put_back()
}

#[test]
fn areas_named_twice_are_no_lie() -> Result<()> {
    let mut bench = with_old_library(&BenchOptions::default())?;
    bench.order(&[lie(Lie::Overlap)])?;
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(count(&full, "allocation-by-vsphere"), 2, "{full:#?}");
    bench.assert_sound()
}

/// An area that holds data is left out: no check of the answer sees that.
#[test]
fn a_hidden_area_is_found_by_an_audit_on_the_way_and_later() -> Result<()> {
    let hidden = || Fault {
        count: Some(0),
        ..lie(Lie::Omit)
    };
    let mut bench = with_old_library(&BenchOptions::default())?;
    bench.order(&[hidden()])?;
    let healed = bench.backup(&["--audit-every", "1"])?.expect_code(0);
    // Half of the second disk is hidden: no sample misses that.
    assert!(count(&healed, "audit-mismatch") > 0, "{healed:#?}");
    let words = "called unallocated and are not";
    assert!(healed.stdout.contains(words), "{healed:#?}");
    assert_read_whole(&bench, &healed, SECOND)?;

    let mut bench = with_old_library(&BenchOptions::default())?;
    bench.order(&[hidden()])?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.order(&[])?;
    let _ = bench.audit(&["--full"])?.expect_code(6);
    let asked = stars(&bench)?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(count(&next, "allocation-unknown"), 0, "{next:#?}");
    assert_read_whole(&bench, &next, FIRST)?;
    assert_eq!(stars(&bench)?, asked);
    bench.assert_restores(&next.point())
}

#[test]
fn after_a_contradiction_of_the_library_nobody_else_is_asked() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[Fault {
        call: "VixDiskLib_QueryAllocatedBlocks".to_owned(),
        count: Some(0),
        blocks: Some(BlocksLie::Unordered),
        ..Fault::default()
    }])?;
    assert_not_asked(&mut bench, &[], Some("its allocated areas are not known"))
}
