//! Runs that die on their way, and the next one that goes on from what they kept.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cbt_tests::{Bench, Noise, Outcome};
use serde_json::Value;

/// Kinds of the points, oldest first.
fn kinds(bench: &Bench) -> Result<Vec<String>> {
    let listed = bench.list()?.expect_code(0).result();
    let points = listed["points"].as_array().context("no points")?;
    let kind = |point: &Value| point["kind"].as_str().unwrap_or_default().to_owned();
    Ok(points.iter().map(kind).collect())
}

/// How many roots there are: files in folders of points in folders of VMs. One that is being written
/// has a `#` in its name.
fn roots(below: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(below) else {
        return 0;
    };
    let count = |path: PathBuf| {
        if path.is_dir() {
            roots(&path)
        } else {
            usize::from(!path.to_string_lossy().contains('#'))
        }
    };
    entries.flatten().map(|entry| count(entry.path())).sum()
}

/// The packs with data below a folder.
fn data_packs(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let mut packs: Vec<PathBuf> = files
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with('d')
        })
        .collect();
    packs.extend(folders.iter().flat_map(|folder| data_packs(folder)));
    packs
}

/// A backup that is killed once it has kept a partial point. Its guest writes meanwhile.
fn die_half_way(bench: &mut Bench, options: &[&str], read_ms: u64) -> Result<()> {
    let points = bench.path("repository/point");
    let count = move || roots(&points);
    let before = count();
    let options = [&["--checkpoint-seconds", "1"], options].concat();
    let mut backup = bench.start_slow_backup(&options, read_ms)?;
    backup
        .run
        .wait_until("the partial point", || count() > before)?;
    let _ = bench.kill(backup)?;
    bench.order(&[])
}

fn read_bytes(outcome: &Outcome) -> u64 {
    [2000, 2001]
        .map(|key| outcome.disk(key).bytes("read_bytes"))
        .iter()
        .sum()
}

#[test]
fn a_full_that_died_is_not_read_again() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    die_half_way(&mut bench, &[], 150)?;
    assert_eq!(kinds(&bench)?, ["partial"]);
    let partial = bench.list()?.result()["points"][0]["point"]
        .as_str()
        .context("no id")?
        .to_owned();
    // Nobody restores from it.
    let to = bench.path("restored/partial");
    let refused = bench.restore(&partial, &to, &[])?.expect_code(18);
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert!(refused.stderr.contains("cut short"), "{refused:#?}");
    // What it had read and the guest wrote since is read again.
    bench.guest_write(2000, 4096, &[0x5a; 8192])?;
    let next = bench.backup(&[])?.expect_code(0);
    let events = next.events();
    assert!(events.contains(&"dead-run".to_owned()), "{events:?}");
    assert!(events.contains(&"resumed".to_owned()), "{events:?}");
    let whole = bench.capacity_bytes(2000)? + bench.capacity_bytes(2001)?;
    assert!(
        read_bytes(&next) < whole,
        "{} of {whole}",
        read_bytes(&next)
    );
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())?;
    assert_eq!(kinds(&bench)?.len(), 1, "the partial point has served");
    bench.guest_write(2001, 0, &[0x5b; 512])?;
    let increment = bench.backup(&[])?.expect_code(0);
    assert_eq!(increment.disk(2000).text("action"), "incremental");
    bench.assert_restores(&increment.point())?;
    bench.assert_sound()
}

#[test]
fn an_increment_after_a_full_that_died_builds_on_the_last_complete_point() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let first = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 1 << 20, &[0x61; 4096])?;
    die_half_way(&mut bench, &["--full"], 150)?;
    assert_eq!(kinds(&bench)?, ["full", "partial"]);
    bench.guest_write(2001, 1 << 20, &[0x62; 4096])?;
    let next = bench.backup(&[])?.expect_code(0);
    for key in [2000, 2001] {
        assert_eq!(next.disk(key).text("action"), "incremental", "{next:#?}");
    }
    assert!(read_bytes(&next) <= 2 << 20, "{next:#?}");
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())?;
    bench.assert_restores(&first.point())?;
    bench.assert_sound()
}

/// 12 MiB of the first disk change. The run that would have read them dies.
#[test]
fn an_increment_that_died_is_not_read_again() -> Result<()> {
    const CHANGED: usize = 12 << 20;
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let first = bench.backup(&[])?.expect_code(0);
    let mut changed = vec![0; CHANGED];
    for (number, sector) in (0_u64..).zip(changed.chunks_mut(512)) {
        sector.fill(number as u8 | 1);
        sector[..8].copy_from_slice(&number.to_le_bytes());
    }
    bench.guest_write(2000, 1 << 20, &changed)?;
    die_half_way(&mut bench, &[], 1000)?;
    assert_eq!(kinds(&bench)?, ["full", "partial"]);
    // Where the dead run has been, where it has not, and where nothing had changed.
    for at in [2 << 20, 12 << 20, 20 << 20] {
        bench.guest_write(2000, at, &[0x5a; 4096])?;
    }
    let next = bench.backup(&[])?.expect_code(0);
    let events = next.events();
    assert!(events.contains(&"resumed".to_owned()), "{events:?}");
    assert_eq!(next.disk(2000).text("action"), "incremental");
    let read_bytes = next.disk(2000).bytes("read_bytes");
    assert!(
        (512 << 10..CHANGED as u64).contains(&read_bytes),
        "{read_bytes}"
    );
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())?;
    bench.assert_restores(&first.point())?;
    assert_eq!(kinds(&bench)?.len(), 2, "the partial point has served");
    // Both answers are kept; the partial point that the second one begins at is gone.
    let verified = bench.verify("structure")?.expect_code(0).result();
    assert_eq!(verified["findings"], Value::Array(Vec::new()));
    assert_eq!(verified["maps_checked"], 2, "{verified:#}");
    assert_eq!(verified["maps_compared"], 2, "{verified:#}");
    bench.assert_sound()
}

/// By whatever: a verification beside it that finds the pack rotten does the same.
#[test]
fn what_a_lost_pack_held_is_read_by_the_run_that_goes_on() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let packs = data_packs(&bench.path("repository/pack"));
    bench.guest_write(2000, 4 << 20, &Noise::new(5).bytes(16 << 20))?;
    let points = bench.path("repository/point");
    let before = roots(&points);
    let mut backup = bench.start_slow_backup(&["--checkpoint-seconds", "1"], 1200)?;
    backup
        .run
        .wait_until("the partial point", || roots(&points) > before)?;
    for pack in &packs {
        std::fs::remove_file(pack)?;
    }
    let done = bench.finish(backup)?.expect_code(0);
    bench.order(&[])?;
    assert!(!packs.is_empty());
    bench.assert_restores(&done.point())?;
    bench.assert_put_back()
}

#[test]
fn a_run_that_keeps_partial_points_makes_one_whole_point() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let backup = bench.start_backup_to_the_middle(&["--checkpoint-seconds", "1"])?;
    let full = bench.finish(backup)?.expect_code(0);
    let events = full.events();
    assert!(events.contains(&"partial-point".to_owned()), "{events:?}");
    assert_eq!(kinds(&bench)?, ["full"]);
    bench.assert_put_back()?;
    bench.assert_restores(&full.point())?;
    bench.assert_sound()
}
