//! A copy that is killed at any moment, again and again, and goes on each time.
//!
//! `CBT_KILLS` says how often; without it a number that takes seconds.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::copying::{assert_clean, copy_options};
use super::killed::{Dice, FOLDER, back_up, image, open, points, run_and_kill, tell};
use super::site::{BLOCK_BYTES, Site};
use super::sweep::at_once;
use crate::repo::{
    CopiedPoint, CopyMonitor, CopyOptions, CopyReport, Error, PointId, PointKind, RowInterval,
    Store,
};

const KILLS: u64 = 10;

/// Tells each point that is there, as soon as it is.
struct Tells;

impl CopyMonitor for Tells {
    fn advance_bytes(&self, _bytes: u64) {
        tell("bytes");
    }

    fn point_ends(&self, point: &CopiedPoint) {
        tell(&format!("copied {} {}", point.from.id, point.to.unwrap()));
    }
}

fn copy_all(source: &Site, target: &Site, monitor: &dyn CopyMonitor) -> Result<CopyReport, Error> {
    let wanted: Vec<PointId> = points(source).iter().map(|(point, _)| *point).collect();
    let options = CopyOptions {
        interval: RowInterval {
            put_bytes: 8 * BLOCK_BYTES as u64,
            time: Duration::from_hours(1),
        },
        ..copy_options()
    };
    let handle = source.runtime.handle();
    source
        .repo
        .copy(&target.repo, handle, &wanted, &options, monitor)
}

#[test]
#[ignore = "is run, and killed, by another test"]
fn copies_until_it_is_killed() {
    let folder = std::env::var(FOLDER).expect("the parent names a folder");
    let folder: &Path = folder.as_ref();
    let (source, target) = (open(&folder.join("source")), open(&folder.join("target")));
    loop {
        copy_all(&source, &target, &Tells).unwrap();
        back_up(&source).unwrap();
    }
}

/// Every copy there is has the image of what it is a copy of.
fn assert_copies(source: &Site, target: &Site) -> BTreeSet<(PointId, PointId)> {
    let listed = target.runtime.block_on(target.repo.points(None)).unwrap();
    let whole = listed
        .points
        .iter()
        .filter(|copy| copy.kind != PointKind::Partial);
    let steps = points(source);
    whole
        .map(|copy| {
            let origin = copy.origin.unwrap().point;
            let (_, step) = steps.iter().find(|(point, _)| *point == origin).unwrap();
            let bytes = target.restore(&target.repo, copy.id).unwrap();
            assert!(bytes == image(*step), "{} has other bytes", copy.id);
            (origin, copy.id)
        })
        .collect()
}

#[test]
fn a_copy_that_is_killed_goes_on_from_what_is_stored() {
    let kills = std::env::var("CBT_KILLS").ok();
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("CBT_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["source", "target"] {
        let folder = folder.path().join(name);
        let store = Store::create(folder.to_str().unwrap()).unwrap();
        drop(Site::over(store.objects(), 2));
    }
    let source = open(&folder.path().join("source"));
    for _ in 0..3 {
        back_up(&source).unwrap();
    }
    let mut dice = Dice(0xC0B1);
    let told = Mutex::new(BTreeSet::new());
    let mut partial = 0;
    for kill in 0..kills {
        let after = Duration::from_micros(dice.throw(120_000));
        let hear = |line: &str| {
            if let ["copied", from, to] = line.split(' ').collect::<Vec<_>>().as_slice() {
                let pair: (PointId, PointId) = (from.parse().unwrap(), to.parse().unwrap());
                told.lock().unwrap().insert(pair);
            }
        };
        let child = "repo::tests::copying_killed::copies_until_it_is_killed";
        run_and_kill(child, folder.path(), 0, after, hear);
        let (source, target) = (
            open(&folder.path().join("source")),
            open(&folder.path().join("target")),
        );
        assert_clean(&target);
        let there = assert_copies(&source, &target);
        let told = told.lock().unwrap();
        assert!(
            told.is_subset(&there),
            "kill {kill}: a copy that was told is lost"
        );
        drop(told);
        let listed = target.runtime.block_on(target.repo.points(None)).unwrap();
        let begun = listed
            .points
            .iter()
            .filter(|copy| copy.kind == PointKind::Partial);
        partial += begun.count();
        if kill % 3 == 2 {
            let swept = target.runtime.block_on(target.repo.sweep(at_once(), &()));
            swept.unwrap();
        }
    }
    let target = open(&folder.path().join("target"));
    let source = open(&folder.path().join("source"));
    let report = copy_all(&source, &target, &()).unwrap();
    assert!(report.is_clean());
    assert_eq!(assert_copies(&source, &target).len(), points(&source).len());
    assert_clean(&target);
    let copies = told.lock().unwrap().len();
    println!("{kills} kills, {copies} copies told, {partial} unfinished ones met: none is lost");
    assert!(copies > 0);
}
