//! VMs whose changes are not tracked: each run is a full that says why.

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome};

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
    assert_full_because(&second, "cannot track");
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
fn tracking_is_not_switched_on_when_that_is_forbidden() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&["--cbt", "never"])?.expect_code(0);
    let second = bench.backup(&["--cbt", "never"])?.expect_code(0);
    assert_full_because(&second, "change tracking is off");
    assert!(!bench.lab.vm(&bench.vm)?.change_tracking.enabled);
    // Once it is on, the run after next is incremental: the first one has an id to begin with.
    let on = bench.backup(&[])?.expect_code(0);
    assert_full_because(&on, "no change id");
    assert!(bench.lab.vm(&bench.vm)?.change_tracking.enabled);
    let next = bench.backup(&["--cbt", "never"])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
    bench.assert_put_back()
}
