//! Runs that are stopped in the middle of reading, in every way, and two runs at once.

use std::fs;

use anyhow::Result;
use cbt_tests::{Bench, Outcome, VM};
use lab::Fault;

/// A bench with one point and something to read for the next.
fn bench_with_a_point() -> Result<Bench> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 3 << 20, &vec![7; 1 << 18])?;
    bench.guest_unmap(2001, 1 << 20, 1 << 16)?;
    Ok(bench)
}

/// The next run is complete and incremental, and every point is good.
#[track_caller]
fn assert_next_is_fine(bench: &mut Bench) -> Result<Outcome> {
    bench.order(&[])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
    assert_eq!(next.result()["incomplete"], false);
    bench.assert_put_back()?;
    bench.assert_sound()?;
    Ok(next)
}

#[test]
fn a_signal_in_the_middle_is_130_and_everything_is_put_back() -> Result<()> {
    for signal in ["INT", "TERM"] {
        let mut bench = bench_with_a_point()?;
        let points = bench.list()?.expect_code(0).result()["points"].clone();
        let backup = bench.start_backup_to_the_middle(&["--full"])?;
        assert_eq!(bench.lab.vm(&bench.vm)?.snapshots.len(), 1);
        backup.run.signal(signal)?;
        let outcome = bench
            .finish(backup)?
            .expect_code(130)
            .expect_said("interrupted");
        assert_eq!(outcome.result()["exit_code"], 130);
        bench.assert_put_back()?;
        assert_eq!(bench.list()?.expect_code(0).result()["points"], points);
        assert_eq!(open_sessions(&bench)?, 0, "the session is still announced");
        bench.assert_sound()?;
        let next = assert_next_is_fine(&mut bench)?;
        assert_eq!(next.events(), Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn a_signal_ends_looking_with_a_logout() -> Result<()> {
    for (command, options) in [
        ("vms", &[][..]),
        ("cbt", &["status", VM]),
        ("privileges", &["--check", VM]),
    ] {
        let bench = Bench::new()?;
        bench.order(&[Fault {
            call: "RetrievePropertiesEx".to_owned(),
            delay_ms: Some(20_000),
            ..Fault::default()
        }])?;
        let mut run = bench.start(bench.server_arguments(command, options))?;
        let looks = || {
            let calls = bench.calls();
            calls.is_ok_and(|calls| calls.count("vcenter", "CreateContainerView") > 0)
        };
        run.wait_until("it looks", looks)?;
        run.signal("INT")?;
        let _ = run.wait()?.expect_code(130).expect_said("interrupted");
        assert_eq!(bench.calls()?.count("vcenter", "Logout"), 1, "{command}");
    }
    Ok(())
}

#[test]
fn a_signal_during_the_login_leaves_no_session() -> Result<()> {
    let bench = Bench::new()?;
    bench.order(&[Fault {
        call: "Login".to_owned(),
        delay_ms: Some(2_000),
        once: Some(true),
        ..Fault::default()
    }])?;
    let markers = bench.lab.root().join("fault-markers");
    let mut run = bench.start(bench.server_arguments("vms", &[]))?;
    run.wait_until("the login", || {
        fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some())
    })?;
    run.signal("INT")?;
    let _ = run.wait()?.expect_code(130).expect_said("interrupted");
    assert_eq!(bench.calls()?.count("vcenter", "Login"), 1);
    assert_eq!(bench.calls()?.count("vcenter", "Logout"), 1);
    Ok(())
}

#[test]
fn a_signal_in_the_first_run_leaves_no_point() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let backup = bench.start_backup_to_the_middle(&[])?;
    backup.run.signal("INT")?;
    let _ = bench.finish(backup)?.expect_code(130);
    bench.assert_put_back()?;
    assert_eq!(
        bench.list()?.expect_code(0).result()["points"],
        serde_json::json!([])
    );
    let _ = bench.verify("full")?.expect_code(0);
    bench.order(&[])?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.assert_sound()
}

#[test]
fn the_run_after_a_kill_cleans_up() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let backup = bench.start_backup_to_the_middle(&["--full"])?;
    let killed = bench.kill(backup)?;
    assert_eq!(killed.signal, Some(9));
    let vm = bench.lab.vm(&bench.vm)?;
    assert_eq!(
        (vm.snapshots.len(), vm.disabled_methods.len()),
        (1, 1),
        "nothing was under way"
    );
    // What is whole stays whole, with the dead run's remains beside it.
    bench.assert_sound()?;

    let next = assert_next_is_fine(&mut bench)?;
    assert_eq!(next.events(), ["dead-run"], "{next:#?}");
    let last = bench.backup(&[])?.expect_code(0);
    assert_eq!(last.events(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_second_run_on_the_same_vm_is_11() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let first = bench.start_backup_to_the_middle(&["--full"])?;
    first.run.signal("STOP")?;
    let second = bench.backup(&[])?;
    // Whatever the second says, the first must go on before anything is asserted.
    bench.order(&[])?;
    first.run.signal("CONT")?;
    let _ = second.expect_code(11).expect_said("hint: ");
    let _ = bench.finish(first)?.expect_code(0);
    bench.assert_put_back()?;
    assert_eq!(bench.calls()?.count("vcenter", "CreateSnapshot_Task"), 2);
    let _ = assert_next_is_fine(&mut bench)?;
    Ok(())
}

/// How many sessions are announced in the repository.
fn open_sessions(bench: &Bench) -> Result<usize> {
    let folder = bench.path("repository/open");
    Ok(if folder.exists() {
        fs::read_dir(folder)?.count()
    } else {
        0
    })
}
