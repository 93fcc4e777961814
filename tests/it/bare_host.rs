//! Runs against a bare ESXi host: no vCenter that keeps VMs from moving, and other ids.

use std::time::{Duration, Instant};

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Noise, VM};
use lab::Fault;

const DISK: i32 = 2000;
const READ: &str = "RetrievePropertiesEx";

fn host() -> Result<Bench> {
    Bench::with(&BenchOptions {
        capacities_bytes: vec![(12 << 20) + 512],
        page_extents: 3,
        bare_host: true,
        ..BenchOptions::default()
    })
}

/// Nobody asked the host for what only a vCenter has.
#[track_caller]
fn assert_asked_like_a_host(bench: &Bench) -> Result<()> {
    let calls = bench.calls()?;
    for (who, call) in [
        ("vixdisklib", "VixDiskLib_PrepareForAccess"),
        ("vixdisklib", "VixDiskLib_EndAccess"),
        ("vcenter", "DisableMethods"),
        ("vcenter", "EnableMethods"),
        ("vcenter", "SessionIsActive"),
        ("vcenter", "CloneSession"),
    ] {
        assert_eq!(calls.count(who, call), 0, "{call}");
    }
    // VixDiskLib is told the VM by the host's number for it.
    for connected in calls.of("vixdisklib", "VixDiskLib_ConnectEx") {
        let text = connected.args.to_string();
        assert!(!text.contains("moref=vm-"), "{text}");
    }
    Ok(())
}

#[test]
fn a_vm_of_a_bare_host_is_backed_up_and_restored() -> Result<()> {
    let mut bench = host()?;
    let _ = bench.init()?.expect_code(0);
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(full.result()["kind"], "full");
    assert_eq!(full.events(), ["tracking-on"], "{full:#?}");

    let mut noise = Noise::new(1);
    for grain in (0..40).step_by(3) {
        bench.guest_write(DISK, (grain << 16) + 512, &noise.bytes(1024))?;
    }
    bench.guest_write(DISK, 12 << 20, &noise.bytes(512))?;
    let increment = bench.backup(&[])?.expect_code(0);
    let disk = increment.disk(DISK);
    assert_eq!(disk.text("action"), "incremental", "{disk:?}");
    let wanted = bench
        .touched
        .changed_bytes(DISK, bench.capacity_bytes(DISK)?);
    assert_eq!(disk.bytes("changed_bytes"), wanted, "{disk:?}");
    assert_eq!(increment.events(), Vec::<String>::new(), "{increment:#?}");
    let pages = bench.calls()?.count("vcenter", "QueryChangedDiskAreas");
    assert!(pages > 3, "{pages} pages");

    assert_asked_like_a_host(&bench)?;
    bench.assert_put_back()?;
    bench.assert_sound()?;
    bench.assert_restores(&full.point())?;
    bench.assert_restores(&increment.point())
}

#[test]
fn what_a_killed_run_left_on_a_bare_host_is_undone_by_the_next() -> Result<()> {
    let mut bench = host()?;
    let _ = bench.init()?.expect_code(0);
    let cut = bench.start_backup_to_the_middle(&[])?;
    let _ = bench.kill(cut)?;
    bench.order(&[])?;
    assert_eq!(bench.lab.vm(&bench.vm)?.snapshots.len(), 1);
    let next = bench.backup(&[])?.expect_code(0);
    assert!(next.events().contains(&"dead-run".to_owned()), "{next:#?}");
    assert_asked_like_a_host(&bench)?;
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_bare_host_is_listed_and_its_tracking_switched() -> Result<()> {
    let bench = host()?;
    let listed = bench
        .run(bench.server_arguments("vms", &["--json", "--details"]))?
        .expect_code(0);
    let document = listed.result();
    let row = &document["vms"][0];
    assert_eq!(row["name"], VM, "{document}");
    let enabled = bench
        .run(bench.server_arguments("cbt", &["enable", VM, "--cycle", "--json"]))?
        .expect_code(0);
    assert_eq!(enabled.result()["vms"][0]["state"], "on", "{enabled:#?}");
    let checked = bench
        .run(bench.server_arguments("privileges", &["--check"]))?
        .expect_code(2);
    assert!(checked.stderr.contains("no roles to test"), "{checked:#?}");
    bench.assert_put_back()
}

#[test]
fn a_host_under_two_names_is_one_host() -> Result<()> {
    let mut bench = host()?;
    let _ = bench.init()?.expect_code(0);
    let other = bench.vcenter().url().replace("127.0.0.1", "localhost");
    assert!(other.contains("localhost"), "{other}");
    let full = bench.backup(&[])?.expect_code(0);
    bench.guest_write(DISK, 1 << 20, &[7; 1024])?;
    let next = bench.backup(&["--server", &other])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
    // One lock: a run under the other name leaves the VM of a run that lives alone.
    let living = bench.start_backup_to_the_middle(&["--full"])?;
    let _ = bench.backup(&["--server", &other])?.expect_code(11);
    assert_eq!(bench.lab.vm(&bench.vm)?.snapshots.len(), 1);
    bench.order(&[])?;
    let last = bench.finish(living)?.expect_code(0);
    bench.assert_put_back()?;
    bench.assert_sound()?;
    bench.assert_restores(&full.point())?;
    bench.assert_restores(&last.point())
}

/// With its address in place of its UUID the host would be another one: nothing to build upon, and no lock.
#[test]
fn a_host_whose_uuid_cannot_be_had_is_not_taken_for_another() -> Result<()> {
    let mut bench = host()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let trouble = |nth, fault: Option<&str>| Fault {
        call: READ.to_owned(),
        nth: Some(nth),
        fault: fault.map(str::to_owned),
        http_status: fault.is_none().then_some(503),
        ..Fault::default()
    };
    // The UUID is among the first that is asked for.
    let mut refused = 0;
    for nth in 1..=8 {
        bench.order(&[trouble(nth, Some("RuntimeFault"))])?;
        let made = bench.backup(&[])?;
        if made.code == Some(0) {
            assert_eq!(made.result()["kind"], "incremental", "{nth}: {made:#?}");
        } else {
            refused += 1;
            let _ = made.expect_code(13);
        }
        bench.assert_put_back()?;
    }
    assert!(refused > 0);
    // What passes at the next attempt is no trouble at all.
    bench.order(&[1, 3, 5, 7].map(|nth| trouble(nth, None)))?;
    bench.guest_write(DISK, 1 << 20, &[7; 1024])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// Nobody puts anything while it is asked whether all is in its place: that must not last.
#[test]
fn a_late_answer_costs_a_partial_point_and_not_the_run() -> Result<()> {
    const LATE: Duration = Duration::from_mins(1);
    let mut bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![48 << 20],
        bare_host: true,
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let options = ["--checkpoint-seconds", "2", "--read-unallocated"];
    let backup = bench.start_slow_backup(&options, 700)?;
    let begun = Instant::now();
    let slow_reads = Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        count: Some(0),
        delay_ms: Some(700),
        ..Fault::default()
    };
    bench.order(&[
        slow_reads,
        // The first time it is asked while others go on.
        Fault {
            call: READ.to_owned(),
            nth: Some(2),
            delay_ms: Some(u64::try_from(LATE.as_millis())?),
            ..Fault::default()
        },
    ])?;
    let made = bench.finish(backup)?.expect_code(0);
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    assert!(
        made.stdout.contains("the server takes longer than 10 s"),
        "{made:#?}"
    );
    assert_eq!(
        made.events()
            .iter()
            .filter(|kind| *kind == "partial-point-not-made")
            .count(),
        1,
        "{made:#?}"
    );
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_sound()
}
