//! Copies that are made twice: at the same time, after one that was not over, or only to be measured.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::copying::{
    BLOCKS, assert_clean, assert_copied, copy, copy_options, copy_with, history, ids,
};
use super::copying_stopped::StopAfter;
use super::site::{BLOCK_BYTES, Site};
use crate::repo::{CopyMonitor, CopyOptions, CopyReport, PointId, RowInterval};

fn dry() -> CopyOptions {
    CopyOptions {
        dry_run: true,
        ..copy_options()
    }
}

/// Numbers that a dry run must tell as the copy after it: blocks, their bytes, bytes that are lost.
fn sizes(report: &CopyReport) -> Vec<(u64, u64, u64)> {
    let copied = report.copied.iter();
    copied
        .map(|copied| {
            (
                copied.read_blocks,
                copied.read_bytes,
                copied.unreadable_bytes,
            )
        })
        .collect()
}

#[test]
fn a_dry_run_counts_what_an_earlier_copy_has_brought() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    let half = (BLOCKS * BLOCK_BYTES) as u64 / 2;
    let mut less = 0;
    for (point, _) in &points {
        let all = copy_with(&from, &to, &[*point], &dry(), &()).unwrap();
        let monitor = StopAfter(half, AtomicU64::new(0));
        copy_with(&from, &to, &[*point], &copy_options(), &monitor).unwrap_err();
        let rest = copy_with(&from, &to, &[*point], &dry(), &()).unwrap();
        let report = copy(&from, &to, &[*point]).unwrap();
        assert_eq!(sizes(&rest), sizes(&report));
        less += u32::from(sizes(&rest) < sizes(&all));
    }
    assert!(less > 1, "{less}");
    assert_copied(&to, &points);
}

#[test]
fn a_dry_run_tells_what_the_source_was_copied_without() {
    let (from, to, third) = (Site::new(2), Site::new(2), Site::new(2));
    let points = history(&from);
    let packs = from.names("pack");
    let pack = packs.iter().find(|name| name.contains("/d")).unwrap();
    from.delete(pack);
    copy(&from, &to, &ids(&points)).unwrap();
    let listed = to.runtime.block_on(to.repo.points(None)).unwrap().points;
    let copies: Vec<PointId> = listed.iter().map(|point| point.id).collect();
    let planned = copy_with(&to, &third, &copies, &dry(), &()).unwrap();
    let report = copy(&to, &third, &copies).unwrap();
    let lost = |report: &CopyReport| -> Vec<u64> {
        let copied = report.copied.iter();
        copied.map(|copied| copied.unreadable_bytes).collect()
    };
    assert_eq!(lost(&planned), lost(&report));
    assert!(lost(&report).iter().any(|bytes| *bytes > 0));
    assert_eq!(planned.findings.len(), report.findings.len());
}

/// In the middle of a copy somebody else makes the same one.
struct Beside<'a> {
    from: &'a Site,
    to: &'a Site,
    points: Vec<PointId>,
    made: Mutex<Option<CopyReport>>,
}

impl CopyMonitor for Beside<'_> {
    fn advance_bytes(&self, bytes: u64) {
        let mut made = self.made.lock().unwrap();
        if bytes > 0 && made.is_none() {
            *made = Some(copy(self.from, self.to, &self.points).unwrap());
        }
    }
}

#[test]
fn of_two_copies_at_once_the_second_makes_no_point() {
    let often = RowInterval {
        put_bytes: 1,
        ..copy_options().interval
    };
    for interval in [copy_options().interval, often] {
        let (from, to) = (Site::new(2), Site::new(2));
        let points = history(&from);
        let beside = Beside {
            from: &from,
            to: &to,
            points: ids(&points),
            made: Mutex::default(),
        };
        let options = CopyOptions {
            interval,
            ..copy_options()
        };
        let report = copy_with(&from, &to, &ids(&points), &options, &beside).unwrap();
        let first = beside.made.into_inner().unwrap().unwrap();
        assert_eq!(first.copied.len(), points.len());
        assert_eq!((report.copied.len(), report.there), (0, ids(&points)));
        assert_copied(&to, &points);
        // What the second had committed on its way is gone too.
        let listed = to.runtime.block_on(to.repo.points(None)).unwrap();
        assert_eq!(listed.points.len(), points.len());
        assert!(to.names("open").is_empty());
        assert_clean(&to);
    }
}
