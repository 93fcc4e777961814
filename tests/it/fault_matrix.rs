//! Each call of a backup × the first and the third of it × each kind of trouble. The run is whole, or ends
//! with a code that names the trouble; vSphere is put back, at the latest by the janitor.
//!
//! `cargo test` walks a spread of the table, `CBT_FAULT_MATRIX=all` the whole of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome};
use lab::Fault;

/// Of the cells one in so many is walked.
const SPREAD: usize = 9;

/// Codes that name what went wrong: see the table in the help.
const NAMED: [i32; 9] = [0, 3, 5, 12, 13, 14, 15, 16, 18];

/// A kind of trouble.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    /// The next attempt, or no attempt, is enough: the run ends as if nothing had been.
    passes: bool,
    make: fn(Fault) -> Fault,
}

/// What a server may answer to a call.
const OF_SERVER: [Kind; 7] = [
    Kind {
        name: "slow",
        passes: true,
        make: |fault| Fault {
            delay_ms: Some(700),
            ..fault
        },
    },
    Kind {
        name: "http 503",
        passes: true,
        make: |fault| Fault {
            http_status: Some(503),
            ..fault
        },
    },
    Kind {
        name: "cut",
        passes: true,
        make: |fault| Fault {
            truncate: Some(300),
            ..fault
        },
    },
    Kind {
        name: "session gone",
        passes: false,
        make: |fault| named(fault, "NotAuthenticated"),
    },
    Kind {
        name: "busy",
        passes: false,
        make: |fault| named(fault, "TaskInProgress"),
    },
    Kind {
        name: "no right",
        passes: false,
        make: |fault| named(fault, "NoPermission"),
    },
    Kind {
        name: "fault",
        passes: false,
        make: |fault| named(fault, "RuntimeFault"),
    },
];

/// What a function of VixDiskLib may answer.
const OF_LIBRARY: [Kind; 7] = [
    Kind {
        name: "slow",
        passes: true,
        make: |fault| Fault {
            delay_ms: Some(700),
            ..fault
        },
    },
    Kind {
        name: "1 fail",
        passes: false,
        make: |fault| coded(fault, 1),
    },
    Kind {
        name: "2 memory",
        passes: false,
        make: |fault| coded(fault, 2),
    },
    Kind {
        name: "5 busy",
        passes: false,
        make: |fault| coded(fault, 5),
    },
    Kind {
        name: "link lost",
        passes: false,
        make: |fault| Fault {
            lose_link: Some(true),
            ..fault
        },
    },
    Kind {
        name: "3014 right",
        passes: false,
        make: |fault| coded(fault, 3014),
    },
    Kind {
        name: "20009 nfc",
        passes: false,
        make: |fault| coded(fault, 20009),
    },
];

fn named(fault: Fault, name: &str) -> Fault {
    Fault {
        fault: Some(name.to_owned()),
        ..fault
    }
}

fn coded(fault: Fault, code: u64) -> Fault {
    Fault {
        code: Some(code),
        ..fault
    }
}

/// One cell of the table.
#[derive(Clone, Debug)]
struct Cell {
    call: String,
    nth: u64,
    kind: Kind,
}

/// Calls that are made again after a failure that may pass, those on disks on a new connection.
const TRIED_AGAIN: [&str; 5] = [
    "VixDiskLib_PrepareForAccess",
    "VixDiskLib_EndAccess",
    "VixDiskLib_ConnectEx",
    "VixDiskLib_Open",
    "VixDiskLib_ReadAsync",
];

impl Cell {
    /// Tells whether the next try mends it.
    fn heals(&self) -> bool {
        TRIED_AGAIN.contains(&self.call.as_str())
            && ["2 memory", "5 busy", "link lost"].contains(&self.kind.name)
    }

    fn fault(&self) -> Fault {
        (self.kind.make)(Fault {
            call: self.call.clone(),
            nth: Some(self.nth),
            ..Fault::default()
        })
    }
}

fn bench() -> Result<Bench> {
    let mut bench = Bench::with(&BenchOptions {
        capacities_bytes: vec![5 << 20, (3 << 20) + 3 * 512],
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    Ok(bench)
}

/// All cells: of each call that an increment makes, and of the third one where there are as many.
fn cells(bench: &mut Bench) -> Result<Vec<Cell>> {
    bench.guest_write(2000, 1 << 20, &[9; 4096])?;
    let before = bench.calls()?.entries().len();
    let _ = bench.backup(&["--disks-at-once", "1"])?.expect_code(0);
    let calls = bench.calls()?;
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for entry in &calls.entries()[before..] {
        *counts.entry((&entry.who, &entry.call)).or_default() += 1;
    }
    let mut cells = Vec::new();
    for ((who, call), count) in counts {
        let kinds = match who {
            "vcenter" => &OF_SERVER[..],
            "vixdisklib" => &OF_LIBRARY[..],
            _ => continue,
        };
        for nth in [1, 3].into_iter().filter(|nth| *nth <= count) {
            cells.extend(kinds.iter().map(|kind| Cell {
                call: call.to_owned(),
                nth,
                kind: *kind,
            }));
        }
    }
    Ok(cells)
}

/// What became of the run, or what is wrong with it.
fn judge(cell: &Cell, outcome: &Outcome) -> Result<String, String> {
    let Some(code) = outcome.code.filter(|code| NAMED.contains(code)) else {
        return Err(format!("{cell:?} is not told: {outcome:#?}"));
    };
    if (cell.kind.passes || cell.heals()) && code != 0 {
        return Err(format!("{cell:?} should pass: {outcome:#?}"));
    }
    if cell.heals() && outcome.events().contains(&"access-not-prepared".to_owned()) {
        return Err(format!("{cell:?} should heal: {outcome:#?}"));
    }
    if outcome.stderr.contains("panicked") {
        return Err(format!("{cell:?} makes it panic: {outcome:#?}"));
    }
    let says_something = code == 0
        || outcome.stderr.contains("error: ")
        || outcome.stderr.contains("warning")
        || outcome.stdout.contains("warning");
    if !says_something {
        return Err(format!("{cell:?} ends without a word: {outcome:#?}"));
    }
    Ok(code.to_string())
}

#[test]
fn whatever_a_call_answers_the_run_is_whole_or_names_it() -> Result<()> {
    let mut bench = bench()?;
    let all = cells(&mut bench)?;
    let walks_all = std::env::var_os("CBT_FAULT_MATRIX").is_some_and(|word| word == "all");
    let mut rows: BTreeMap<(String, u64), BTreeMap<&str, String>> = BTreeMap::new();
    let (mut wrong, mut walked, mut made) = (Vec::new(), 0, Vec::new());
    for (index, cell) in all.iter().enumerate() {
        if !walks_all && index % SPREAD != 0 {
            continue;
        }
        walked += 1;
        let byte = u8::try_from(index % 251)?;
        bench.guest_write(2000, (index as u64 % 70) << 16, &[byte; 1024])?;
        bench.guest_write(2001, (index as u64 % 40) << 16, &[byte; 1024])?;
        bench.order(&[cell.fault()])?;
        let outcome = bench.backup(&["--access-minutes", "0"])?;
        bench.order(&[])?;
        let word = match judge(cell, &outcome) {
            Ok(word) => word,
            Err(text) => {
                wrong.push(text);
                "?".to_owned()
            }
        };
        if outcome.code == Some(0) {
            made.push(outcome.point());
        }
        rows.entry((cell.call.clone(), cell.nth))
            .or_default()
            .insert(cell.kind.name, word);
        let cleaned = bench.janitor(&[])?;
        assert_eq!(cleaned.code, Some(0), "after {cell:?}: {cleaned:#?}");
        bench.assert_vm_clean()?;
    }
    println!("{walked} of {} cells\n{}", all.len(), table(&rows));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let next = bench.backup(&[])?.expect_code(0);
    // Points of runs that lost a disk are whole, too, as far as they go.
    let _ = bench.verify("full")?.expect_code(0);
    bench.assert_restores(made.last().expect("some runs are whole"))?;
    bench.assert_restores(&next.point())
}

/// The exit code of each cell that was walked.
fn table(rows: &BTreeMap<(String, u64), BTreeMap<&str, String>>) -> String {
    let kinds: BTreeSet<&str> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let mut text = format!("{:44}", "");
    for kind in &kinds {
        let _ = write!(text, "{kind:>13}");
    }
    for ((call, nth), row) in rows {
        let _ = write!(text, "\n{:44}", format!("{call} {nth}"));
        for kind in &kinds {
            let word = row.get(kind).map_or("", String::as_str);
            let _ = write!(text, "{word:>13}");
        }
    }
    text
}
