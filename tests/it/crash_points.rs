//! The program is killed (SIGKILL) before and after each call to vSphere and to VixDiskLib of a full and
//! of an incremental run. Then: what it left is undone, by its ledger or, as if its machine were gone, by
//! the repository; the points before are whole; the next run succeeds.
//!
//! All that a run changes outside between two calls is its ledger and its repository, so each whole state of the
//! ledger is met here. Those in the middle of a line are met by `ledger_writes`, and each state of the repository by
//! `store_crash_points`.
//!
//! `cargo test` walks a spread of the points, `CBT_CRASH_POINTS=all` walks all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;

use anyhow::{Result, ensure};
use cbt_tests::{Bench, BenchOptions};
use lab::{Crash, Entry, Fault};

/// Calls with an effect that others see: each of them is always walked.
const EFFECTS: [&str; 6] = [
    "CreateSnapshot_Task",
    "RemoveSnapshot_Task",
    "VixDiskLib_PrepareForAccess",
    "VixDiskLib_EndAccess",
    "VixDiskLib_Open",
    "VixDiskLib_Close",
];
/// Of the others one in so many is walked.
const SPREAD: usize = 16;

/// One moment in the life of a run.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// `vcenter` or `vixdisklib`.
    pub who: String,
    pub call: String,
    /// Which of these calls of the run, from 1.
    pub nth: u64,
    /// Once it has had its effect, else before.
    pub after: bool,
    /// In a run that reads everything, else in an increment.
    pub full: bool,
}

impl Point {
    fn fault(&self) -> Fault {
        let fault = Fault {
            call: self.call.clone(),
            nth: Some(self.nth),
            once: Some(true),
            ..Fault::default()
        };
        if self.who == "vixdisklib" {
            return Fault {
                crash: Some(Crash::Kill),
                after: Some(self.after),
                ..fault
            };
        }
        Fault {
            // The answer is held until the client is dead; with a fault nothing was done for it.
            delay_ms: Some(100_000),
            fault: (!self.after).then(|| "NoPermission".to_owned()),
            ..fault
        }
    }
}

/// A small VM, and a journal that has each read.
pub(crate) fn bench() -> Result<Bench> {
    let bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![7 << 20, (5 << 20) + 3 * 512],
        ..BenchOptions::default()
    })?;
    let mut script = OpenOptions::new()
        .append(true)
        .create(true)
        .open(bench.kit.join("standin.toml"))?;
    writeln!(script, "\njournal_reads = true")?;
    let _ = bench.init()?.expect_code(0);
    Ok(bench)
}

/// Something for the next run to read.
pub(crate) fn write_something(bench: &mut Bench, round: usize) -> Result<()> {
    let byte = u8::try_from(round % 251)?;
    for (disk, grains) in [(2000, [3, 40, 90]), (2001, [0, 33, 70])] {
        for grain in grains {
            let at = ((grain + round as u64) % 72) << 16;
            bench.guest_write(disk, at, &vec![byte; 2048])?;
        }
    }
    Ok(())
}

/// The moments of a run, from the calls that it made: of reads the first, the middle and the last of each disk.
fn points(calls: &[Entry], full: bool) -> Vec<Point> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut reads: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut points = Vec::new();
    for entry in calls {
        let (who, call) = (entry.who.as_str(), entry.call.as_str());
        if who == "lab" {
            continue;
        }
        let nth = counts.entry((who, call)).or_default();
        *nth += 1;
        let begin = points.len();
        for after in [false, true] {
            points.push(Point {
                who: who.to_owned(),
                call: call.to_owned(),
                nth: *nth,
                after,
                full,
            });
        }
        if call == "VixDiskLib_ReadAsync" {
            points.truncate(begin);
            let handle = entry.args["handle"].as_u64().unwrap_or_default();
            reads.entry(handle).or_default().push(*nth);
        }
    }
    for of_disk in reads.values() {
        let last = of_disk.len() - 1;
        for index in BTreeSet::from([0, last / 2, last]) {
            for after in [false, true] {
                points.push(Point {
                    who: "vixdisklib".to_owned(),
                    call: "VixDiskLib_ReadAsync".to_owned(),
                    nth: of_disk[index],
                    after,
                    full,
                });
            }
        }
    }
    points
}

/// Runs until the moment comes; false if it never came.
pub(crate) fn die_at(bench: &mut Bench, point: &Point) -> Result<bool> {
    bench.order(&[point.fault()])?;
    let options = if point.full { &["--full"][..] } else { &[] };
    let calls_before = bench.calls()?.count("vcenter", &point.call);
    let mut backup = bench.start_backup(options)?;
    if point.who == "vixdisklib" {
        return Ok(bench.finish(backup)?.signal == Some(9));
    }
    let markers = bench.lab.root().join("fault-markers");
    let fires = || fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some());
    if backup.run.wait_until("it fires", fires).is_err() {
        return Ok(bench.finish(backup)?.signal == Some(9));
    }
    // The marker comes before the work, the journal after it.
    let nth = usize::try_from(point.nth)?;
    let done = || {
        let calls = bench.calls();
        calls.is_ok_and(|calls| calls.count("vcenter", &point.call) >= calls_before + nth)
    };
    backup.run.wait_until("it is done", done)?;
    let _ = bench.kill(backup)?;
    Ok(true)
}

/// What a ledger says, in short; none where there is none.
fn ledger(bench: &Bench) -> Result<String> {
    let mut states = Vec::new();
    if let Ok(entries) = fs::read_dir(bench.path("state/ledger")) {
        for entry in entries {
            let text = fs::read_to_string(entry?.path())?;
            let word = |line: &str| {
                let undone = if line.contains("undone") { "-" } else { "+" };
                match () {
                    () if line.contains("\"snapshot\"") => format!("{undone}snapshot"),
                    () if line.contains("\"access\"") => format!("{undone}access"),
                    () => "begin".to_owned(),
                }
            };
            states.extend(text.lines().map(word));
        }
    }
    Ok(states.join(" "))
}

#[test]
fn a_kill_at_any_call_leaves_nothing_that_is_not_undone() -> Result<()> {
    let mut bench = bench()?;
    let mut all = Vec::new();
    let mut made = Vec::new();
    // One disk after the other: then each run makes its calls in the same order.
    let in_order = ["--disks-at-once", "1"];
    for (full, options) in [
        (true, &["--disks-at-once", "1", "--full"][..]),
        (false, &in_order),
    ] {
        write_something(&mut bench, usize::from(full))?;
        if full {
            // The first run switches tracking on; those that are walked do not.
            made.push(bench.backup(&[])?.expect_code(0).point());
        }
        let before = bench.calls()?.entries().len();
        made.push(bench.backup(options)?.expect_code(0).point());
        let calls = bench.calls()?;
        all.extend(points(&calls.entries()[before..], full));
    }
    let walks_all = std::env::var_os("CBT_CRASH_POINTS").is_some_and(|word| word == "all");
    let chosen: Vec<Point> = (0..)
        .zip(&all)
        .filter(|(index, point)| {
            let effect = EFFECTS.contains(&point.call.as_str()) && point.nth == 1 && !point.full;
            walks_all || effect || index % SPREAD == 0
        })
        .map(|(_, point)| point.clone())
        .collect();

    let mut missed = Vec::new();
    let mut ledgers = BTreeSet::new();
    for (round, point) in chosen.iter().enumerate() {
        write_something(&mut bench, round)?;
        let died = die_at(&mut bench, point)?;
        bench.order(&[])?;
        if !died {
            missed.push(point);
            continue;
        }
        ledgers.insert(ledger(&bench)?);
        // As if the machine were gone, each second time.
        if round % 2 == 1 {
            fs::remove_dir_all(bench.path("state"))?;
            fs::create_dir(bench.path("state"))?;
        }
        let cleaned = bench.janitor(&[])?;
        assert_eq!(cleaned.code, Some(0), "after {point:?}: {cleaned:#?}");
        bench.assert_vm_clean()?;
        bench.calls()?.assert_closed(bench.killed());
        let sound = bench.verify("structure")?;
        assert_eq!(sound.code, Some(0), "after {point:?}: {sound:#?}");
        let next = bench.backup(&[])?;
        assert_eq!(next.code, Some(0), "after {point:?}: {next:#?}");
        bench.assert_vm_clean()?;
        made.push(next.point());
    }
    println!(
        "killed at {} of {} moments of a full and an incremental run; {} did not come again: {missed:?}; ledgers: {ledgers:?}",
        chosen.len() - missed.len(),
        all.len(),
        missed.len()
    );
    ensure!(
        missed.len() * 5 <= chosen.len(),
        "too many did not come again: {missed:?}"
    );
    for state in [
        "",
        "begin +access",
        "begin +access +snapshot",
        "begin +access +snapshot -snapshot",
    ] {
        assert!(
            ledgers.contains(state),
            "no kill met the ledger {state:?}: {ledgers:?}"
        );
    }
    bench.assert_sound()?;
    for point in [made.first(), made.get(made.len() / 2), made.last()] {
        bench.assert_restores(point.expect("there are points"))?;
    }
    Ok(())
}
