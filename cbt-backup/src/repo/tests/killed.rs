//! A process that is killed at any moment, again and again, on one local folder.
//!
//! The child backs up, drops points, prunes and compacts, and tells what it was told is done. The
//! parent kills it with SIGKILL after a time of its own choice, and then looks whether all that was
//! told is so. `CBT_KILLS` says how often; without it a number that takes seconds.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::compaction::all_that_is_not_full;
use super::site::{BLOCK_BYTES, Site, passphrase};
use super::sweep::at_once;
use crate::repo::{Error, PointId, Repository, Store, VerifyLevel};

const KILLS: u64 = 10;
const BLOCKS: u64 = 40;
pub(super) const FOLDER: &str = "CBT_KILLED_FOLDER";
pub(super) const SEED: &str = "CBT_KILLED_SEED";
/// Points that the child leaves when it drops some.
const KEPT: usize = 3;

/// Numbers that look random and are the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Whether a block is written in a step of the disk's life.
fn is_written(block: u64, step: u64) -> bool {
    step == 0 || (block * 7 + step * 13).is_multiple_of(6)
}

/// The disk after a step.
pub(super) fn image(step: u64) -> Vec<u8> {
    let mut image = vec![0; (BLOCKS as usize - 1) * BLOCK_BYTES + 100];
    for (block, bytes) in (0..BLOCKS).zip(image.chunks_mut(BLOCK_BYTES)) {
        let last = (0..=step).rev().find(|step| is_written(block, *step));
        let seed = [block.to_le_bytes(), last.unwrap_or(0).to_le_bytes()].concat();
        // Every ninth block is zeros.
        if (block + last.unwrap_or(0)) % 9 != 0 {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&seed).finalize_xof().fill(bytes);
        }
    }
    image
}

pub(super) fn open(folder: &Path) -> Site {
    let store = Store::open(folder.to_str().unwrap()).unwrap();
    let objects = store.objects();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let secret = passphrase();
    let repo = runtime.block_on(Repository::open(store, &secret)).unwrap();
    Site {
        runtime,
        objects,
        repo,
    }
}

/// The living points with the step that their disk was at.
pub(super) fn points(site: &Site) -> Vec<(PointId, u64)> {
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    assert!(list.findings.is_empty(), "{:?}", list.findings);
    let points = list.points.iter();
    points
        .map(|point| (point.id, point.snapshot_time_ms.cast_unsigned()))
        .collect()
}

/// One backup, on the newest point there is.
pub(super) fn back_up(site: &Site) -> Result<(PointId, u64), Error> {
    let newest = points(site).last().copied();
    let step = newest.map_or(0, |(_, step)| step + 1);
    let parent = newest.map(|(parent, old)| {
        let written = |block: &u64| (old + 1..=step).any(|step| is_written(*block, step));
        (parent, (0..BLOCKS).filter(written).collect())
    });
    let point = site.backup(&image(step), parent, step.cast_signed())?;
    Ok((point, step))
}

pub(super) fn tell(words: &str) {
    // What is read from a pipe must be whole lines, and there at once.
    let mut out = std::io::stdout().lock();
    writeln!(out, "@ {words}").unwrap();
    out.flush().unwrap();
}

/// What the child does until it is killed.
fn live(site: &Site, dice: &mut Dice) {
    loop {
        match dice.throw(8) {
            0 => {
                let all = points(site);
                let old = all.len().saturating_sub(KEPT);
                for (point, _) in &all[..old] {
                    tell(&format!("dropping {point}"));
                    let dropped = site.repo.drop_point(*point, "", "", 0);
                    site.runtime.block_on(dropped).unwrap();
                }
            }
            1 => {
                let swept = site.repo.sweep(at_once(), &());
                site.runtime.block_on(swept).unwrap();
                tell("swept");
            }
            2 => {
                let options = all_that_is_not_full();
                let handle = site.runtime.handle();
                site.repo.compact(handle, "", &options, &()).unwrap();
                tell("compacted");
            }
            _ => {
                let (point, step) = back_up(site).unwrap();
                tell(&format!("point {point} {step}"));
            }
        }
    }
}

#[test]
#[ignore = "is run, and killed, by another test"]
fn lives_until_it_is_killed() {
    let folder = std::env::var(FOLDER).expect("the parent names a folder");
    let seed = std::env::var(SEED).expect("the parent names a seed");
    live(&open(folder.as_ref()), &mut Dice(seed.parse().unwrap()));
}

/// What the world was told.
#[derive(Default)]
struct Told {
    points: BTreeMap<PointId, u64>,
    /// Somebody tried to drop them.
    dropping: Vec<PointId>,
    actions: BTreeMap<String, u64>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["point", point, step] => {
                let point = point.parse().unwrap();
                self.points.insert(point, step.parse().unwrap());
            }
            ["dropping", point] => self.dropping.push(point.parse().unwrap()),
            _ => {}
        }
        *self.actions.entry(words[0].to_owned()).or_default() += 1;
    }
}

/// Runs the child, which is a test of this name, and kills it: `after` from its first word on, so that
/// its start does not count.
pub(super) fn run_and_kill(
    name: &str,
    folder: &Path,
    seed: u64,
    after: Duration,
    mut hear: impl FnMut(&str),
) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = channel();
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if let Some(words) = line.strip_prefix("@ ") {
                let _ = sender.send(words.to_owned());
            }
        }
    });
    let mut until = None;
    loop {
        let left = until.map_or(Duration::from_mins(1), |until: Instant| {
            until.saturating_duration_since(Instant::now())
        });
        match lines.recv_timeout(left) {
            Ok(line) => hear(&line),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the child ended by itself"),
        }
        until = until.or_else(|| Some(Instant::now() + after));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    // What was on its way when it was killed.
    for line in lines.try_iter() {
        hear(&line);
    }
}

/// Everything that was told is there, and life goes on.
fn check(folder: &Path, told: &mut Told, what: &str) {
    let site = open(folder);
    let living = points(&site);
    for (point, step) in &told.points {
        let found = living.iter().any(|(living, _)| living == point);
        assert!(
            found || told.dropping.contains(point),
            "{what}: {point} is lost"
        );
        assert!(!found || living.contains(&(*point, *step)), "{what}");
    }
    for (point, step) in &living {
        let bytes = site
            .restore(&site.repo, *point)
            .unwrap_or_else(|error| panic!("{what}: {point}: {error}"));
        assert!(bytes == image(*step), "{what}: {point} has other bytes");
    }
    let handle = site.runtime.handle();
    let report = site.repo.verify(handle, VerifyLevel::Full, &()).unwrap();
    assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    let (point, step) =
        back_up(&site).unwrap_or_else(|error| panic!("{what}: the next backup: {error}"));
    told.points.insert(point, step);
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    swept.unwrap_or_else(|error| panic!("{what}: the next sweep: {error}"));
    let fresh = site.reopen().unwrap();
    assert!(
        site.restore(&fresh, point).unwrap() == image(step),
        "{what}"
    );
    let report = fresh.verify(handle, VerifyLevel::Structure, &()).unwrap();
    assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    assert_eq!(site.names("open"), Vec::<String>::new(), "{what}");
}

#[test]
fn a_process_that_is_killed_loses_nothing_it_has_told() {
    let kills = std::env::var("CBT_KILLS").ok();
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("CBT_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().to_str().unwrap()).unwrap();
    drop(Site::over(store.objects(), 2));
    let mut dice = Dice(0x5EED);
    let mut told = Told::default();
    for kill in 0..kills {
        let after = Duration::from_micros(dice.throw(150_000));
        let seed = dice.throw(u64::MAX).max(1);
        let child = "repo::tests::killed::lives_until_it_is_killed";
        let hear = |line: &str| told.hear(line);
        run_and_kill(child, folder.path(), seed, after, hear);
        let what = format!("kill {kill}, {after:?} after the first word, seed {seed}");
        check(folder.path(), &mut told, &what);
    }
    println!(
        "{kills} kills, {:?}: nothing that was told is lost",
        told.actions
    );
    assert!(told.actions.contains_key("point"), "{:?}", told.actions);
}
