//! Copies that are stopped, and what the next one makes of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::copying::{
    BLOCKS, assert_clean, assert_copied, copy, copy_options, copy_with, history, ids, lose_data,
    unreadable,
};
use super::site::{BLOCK_BYTES, Site, complete, content, info};
use crate::repo::{
    BlockRange, CopyMonitor, CopyOptions, DiskState, Error, PointId, PointKind, RowInterval,
};

/// Stops after so many bytes.
pub(super) struct StopAfter(pub(super) u64, pub(super) AtomicU64);

impl CopyMonitor for StopAfter {
    fn advance_bytes(&self, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::Relaxed);
    }

    fn should_stop(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn a_copy_that_stops_goes_on_from_what_is_stored() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    let half = (BLOCKS * BLOCK_BYTES) as u64 / 2;
    for (number, (point, image)) in points.iter().enumerate() {
        let monitor = StopAfter(half, AtomicU64::new(0));
        let stopped = copy_with(&from, &to, &[*point], &copy_options(), &monitor);
        assert!(
            matches!(stopped, Err(Error::Stopped)),
            "{number}: {stopped:?}"
        );
        let listed = to
            .runtime
            .block_on(to.reopen().unwrap().full_points(None))
            .unwrap();
        let newest = listed.points.iter().find(|made| {
            made.root.kind == PointKind::Partial
                && made
                    .root
                    .origin
                    .is_some_and(|origin| origin.point == *point)
        });
        let report = copy(&from, &to, &[*point]).unwrap();
        if let Some(partial) = newest {
            let DiskState::Partial { covered_bytes } = partial.root.disks[0].state else {
                panic!("{:?}", partial.root.disks[0].state);
            };
            assert!(covered_bytes >= half, "{covered_bytes}");
            let rest = (image.len() as u64 - covered_bytes) / BLOCK_BYTES as u64;
            assert!(report.copied[0].read_blocks <= rest + 3);
        } else {
            assert_eq!(number, 3, "only the last has nothing in its first half");
        }
    }
    assert_copied(&to, &points);
    assert_clean(&to);
    // The partial points have gone with the whole ones.
    let listed = to
        .runtime
        .block_on(to.reopen().unwrap().points(None))
        .unwrap();
    assert_eq!(listed.points.len(), points.len());
}

#[test]
fn a_row_of_partial_points_makes_one_copy() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    lose_data(&from);
    let often = CopyOptions {
        interval: RowInterval {
            put_bytes: 1,
            time: Duration::from_hours(1),
        },
        ..copy_options()
    };
    let report = copy_with(&from, &to, &ids(&points), &often, &()).unwrap();
    let repo = to.reopen().unwrap();
    for (made, (point, image)) in report.copied.iter().zip(&points) {
        let source = from.reopen().unwrap();
        let lost = unreadable(&from, &source, *point, image);
        assert!(!lost.is_empty());
        assert_eq!(unreadable(&to, &repo, made.to.unwrap(), image), lost);
    }
    let listed = to.runtime.block_on(repo.points(None)).unwrap();
    assert_eq!(listed.points.len(), points.len());
}

#[test]
fn backups_and_copies_leave_each_others_partial_points_alone() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    let session = to.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, points[0].1.len() as u64))
        .unwrap();
    let all = BlockRange {
        first: 0,
        blocks: BLOCKS as u64,
    };
    session.expect_blocks(slot, [all]);
    session.put(slot, 0, &content(55, BLOCK_BYTES)).unwrap();
    let (session, partial) = session.checkpoint(info(PointKind::Full, 7)).unwrap();
    copy(&from, &to, &ids(&points[..1])).unwrap();
    let living = |id: PointId| to.runtime.block_on(to.repo.point(&id)).is_ok();
    assert!(living(partial.point));
    let monitor = StopAfter(1, AtomicU64::new(0));
    copy_with(&from, &to, &ids(&points[1..2]), &copy_options(), &monitor).unwrap_err();
    let listed = to.runtime.block_on(to.repo.full_points(None)).unwrap();
    let begun = listed
        .points
        .iter()
        .rev()
        .find(|point| point.root.kind == PointKind::Partial && point.root.origin.is_some());
    let begun = begun.unwrap().id();
    for block in 1..BLOCKS as u64 {
        session.put(slot, block, &content(55, BLOCK_BYTES)).unwrap();
    }
    session.set_disk_state(slot, complete());
    session.commit(info(PointKind::Full, 7)).unwrap();
    assert!(!living(partial.point));
    assert!(living(begun));
}

#[test]
fn what_the_target_has_lost_is_copied_though_the_copy_was_stopped() {
    // The first point is copied, the target loses a data pack of it, and the copy of the second is
    // stopped after each block. What the partial point cannot have is no hole of it.
    let from = Site::new(2);
    let points = history(&from);
    let [(first, _), (second, image)] = &points[..2] else {
        panic!("the history is longer");
    };
    for stop in 1..BLOCKS as u64 {
        let to = Site::new(2);
        copy(&from, &to, &[*first]).unwrap();
        let packs = to.names("pack");
        for pack in packs.iter().filter(|name| name.contains("/d")) {
            to.delete(pack);
        }
        let monitor = StopAfter(stop * BLOCK_BYTES as u64, AtomicU64::new(0));
        let stopped = copy_with(&from, &to, &[*second], &copy_options(), &monitor);
        let made = if let Err(error) = stopped {
            assert!(matches!(error, Error::Stopped), "{stop}: {error}");
            copy(&from, &to, &[*second]).unwrap()
        } else {
            stopped.unwrap()
        };
        let repo = to.reopen().unwrap();
        let copied = made.copied[0].to.unwrap();
        assert!(
            to.restore(&repo, copied).unwrap() == *image,
            "stopped after {stop} blocks"
        );
    }
}
