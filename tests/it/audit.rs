//! What vSphere says without being asked for the bytes is compared with them: every lie is found, an honest site
//! is left alone, and what follows a lie is a full that is right.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Noise, Outcome, VM};
use lab::{BlocksLie, Fault, Lie};
use serde_json::Value;

const FIRST: i32 = 2000;
const MIB: u64 = 1 << 20;

/// The last changed area of the first answer is hidden.
fn hidden_change() -> Fault {
    Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        lie: Some(Lie::Omit),
        ..Fault::default()
    }
}

/// The first allocated area of every answer is hidden.
fn hidden_allocation() -> Fault {
    Fault {
        call: "VixDiskLib_QueryAllocatedBlocks".to_owned(),
        count: Some(0),
        blocks: Some(BlocksLie::Missing),
        ..Fault::default()
    }
}

/// A bench with a full and, but for what the lie hides, an increment.
fn lied_to(in_the_full: &[Fault], in_the_increment: &[Fault]) -> Result<Bench> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(in_the_full)?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.order(&[])?;
    if !in_the_increment.is_empty() {
        bench.guest_write(FIRST, 2 * MIB, &Noise::new(3).bytes(8 << 20))?;
        bench.order(in_the_increment)?;
        let blind = bench.backup(&[])?.expect_code(0);
        assert_eq!(blind.disk(FIRST).bytes("changed_bytes"), 0, "{blind:#?}");
        bench.order(&[])?;
    }
    Ok(bench)
}

/// What is said of a claim on the first disk.
#[track_caller]
fn claim(outcome: &Outcome, name: &str) -> Value {
    let result = outcome.result();
    let disks = result["disks"].as_array().cloned().unwrap_or_default();
    let disk = disks.iter().find(|disk| disk["device_key"] == FIRST);
    let claims = disk.and_then(|disk| disk["claims"].as_array().cloned());
    let mut claims = claims.into_iter().flatten();
    match claims.find(|claim| claim["claim"] == name) {
        Some(claim) => claim,
        None => panic!("no claim {name} in {outcome:#?}"),
    }
}

fn wrong_areas(outcome: &Outcome, name: &str) -> u64 {
    claim(outcome, name)["wrong_areas"]
        .as_u64()
        .unwrap_or_default()
}

/// The audit's own run was put back, the point says what was found, and the next one is a full and right.
fn assert_followed(bench: &mut Bench, found: &Outcome) -> Result<()> {
    assert_eq!(found.result()["mismatch"], true, "{found:#?}");
    let events = found.events();
    for kind in ["audit-mismatch", "point-marked", "tracking-reset"] {
        assert!(
            events.iter().any(|event| event == kind),
            "{kind}: {events:?}"
        );
    }
    bench.assert_put_back()?;
    let shown = bench.run(bench.repository_arguments("list", &[]))?;
    let points = shown.result()["points"].as_array().cloned();
    let newest = points.and_then(|points| points.last().cloned());
    let newest = newest.unwrap_or_default();
    assert_eq!(newest["found_wrong"], true, "{newest}");
    let list = bench.repository_arguments("list", &[]);
    let list = list.into_iter().filter(|word| word != "--json");
    let list = bench.run(list)?.stdout;
    assert!(list.trim_end().ends_with("found wrong"), "{list}");
    let id = newest["point"].as_str().unwrap_or_default();
    let shown = bench.run(bench.repository_arguments("show", &[id]))?;
    let told = shown.expect_code(0).stdout;
    assert!(told.contains("found-wrong"), "{told}");

    assert_said_by_all(bench, id)?;

    let healed = bench.backup(&[])?.expect_code(0);
    assert_eq!(healed.disk(FIRST).text("action"), "full", "{healed:#?}");
    bench.assert_restores(&healed.point())?;
    let clean = bench.audit(&["--full"])?.expect_code(0);
    assert_eq!(clean.result()["mismatch"], false, "{clean:#?}");
    bench.guest_write(FIRST, 5 * MIB, &[5; 4096])?;
    let usual = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        usual.disk(FIRST).text("action"),
        "incremental",
        "{usual:#?}"
    );
    bench.assert_restores(&usual.point())?;
    bench.assert_put_back()?;
    let verified = bench.verify("full")?.expect_code(0);
    assert!(verified.stdout.contains("\"findings\""), "{verified:#?}");
    Ok(())
}

/// Whoever uses a point that was found wrong is told.
fn assert_said_by_all(bench: &Bench, point: &str) -> Result<()> {
    let to = bench.path("restored").join("found-wrong");
    let restore = [point, "--to", &to.to_string_lossy()];
    let restored = bench.run(bench.repository_arguments("restore", &restore))?;
    let restored = restored.expect_code(0);
    assert!(
        restored.stdout.contains(r#""kind":"found-wrong""#),
        "{restored:#?}"
    );
    assert_ne!(restored.result()["found_wrong"], serde_json::json!([]));
    let verify = ["--level", "point", point];
    let verified = bench.run(bench.repository_arguments("verify", &verify))?;
    let verified = verified.expect_code(0);
    assert!(verified.stdout.contains("found wrong by an audit"));
    Ok(())
}

#[test]
fn a_change_that_was_hidden_is_found() -> Result<()> {
    let mut bench = lied_to(&[], &[hidden_change()])?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert!(wrong_areas(&found, "unchanged") > 0, "{found:#?}");
    assert_eq!(wrong_areas(&found, "unallocated"), 0);
    // The areas that are named are where the guest wrote.
    let areas: Vec<(u64, u64)> = ["unchanged", "zero"]
        .iter()
        .flat_map(|name| {
            let claim = claim(&found, name);
            serde_json::from_value::<Vec<(u64, u64)>>(claim["wrong"].clone()).unwrap_or_default()
        })
        .collect();
    let bytes: u64 = areas.iter().map(|(start, end)| end - start).sum();
    assert_eq!(bytes, 8 * MIB, "{areas:?}");
    let within =
        |(start, end): &(u64, u64)| (2 * MIB..=10 * MIB).contains(start) && *end <= 10 * MIB;
    assert!(areas.iter().all(within), "{areas:?}");
    assert_followed(&mut bench, &found)
}

#[test]
fn large_damage_is_found_by_a_sample() -> Result<()> {
    let mut bench = lied_to(&[], &[hidden_change()])?;
    // A third of the disk is wrong. Both kinds of unchanged blocks have a sample of their own.
    let found = bench.audit(&["--confidence", "99.99", "--fraction", "20"])?;
    let found = found.expect_code(6);
    let compared = claim(&found, "unchanged");
    assert!(
        compared["compared_blocks"].as_u64() < compared["blocks"].as_u64(),
        "{compared}"
    );
    assert_followed(&mut bench, &found)
}

#[test]
fn an_allocated_area_that_is_told_as_unallocated_is_found() -> Result<()> {
    let mut bench = lied_to(&[hidden_allocation()], &[])?;
    bench.order(&[hidden_allocation()])?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert!(wrong_areas(&found, "unallocated") > 0, "{found:#?}");
    // The library goes on lying: the full that follows asks it no more.
    assert_followed_with(&mut bench, &found)
}

/// As [`assert_followed`], without another audit, since the library still lies.
fn assert_followed_with(bench: &mut Bench, found: &Outcome) -> Result<()> {
    assert_eq!(found.result()["mismatch"], true, "{found:#?}");
    bench.assert_put_back()?;
    let healed = bench.backup(&[])?.expect_code(0);
    assert_eq!(healed.disk(FIRST).text("action"), "full", "{healed:#?}");
    bench.assert_restores(&healed.point())?;
    bench.assert_put_back()
}

/// The library goes on lying, and nobody asks it any more, whatever becomes of the tracking.
fn assert_not_asked_again(bench: &mut Bench, options: &[&str]) -> Result<()> {
    for write in [&[][..], &[7; 4096]] {
        bench.guest_write(FIRST, 20 * MIB, write)?;
        let next = bench.backup(options)?.expect_code(0);
        assert_eq!(next.disk(FIRST).text("action"), "full", "{next:#?}");
        bench.assert_restores(&next.point())?;
    }
    bench.assert_put_back()
}

#[test]
fn a_lie_about_what_is_allocated_is_remembered_after_tracking_began_anew() -> Result<()> {
    let mut bench = lied_to(&[hidden_allocation()], &[])?;
    bench.order(&[hidden_allocation()])?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert_followed_with(&mut bench, &found)?;
    assert_not_asked_again(&mut bench, &["--full"])
}

#[test]
fn a_lie_about_what_is_allocated_is_remembered_without_tracking() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[hidden_allocation()])?;
    let _ = bench.backup(&["--cbt", "never"])?.expect_code(0);
    let _ = bench.audit(&["--full", "--cbt", "never"])?.expect_code(6);
    assert_not_asked_again(&mut bench, &["--cbt", "never"])
}

/// With another size nothing can be compared with the point, which is marked all the same.
#[test]
fn a_lie_about_a_disk_that_grew_is_remembered() -> Result<()> {
    let mut bench = lied_to(&[], &[])?;
    let grown = bench.capacity_bytes(FIRST)? + 16 * MIB;
    bench.grow(FIRST, grown)?;
    bench.order(&[hidden_allocation()])?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert_eq!(claim(&found, "unchanged")["compared_blocks"], 0);
    assert_not_asked_again(&mut bench, &["--full"])
}

#[test]
fn a_lie_before_the_first_point_can_be_met() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[hidden_allocation()])?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert!(found.events().contains(&"not-remembered".to_owned()));
    let first = bench.backup(&["--read-unallocated"])?.expect_code(0);
    bench.assert_restores(&first.point())
}

#[test]
fn what_is_recorded_as_zero_and_is_none_is_found() -> Result<()> {
    let mut bench = lied_to(&[hidden_allocation()], &[])?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert!(wrong_areas(&found, "zero") > 0, "{found:#?}");
    assert_eq!(wrong_areas(&found, "unallocated"), 0, "{found:#?}");
    assert_followed(&mut bench, &found)
}

#[test]
fn an_honest_site_is_left_alone() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    // Without a point only the allocation can be compared, and nothing is switched on for it.
    let blind = bench.audit(&["--full"])?.expect_code(0);
    assert_eq!(claim(&blind, "unchanged")["blocks"], 0, "{blind:#?}");
    let calls = bench.lab.journal().entries()?;
    assert!(calls.iter().all(|entry| entry.call != "ReconfigVM_Task"));
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(FIRST, 3 * MIB, &[1; 4096])?;
    bench.guest_unmap(FIRST, 8 * MIB, 2 * MIB)?;
    let second = bench.backup(&[])?.expect_code(0);
    // What changes after the point is no business of an audit.
    bench.guest_write(FIRST, 4 * MIB, &[2; 4096])?;
    bench.guest_unmap(FIRST, 12 * MIB, MIB)?;
    for options in [&["--full"][..], &[]] {
        let audit = bench.audit(options)?.expect_code(0);
        assert_eq!(audit.events(), Vec::<String>::new(), "{audit:#?}");
        for name in ["unchanged", "zero", "unallocated"] {
            let claim = claim(&audit, name);
            assert!(claim["certainty"].as_f64() >= Some(0.99), "{claim}");
            assert_eq!(claim["wrong"], serde_json::json!([]), "{claim}");
        }
        assert!(claim(&audit, "unchanged")["compared_blocks"].as_u64() > Some(0));
        bench.assert_put_back()?;
    }
    bench.assert_restores(&second.point())?;
    let third = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        third.disk(FIRST).text("action"),
        "incremental",
        "{third:#?}"
    );
    bench.assert_sound()
}

/// A difference that is found past the snapshot may be what the guest wrote since.
#[test]
fn what_is_found_after_the_snapshot_was_removed_marks_no_point() -> Result<()> {
    let bench = lied_to(&[], &[hidden_change()])?;
    bench.order(&[Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        nth: Some(1),
        delay_ms: Some(3000),
        once: Some(true),
        ..Fault::default()
    }])?;
    let markers = bench.lab.root().join("fault-markers");
    let mut audit = bench.start(bench.vm_arguments("audit", VM, &["--full"]))?;
    audit.wait_until("the first read", || {
        std::fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some())
    })?;
    let snapshot = bench.lab.vm(&bench.vm)?.snapshots[0].moref.clone();
    // Its files stay as long as somebody reads them.
    let _ = bench.lab.remove_snapshot(&snapshot, false);
    let refused = audit.wait()?.expect_code(15);
    let refused = refused.expect_said("its snapshot was removed while it was read");
    assert!(!refused.stdout.contains("audit-mismatch"), "{refused:#?}");
    bench.order(&[])?;
    bench.assert_put_back()?;
    let found = bench.audit(&["--full"])?.expect_code(6);
    assert!(found.events().contains(&"point-marked".to_owned()));
    Ok(())
}

#[test]
fn a_stopped_audit_leaves_nothing() -> Result<()> {
    let mut bench = lied_to(&[], &[])?;
    let slow = Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        count: Some(0),
        delay_ms: Some(300),
        ..Fault::default()
    };
    bench.order(&[slow])?;
    let mut run = bench.start(bench.vm_arguments("audit", cbt_tests::VM, &["--full"]))?;
    let lab = bench.lab.clone();
    run.wait_until("the first read", || {
        let entries = lab.journal().entries().unwrap_or_default();
        entries
            .iter()
            .rev()
            .take(20)
            .any(|entry| entry.call == "VixDiskLib_Open")
    })?;
    run.signal("INT")?;
    let _ = run.wait()?.expect_code(130);
    bench.order(&[])?;
    bench.assert_put_back()?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.disk(FIRST).text("action"), "incremental");
    bench.assert_sound()
}

#[test]
fn a_backup_that_audits_on_its_way_reads_in_full_what_is_wrong() -> Result<()> {
    let mut bench = lied_to(&[], &[hidden_change()])?;
    let healed = bench.backup(&["--audit-every", "1"])?.expect_code(0);
    let disk = healed.disk(FIRST);
    assert_eq!(disk.text("action"), "full", "{healed:#?}");
    assert!(disk.text("reason").contains("audit"), "{disk:?}");
    // What it was compared with is wrong, and it is not, though it tells of it.
    let listed = bench.list()?.result();
    let points = listed["points"].as_array().into_iter().flatten();
    let wrong: Vec<bool> = points.map(|point| point["found_wrong"] == true).collect();
    assert_eq!(wrong, [false, true, false], "{listed}");
    assert_eq!(healed.disk(2001).text("action"), "incremental");
    let events = healed.events();
    for kind in [
        "audited",
        "audit-mismatch",
        "point-marked",
        "tracking-reset",
    ] {
        assert!(
            events.iter().any(|event| event == kind),
            "{kind}: {events:?}"
        );
    }
    bench.assert_restores(&healed.point())?;
    bench.assert_put_back()?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.disk(FIRST).text("action"), "full", "{next:#?}");
    bench.assert_restores(&next.point())?;
    Ok(())
}

/// How many files lie below a folder. One that is being written has a `#` in its name.
fn files(below: &Path) -> usize {
    let entries = std::fs::read_dir(below).into_iter().flatten().flatten();
    let count = |path: PathBuf| match () {
        () if path.is_dir() => files(&path),
        () => usize::from(!path.to_string_lossy().contains('#')),
    };
    entries.map(|entry| count(entry.path())).sum()
}

#[test]
fn what_a_run_found_is_known_though_it_is_killed() -> Result<()> {
    let mut bench = lied_to(&[], &[hidden_change()])?;
    bench.order(&[Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        count: Some(0),
        delay_ms: Some(1000),
        ..Fault::default()
    }])?;
    let points = bench.path("repository/point");
    let before = files(&points);
    let mut backup = bench.start_backup(&["--audit-every", "1"])?;
    // The mark is one more root.
    backup
        .run
        .wait_until("the mark", || files(&points) > before)?;
    let _ = bench.kill(backup)?;
    bench.order(&[])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.disk(FIRST).text("action"), "full", "{next:#?}");
    bench.assert_restores(&next.point())?;
    bench.assert_put_back()
}

/// The audit compares with what the dead run has kept; the next one must not ask from the point before that.
#[test]
fn what_is_found_after_a_run_that_died_holds_for_the_point_before_it() -> Result<()> {
    let mut bench = lied_to(&[], &[])?;
    bench.guest_write(FIRST, MIB, &Noise::new(9).bytes(12 << 20))?;
    let points = bench.path("repository/point");
    let before = files(&points);
    let mut backup = bench.start_slow_backup(&["--checkpoint-seconds", "1"], 1000)?;
    backup
        .run
        .wait_until("the partial point", || files(&points) > before)?;
    let _ = bench.kill(backup)?;
    bench.guest_write(FIRST, 20 * MIB, &Noise::new(4).bytes(4096))?;
    let hidden = Fault {
        count: Some(0),
        ..hidden_change()
    };
    bench.order(&[hidden])?;
    let found = bench.audit(&["--full", "--cbt", "never"])?.expect_code(6);
    let marked = found.events();
    let marked = marked.iter().filter(|kind| *kind == "point-marked");
    assert_eq!(marked.count(), 2, "{found:#?}");
    let next = bench.backup(&["--cbt", "never"])?.expect_code(0);
    assert_eq!(next.disk(FIRST).text("action"), "full", "{next:#?}");
    bench.assert_restores(&next.point())?;
    bench.assert_put_back()
}

#[test]
fn a_move_of_files_or_vm_is_audited_and_so_is_every_third_point() -> Result<()> {
    let mut bench = lied_to(&[], &[])?;
    let count = |outcome: &Outcome| {
        let events = outcome.events();
        events.iter().filter(|kind| *kind == "audited").count()
    };
    bench.lab.relocate(&bench.vm, "datastore2")?;
    let moved = bench.backup(&[])?.expect_code(0);
    assert_eq!(count(&moved), 2, "{moved:#?}");
    bench.lab.replace_host("host-99", "esx02.lab.test")?;
    let elsewhere = bench.backup(&[])?.expect_code(0);
    assert_eq!(count(&elsewhere), 2, "{elsewhere:#?}");
    let told = |kind: &String| kind == "tracking-moved";
    assert!(elsewhere.events().iter().any(told), "{elsewhere:#?}");
    let audited: Vec<usize> = (0..4)
        .map(|_| {
            Ok(count(
                &bench.backup(&["--audit-every", "3"])?.expect_code(0),
            ))
        })
        .collect::<Result<_>>()?;
    assert_eq!(audited, [0, 0, 2, 0]);
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// What was read of the first disk is kept while the second, of which nothing is stored yet, is compared.
#[test]
fn a_partial_point_is_made_during_an_audit_on_the_way() -> Result<()> {
    let mut bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![512 << 10, 24 << 20],
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(FIRST, 0, &[3; 4096])?;
    bench.guest_write(2001, MIB, &[4; 4096])?;
    bench.order(&[Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        count: Some(0),
        delay_ms: Some(700),
        ..Fault::default()
    }])?;
    let options = ["--audit-every", "1", "--checkpoint-seconds", "1"];
    let run = bench.backup(&options)?.expect_code(0);
    bench.order(&[])?;
    let events = run.events();
    let first = |kind: &str| events.iter().position(|event| event == kind);
    let last = events.iter().rposition(|event| event == "audited");
    assert!(first("partial-point").is_some(), "{events:?}");
    assert!(first("partial-point") < last, "{events:?}");
    assert!(first("audit-mismatch").is_none(), "{events:?}");
    bench.assert_put_back()?;
    bench.assert_restores(&run.point())?;
    bench.assert_sound()
}

/// What was compared before the connection was lost is not compared again.
#[test]
fn an_audit_goes_on_after_a_lost_connection() -> Result<()> {
    let bench = lied_to(&[], &[])?;
    let all = bench.capacity_bytes(FIRST)?;
    let before = bench.calls()?.bytes_read();
    bench.order(&[Fault {
        call: "VixDiskLib_ReadAsync.callback".to_owned(),
        nth: Some(11),
        count: Some(1),
        code: Some(14011),
        ..Fault::default()
    }])?;
    let audit = bench.audit(&["--full", "--disk", "2000"])?.expect_code(0);
    assert!(audit.events().contains(&"tried-again".to_owned()));
    assert_eq!(audit.disk(FIRST).bytes("read_bytes"), all, "{audit:#?}");
    // What was in flight may be asked for a second time, and no more.
    let asked = bench.calls()?.bytes_read() - before;
    assert!(asked <= all + (5 << 21), "{asked} of {all}");
    bench.order(&[])?;
    bench.assert_put_back()
}

/// The second disk takes part in every other point only.
#[test]
fn points_between_two_audits_are_counted_for_each_disk() -> Result<()> {
    let mut bench = lied_to(&[], &[])?;
    let mut audited = Vec::new();
    let every = ["--audit-every", "3"];
    let alone = ["--audit-every", "3", "--disk", "2000"];
    for options in [&alone[..], &alone, &every, &every] {
        bench.guest_write(2001, MIB, &[audited.len() as u8 + 1; 4096])?;
        let run = bench.backup(options)?.expect_code(0);
        let events = run.result()["events"].as_array().cloned();
        let events = events.into_iter().flatten();
        let events = events.filter(|event| event["kind"] == "audited");
        let keys: Vec<i64> = events
            .filter_map(|event| event["device_key"].as_i64())
            .collect();
        audited.push(keys);
    }
    assert_eq!(audited, [vec![], vec![2000], vec![], vec![2001]]);
    bench.assert_put_back()
}
