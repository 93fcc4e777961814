//! What dead runs left is found and undone, from any machine; what is not ours or not dead stays.

use std::fs;

use anyhow::{Context as _, Result};
use cbt_tests::{Backup, Bench, BenchOptions, Outcome};
use lab::{Fault, SnapshotSpec};
use serde_json::Value;

/// Calls that change something at a VM.
const CHANGES: [(&str, &str); 7] = [
    ("vcenter", "CreateSnapshot_Task"),
    ("vcenter", "RemoveSnapshot_Task"),
    ("vcenter", "RemoveAllSnapshots_Task"),
    ("vcenter", "ConsolidateVMDisks_Task"),
    ("vcenter", "ReconfigVM_Task"),
    ("vixdisklib", "VixDiskLib_EndAccess"),
    ("vixdisklib", "VixDiskLib_Cleanup"),
];

/// A bench with one point.
fn bench_with_a_point() -> Result<Bench> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 3 << 20, &vec![7; 1 << 18])?;
    Ok(bench)
}

/// A bench with one point, and what a run left that was killed in the middle.
fn bench_with_a_dead_run() -> Result<Bench> {
    let mut bench = bench_with_a_point()?;
    let backup = bench.start_backup_to_the_middle(&["--full"])?;
    let _ = bench.kill(backup)?;
    bench.order(&[])?;
    let vm = bench.lab.vm(&bench.vm)?;
    assert_eq!((vm.snapshots.len(), vm.disabled_methods.len()), (1, 1));
    Ok(bench)
}

/// As if the machine of the dead run were gone.
fn lose_state(bench: &Bench) -> Result<()> {
    fs::remove_dir_all(bench.path("state"))?;
    Ok(fs::create_dir(bench.path("state"))?)
}

/// Starts a backup that stops at its third read until other faults are ordered, and lives.
fn start_and_hold(bench: &mut Bench, options: &[&str]) -> Result<Backup> {
    bench.order(&[Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        nth: Some(3),
        once: Some(true),
        hang_until_ms: Some(u64::MAX),
        ..Fault::default()
    }])?;
    let markers = bench.lab.root().join("fault-markers");
    let mut backup = bench.start_backup(options)?;
    backup.run.wait_until("the third read", || {
        fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some())
    })?;
    Ok(backup)
}

/// What was found: kind and outcome.
fn found(outcome: &Outcome) -> Vec<(String, String)> {
    let result = outcome.result();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = result["findings"].as_array().cloned().unwrap_or_default();
    findings
        .iter()
        .map(|one| (text(&one["kind"]), text(&one["outcome"])))
        .collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = wanted.iter();
    owned
        .map(|(kind, outcome)| ((*kind).to_owned(), (*outcome).to_owned()))
        .collect()
}

/// How often something was changed so far.
fn changes(bench: &Bench) -> Result<usize> {
    let calls = bench.calls()?;
    let counts = CHANGES.iter().map(|(who, call)| calls.count(who, call));
    Ok(counts.sum())
}

fn snapshots(bench: &Bench) -> Result<Vec<String>> {
    let vm = bench.lab.vm(&bench.vm)?;
    Ok(vm.snapshots.into_iter().map(|one| one.moref).collect())
}

/// Somebody gives all snapshots of the VM another name.
fn rename_snapshots(bench: &Bench, name: &str) -> Result<()> {
    for moref in snapshots(bench)? {
        bench.lab.rename_snapshot(&moref, Some(name), None)?;
    }
    Ok(())
}

/// Somebody makes a snapshot with our name.
fn take_named_as_ours(bench: &Bench, description: &str) -> Result<String> {
    let spec = SnapshotSpec {
        description: description.to_owned(),
        ..SnapshotSpec::named("cbt-backup")
    };
    Ok(bench.lab.create_snapshot(&bench.vm, &spec)?.moref)
}

/// The next run finds nothing to do, and all is as it should be.
#[track_caller]
fn assert_next_is_silent(bench: &mut Bench) -> Result<()> {
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.events(), Vec::<String>::new(), "{next:#?}");
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn what_a_killed_run_left_is_undone_by_its_ledger() -> Result<()> {
    let mut bench = bench_with_a_dead_run()?;
    let before = changes(&bench)?;
    let seen = bench.janitor(&["--report"])?.expect_code(5);
    assert_eq!(found(&seen), pairs(&[("run", "found")]));
    assert_eq!(changes(&bench)?, before, "a report changes nothing");

    // The ledger is proof enough: the repository need not be watched.
    let cleaned = bench.janitor(&["--look-seconds", "3600"])?.expect_code(0);
    assert_eq!(found(&cleaned), pairs(&[("run", "undone")]));
    let result = cleaned.result();
    assert_eq!(
        (&result["left"], &result["busy"]),
        (&false.into(), &false.into())
    );
    let calls = bench.calls()?;
    let clean_up = calls.of("vixdisklib", "VixDiskLib_Cleanup");
    let removed = calls.of("vcenter", "RemoveSnapshot_Task");
    let last = |of: &[&lab::Entry]| of.last().map(|entry| entry.n);
    assert!(last(&clean_up) < last(&removed), "{clean_up:?} {removed:?}");
    bench.assert_put_back()?;

    let again = bench.janitor(&["--report"])?.expect_code(0);
    assert_eq!(found(&again), pairs(&[]));
    assert_next_is_silent(&mut bench)
}

#[test]
fn without_the_repository_the_ledger_is_proof_enough() -> Result<()> {
    let mut bench = bench_with_a_dead_run()?;
    let (repository, away) = (bench.path("repository"), bench.path("away"));
    fs::rename(&repository, &away)?;
    let failed = bench.backup(&[])?.expect_code(10);
    assert!(failed.stdout.contains("dead-run"), "{failed:#?}");
    let stands = take_named_as_ours(&bench, "cbt-backup 01")?;
    let cleaned = bench.janitor(&["--adopt"])?.expect_code(10);
    for told in [
        "repository-not-opened",
        r#""outcome":"undone""#,
        r#""outcome":"unproven""#,
    ] {
        assert!(cleaned.stdout.contains(told), "{told}: {cleaned:#?}");
    }
    // What only the repository could tell is left as it is.
    assert_eq!(snapshots(&bench)?, std::slice::from_ref(&stands));
    bench.lab.remove_snapshot(&stands, false)?;
    bench.assert_put_back()?;
    fs::rename(&away, &repository)?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.assert_sound()
}

#[test]
fn a_snapshot_that_was_renamed_while_the_run_was_on_goes_all_the_same() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let backup = bench.start_backup_to_the_middle(&["--full"])?;
    rename_snapshots(&bench, "do not remove")?;
    let done = bench.finish(backup)?.expect_code(0);
    assert_eq!(snapshots(&bench)?, Vec::<String>::new(), "{done:#?}");
    bench.assert_put_back()?;

    // And when the run is killed, and its state folder lost.
    let backup = bench.start_backup_to_the_middle(&["--full"])?;
    rename_snapshots(&bench, "do not remove")?;
    let _ = bench.kill(backup)?;
    bench.order(&[])?;
    lose_state(&bench)?;
    let _ = bench.janitor(&[])?.expect_code(0);
    assert_eq!(snapshots(&bench)?, Vec::<String>::new());
    bench.assert_put_back()
}

#[test]
fn what_waited_to_be_consolidated_before_is_left_to_whoever_left_it() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    // Somebody's snapshot went while something held one of its links.
    let theirs = bench.take_snapshot("of somebody")?;
    let vm = bench.lab.vm(&bench.vm)?;
    let snapshot = vm.snapshot(&theirs.moref).context("no snapshot")?;
    let link = snapshot.disks[0].chain.last().context("no link")?;
    let frozen = link.file.clone();
    let path = bench
        .lab
        .resolve_disk(&bench.vm, Some(&theirs.moref), &frozen)?;
    let held = bench.lab.disk_lock(&path)?;
    assert!(bench.lab.remove_snapshot(&theirs.moref, false).is_err());
    assert!(bench.lab.vm(&bench.vm)?.consolidation_needed);

    // Our own goes in the tree, and what it stands on cannot be merged.
    let _ = bench.backup(&[])?.expect_code(5);
    let vm = bench.lab.vm(&bench.vm)?;
    assert!(vm.consolidation_needed && vm.snapshots.is_empty());
    drop(held);
    let next = bench.backup(&[])?.expect_code(0);
    let calls = bench.calls()?;
    assert!(
        calls.of("vcenter", "ConsolidateVMDisks_Task").is_empty(),
        "{next:#?}"
    );
    bench.assert_restores(&next.point())?;
    bench.assert_put_back()
}

#[test]
fn without_its_state_folder_the_repository_proves_it() -> Result<()> {
    let mut bench = bench_with_a_dead_run()?;
    lose_state(&bench)?;
    let before = changes(&bench)?;
    let seen = bench.janitor(&["--report"])?.expect_code(5);
    assert_eq!(
        found(&seen),
        pairs(&[("snapshot", "found"), ("access", "found")])
    );
    let snapshot = &seen.result()["findings"][0];
    assert!(
        snapshot["age_seconds"].as_i64().is_some_and(|age| age >= 0),
        "{snapshot}"
    );
    assert!(
        snapshot["session"].is_string() && snapshot["created"].is_string(),
        "{snapshot}"
    );
    assert_eq!(changes(&bench)?, before, "a report changes nothing");

    let cleaned = bench.janitor(&[])?.expect_code(0);
    assert_eq!(
        found(&cleaned),
        pairs(&[("snapshot", "undone"), ("access", "undone")])
    );
    assert_next_is_silent(&mut bench)
}

#[test]
fn the_next_backup_by_another_machine_cleans_up_too() -> Result<()> {
    let mut bench = bench_with_a_dead_run()?;
    lose_state(&bench)?;
    let next = bench.backup(&["--look-seconds", "1"])?.expect_code(0);
    assert_eq!(next.events(), ["dead-run", "dead-run"], "{next:#?}");
    assert_eq!(next.result()["kind"], "incremental");
    assert_next_is_silent(&mut bench)
}

/// It was killed between PrepareForAccess and the snapshot.
#[test]
fn a_vm_that_a_dead_run_keeps_in_place_may_be_moved_again() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    bench.order(&[Fault {
        call: "CurrentTime".to_owned(),
        delay_ms: Some(60_000),
        ..Fault::default()
    }])?;
    let mut backup = bench.start_backup(&[])?;
    backup.run.wait_until("it is kept", || {
        bench
            .lab
            .vm(&bench.vm)
            .is_ok_and(|vm| !vm.disabled_methods.is_empty())
    })?;
    let _ = bench.kill(backup)?;
    bench.order(&[])?;
    lose_state(&bench)?;
    let seen = bench.janitor(&["--report"])?.expect_code(5);
    assert_eq!(found(&seen), pairs(&[("access", "found")]));
    let cleaned = bench.janitor(&[])?.expect_code(0);
    assert_eq!(found(&cleaned), pairs(&[("access", "undone")]));
    assert_next_is_silent(&mut bench)
}

#[test]
fn who_else_keeps_it_in_place_is_told_and_left_alone() -> Result<()> {
    let bench = bench_with_a_point()?;
    let (method, other) = ("RelocateVM_Task", "another product");
    bench.lab.disable_methods(&bench.vm, &[method], other)?;
    let seen = bench.janitor(&["--look-seconds", "3600"])?.expect_code(0);
    assert_eq!(found(&seen), pairs(&[("access", "left-alone")]));
    assert_eq!(bench.lab.vm(&bench.vm)?.disabled_methods.len(), 1);
    Ok(())
}

#[test]
fn a_snapshot_of_another_repository_stays() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let description =
        "cbt-backup 01M7Z96G0000000000000000AB of repository 01M7Z96G0000000000000000CD";
    let theirs = take_named_as_ours(&bench, description)?;
    for options in [&["--report"][..], &[], &["--adopt"]] {
        let seen = bench.janitor(options)?.expect_code(0);
        assert_eq!(found(&seen), pairs(&[("snapshot", "left-alone")]));
        assert!(
            seen.result()["findings"][0]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("01M7Z96G0000000000000000CD"))
        );
    }
    assert_eq!(snapshots(&bench)?, [theirs]);
    let next = bench.backup(&["--look-seconds", "3600"])?.expect_code(0);
    assert_eq!(next.events(), ["other-snapshot"], "{next:#?}");
    Ok(())
}

#[test]
fn a_snapshot_without_proof_is_told_and_only_adopted() -> Result<()> {
    for description in ["cbt-backup 01M7Z96G0000000000000000AB", "made by hand", ""] {
        let mut bench = bench_with_a_point()?;
        let foreign = bench.take_snapshot("before the upgrade")?.moref;
        let ours = take_named_as_ours(&bench, description)?;
        let before = changes(&bench)?;
        for options in [&["--report"][..], &[]] {
            let seen = bench.janitor(options)?.expect_code(5);
            assert_eq!(found(&seen), pairs(&[("snapshot", "unproven")]));
            let snapshot = &seen.result()["findings"][0];
            assert_eq!(snapshot["description"], description);
            assert!(snapshot["age_seconds"].is_number(), "{snapshot}");
        }
        assert_eq!(changes(&bench)?, before);
        assert_eq!(snapshots(&bench)?, [foreign.clone(), ours]);
        let adopted = bench.janitor(&["--adopt"])?.expect_code(0);
        assert_eq!(found(&adopted), pairs(&[("snapshot", "undone")]));
        assert_eq!(snapshots(&bench)?, [foreign]);
    }
    Ok(())
}

/// An earlier release named no repository; its announcement is there all the same.
#[test]
fn a_description_of_the_earlier_form_is_proven_by_its_announcement() -> Result<()> {
    let bench = bench_with_a_dead_run()?;
    lose_state(&bench)?;
    let session = fs::read_dir(bench.path("repository/open"))?
        .next()
        .expect("the dead run is announced")?
        .file_name();
    for snapshot in snapshots(&bench)? {
        bench.lab.remove_snapshot(&snapshot, false)?;
    }
    let earlier = format!("cbt-backup {}", session.to_string_lossy());
    let _ = take_named_as_ours(&bench, &earlier)?;
    let cleaned = bench.janitor(&[])?.expect_code(0);
    assert_eq!(
        found(&cleaned),
        pairs(&[("snapshot", "undone"), ("access", "undone")])
    );
    bench.assert_vm_clean()
}

#[test]
fn the_live_work_of_another_machine_is_left_alone() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let first = start_and_hold(&mut bench, &["--full", "--beat-seconds", "1"])?;
    let other = bench.path("other-state");
    let other = ["--state-dir", other.to_str().expect("a path of ours")];
    let [word, folder] = other;
    let before = changes(&bench)?;
    let seen = bench.janitor(&[word, folder, "--look-seconds", "4"])?;
    let adopting = bench.janitor(&["--adopt", word, folder, "--look-seconds", "4"])?;
    let (after, standing) = (changes(&bench)?, snapshots(&bench)?.len());
    // On its own machine the lock tells, and nothing is waited for.
    let busy = bench.janitor(&["--look-seconds", "3600"])?;
    // Whatever they say, the first must go on before anything is asserted.
    bench.order(&[])?;
    let _ = bench.finish(first)?.expect_code(0);
    for outcome in [seen, adopting] {
        let outcome = outcome.expect_code(0);
        let alone = [("snapshot", "left-alone"), ("access", "left-alone")];
        assert_eq!(found(&outcome), pairs(&alone), "{outcome:#?}");
    }
    assert_eq!((after, standing), (before, 1));
    assert_eq!(busy.expect_code(0).result()["busy"], true);
    assert_next_is_silent(&mut bench)
}

#[test]
fn a_dead_run_of_another_machine_is_undone_by_the_repository() -> Result<()> {
    let mut bench = bench_with_a_dead_run()?;
    let other = bench.path("other-state");
    let other = ["--state-dir", other.to_str().expect("a path of ours")];
    let cleaned = bench.janitor(&other)?.expect_code(0);
    assert_eq!(
        found(&cleaned),
        pairs(&[("snapshot", "undone"), ("access", "undone")])
    );
    // Only the ledger is left, and it does no harm.
    let before = changes(&bench)?;
    let seen = bench.janitor(&["--report"])?.expect_code(0);
    assert_eq!(found(&seen), pairs(&[("run", "left-alone")]));
    assert_eq!(changes(&bench)?, before);
    let _ = bench.janitor(&[])?.expect_code(0);
    assert_next_is_silent(&mut bench)
}

#[test]
fn a_snapshot_that_is_still_being_made_is_waited_for() -> Result<()> {
    let mut bench = Bench::with(&BenchOptions {
        task_duration_ms: 2_000,
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let mut backup = bench.start_backup(&["--cbt", "never"])?;
    backup.run.wait_until("the snapshot is asked for", || {
        let calls = bench.calls();
        calls.is_ok_and(|calls| calls.count("vcenter", "CreateSnapshot_Task") > 0)
    })?;
    let _ = bench.kill(backup)?;
    lose_state(&bench)?;
    let cleaned = bench.janitor(&[])?.expect_code(0);
    let waited = "wait for a snapshot that is being made";
    assert!(cleaned.stdout.contains(waited), "{cleaned:#?}");
    assert_eq!(
        found(&cleaned),
        pairs(&[("snapshot", "undone"), ("access", "undone")])
    );
    bench.assert_put_back()
}

#[test]
fn what_cannot_be_undone_is_5_and_stays_for_the_next_time() -> Result<()> {
    let mut bench = bench_with_a_dead_run()?;
    lose_state(&bench)?;
    bench.order(&[Fault {
        call: "RemoveSnapshot_Task".to_owned(),
        fault: Some("FileFault".to_owned()),
        ..Fault::default()
    }])?;
    let left = bench.janitor(&[])?.expect_code(5);
    assert_eq!(
        found(&left),
        pairs(&[("snapshot", "left"), ("access", "undone")])
    );
    bench.order(&[])?;
    let cleaned = bench.janitor(&[])?.expect_code(0);
    assert_eq!(found(&cleaned), pairs(&[("snapshot", "undone")]));
    assert_next_is_silent(&mut bench)
}

/// Nobody comes by it any more, and its ledger tells what may have to be done by hand.
#[test]
fn what_is_left_at_a_vm_that_is_gone_is_told() -> Result<()> {
    let bench = bench_with_a_dead_run()?;
    let uuid = bench.lab.vm(&bench.vm)?.instance_uuid;
    let other = bench.lab.add_vm(lab::VmSpec {
        name: "idle01".to_owned(),
        ..lab::VmSpec::default()
    })?;
    bench
        .lab
        .change_power_state(&bench.vm, lab::PowerState::PoweredOff)?;
    bench.lab.unregister_vm(&bench.vm)?;
    let all = || bench.run(bench.vm_arguments("janitor", "--all", &[]));
    let told = all()?.expect_code(5);
    assert_eq!(found(&told), pairs(&[("run", "left")]));
    let result = told.result();
    assert_eq!(result["uuid"], uuid, "{told:#?}");
    let finding = &result["findings"][0];
    assert!(finding["age_seconds"].as_i64() >= Some(0), "{told:#?}");
    let reason = finding["reason"].as_str().unwrap_or_default();
    for words in ["the snapshot \"cbt-backup", "cannot be moved", ".jsonl"] {
        assert!(reason.contains(words), "{reason}");
    }
    // What is visited by name is not all there is.
    let one = bench.vm_arguments("janitor", &other.name, &[]);
    let _ = bench.run(one)?.expect_code(0);
    let (_, ledger) = reason.rsplit_once(": ").unwrap_or_default();
    fs::remove_file(ledger)?;
    let _ = all()?.expect_code(0);
    Ok(())
}

#[test]
fn all_vms_are_visited_and_people_are_told_in_lines() -> Result<()> {
    let bench = bench_with_a_dead_run()?;
    let _ = bench.lab.add_vm(lab::VmSpec {
        name: "idle01".to_owned(),
        ..lab::VmSpec::default()
    })?;
    let all = |options: &[&str]| {
        let mut arguments = bench.vm_arguments("janitor", "--all", options);
        arguments.retain(|argument| argument != "--json");
        bench.run(arguments)
    };
    let seen = all(&["--report"])?.expect_code(5);
    assert!(seen.stdout.contains("app01: run found: run "), "{seen:#?}");
    assert!(
        seen.stdout.ends_with("2 VMs: 0 undone, 1 left\n"),
        "{seen:#?}"
    );
    let cleaned = all(&[])?.expect_code(0);
    assert!(
        cleaned.stdout.ends_with("2 VMs: 1 undone, 0 left\n"),
        "{cleaned:#?}"
    );
    bench.assert_put_back()
}
