//! A copy on stores that fail: at each operation of either side, in each way there is.

use std::sync::Arc;
use std::time::Duration;

use super::copying::{assert_clean, assert_copied, copy_options, copy_with, history, ids};
use super::fault_store::{FaultStore, Faults};
use super::operation_store::{Fault, OperationStore, Plan};
use super::site::{BLOCK_BYTES, Site, content};
use super::sweep::at_once;
use crate::repo::{CopyOptions, Error, PointId, RowInterval};

/// Commits a partial point for each window, so that there is much that can go wrong.
fn often() -> CopyOptions {
    CopyOptions {
        interval: RowInterval {
            put_bytes: 10 * BLOCK_BYTES as u64,
            time: Duration::from_hours(1),
        },
        ..copy_options()
    }
}

fn copy(from: &Site, to: &Site, points: &[PointId]) -> Result<(), Error> {
    copy_with(from, to, points, &often(), &()).map(|report| {
        assert!(report.is_clean(), "{:?}", report.findings);
    })
}

/// Two points, so that runs stay short.
fn two(site: &Site) -> Vec<(PointId, Vec<u8>)> {
    let mut now = (0..12_u8)
        .flat_map(|block| content(block * 2 + 1, BLOCK_BYTES))
        .collect::<Vec<u8>>();
    let full = site.backup(&now, None, 1).unwrap();
    let first = now.clone();
    for block in [2, 7] {
        let start = block * BLOCK_BYTES;
        now[start..start + BLOCK_BYTES].copy_from_slice(&content(91, BLOCK_BYTES));
    }
    let next = site.backup(&now, Some((full, vec![2, 7])), 2).unwrap();
    vec![(full, first), (next, now)]
}

/// After whatever happened another copy makes all of it, and the sweep takes what is left.
fn assert_goes_on(from: &Site, to: &Site, points: &[(PointId, Vec<u8>)], what: &str) {
    assert_clean(to);
    copy(from, to, &ids(points)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_copied(to, points);
    for site in [from, to] {
        for _ in 0..2 {
            site.runtime
                .block_on(site.repo.sweep(at_once(), &()))
                .unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        assert_clean(site);
        for left in ["open", "sweep"] {
            assert_eq!(site.names(left), Vec::<String>::new(), "{what}");
        }
    }
    assert_copied(to, points);
}

#[test]
fn a_target_that_fills_up_at_any_write_is_filled_by_the_next_copy() {
    let from = Site::new(2);
    let points = history(&from);
    let mut failures = 0;
    for writes in 0.. {
        let faults = Faults::none();
        let to = Site::over(Arc::new(FaultStore::new(&faults)), 2);
        faults.writes(writes);
        let outcome = copy(&from, &to, &ids(&points));
        faults.writes(usize::MAX);
        assert_goes_on(&from, &to, &points, &format!("after {writes} writes"));
        match outcome {
            Ok(()) => break,
            Err(error) => {
                failures += 1;
                assert!(error.is_not_writable(), "after {writes} writes: {error}");
            }
        }
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn whatever_operation_of_the_target_goes_wrong_the_next_copy_goes_on() {
    let from = Site::new(2);
    let points = two(&from);
    let mut runs = 0;
    for fault in Fault::ALL {
        for number in 0.. {
            let plan = Plan::default();
            let to = Site::over(Arc::new(OperationStore::new(&plan)), 2);
            // Opening is not what is tried here.
            plan.arm(Some((number + 3, fault)));
            let outcome = copy_or_fail_to_open(&from, &to, &points);
            let (_, met) = plan.done();
            if plan.take_late() {
                // The late change comes with the next operation.
                let _ = to.names("config");
            }
            plan.arm(None);
            if !met {
                break;
            }
            runs += 1;
            let what = format!("operation {number}, {fault:?}, {outcome:?}");
            assert_goes_on(&from, &to, &points, &what);
        }
    }
    assert!(runs > 100, "{runs}");
    println!("{runs} runs: each was finished by the next copy");
}

#[test]
fn whatever_operation_of_the_source_goes_wrong_nothing_is_taken_for_lost() {
    let mut runs = 0;
    for fault in [Fault::Before, Fault::PowerCut] {
        for number in 0.. {
            let plan = Plan::default();
            let from = Site::over(Arc::new(OperationStore::new(&plan)), 2);
            let points = two(&from);
            let to = Site::new(2);
            plan.arm(Some((number + 3, fault)));
            let outcome = copy_or_fail_to_open(&from, &to, &points);
            let (_, met) = plan.done();
            plan.arm(None);
            if !met {
                break;
            }
            runs += 1;
            let what = format!("operation {number}, {fault:?}, {outcome:?}");
            assert_goes_on(&from, &to, &points, &what);
        }
    }
    assert!(runs > 20, "{runs}");
}

fn copy_or_fail_to_open(
    from: &Site,
    to: &Site,
    points: &[(PointId, Vec<u8>)],
) -> Result<(), Error> {
    let (source, target) = (from.reopen()?, to.reopen()?);
    let copied = source.copy(&target, from.runtime.handle(), &ids(points), &often(), &());
    copied.map(|report| assert!(report.is_clean(), "{:?}", report.findings))
}
