//! Partial roots: a long run commits what it has, and the next one goes on from there.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::site::{BLOCK_BYTES, Site, complete, content, info};
use super::sweep::at_once;
use crate::repo::{
    Asked, BlockRange, DiskOutcome, DiskSlot, DiskState, Distrust, Error, Image, PointId,
    PointKind, PutOutcome, RetentionPolicy, RowInterval, Session, SessionId, SessionRow,
    SweepMonitor, VerifyLevel, plan,
};

const BLOCKS: u64 = 40;

fn image(seed: u8) -> Vec<u8> {
    let blocks = (0..BLOCKS as u8).flat_map(|block| content(block * 2 + seed, BLOCK_BYTES));
    let mut image: Vec<u8> = blocks.collect();
    image.truncate((BLOCKS as usize - 1) * BLOCK_BYTES + 900);
    image
}

fn block(image: &[u8], block: u64) -> &[u8] {
    let from = block as usize * BLOCK_BYTES;
    &image[from..image.len().min(from + BLOCK_BYTES)]
}

fn all() -> BlockRange {
    BlockRange {
        first: 0,
        blocks: BLOCKS,
    }
}

/// Commits only when told to.
fn never() -> RowInterval {
    RowInterval {
        put_bytes: u64::MAX,
        time: Duration::from_hours(1),
    }
}

/// A full run over the disk, which makes a partial point after so many bytes.
fn row(site: &Site, image: &[u8], put_bytes: u64) -> (SessionRow, DiskSlot) {
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, image.len() as u64))
        .unwrap();
    session.expect_blocks(slot, [all()]);
    let interval = RowInterval {
        put_bytes,
        ..never()
    };
    (SessionRow::new(session, interval), slot)
}

/// A full run over the disk that put blocks 0 to `to` (but for block `gap`) and made a partial point.
fn dead_run(site: &Site, image: &[u8], to: u64, gap: u64) -> PointId {
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, image.len() as u64))
        .unwrap();
    session.expect_blocks(slot, [all()]);
    for number in (0..to).filter(|number| *number != gap) {
        session.put(slot, number, block(image, number)).unwrap();
    }
    let (next, committed) = session.checkpoint(info(PointKind::Full, 1)).unwrap();
    drop(next);
    committed.point
}

/// The next run: puts what changed and what must be put, and counts what was stored.
fn resume(site: &Site, image: &[u8], partial: PointId, changed: &[u64]) -> (PointId, Vec<u64>) {
    let session = site.begin().unwrap();
    let newest = session.parents().first().unwrap();
    assert_eq!(
        (newest.id(), newest.root.kind),
        (partial, PointKind::Partial)
    );
    let slot = session
        .add_disk(Site::disk(Some(partial), image.len() as u64))
        .unwrap();
    let runs = session.unreadable_blocks(slot);
    let must = runs
        .iter()
        .flat_map(|run| run.first..run.first + run.blocks);
    let mut work: Vec<u64> = must.chain(changed.iter().copied()).collect();
    work.sort_unstable();
    work.dedup();
    let stored = work.iter().copied().filter(|number| {
        let put = session.put(slot, *number, block(image, *number)).unwrap();
        matches!(put, PutOutcome::New { .. })
    });
    let stored = stored.collect();
    session.set_disk_state(slot, complete());
    let point = session
        .commit(info(PointKind::Incremental, 2))
        .unwrap()
        .point;
    (point, stored)
}

#[track_caller]
fn assert_whole(site: &Site, point: PointId, image: &[u8]) {
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, point).unwrap() == image);
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

fn sweep(site: &Site) {
    let swept = site.repo.sweep(at_once(), &());
    site.runtime.block_on(swept).unwrap();
}

#[test]
fn a_run_of_many_sessions_makes_one_point() {
    let site = Site::new(2);
    let image = image(1);
    let (row, slot) = row(&site, &image, 11 * BLOCK_BYTES as u64);
    let mut partial = Vec::new();
    for number in 0..BLOCKS {
        row.put(slot, number, block(&image, number)).unwrap();
        let made = row
            .checkpoint_if_due(|_| Some(info(PointKind::Full, 1)))
            .unwrap();
        partial.extend(made.map(|made| made.point));
        if partial.len() == 1 && made.is_some() {
            // A sweep meanwhile takes nothing of it.
            site.runtime
                .block_on(site.repo.sweep(
                    crate::repo::SweepOptions {
                        max_looks: Some(1),
                        ..at_once()
                    },
                    &(),
                ))
                .unwrap();
        }
    }
    assert_eq!(partial.len(), 3);
    let session = row.into_session().unwrap();
    session.set_disk_state(slot, complete());
    let committed = session.commit(info(PointKind::Full, 1)).unwrap();
    assert_eq!(committed.stats.put_blocks, BLOCKS);
    assert_whole(&site, committed.point, &image);
    // The partial points are in the bin, and then gone; their packs are those of the whole one.
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    let living: Vec<_> = list.points.iter().map(|point| point.id).collect();
    assert_eq!(living, [committed.point]);
    for _ in 0..2 {
        sweep(&site);
    }
    assert_eq!(site.names("point").len(), 1);
    assert_eq!(site.names("dead"), Vec::<String>::new());
    assert_whole(&site, committed.point, &image);
}

#[test]
fn time_makes_a_partial_root_due_once_something_was_put() {
    let site = Site::new(2);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, 3 * BLOCK_BYTES as u64))
        .unwrap();
    let at_each = RowInterval {
        time: Duration::ZERO,
        ..never()
    };
    let row = SessionRow::new(session, at_each);
    let due = || {
        row.checkpoint_if_due(|_| Some(info(PointKind::Full, 1)))
            .unwrap()
            .is_some()
    };
    assert!(!due());
    row.put(slot, 0, &content(1, BLOCK_BYTES)).unwrap();
    assert!(due());
    assert!(!due());
}

#[test]
fn the_next_run_stores_nothing_again() {
    let site = Site::new(2);
    let first = image(1);
    let partial = dead_run(&site, &first, 30, 22);
    let root = site.point(partial).root;
    let covered_bytes = 22 * BLOCK_BYTES as u64;
    assert_eq!(root.disks[0].state, DiskState::Partial { covered_bytes });
    assert_eq!(root.disks[0].change_id.as_deref(), Some("52 c0/7"));
    let mut second = first.clone();
    second[5 * BLOCK_BYTES..6 * BLOCK_BYTES].copy_from_slice(&content(201, BLOCK_BYTES));
    sweep(&site);
    let (point, stored) = resume(&site, &second, partial, &[5]);
    let expected: Vec<u64> = [5, 22].into_iter().chain(30..BLOCKS).collect();
    assert_eq!(
        stored, expected,
        "23 to 29 were put out of order and are known"
    );
    assert_whole(&site, point, &second);
    assert!(
        site.names("dead")
            .iter()
            .any(|name| name.ends_with(&partial.to_string()))
    );
}

#[test]
fn nobody_restores_from_a_partial_point() {
    let site = Site::new(2);
    let first = image(1);
    let whole = site.backup(&first, None, 0).unwrap();
    let partial = dead_run(&site, &first, 10, 99);
    let handle = site.runtime.handle();
    let opened = Image::open(&site.repo, handle, &site.point(partial), 0);
    assert!(matches!(opened, Err(Error::DiskPartial { .. })));
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    let unfinished = list
        .points
        .iter()
        .find(|point| point.id == partial)
        .unwrap();
    assert!(!unfinished.complete);
    // It is sound all the same.
    for level in [VerifyLevel::Full, VerifyLevel::Point(partial)] {
        let report = site.repo.verify(handle, level, &()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
    let kept = |points: &[crate::repo::PointSummary]| {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let policy = RetentionPolicy::default();
        let verdicts = plan(points, &policy, &jiff::tz::TimeZone::UTC, now).unwrap();
        let kept = verdicts.into_iter().filter(crate::repo::Verdict::is_kept);
        kept.map(|verdict| (verdict.point.id, verdict.kept_by.join(", ")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kept(&list.points),
        [
            (whole, "newest, newest complete".to_owned()),
            (partial, "unfinished".to_owned())
        ]
    );
    let mut later = list.points.clone();
    later[0].snapshot_time_ms = 9;
    assert_eq!(kept(&later).len(), 1, "a whole point is newer");
}

#[test]
fn a_partial_increment_keeps_what_it_was_built_on_and_carries_none_of_its_own() {
    let site = Site::new(2);
    let first = image(1);
    let full = site.backup(&first, None, 0).unwrap();
    let second = image(51);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), second.len() as u64))
        .unwrap();
    session.expect_blocks(slot, [all()]);
    for number in 0..7 {
        session.put(slot, number, block(&second, number)).unwrap();
    }
    let (next, committed) = session.checkpoint(info(PointKind::Incremental, 1)).unwrap();
    // The disk fails: the point before is carried.
    next.set_disk_state(
        slot,
        DiskOutcome::Carried {
            from: full,
            reason: "the disk went away".to_owned(),
        },
    );
    let found = Distrust {
        tracking: Some("52 2d".to_owned()),
        allocation: true,
    };
    next.distrust(slot, &found);
    let carried = next.commit(info(PointKind::Incremental, 1)).unwrap().point;
    let record = &site.point(carried).root.disks[0];
    assert_eq!(record.distrust, found, "what was found goes along");
    let state = record.state.clone();
    assert!(
        matches!(state, DiskState::Carried { from, .. } if from == full),
        "{state:?}"
    );
    assert_whole(&site, carried, &first);
    // It is not whole, so the partial one stays and serves.
    let (point, stored) = resume_named(&site, &second, committed.point);
    assert_eq!(stored, 7..BLOCKS);
    assert_whole(&site, point, &second);
}

/// What was read is in doubt, before or while everybody waits: there is no point, and the run goes on.
#[test]
fn no_partial_point_is_made_of_what_is_in_doubt() {
    let site = Site::new(2);
    let image = image(1);
    let (row, slot) = row(&site, &image, 1);
    for in_doubt in [Asked::Early, Asked::Settled] {
        let number = in_doubt as u64;
        row.put(slot, number, block(&image, number)).unwrap();
        let asked = Mutex::new(Vec::new());
        let info = |now| {
            asked
                .lock()
                .unwrap()
                .push((now, row.try_with(Session::id).is_some()));
            (now != in_doubt).then(|| info(PointKind::Full, 1))
        };
        assert!(row.checkpoint_if_due(info).unwrap().is_none());
        // Others go on while it is asked the first time, and wait the second time.
        let both = [(Asked::Early, true), (Asked::Settled, false)];
        let expected = &both[..=in_doubt as usize];
        assert_eq!(asked.into_inner().unwrap(), expected);
    }
    let session = row.into_session().unwrap();
    put_all(&session, slot, &image, 2..BLOCKS);
    session.set_disk_state(slot, complete());
    let point = session.commit(info(PointKind::Full, 1)).unwrap().point;
    assert_whole(&site, point, &image);
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    assert_eq!(list.points.len(), 1);
}

/// All of the disk was read and kept on the way; then it was found in doubt, as when it was moved meanwhile.
#[test]
fn what_is_carried_is_never_what_the_same_run_has_read() {
    let site = Site::new(2);
    let first = image(1);
    let full = site.backup(&first, None, 0).unwrap();
    let second = image(51);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), second.len() as u64))
        .unwrap();
    put_all(&session, slot, &second, 0..BLOCKS);
    session.set_disk_state(slot, complete());
    let (next, _) = session.checkpoint(info(PointKind::Incremental, 1)).unwrap();
    let (next, kept) = next.checkpoint(info(PointKind::Incremental, 1)).unwrap();
    assert!(site.point(kept.point).root.disks[0].is_whole());
    next.set_disk_state(
        slot,
        DiskOutcome::Carried {
            from: full,
            reason: "it was moved".to_owned(),
        },
    );
    let carried = next.commit(info(PointKind::Incremental, 1)).unwrap().point;
    let made = &site.point(carried).root.disks[0];
    let before = &site.point(full).root.disks[0];
    assert!(matches!(made.state, DiskState::Carried { from, .. } if from == full));
    assert_eq!(made.tree, before.tree);
    assert_eq!(made.change_id, before.change_id);
    assert_whole(&site, carried, &first);
}

/// A run on a partial point that is not the newest one.
fn resume_named(site: &Site, image: &[u8], partial: PointId) -> (PointId, std::ops::Range<u64>) {
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(partial), image.len() as u64))
        .unwrap();
    let runs = session.unreadable_blocks(slot);
    let [run] = runs.as_slice() else {
        panic!("{runs:?}")
    };
    let must = run.first..run.first + run.blocks;
    put_all(&session, slot, image, must.clone());
    session.set_disk_state(slot, complete());
    (
        session
            .commit(info(PointKind::Incremental, 2))
            .unwrap()
            .point,
        must,
    )
}

fn put_all(session: &Session, slot: DiskSlot, image: &[u8], blocks: std::ops::Range<u64>) {
    for number in blocks {
        session.put(slot, number, block(image, number)).unwrap();
    }
}

#[test]
fn what_a_damaged_parent_cannot_supply_is_still_asked_for_after_a_checkpoint() {
    let site = Site::new(2);
    let image = image(1);
    let full = site.backup(&image, None, 0).unwrap();
    let packs = site.names("pack");
    site.delete(
        packs
            .iter()
            .find(|name| name.ends_with("d00000001"))
            .unwrap(),
    );
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), image.len() as u64))
        .unwrap();
    let lost = session.unreadable_blocks(slot);
    assert!(!lost.is_empty());
    session.expect_blocks(slot, lost.clone());
    let (next, committed) = session.checkpoint(info(PointKind::Incremental, 1)).unwrap();
    assert_eq!(next.unreadable_blocks(slot), lost);
    let level = VerifyLevel::Point(committed.point);
    let report = site.repo.verify(site.runtime.handle(), level, &()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // Without them there is no point.
    for run in &lost {
        put_all(&next, slot, &image, run.first..run.first + run.blocks);
    }
    next.set_disk_state(slot, complete());
    let point = next.commit(info(PointKind::Incremental, 1)).unwrap().point;
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image);
}

#[test]
fn a_run_whose_partial_point_is_dropped_at_once_ends() {
    let site = Site::new(2);
    let image = image(1);
    let partial = dead_run(&site, &image, 10, 99);
    let dropped = site.repo.drop_point(partial, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    sweep(&site);
    sweep(&site);
    // Nothing of it is left, and the next run begins anew.
    assert_eq!(site.names("pack"), Vec::<String>::new());
    let point = site.backup(&image, None, 2).unwrap();
    assert_whole(&site, point, &image);
}

/// A sweep that tells when it has condemned and waits for a session, and goes on when it is told to.
struct Held {
    waits: Mutex<Sender<()>>,
    goes_on: Mutex<Receiver<()>>,
}

impl SweepMonitor for Held {
    fn waiting(&self, _: &[SessionId]) {
        self.waits.lock().unwrap().send(()).unwrap();
        self.goes_on.lock().unwrap().recv().unwrap();
    }
}

/// The run builds on a point that is dropped; the sweep condemns its packs, and then the run changes
/// sessions. What the first one took over is in the partial root, so the sweep keeps it; but the second one
/// has read the list and must not rely on it.
#[test]
fn a_checkpoint_while_a_sweep_takes_packs_asks_for_them_again() {
    for puts_again in [true, false] {
        let site = Site::new(2);
        let (old, mut new) = (image(1), image(1));
        let full = site.backup(&old, None, 0).unwrap();
        new[..5 * BLOCK_BYTES].copy_from_slice(&image(101)[..5 * BLOCK_BYTES]);
        let session = site.begin().unwrap();
        let disk = Site::disk(Some(full), old.len() as u64);
        let slot = session.add_disk(disk).unwrap();
        session.expect_blocks(
            slot,
            [BlockRange {
                first: 0,
                blocks: 5,
            }],
        );
        put_all(&session, slot, &new, 0..3);
        let dropped = site.repo.drop_point(full, "", "", 0);
        site.runtime.block_on(dropped).unwrap();

        let ((waits, waiting), (go_on, goes_on)) = (channel(), channel());
        let held = Held {
            waits: Mutex::new(waits),
            goes_on: Mutex::new(goes_on),
        };
        let (next, partial, asked) = std::thread::scope(|scope| {
            let sweep = scope.spawn(|| site.runtime.block_on(site.repo.sweep(at_once(), &held)));
            waiting.recv().unwrap();
            let (next, partial) = session.checkpoint(info(PointKind::Incremental, 1)).unwrap();
            let asked = next.unreadable_blocks(slot);
            go_on.send(()).unwrap();
            let report = sweep.join().unwrap().unwrap();
            assert!(
                report.fenced.is_empty() && report.packs_deleted > 0,
                "{report:?}"
            );
            (next, partial.point, asked)
        });
        assert!(!asked.is_empty());
        let again = asked.iter().filter(|_| puts_again);
        let again = again.flat_map(|run| run.first..run.first + run.blocks);
        for number in again.chain(3..5).collect::<BTreeSet<u64>>() {
            next.put(slot, number, block(&new, number)).unwrap();
        }
        next.set_disk_state(slot, complete());
        let committed = next.commit(info(PointKind::Incremental, 1));
        let point = if puts_again {
            committed.unwrap().point
        } else {
            assert!(
                matches!(committed, Err(Error::BlocksMissing { .. })),
                "{committed:?}"
            );
            // The sweep is over, and the partial point whole as far as it goes.
            resume(&site, &new, partial, &[3, 4]).0
        };
        assert_whole(&site, point, &new);
        sweep(&site);
        sweep(&site);
        assert_whole(&site, point, &new);
    }
}

/// A run that ends beside one of a later snapshot, on another machine.
#[test]
fn a_partial_point_of_a_later_snapshot_stays_and_the_others_lie_in_the_bin() {
    let site = Site::new(2);
    let image = image(1);
    let partial = |time_ms| {
        let session = site.begin().unwrap();
        let slot = session
            .add_disk(Site::disk(None, image.len() as u64))
            .unwrap();
        session.expect_blocks(slot, [all()]);
        session.put(slot, 0, block(&image, 0)).unwrap();
        let (next, committed) = session.checkpoint(info(PointKind::Full, time_ms)).unwrap();
        drop(next);
        committed.point
    };
    let (older, same, later) = (partial(1), partial(2), partial(3));
    let before = jiff::Timestamp::now().as_millisecond();
    let whole = site.backup(&image, None, 2).unwrap();
    let listed = site.runtime.block_on(site.repo.points(None)).unwrap();
    let mut living: Vec<PointId> = listed.points.iter().map(|point| point.id).collect();
    living.sort_unstable();
    let mut wanted = vec![whole, later];
    wanted.sort_unstable();
    assert_eq!(living, wanted);
    // They are in the bin from now on, and not since their snapshots.
    let bin = site.runtime.block_on(site.repo.deleted_points()).unwrap();
    assert_eq!(bin.points.len(), 2);
    for dropped in bin.points {
        assert!([older, same].contains(&dropped.summary.id));
        assert!(dropped.tombstone.unwrap().deleted_ms >= before);
    }
}
