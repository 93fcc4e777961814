//! HotAdd: VDDK's clean-up for one VM waits for the disks of others, in this process and in others.

use anyhow::Result;
use cbt_tests::{Bench, Calls, Outcome, mixed};
use lab::{DiskSpec, Machine, Performance, VmSpec};

/// A bench in a proxy VM, with a second VM that is much smaller than the first, on a host that takes its time.
fn bench() -> Result<(Bench, String)> {
    let bench = Bench::new()?;
    let add = |name: &str| {
        let disks = vec![DiskSpec {
            capacity_bytes: 4 << 20,
            ..DiskSpec::default()
        }];
        let name = name.to_owned();
        bench.lab.add_vm(VmSpec {
            name,
            disks,
            ..VmSpec::default()
        })
    };
    let (small, proxy) = (add("db01")?.moref, add("proxy")?.moref);
    bench.lab.set_machine(Machine::Proxy { vm: proxy })?;
    bench
        .lab
        .guest_write(&small, 2000, 1 << 20, &mixed(7, 1 << 20))?;
    bench.lab.set_performance(Some(&Performance {
        latency_us: 1_000_000,
        ..Performance::default()
    }))?;
    let _ = bench.init()?.expect_code(0);
    Ok((bench, small))
}

const OPTIONS: [&str; 2] = ["--transport", "hotadd"];

/// How many events of a kind there were, over all VMs.
fn count(run: &Outcome, kind: &str) -> usize {
    let values = run.values();
    let events = values.iter().filter(|value| value["type"] == "event");
    events.filter(|event| event["kind"] == kind).count()
}

/// No clean-up was made while a disk was open, and each found nothing that was in use.
#[track_caller]
fn assert_apart(calls: &Calls, least: usize) {
    let (mut open, mut cleaned) = (0_i32, 0);
    for entry in calls.entries() {
        match entry.call.as_str() {
            "VixDiskLib_Open" if entry.result["code"] == 0 => open += 1,
            "VixDiskLib_Close" => open -= 1,
            "VixDiskLib_Cleanup" => {
                cleaned += 1;
                assert_eq!(open, 0, "{entry:?}");
                assert_eq!(entry.args["remaining"], 0, "{entry:?}");
                assert_eq!(entry.result["code"], 0, "{entry:?}");
            }
            _ => {}
        }
    }
    assert!(cleaned >= least, "{cleaned} clean-ups");
}

#[track_caller]
fn assert_clean(bench: &Bench, small: &str) -> Result<()> {
    let vm = bench.lab.vm(small)?;
    assert!(vm.snapshots.is_empty(), "{:?}", vm.snapshots);
    bench.assert_put_back()
}

#[test]
fn the_clean_up_of_one_vm_waits_for_the_disks_of_another() -> Result<()> {
    let (mut bench, small) = bench()?;
    let run = bench.run(bench.backup_arguments("glob:*01", &OPTIONS))?;
    let run = run.expect_code(0);
    assert_eq!(count(&run, "cleanup-waits"), 1, "{run:#?}");
    assert_eq!(count(&run, "other-transport"), 0, "{run:#?}");
    for kind in ["cleanup", "cleanup-left-out", "left-behind"] {
        assert_eq!(count(&run, kind), 0, "{kind}: {run:#?}");
    }
    assert_apart(&bench.calls()?, 2);
    assert_clean(&bench, &small)?;
    bench.lab.set_performance(None)?;
    let next = bench.backup(&OPTIONS)?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental");
    assert_eq!(next.disk(2000).text("transport"), "hotadd");
    bench.assert_sound()
}

/// A disk that is not open yet waits for a clean-up that waits, and that one waits for the disk that is.
#[test]
fn disks_that_come_one_by_one_let_the_clean_up_have_its_turn() -> Result<()> {
    let (bench, small) = bench()?;
    let options = [OPTIONS[0], OPTIONS[1], "--disks-at-once", "1"];
    let run = bench.run(bench.backup_arguments("glob:*01", &options))?;
    let run = run.expect_code(0);
    assert_eq!(count(&run, "cleanup-waits"), 1, "{run:#?}");
    assert_eq!(count(&run, "waits-for-cleanup"), 1, "{run:#?}");
    assert_apart(&bench.calls()?, 2);
    assert_clean(&bench, &small)
}

/// As from a timer of each VM: two processes on one proxy.
#[test]
fn the_clean_up_of_one_process_waits_for_the_disks_of_another() -> Result<()> {
    let (mut bench, small) = bench()?;
    let mut large = bench.start_backup(&OPTIONS)?;
    let opened = || {
        let calls = bench.calls();
        calls.is_ok_and(|calls| calls.count("vixdisklib", "VixDiskLib_Open") > 0)
    };
    large.run.wait_until("its disks are open", opened)?;
    let run = bench.run(bench.backup_arguments("db01", &OPTIONS))?;
    let run = run.expect_code(0);
    assert_eq!(count(&run, "cleanup-waits"), 1, "{run:#?}");
    let large = bench.finish(large)?.expect_code(0);
    for run in [&run, &large] {
        for kind in ["cleanup", "cleanup-left-out", "left-behind"] {
            assert_eq!(count(run, kind), 0, "{kind}: {run:#?}");
        }
    }
    assert_apart(&bench.calls()?, 2);
    assert_clean(&bench, &small)?;
    bench.assert_sound()
}

#[test]
fn a_signal_ends_the_wait_with_the_disks() -> Result<()> {
    let (bench, small) = bench()?;
    let mut run = bench.start(bench.backup_arguments("glob:*01", &OPTIONS))?;
    let output = run.stdout_file().to_owned();
    let waits =
        || std::fs::read_to_string(&output).is_ok_and(|said| said.contains("\"cleanup-waits\""));
    run.wait_until("a clean-up waits", waits)?;
    run.signal("INT")?;
    let _ = run.wait()?.expect_code(130);
    assert_apart(&bench.calls()?, 2);
    assert_clean(&bench, &small)
}
