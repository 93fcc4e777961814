//! Several VMs in work at once.

use std::collections::BTreeSet;

use anyhow::Result;
use cbt_tests::{Bench, Calls, Noise, Outcome, VM};
use lab::{DiskSpec, Fault, Performance, VmSpec};
use serde_json::Value;

/// What both of the others hold.
fn content() -> Vec<u8> {
    Noise::new(7).bytes(2 << 20)
}

/// A bench with two more VMs, `db01` and `web01`, on a host that takes its time.
fn bench() -> Result<(Bench, [String; 2])> {
    let bench = Bench::new()?;
    let add = |name: &str| {
        bench.lab.add_vm(VmSpec {
            name: name.to_owned(),
            disks: vec![DiskSpec {
                capacity_bytes: 4 << 20,
                ..DiskSpec::default()
            }],
            ..VmSpec::default()
        })
    };
    let others = [add("db01")?.moref, add("web01")?.moref];
    for moref in &others {
        bench.lab.guest_write(moref, 2000, 1 << 20, &content())?;
    }
    bench.lab.set_performance(Some(&Performance {
        latency_us: 60_000,
        ..Performance::default()
    }))?;
    let _ = bench.init()?.expect_code(0);
    Ok((bench, others))
}

/// The names of the VMs that a point was made of.
fn made(run: &Outcome) -> BTreeSet<String> {
    let values = run.values();
    let results = values
        .iter()
        .filter(|value| value["type"] == "result" && value["point"].is_string());
    results
        .filter_map(|value| value["vm"].as_str().map(str::to_owned))
        .collect()
}

/// The most VMs that had a snapshot of ours at the same time.
fn most_frozen(calls: &Calls) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for entry in calls.entries() {
        match entry.call.as_str() {
            "CreateSnapshot_Task" if entry.result == "ok" => now += 1,
            "RemoveSnapshot_Task" => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[track_caller]
fn assert_clean(bench: &Bench, others: &[String]) -> Result<()> {
    for moref in others {
        let vm = bench.lab.vm(moref)?;
        assert!(vm.snapshots.is_empty(), "{:?}", vm.snapshots);
        assert!(vm.disabled_methods.is_empty(), "{:?}", vm.disabled_methods);
    }
    bench.assert_put_back()
}

#[test]
fn as_many_are_in_work_as_may_be_and_each_line_names_its_vm() -> Result<()> {
    for (at_once, most) in [("1", 1), ("2", 2), ("9", 3)] {
        let (mut bench, others) = bench()?;
        let options = ["--vms-at-once", at_once];
        let run = bench.run(bench.backup_arguments("glob:*01", &options))?;
        let run = run.expect_code(0);
        let all: BTreeSet<String> = [VM, "db01", "web01"].map(str::to_owned).into();
        assert_eq!(made(&run), all);
        let most_there = most_frozen(&bench.calls()?);
        assert!(most_there <= most, "{most_there} of {most}");
        assert!(most == 1 || most_there > 1, "one after the other");
        for value in run.values() {
            if ["step", "event", "progress"]
                .iter()
                .any(|kind| value["type"] == *kind)
            {
                let vm = value["vm"].as_str().unwrap_or_default();
                assert!(all.contains(vm), "{value}");
            }
        }
        assert_clean(&bench, &others)?;
        // What was made beside the others is built on, and is right.
        let next = bench.backup(&[])?.expect_code(0);
        assert_eq!(next.result()["kind"], "incremental");
        bench.assert_sound()?;
    }
    Ok(())
}

#[test]
fn the_failure_of_one_keeps_no_other_from_its_backup() -> Result<()> {
    let (bench, others) = bench()?;
    bench.order(&[Fault {
        call: "CreateSnapshot_Task".to_owned(),
        nth: Some(2),
        fault: Some("NoPermission".to_owned()),
        ..Fault::default()
    }])?;
    let run = bench.run(bench.backup_arguments("glob:*01", &[]))?;
    assert_eq!(run.code, Some(13), "{run:#?}");
    assert_eq!(made(&run).len(), 2, "{run:#?}");
    assert_clean(&bench, &others)?;
    bench.order(&[])?;
    let run = bench.run(bench.backup_arguments("glob:*01", &[]))?;
    assert_eq!(made(&run.expect_code(0)).len(), 3);
    assert_clean(&bench, &others)
}

#[test]
fn a_signal_ends_all_of_them() -> Result<()> {
    let (mut bench, others) = bench()?;
    let mut run = bench.start(bench.backup_arguments("glob:*01", &["--vms-at-once", "3"]))?;
    let reads = || {
        let calls = bench.calls();
        calls.is_ok_and(|calls| calls.count("vixdisklib", "VixDiskLib_Open") >= 2)
    };
    run.wait_until("two are read", reads)?;
    run.signal("INT")?;
    let _ = run.wait()?.expect_code(130).expect_said("interrupted");
    assert_clean(&bench, &others)?;
    let next = bench.backup(&[])?.expect_code(0);
    bench.assert_restores(&next.point())
}

#[test]
fn as_text_the_lines_name_the_vm() -> Result<()> {
    let (bench, _) = bench()?;
    let arguments = bench.backup_arguments("glob:*01", &[]);
    let plain = arguments.into_iter().filter(|word| word != "--json");
    let run = bench.run(plain)?.expect_code(0);
    for name in [VM, "db01", "web01"] {
        assert!(
            run.stdout.contains(&format!(" of {name} (full)")),
            "{run:#?}"
        );
        assert!(
            run.stderr.contains(&format!("/{name}: read disks")),
            "{run:#?}"
        );
    }
    Ok(())
}

#[test]
fn a_vm_like_another_stores_what_that_one_has_not() -> Result<()> {
    let (bench, others) = bench()?;
    let first = bench.run(bench.backup_arguments("db01", &[]))?;
    let first = first.expect_code(0).point();
    let own = Noise::new(8).bytes(4096);
    bench.lab.guest_write(&others[1], 2000, 0, &own)?;
    let seeds = ["--seed-from", "db01", "--seed-from", "nobody"];
    let clone = bench.run(bench.backup_arguments("web01", &seeds))?;
    let clone = clone.expect_code(0);
    let events = clone.events();
    let of_kind = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!((of_kind("seeds-known"), of_kind("seed-unknown")), (1, 1));
    let stats = |point: &str| -> Result<Value> {
        let show = bench.run(bench.repository_arguments("show", &[point]))?;
        Ok(show.expect_code(0).result()["point"]["stats"].clone())
    };
    let (there, here) = (stats(&first)?, stats(&clone.point())?);
    assert_eq!(here["new_blocks"], 1, "{here}");
    let number = |stats: &Value, name: &str| stats[name].as_u64().unwrap_or(u64::MAX / 2);
    let all = number(&there, "new_blocks") + number(&there, "duplicate_blocks");
    assert_eq!(all, 8, "{there}");
    assert_eq!(number(&here, "duplicate_blocks"), all, "{here}");

    let folder = bench.path("clone");
    let _ = bench.restore(&clone.point(), &folder, &[])?.expect_code(0);
    let restored = std::fs::read(folder.join("web01-disk-2000.raw"))?;
    let mut wanted = vec![0; 4 << 20];
    wanted[..own.len()].copy_from_slice(&own);
    wanted[1 << 20..3 << 20].copy_from_slice(&content());
    assert!(restored == wanted);
    let verified = bench.verify("full")?.expect_code(0).result();
    assert_eq!(verified["findings"], serde_json::json!([]));
    assert_clean(&bench, &others)
}

#[test]
fn each_vm_that_fails_has_a_line_of_its_own() -> Result<()> {
    let (bench, others) = bench()?;
    bench.order(&[Fault {
        call: "CreateSnapshot_Task".to_owned(),
        fault: Some("RuntimeFault".to_owned()),
        count: Some(0),
        ..Fault::default()
    }])?;
    let run = bench.run(bench.backup_arguments("re:^(db|web)01$", &["--vms-at-once", "2"]))?;
    let run = run.expect_code(13);
    let values = run.values();
    let failures = values.iter().filter(|value| value["type"] == "error");
    let told: BTreeSet<_> = failures
        .map(|line| {
            assert_eq!(line["exit_code"], 13, "{line}");
            let message = line["message"].as_str().unwrap_or_default();
            assert!(message.contains("RuntimeFault"), "{line}");
            (line["vm"].to_string(), line["vm_path"].to_string())
        })
        .collect();
    let both = ["db01", "web01"].map(|vm| (format!("\"{vm}\""), format!("\"DC0/vm/{vm}\"")));
    assert_eq!(told, both.into());
    bench.order(&[])?;
    assert_clean(&bench, &others)
}
