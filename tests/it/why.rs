//! `show` explains why so much was read of a disk.

use anyhow::Result;
use cbt_tests::{Bench, Outcome};
use lab::{Behaviour, SnapshotSpec};

const MIB: u64 = 1 << 20;
const FIRST: i32 = 2000;

/// What `show` says of the first disk of a point, as codes; each has its sentence in the text.
fn why(bench: &Bench, made: &Outcome) -> Result<Vec<String>> {
    let arguments = bench.repository_arguments("show", &[&made.point()]);
    let shown = bench.run(&arguments)?.expect_code(0).result();
    let in_words = arguments.iter().filter(|word| *word != "--json");
    let text = bench.run(in_words)?.expect_code(0).stdout;
    let disks = shown["point"]["disks"].as_array().cloned();
    let disk = disks.and_then(|disks| disks.first().cloned());
    let reasons = disk.unwrap_or_default()["why"].as_array().cloned();
    let mut codes = Vec::new();
    for reason in reasons.unwrap_or_default() {
        let sentence = reason["text"].as_str().unwrap_or_default();
        assert!(text.contains(&format!("  why        {sentence}")), "{text}");
        codes.push(reason["code"].as_str().unwrap_or_default().to_owned());
    }
    Ok(codes)
}

#[test]
fn each_cause_of_a_large_point_is_told() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    // As an eager-zeroed disk has it.
    bench.guest_write(FIRST, 10 * MIB, &vec![0; 12 << 20])?;
    let first = bench.backup(&[])?.expect_code(0);
    let codes = why(&bench, &first)?;
    assert_eq!(codes[0], "first", "{codes:?}");
    assert!(codes.contains(&"zeros-read".to_owned()), "{codes:?}");
    assert!(codes.contains(&"data".to_owned()), "{codes:?}");

    let same = bench.backup(&[])?.expect_code(0);
    assert_eq!(why(&bench, &same)?, Vec::<String>::new());

    bench.guest_unmap(FIRST, 0, 4 * MIB)?;
    let trimmed = bench.backup(&[])?.expect_code(0);
    assert_eq!(why(&bench, &trimmed)?, ["trimmed"]);

    bench.lab.set_behaviour(Behaviour {
        over_reported_grains: 1000,
        ..Behaviour::default()
    })?;
    bench.guest_write(FIRST, 9 * MIB, &[7; 4096])?;
    let all = bench.backup(&[])?.expect_code(0);
    assert_eq!(why(&bench, &all)?[0], "whole-disk");
    bench.lab.set_behaviour(Behaviour::default())?;

    for enabled in [false, true] {
        bench.lab.set_change_tracking(&bench.vm, enabled)?;
        let made = bench
            .lab
            .create_snapshot(&bench.vm, &SnapshotSpec::named("passing"))?;
        bench.lab.remove_snapshot(&made.moref, false)?;
    }
    let reset = bench.backup(&[])?.expect_code(0);
    let codes = why(&bench, &reset)?;
    assert_eq!(codes[0], "restarted", "{codes:?}");
    assert!(codes.contains(&"same-as-before".to_owned()), "{codes:?}");

    let asked = bench.backup(&["--full"])?.expect_code(0);
    assert_eq!(why(&bench, &asked)?[0], "asked-for");

    let before = bench.capacity_bytes(FIRST)?;
    bench.grow(FIRST, before + 8 * MIB)?;
    let grown = bench.backup(&[])?.expect_code(0);
    assert_eq!(why(&bench, &grown)?[0], "resized");

    bench.assert_sound()
}
