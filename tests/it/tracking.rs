//! VMs whose changes are not tracked: each run is a full that says why.

use std::fs;

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome};
use serde_json::Value;

#[track_caller]
fn assert_full_because(outcome: &Outcome, why: &str) {
    for device_key in [2000, 2001] {
        let disk = outcome.disk(device_key);
        assert_eq!(disk.text("action"), "full", "{outcome:#?}");
        assert!(
            disk.text("reason").contains(why),
            "{disk:?} does not say {why:?}"
        );
    }
}

#[test]
fn without_support_for_tracking_every_run_is_a_full_with_the_reason() -> Result<()> {
    let options = BenchOptions {
        change_tracking_supported: false,
        ..BenchOptions::default()
    };
    let mut bench = Bench::with(&options)?;
    let _ = bench.init()?.expect_code(0);
    let first = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 1 << 20, &[3; 4096])?;
    let second = bench.backup(&[])?.expect_code(0);
    assert_full_because(&first, "no earlier point");
    assert_full_because(&second, "can't be tracked");
    let calls = bench.calls()?;
    assert_eq!(calls.count("vcenter", "ReconfigVM_Task"), 0);
    assert_eq!(calls.count("vcenter", "QueryChangedDiskAreas"), 0);
    // Most of it was known all the same.
    assert!(
        second.disk(2000).bytes("new_bytes") <= 1 << 18,
        "{second:#?}"
    );
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_host_older_than_4_0_is_not_asked_what_changed() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let before = bench.backup(&[])?.expect_code(0);
    assert_eq!(before.result()["kind"], "incremental", "{before:#?}");
    let calls = bench.calls()?;
    let (asked, switched) = (
        calls.count("vcenter", "QueryChangedDiskAreas"),
        calls.count("vcenter", "ReconfigVM_Task"),
    );
    assert!(asked > 0);
    let path = bench.path("lab/site.json");
    let mut site: Value = serde_json::from_slice(&fs::read(&path)?)?;
    site["host"]["version"] = "3.5.0".into();
    fs::write(&path, site.to_string())?;
    // The VM says that it is tracked. It is its host that can't.
    let after = bench.backup(&[])?.expect_code(0);
    assert_full_because(&after, "the host has release 3.5.0, tracking needs 4.0");
    let calls = bench.calls()?;
    assert_eq!(calls.count("vcenter", "QueryChangedDiskAreas"), asked);
    assert_eq!(calls.count("vcenter", "ReconfigVM_Task"), switched);
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn tracking_is_not_switched_on_when_that_is_forbidden() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&["--cbt", "never"])?.expect_code(0);
    let second = bench.backup(&["--cbt", "never"])?.expect_code(0);
    assert_full_because(&second, "change tracking is off");
    assert!(!bench.lab.vm(&bench.vm)?.change_tracking.enabled);
    // Once it is on, the run after next is incremental: the first one has an id to begin with.
    let on = bench.backup(&[])?.expect_code(0);
    assert_full_because(&on, "tracked for the first time");
    assert!(bench.lab.vm(&bench.vm)?.change_tracking.enabled);
    let next = bench.backup(&["--cbt", "never"])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
    bench.assert_put_back()
}
