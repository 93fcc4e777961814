//! What vSphere said of a disk's changes is kept with the point, and held against the points again.

use anyhow::{Context as _, Result};
use cbt_tests::{Bench, Noise, Outcome};
use lab::{Fault, Lie};
use serde_json::Value;

const FIRST: i32 = 2000;
const ODD: i32 = 2001;

fn show(bench: &Bench, point: &str) -> Result<Value> {
    let shown = bench.run(bench.repository_arguments("show", &[point]))?;
    Ok(shown.expect_code(0).result()["point"].clone())
}

/// How the answer of each disk is kept.
fn kept(bench: &Bench, point: &str) -> Result<[Value; 2]> {
    let point = show(bench, point)?;
    Ok([0, 1].map(|disk| point["disks"][disk]["coverage"]["kept"].clone()))
}

/// How many disks' answers were held against their roots, and how many answers against trees.
#[track_caller]
fn verified(bench: &Bench) -> Result<(u64, u64)> {
    let result = bench.verify("structure")?.expect_code(0).result();
    assert_eq!(result["findings"], Value::Array(Vec::new()), "{result:#}");
    let count = |name: &str| result[name].as_u64().context("no count");
    Ok((count("maps_checked")?, count("maps_compared")?))
}

#[test]
fn what_was_said_is_kept_and_verified() -> Result<()> {
    let mut bench = Bench::new()?;
    let mut noise = Noise::new(4);
    let _ = bench.init()?.expect_code(0);
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(kept(&bench, &full.point())?, [Value::Null, Value::Null]);
    assert_eq!(verified(&bench)?, (0, 0));

    let odd_end = bench.capacity_bytes(ODD)?;
    bench.guest_write(FIRST, (9 << 18) - 512, &noise.bytes(1024))?;
    bench.guest_write(ODD, odd_end - 512, &noise.bytes(512))?;
    bench.guest_unmap(FIRST, 85 << 18, 2 << 18)?;
    let second = bench.backup(&[])?.expect_code(0);
    assert_eq!(kept(&bench, &second.point())?, ["pages", "pages"]);
    let files = show(&bench, &second.point())?["files"].clone();
    let files = files.as_array().context("no files")?;
    let names = files.iter().filter_map(|file| file["name"].as_str());
    let names: Vec<_> = names.filter(|name| name.starts_with("changed")).collect();
    assert_eq!(names, ["changed-areas-2000", "changed-areas-2001"]);
    assert_eq!(verified(&bench)?, (2, 2));

    // An answer that is not believed is not kept; the disk is read in full.
    bench.guest_write(ODD, 1 << 20, &noise.bytes(4096))?;
    bench.order(&[Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        count: Some(1),
        lie: Some(Lie::WrongStart),
        ..Fault::default()
    }])?;
    let lied_to = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        kept(&bench, &lied_to.point())?,
        [Value::Null, "pages".into()]
    );
    assert_eq!(verified(&bench)?, (3, 3));

    // Asked from the id before the false answer: of more than differs from the last point.
    bench.order(&[])?;
    bench.guest_write(FIRST, 30 << 18, &noise.bytes(1 << 18))?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(kept(&bench, &next.point())?, ["pages", "pages"]);
    assert_eq!(verified(&bench)?, (5, 5));
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// A disk that failed has the data of the point before, and what was said of it.
#[test]
fn a_disk_that_failed_keeps_what_was_said_of_its_data() -> Result<()> {
    let mut bench = Bench::new()?;
    let mut noise = Noise::new(5);
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(FIRST, 1 << 20, &noise.bytes(4096))?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(FIRST, 2 << 20, &noise.bytes(4096))?;
    bench.order(&[Fault {
        call: "VixDiskLib_Open".to_owned(),
        nth: Some(1),
        count: Some(1),
        code: Some(13),
        ..Fault::default()
    }])?;
    let carried = bench.backup(&["--vddk-tries", "1"])?.expect_code(3);
    let point = show(&bench, &carried.point())?;
    let states = [0, 1].map(|disk| point["disks"][disk]["state"]["state"].clone());
    assert!(states.contains(&"carried".into()), "{point:#}");
    assert_eq!(kept(&bench, &carried.point())?, ["pages", "pages"]);
    assert_eq!(verified(&bench)?, (4, 4));
    bench.order(&[])?;
    bench.guest_write(FIRST, 3 << 20, &noise.bytes(4096))?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.disk(FIRST).text("action"), "incremental");
    assert_eq!(verified(&bench)?, (6, 6));
    bench.assert_put_back()
}

#[test]
fn people_see_that_it_is_kept() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(FIRST, 1 << 20, &[7; 4096])?;
    let point = bench.backup(&[])?.expect_code(0).point();
    let plain = |command: &str, options: &[&str]| -> Result<Outcome> {
        let mut arguments = bench.repository_arguments(command, options);
        arguments.retain(|argument| argument != "--json");
        Ok(bench.run(arguments)?.expect_code(0))
    };
    let shown = plain("show", &[&point])?.stdout;
    assert!(shown.contains("kept as pages, digest "), "{shown}");
    let verified = plain("verify", &[])?.stdout;
    let line = "changed areas of 2 disks checked again, and compared 2 times with the point before";
    assert!(verified.contains(line), "{verified}");
    Ok(())
}
