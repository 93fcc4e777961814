//! Keeping the VM in place while it is read, beside others who do, and without.

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Noise, Outcome};
use lab::Fault;

const METHOD: &str = "RelocateVM_Task";
const OTHER: &str = "another product";

fn bench() -> Result<Bench> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    Ok(bench)
}

/// How often a run has asked to keep the VM in place.
fn requests(bench: &Bench) -> usize {
    bench.calls().map_or(0, |calls| {
        calls.count("vixdisklib", "VixDiskLib_PrepareForAccess")
    })
}

#[test]
fn a_holder_that_lets_go_is_waited_for() -> Result<()> {
    let mut bench = bench()?;
    bench.lab.disable_methods(&bench.vm, &[METHOD], OTHER)?;
    let mut backup = bench.start_backup(&["--access-minutes", "5"])?;
    backup
        .run
        .wait_until("the refusal", || requests(&bench) > 0)?;
    bench.lab.enable_methods(&bench.vm, &[METHOD], OTHER)?;
    let outcome = bench.finish(backup)?.expect_code(0);
    let events = outcome.events();
    assert!(events.contains(&"access-held".to_owned()), "{events:?}");
    assert!(
        !events.contains(&"access-not-prepared".to_owned()),
        "{events:?}"
    );
    let calls = bench.calls()?;
    assert_eq!(calls.count("vixdisklib", "VixDiskLib_PrepareForAccess"), 2);
    assert_eq!(calls.count("vixdisklib", "VixDiskLib_EndAccess"), 1);
    bench.assert_put_back()?;
    bench.assert_restores(&outcome.point())
}

#[test]
fn a_holder_that_stays_is_told_and_left_alone() -> Result<()> {
    let mut bench = bench()?;
    bench.lab.disable_methods(&bench.vm, &[METHOD], OTHER)?;
    let outcome = bench.backup(&["--access-minutes", "0"])?.expect_code(0);
    let told = outcome.stderr.contains("somebody else keeps it in place")
        || outcome.stdout.contains("somebody else keeps it in place");
    assert!(told, "{outcome:#?}");
    assert!(!outcome.stdout.contains("thumbprint"), "{outcome:#?}");
    let required = ["--access-minutes", "0", "--access", "require"];
    let refused = bench.backup(&required)?.expect_code(13);
    assert!(refused.stderr.contains("cannot be kept"), "{refused:#?}");
    // It is still theirs, and nothing of ours is left.
    let vm = bench.lab.vm(&bench.vm)?;
    let holders: Vec<&str> = vm
        .disabled_methods
        .iter()
        .map(|held| held.source_id.as_str())
        .collect();
    assert_eq!(holders, [OTHER]);
    bench.lab.enable_methods(&bench.vm, &[METHOD], OTHER)?;
    bench.assert_put_back()?;
    bench.assert_restores(&outcome.point())
}

/// A backup that may not keep the VM in place, which moves to the second datastore before the second disk is opened.
fn moved_between_disks(bench: &mut Bench, more: &[Fault], options: &[&str]) -> Result<Outcome> {
    let faults = [
        Fault {
            call: "VixDiskLib_PrepareForAccess".to_owned(),
            code: Some(3014),
            ..Fault::default()
        },
        // Between the two disks nobody has one open.
        Fault {
            call: "VixDiskLib_Open".to_owned(),
            nth: Some(2),
            delay_ms: Some(4000),
            once: Some(true),
            ..Fault::default()
        },
    ];
    bench.order(&[&faults, more].concat())?;
    let markers = bench.lab.root().join("fault-markers");
    let mut backup = bench.start_backup(options)?;
    backup.run.wait_until("the second disk", || {
        std::fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some())
    })?;
    bench.lab.relocate(&bench.vm, "datastore2")?;
    let outcome = bench.finish(backup)?;
    bench.order(&[])?;
    bench.assert_vm_clean()?;
    Ok(outcome)
}

#[test]
fn a_disk_that_was_moved_while_it_was_read_fails() -> Result<()> {
    let mut bench = bench()?;
    let first = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 4096, &[9; 4096])?;
    let failed = moved_between_disks(&mut bench, &[], &[])?;
    assert_ne!(failed.code, Some(0), "{failed:#?}");
    let said = [failed.stdout.as_str(), failed.stderr.as_str()].concat();
    let words = "was moved while it was read, or a snapshot below it was removed";
    assert!(said.contains(words), "{said}");
    bench.assert_restores(&first.point())?;
    let next = bench.backup(&[])?.expect_code(0);
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())
}

/// What a long run keeps on its way serves the next one, which cannot know of the move any more.
#[test]
fn what_was_read_before_a_move_was_noticed_is_not_kept() -> Result<()> {
    let mut bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![8 << 20, 48 << 20],
        // It is not moved.
        elsewhere: vec![1],
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let first = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 0, &[9; 4096])?;
    bench.guest_write(2001, 0, &Noise::new(2).bytes(48 << 20))?;
    let slow = Fault {
        call: "VixDiskLib_ReadAsync.callback".to_owned(),
        count: Some(0),
        delay_ms: Some(300),
        ..Fault::default()
    };
    // By the time the second disk is read, it is time to keep what is there.
    let failed = moved_between_disks(&mut bench, &[slow], &["--checkpoint-seconds", "2"])?;
    let failed = failed.expect_code(3);
    let events = failed.events();
    assert!(
        events.contains(&"partial-point-not-made".to_owned()),
        "{failed:#?}"
    );
    assert!(!events.contains(&"partial-point".to_owned()), "{failed:#?}");
    let to = bench.path("restored/carried");
    let restored = bench.restore(&failed.point(), &to, &["--allow-carried"])?;
    let _ = restored.expect_code(0);
    bench
        .frozen(&first.point())?
        .compare(2000, &to.join("app01-disk-2000.raw"))?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        next.disk(2000).bytes("changed_bytes"),
        64 << 10,
        "{next:#?}"
    );
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())
}

/// Nobody is kept from removing a snapshot by a VM that is kept in place.
#[test]
fn a_snapshot_that_is_removed_while_it_is_read_is_noticed() -> Result<()> {
    let mut bench = bench()?;
    let first = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 0, &Noise::new(3).bytes(4 << 20))?;
    let backup = bench.start_slow_backup(&["--full", "--checkpoint-seconds", "1"], 400)?;
    let snapshot = bench.lab.vm(&bench.vm)?.snapshots[0].moref.clone();
    // It is gone, though its files stay as long as somebody reads them.
    let _ = bench.lab.remove_snapshot(&snapshot, false);
    assert!(bench.lab.vm(&bench.vm)?.snapshots.is_empty());
    bench.guest_write(2001, 0, &[9; 4096])?;
    let failed = bench.finish(backup)?.expect_code(15);
    let failed = failed.expect_said("its snapshot was removed while it was read");
    let told = failed.values();
    let kinds: Vec<_> = told.iter().filter_map(|v| v["kind"].as_str()).collect();
    let failures = kinds.iter().filter(|kind| **kind == "disk-failed").count();
    assert_eq!(failures, 2, "{failed:#?}");
    // What was kept before that is sound, and nothing is kept after.
    let doubt = kinds.iter().position(|k| *k == "partial-point-not-made");
    let after = doubt.map_or(&[][..], |at| &kinds[at..]);
    assert!(!after.is_empty(), "{failed:#?}");
    assert!(!after.contains(&"partial-point"), "{failed:#?}");
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_restores(&first.point())?;
    let next = bench.backup(&[])?.expect_code(0);
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())
}

/// Whether it stands cannot be asked, which is no reason to throw away what was read in place.
#[test]
fn a_server_that_does_not_tell_of_the_snapshot_costs_no_disk() -> Result<()> {
    let mut bench = bench()?;
    let backup = bench.start_backup_to_the_middle(&[])?;
    bench.order(&[Fault {
        call: "RetrievePropertiesEx".to_owned(),
        count: Some(0),
        fault: Some("NoPermission".to_owned()),
        ..Fault::default()
    }])?;
    // Nor can it be removed now.
    let made = bench.finish(backup)?.expect_code(5);
    let events = made.events();
    assert!(
        events.contains(&"snapshot-not-seen".to_owned()),
        "{made:#?}"
    );
    assert_eq!(made.result()["incomplete"], false, "{made:#?}");
    bench.order(&[])?;
    bench.assert_restores(&made.point())?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.assert_put_back()
}

/// Each of these calls fails once for a reason that may pass, before its effect or with it.
#[test]
fn what_may_pass_is_tried_again_at_both_ends_of_a_run() -> Result<()> {
    let mut bench = bench()?;
    let _ = bench.backup(&[])?.expect_code(0);
    for (call, after) in [
        ("VixDiskLib_PrepareForAccess", false),
        ("VixDiskLib_PrepareForAccess", true),
        ("VixDiskLib_EndAccess", false),
    ] {
        bench.guest_write(2000, 4096, &[9; 4096])?;
        bench.order(&[Fault {
            after: Some(after),
            ..once(call, 2)
        }])?;
        let before = bench.calls()?.count("vixdisklib", call);
        let outcome = bench.backup(&["--access", "require"])?.expect_code(0);
        let made = bench.calls()?.count("vixdisklib", call) - before;
        assert_eq!(made, 2, "{call}, {after}");
        assert_eq!(outcome.events(), ["tried-again"], "{call}, {after}");
        bench.order(&[])?;
        bench.assert_put_back()?;
        bench.assert_restores(&outcome.point())?;
    }
    // After a failure the library's own clean-up, too.
    bench.order(&[once("VixDiskLib_Open", 4), once("VixDiskLib_Cleanup", 2)])?;
    let failed = bench.backup(&["--full"])?.expect_code(3);
    assert_eq!(
        failed.events(),
        ["disk-failed", "tried-again"],
        "{failed:#?}"
    );
    let cleaned = bench.calls()?.count("vixdisklib", "VixDiskLib_Cleanup");
    assert_eq!(cleaned, 2);
    bench.order(&[])?;
    bench.assert_put_back()
}

fn once(call: &str, code: u64) -> Fault {
    Fault {
        call: call.to_owned(),
        nth: Some(1),
        count: Some(1),
        code: Some(code),
        ..Fault::default()
    }
}
