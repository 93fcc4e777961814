//! Several disks of a VM in work at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Calls, Outcome};
use lab::{Crash, Fault, Lie, Performance};

/// The device keys of the disks.
const KEYS: [i32; 4] = [2000, 2001, 2002, 2003];

/// A VM with four disks on a host that takes its time.
fn bench() -> Result<Bench> {
    let bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![6 << 20, (5 << 20) + 3 * 512, 7 << 20, 4 << 20],
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    slow(&bench, None)?;
    Ok(bench)
}

fn slow(bench: &Bench, host_memory_bytes: Option<u64>) -> Result<()> {
    Ok(bench.lab.set_performance(Some(&Performance {
        latency_us: 30_000,
        host_memory_bytes,
        ..Performance::default()
    }))?)
}

/// The most disks that were open at the same time.
fn most_open(calls: &Calls) -> usize {
    let mut open = BTreeSet::new();
    let mut most = 0;
    for entry in calls.entries() {
        let key = (entry.pid, entry.args["handle"].as_u64());
        match entry.call.as_str() {
            "VixDiskLib_Open" if entry.result["code"] == 0 => {
                open.insert(key);
            }
            "VixDiskLib_Close" => {
                open.remove(&key);
            }
            _ => {}
        }
        most = most.max(open.len());
    }
    most
}

/// How often an event was told.
fn count(backup: &Outcome, kind: &str) -> usize {
    backup
        .events()
        .iter()
        .filter(|event| *event == kind)
        .count()
}

/// The labels of the disks, in the point's order.
fn labels(backup: &Outcome) -> Vec<String> {
    let result = backup.result();
    let disks = result["disks"].as_array().into_iter().flatten();
    let label = |disk: &serde_json::Value| disk["label"].as_str().unwrap_or_default().to_owned();
    disks.map(label).collect()
}

/// All names below a folder.
fn roots(folder: &std::path::Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains('#') {
                found.insert(path);
            }
        }
    }
    found
}

#[test]
fn as_many_disks_are_read_at_once_as_may_be_and_stand_in_their_order() -> Result<()> {
    for (at_once, most) in [("1", 1), ("3", 3), ("64", 4)] {
        let mut bench = bench()?;
        let options = ["--disks-at-once", at_once];
        let full = bench.backup(&options)?.expect_code(0);
        assert_eq!(most_open(&bench.calls()?), most);
        let all = [1, 2, 3, 4].map(|number| format!("Hard disk {number}"));
        assert_eq!(labels(&full), all);
        for key in KEYS {
            bench.guest_write(key, 1 << 20, &vec![9; 1 << 16])?;
        }
        let increment = bench.backup(&options)?.expect_code(0);
        assert_eq!(labels(&increment), all);
        for key in KEYS {
            let disk = increment.disk(key);
            assert_eq!(disk.bytes("changed_bytes"), 1 << 16, "{increment:#?}");
        }
        bench.assert_put_back()?;
        bench.assert_sound()?;
    }
    Ok(())
}

/// Four is what is read at once where nothing is said.
#[test]
fn progress_tells_of_each_disk_by_its_key_and_what_binds() -> Result<()> {
    let mut bench = bench()?;
    // So slow that nothing else can bind, whatever else this machine does.
    bench.lab.set_performance(Some(&Performance {
        stream_bytes_per_s: Some(1 << 20),
        ..Performance::default()
    }))?;
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(most_open(&bench.calls()?), 4);
    assert_eq!(full.result()["binding_stage"], "read", "{full:#?}");
    let values = full.values();
    for (number, key) in KEYS.iter().enumerate() {
        let of_disk: Vec<_> = values
            .iter()
            .filter(|value| value["type"] == "progress" && value["device_key"] == *key)
            .collect();
        let last = of_disk.last().expect("it is told at its end");
        assert_eq!(last["disk"], format!("Hard disk {}", number + 1));
        assert_eq!(last["done_bytes"], last["total_bytes"]);
    }
    bench.assert_put_back()
}

#[test]
fn a_disk_that_fails_keeps_no_other_from_being_read() -> Result<()> {
    for call in ["VixDiskLib_Open", "VixDiskLib_ReadAsync.callback"] {
        let mut bench = bench()?;
        bench.order(&[Fault {
            call: call.to_owned(),
            nth: Some(3),
            code: Some(13),
            ..Fault::default()
        }])?;
        let options = ["--disks-at-once", "4", "--vddk-tries", "1"];
        let backup = bench.backup(&options)?.expect_code(3);
        let failed: Vec<i32> = KEYS
            .into_iter()
            .filter(|key| !backup.disk(*key).text("failure").is_empty())
            .collect();
        assert_eq!(failed.len(), 1, "{backup:#?}");
        let told = backup.values();
        let told = told.iter().find(|value| value["kind"] == "disk-failed");
        assert_eq!(told.expect("it is told")["device_key"], failed[0]);
        bench.assert_put_back()?;
        let (point, to) = (backup.point(), bench.path("restored/to"));
        let _ = bench.restore(&point, &to, &[])?.expect_code(3);
        for key in KEYS.into_iter().filter(|key| !failed.contains(key)) {
            let file = to.join(format!("app01-disk-{key}.raw"));
            bench.frozen(&point)?.compare(key, &file)?;
        }
        bench.order(&[])?;
        let next = bench.backup(&[])?.expect_code(0);
        bench.assert_restores(&next.point())?;
        bench.assert_put_back()?;
    }
    Ok(())
}

#[test]
fn what_may_pass_is_tried_again_beside_the_others() -> Result<()> {
    let mut bench = bench()?;
    bench.order(&[2, 7, 9].map(|nth| Fault {
        call: "VixDiskLib_ReadAsync.callback".to_owned(),
        nth: Some(nth),
        code: Some(14011),
        ..Fault::default()
    }))?;
    let full = bench.backup(&["--disks-at-once", "4"])?.expect_code(0);
    assert!(count(&full, "tried-again") >= 1, "{full:#?}");
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_host_is_never_asked_for_more_streams_than_it_may_be() -> Result<()> {
    for option in ["--streams", "--host-streams", "--datastore-streams"] {
        let mut bench = bench()?;
        let full = bench.backup(&[option, "2"])?.expect_code(0);
        assert_eq!(most_open(&bench.calls()?), 2, "{option}");
        assert!(count(&full, "waits-for-budget") >= 1, "{full:#?}");
        bench.assert_put_back()?;
        bench.assert_restores(&full.point())?;
    }
    Ok(())
}

/// With the buffers that VMware advises a stream takes 4 MiB.
#[test]
fn a_host_without_memory_for_all_is_asked_for_fewer() -> Result<()> {
    let mut bench = bench()?;
    slow(&bench, Some(9 << 20))?;
    let full = bench.backup(&[])?.expect_code(0);
    assert!(count(&full, "fewer-streams") >= 1, "{full:#?}");
    assert_eq!(most_open(&bench.calls()?), 2);
    for key in KEYS {
        assert_eq!(full.disk(key).text("failure"), "", "{full:#?}");
    }
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_limit_on_reading_is_kept_by_all_disks_together() -> Result<()> {
    let mut bench = bench()?;
    let begun = Instant::now();
    let full = bench.backup(&["--limit-read", "8MiB"])?.expect_code(0);
    let bytes: u64 = KEYS
        .map(|key| full.disk(key).bytes("read_bytes"))
        .iter()
        .sum();
    // What was saved while nothing was read is one second's worth.
    let least =
        Duration::from_millis(bytes * 1000 / (8 << 20)).saturating_sub(Duration::from_secs(1));
    assert!(begun.elapsed() >= least, "{bytes} in {:?}", begun.elapsed());
    bench.assert_put_back()
}

#[test]
fn a_signal_with_several_in_work_leaves_nothing() -> Result<()> {
    for signal in ["INT", "TERM"] {
        let mut bench = bench()?;
        let _ = bench.backup(&[])?.expect_code(0);
        let options = ["--full", "--disks-at-once", "3", "--host-streams", "2"];
        let backup = bench.start_backup_to_the_middle(&options)?;
        backup.run.signal(signal)?;
        let _ = bench
            .finish(backup)?
            .expect_code(130)
            .expect_said("interrupted");
        bench.assert_put_back()?;
        bench.order(&[])?;
        let next = bench.backup(&[])?.expect_code(0);
        assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
        bench.assert_put_back()?;
        bench.assert_sound()?;
    }
    Ok(())
}

#[test]
fn partial_points_are_kept_with_several_disks_in_work() -> Result<()> {
    let mut bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![20 << 20; 4],
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let crawling = Performance {
        stream_bytes_per_s: Some(4 << 20),
        ..Performance::default()
    };
    bench.lab.set_performance(Some(&crawling))?;
    let options = ["--checkpoint-seconds", "1"];
    let full = bench.backup(&options)?.expect_code(0);
    assert!(count(&full, "partial-point") >= 1, "{full:#?}");
    assert_eq!(most_open(&bench.calls()?), 4);
    bench.assert_put_back()?;
    bench.assert_sound()?;

    // The next one dies after its first partial point, and the one after it goes on from there.
    for key in KEYS {
        bench.guest_write(key, 2 << 20, &vec![7; 1 << 20])?;
    }
    let points = bench.path("repository/point");
    let options = [&options[..], &["--full"]].concat();
    let before = roots(&points);
    let mut backup = bench.start_backup(&options)?;
    backup
        .run
        .wait_until("the partial point", || roots(&points) != before)?;
    let _ = bench.kill(backup)?;
    slow(&bench, None)?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(count(&next, "dead-run"), 1, "{next:#?}");
    bench.assert_restores(&next.point())?;
    bench.assert_vm_clean()?;
    let _ = bench.verify("full")?.expect_code(0);
    Ok(())
}

#[test]
fn a_kill_with_several_in_work_leaves_nothing_that_is_not_undone() -> Result<()> {
    let mut bench = bench()?;
    let _ = bench.backup(&[])?.expect_code(0);
    for (call, nth) in [
        ("VixDiskLib_Open", 2),
        ("VixDiskLib_Open", 4),
        ("VixDiskLib_ReadAsync", 1),
        ("VixDiskLib_ReadAsync", 6),
        ("VixDiskLib_ReadAsync", 11),
        ("VixDiskLib_Close", 1),
        ("VixDiskLib_Close", 3),
    ] {
        bench.order(&[Fault {
            call: call.to_owned(),
            nth: Some(nth),
            once: Some(true),
            crash: Some(Crash::Kill),
            ..Fault::default()
        }])?;
        let backup = bench.start_backup(&["--full", "--disks-at-once", "4"])?;
        assert_eq!(bench.finish(backup)?.signal, Some(9), "{call} {nth}");
        bench.order(&[])?;
        let _ = bench.janitor(&[])?.expect_code(0);
        bench.assert_vm_clean()?;
        bench.calls()?.assert_closed(bench.killed());
        let _ = bench.verify("structure")?.expect_code(0);
        let next = bench.backup(&[])?.expect_code(0);
        bench.assert_restores(&next.point())?;
    }
    Ok(())
}

/// Every answer about changes is late, and a lie where that is asked for.
fn late_answers(lie: Option<Lie>) -> Fault {
    Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        count: Some(0),
        delay_ms: Some(1500),
        lie,
        ..Fault::default()
    }
}

#[test]
fn changes_are_asked_of_several_disks_at_once_and_told_in_their_order() -> Result<()> {
    let mut bench = bench()?;
    let _ = bench.backup(&[])?.expect_code(0);
    for (at_once, least, most) in [("4", 0, 4000), ("1", 4500, u64::MAX)] {
        bench.order(&[late_answers(None)])?;
        let before = bench.calls()?.count("vcenter", "QueryChangedDiskAreas");
        let next = bench.backup(&["--disks-at-once", at_once])?.expect_code(0);
        assert_eq!(next.result()["kind"], "incremental", "{next:#?}");
        let calls = bench.calls()?;
        let asked = calls.of("vcenter", "QueryChangedDiskAreas");
        let times: Vec<u64> = asked[before..].iter().map(|entry| entry.ms).collect();
        assert_eq!(times.len(), KEYS.len());
        let took = times.iter().max().unwrap_or(&0) - times.iter().min().unwrap_or(&0);
        assert!((least..most).contains(&took), "{at_once}: {took} ms");
    }
    bench.order(&[late_answers(Some(Lie::StalledPage))])?;
    let failed = bench.backup(&["--disks-at-once", "4", "--on-bad-map", "fail"])?;
    assert_ne!(failed.code, Some(0), "{failed:#?}");
    let _ = failed.expect_said("Hard disk 1");
    let full = bench.backup(&["--disks-at-once", "4"])?.expect_code(0);
    let result = full.result();
    let events = result["events"].as_array().into_iter().flatten();
    let events = events.filter(|event| event["kind"] == "bad-map");
    let keys: Vec<i64> = events
        .filter_map(|event| event["device_key"].as_i64())
        .collect();
    assert_eq!(keys, KEYS.map(i64::from));
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_restores(&full.point())
}
