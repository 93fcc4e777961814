//! Backups again and again.

use anyhow::Result;
use cbt_tests::{Bench, Outcome, VM};
use lab::Fault;

fn run_arguments(bench: &Bench, options: &[&str]) -> Vec<std::ffi::OsString> {
    bench.vm_arguments("run", VM, options)
}

/// Ids of the points that a program told.
fn points(outcome: &Outcome) -> usize {
    let results = outcome.values();
    let results = results.iter().filter(|value| value["type"] == "result");
    results.filter(|value| value["point"].is_string()).count()
}

#[test]
fn rounds_follow_one_another_and_each_is_a_point() -> Result<()> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let done = bench
        .run(run_arguments(&bench, &["--every", "1s", "--rounds", "3"]))?
        .expect_code(0);
    assert_eq!(points(&done), 3, "{done:#?}");
    let list = bench.list()?.expect_code(0).result();
    let kinds: Vec<_> = list["points"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|point| &point["kind"])
        .collect();
    assert_eq!(kinds, ["full", "incremental", "incremental"]);
    // One login serves all rounds.
    assert_eq!(bench.calls()?.count("vcenter", "Login"), 1);
    bench.assert_put_back()
}

#[test]
fn a_round_that_fails_does_not_end_the_others() -> Result<()> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[Fault {
        call: "CreateSnapshot_Task".to_owned(),
        fault: Some("RuntimeFault".to_owned()),
        once: Some(true),
        ..Fault::default()
    }])?;
    let done = bench
        .run(run_arguments(&bench, &["--every", "1s", "--rounds", "2"]))?
        .expect_code(0)
        .expect_said("RuntimeFault");
    assert_eq!(points(&done), 1, "{done:#?}");
    let values = done.values();
    let failures: Vec<_> = values
        .iter()
        .filter(|value| value["type"] == "error")
        .collect();
    assert_eq!(failures.len(), 1, "{done:#?}");
    assert_eq!(
        (&failures[0]["vm"], &failures[0]["exit_code"]),
        (&VM.into(), &13.into())
    );
    let message = failures[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("RuntimeFault"), "{done:#?}");
    let tally = done.result();
    assert_eq!(
        (&tally["type"], &tally["rounds"], &tally["failed"]),
        (&"rounds".into(), &2.into(), &1.into())
    );
    bench.assert_put_back()
}

#[test]
fn a_slow_round_and_a_slow_removal_skip_times_and_say_so() -> Result<()> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let slow = |call: &str, delay_ms| Fault {
        call: call.to_owned(),
        delay_ms: Some(delay_ms),
        once: Some(true),
        ..Fault::default()
    };
    bench.order(&[slow("CreateSnapshot_Task", 2500)])?;
    let missed = bench
        .run(run_arguments(&bench, &["--every", "1s", "--rounds", "2"]))?
        .expect_code(0);
    assert!(missed.stdout.contains("rounds-missed"), "{missed:#?}");
    bench.order(&[slow("RemoveSnapshot_Task", 1500)])?;
    let rested = bench
        .run(run_arguments(&bench, &["--every", "2s", "--rounds", "2"]))?
        .expect_code(0);
    assert!(rested.stdout.contains("rounds-rested"), "{rested:#?}");
    bench.assert_put_back()
}

#[test]
fn a_signal_between_rounds_is_a_good_end_and_a_refused_login_ends_all() -> Result<()> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let mut run = bench.start(run_arguments(&bench, &["--every", "1h"]))?;
    run.wait_until("the first point", || {
        bench.list().is_ok_and(|list| {
            list.result()["points"]
                .as_array()
                .is_some_and(|points| !points.is_empty())
        })
    })?;
    run.wait_until("the end of the round", || {
        bench
            .calls()
            .is_ok_and(|calls| calls.count("vixdisklib", "VixDiskLib_EndAccess") == 1)
    })?;
    run.signal("TERM")?;
    let _ = run.wait()?.expect_code(0);

    let wrong = bench.path("secret/wrong");
    std::fs::write(&wrong, "wrong")?;
    let wrong = wrong.display().to_string();
    let options = ["--every", "1s", "--password-file", &wrong];
    let _ = bench.run(run_arguments(&bench, &options))?.expect_code(12);
    bench.assert_put_back()
}
