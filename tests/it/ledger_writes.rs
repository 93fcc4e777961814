//! The program is killed before and after each write to its ledger, and in the middle of each.
//!
//! A line is written between two calls that are seen outside. The run is killed at the later of the two, before
//! it has any effect, and the ledger is cut back to each state that it had since the earlier one.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cbt_tests::Bench;
use serde_json::{Value, json};

use crate::crash_points::{Point, bench, die_at, write_something};

/// Calls before which a line is written, and how many lines are there since the effect before.
const WRITES: [(&str, &str, usize); 3] = [
    // The beginning, and that the VM will be kept in place.
    ("vixdisklib", "VixDiskLib_PrepareForAccess", 2),
    ("vcenter", "CreateSnapshot_Task", 1),
    // That the snapshot is gone.
    ("vixdisklib", "VixDiskLib_EndAccess", 1),
];

fn ledger(bench: &Bench) -> Result<PathBuf> {
    let mut entries = fs::read_dir(bench.path("state/ledger"))?;
    Ok(entries.next().context("there is no ledger")??.path())
}

/// What the file held at each moment since `lines` lines ago: after, in the middle of and before each of them.
fn states(text: &str, lines: usize) -> Vec<&str> {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let mut states = vec![text];
    for line in (ends.len() - lines..ends.len()).rev() {
        let begin = line.checked_sub(1).map_or(0, |before| ends[before]);
        let end = ends[line];
        // Without its end, half of it, none of it.
        states.extend([end - 1, usize::midpoint(begin, end), begin].map(|at| &text[..at]));
    }
    states
}

/// Runs until the call, which it does not survive.
fn die_before(bench: &mut Bench, who: &str, call: &str) -> Result<()> {
    let point = Point {
        who: who.to_owned(),
        call: call.to_owned(),
        nth: 1,
        after: false,
        full: false,
    };
    assert!(die_at(bench, &point)?, "no {call}");
    bench.order(&[])
}

/// A file without a whole line names no VM, so nobody can tell that its run is dead. It names no effect either.
fn remove_unnamed(bench: &Bench) -> Result<()> {
    for entry in fs::read_dir(bench.path("state/ledger"))? {
        let path = entry?.path();
        if !fs::read_to_string(&path)?.contains('\n') {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[track_caller]
fn assert_cleaned(bench: &mut Bench, what: &str) -> Result<()> {
    let cleaned = bench.janitor(&[])?;
    assert_eq!(cleaned.code, Some(0), "{what}: {cleaned:#?}");
    remove_unnamed(bench)?;
    bench.assert_vm_clean()?;
    bench.calls()?.assert_closed(bench.killed());
    let next = bench.backup(&[])?;
    assert_eq!(next.code, Some(0), "{what}: {next:#?}");
    bench.assert_vm_clean()?;
    bench.assert_restores(&next.point())
}

#[test]
fn a_kill_at_any_write_to_the_ledger_leaves_nothing_that_is_not_undone() -> Result<()> {
    let mut bench = bench()?;
    let _ = bench.backup(&[])?.expect_code(0);
    let mut walked = 0;
    for (who, call, lines) in WRITES {
        let mut state = 0;
        loop {
            write_something(&mut bench, walked)?;
            die_before(&mut bench, who, call)?;
            let ledger = ledger(&bench)?;
            let text = fs::read_to_string(&ledger)?;
            let states = states(&text, lines);
            let Some(then) = states.get(state) else {
                break;
            };
            fs::write(&ledger, then)?;
            assert_cleaned(&mut bench, &format!("before {call}, with {then:?}"))?;
            state += 1;
            walked += 1;
        }
        let _ = bench.janitor(&[])?.expect_code(0);
    }
    // The last line, that the VM may be moved again; then the file goes.
    die_before(&mut bench, "vixdisklib", "VixDiskLib_EndAccess")?;
    let path = ledger(&bench)?;
    let text = fs::read_to_string(&path)?;
    let access = text.lines().find(|line| line.contains("\"access\""));
    let access: Value = serde_json::from_str(access.context("it is not kept in place")?)?;
    let undone = format!("{text}{}\n", json!({ "undone": access["effect"] }));
    let states: Vec<String> = states(&undone, 1).into_iter().map(str::to_owned).collect();
    let _ = bench.janitor(&[])?.expect_code(0);
    for then in states {
        fs::write(&path, &then)?;
        assert_cleaned(&mut bench, &format!("after EndAccess, with {then:?}"))?;
        walked += 1;
    }
    println!("killed at {walked} moments of the writes to a ledger");
    bench.assert_sound()
}
