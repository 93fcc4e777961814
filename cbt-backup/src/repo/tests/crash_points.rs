//! One operation after the other goes wrong, in each way there is, in a life of a repository: full,
//! increment, retention, compaction, sweep. What was reported must be there afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::compaction::all_that_is_not_full;
use super::operation_store::{Fault, OperationStore, Plan};
use super::site::{BLOCK_BYTES, Site, complete, content, info};
use super::sweep::at_once;
use crate::repo::{BlockRange, Error, PointId, PointKind, Session, VerifyLevel};

const BLOCKS: u8 = 24;

fn image(seed: u8) -> Vec<u8> {
    (0..BLOCKS)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

/// What the world was told.
#[derive(Default)]
struct Told {
    /// Points that were reported, with their content.
    points: Vec<(PointId, Vec<u8>)>,
    /// Somebody tried to drop it, so it may be gone.
    dropped: Option<PointId>,
}

/// A repository with two points, whose first is shared by nobody but in part.
fn prepare(plan: &Plan) -> (Site, Told) {
    let site = Site::over(Arc::new(OperationStore::new(plan)), 2);
    let first = image(1);
    let full = site.backup(&first, None, 1).unwrap();
    let told = Told {
        points: vec![(full, first)],
        dropped: None,
    };
    (site, told)
}

/// How the second point is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Second {
    /// By one session.
    AtOnce,
    /// By a row of two, with a partial point between them.
    InARow,
}

/// An increment that commits a partial point on its way.
fn in_a_row(site: &Site, image: &[u8], parent: PointId, changed: u64) -> Result<PointId, Error> {
    let session = site.begin()?;
    let slot = session.add_disk(Site::disk(Some(parent), image.len() as u64))?;
    let all = BlockRange {
        first: 0,
        blocks: changed,
    };
    session.expect_blocks(slot, [all]);
    let put = |session: &Session, numbers: std::ops::Range<u64>| {
        for number in numbers {
            let at = number as usize * BLOCK_BYTES;
            session.put(slot, number, &image[at..at + BLOCK_BYTES])?;
        }
        Ok::<_, Error>(())
    };
    put(&session, 0..changed / 2)?;
    let (session, _) = session.checkpoint(info(PointKind::Incremental, 2))?;
    put(&session, changed / 2..changed)?;
    session.set_disk_state(slot, complete());
    Ok(session.commit(info(PointKind::Incremental, 2))?.point)
}

/// The life. A step that fails is left, the next is tried.
fn live(site: &Site, told: &mut Told, how: Second) -> Result<(), Error> {
    let (full, first) = told.points[0].clone();
    let second = [&image(101)[..9 * BLOCK_BYTES], &first[9 * BLOCK_BYTES..]].concat();
    let mut outcome = Ok(());
    let made = match how {
        Second::AtOnce => site.backup(&second, Some((full, (0..9).collect())), 2),
        Second::InARow => in_a_row(site, &second, full, 9),
    };
    match made {
        Ok(next) => told.points.push((next, second)),
        Err(error) => outcome = outcome.and(Err(error)),
    }
    if told.points.len() > 1 {
        told.dropped = Some(full);
        let dropped = site.repo.drop_point(full, "", "", 0);
        outcome = outcome.and(site.runtime.block_on(dropped));
    }
    let options = all_that_is_not_full();
    let compacted = site.repo.compact(site.runtime.handle(), "", &options, &());
    outcome = outcome.and(compacted.map(drop));
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    outcome = outcome.and(swept.map(drop));
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    outcome.and(swept.map(drop))
}

/// Everything that was reported is there, and life goes on.
fn check(site: &Site, told: &Told, what: &str) {
    let handle = site.runtime.handle();
    let repo = site.reopen().unwrap();
    let restored = |repo, what: &str| {
        for (point, image) in &told.points {
            match site.restore(repo, *point) {
                Ok(bytes) => assert!(bytes == *image, "{what}: point {point} has other bytes"),
                Err(Error::PointNotFound { .. }) if told.dropped == Some(*point) => {}
                Err(error) => panic!("{what}: point {point}: {error}"),
            }
        }
    };
    let clean = |what: &str| {
        let repo = site.reopen().unwrap();
        let report = repo.verify(handle, VerifyLevel::Full, &()).unwrap();
        assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    };
    restored(&repo, what);
    clean(what);
    let parent = site.runtime.block_on(repo.points(None)).unwrap().points;
    let parent = parent.last().map(|point| point.id);
    let third = image(51);
    let all = (0..u64::from(BLOCKS)).collect();
    let next = site.backup(&third, parent.map(|parent| (parent, all)), 3);
    let next = next.unwrap_or_else(|error| panic!("{what}: the next backup: {error}"));
    for _ in 0..2 {
        let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
        swept.unwrap_or_else(|error| panic!("{what}: the next sweep: {error}"));
    }
    let what = format!("{what}, after the next backup and sweeps");
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, next).unwrap() == third, "{what}");
    restored(&repo, &what);
    clean(&what);
    for left in ["open", "sweep"] {
        assert_eq!(site.names(left), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn whatever_operation_goes_wrong_no_reported_point_is_lost() {
    enumerate(Second::AtOnce);
}

#[test]
fn nor_where_a_run_commits_a_partial_point_on_its_way() {
    enumerate(Second::InARow);
}

fn enumerate(how: Second) {
    let plan = Plan::default();
    let (site, mut told) = prepare(&plan);
    plan.arm(None);
    live(&site, &mut told, how).unwrap();
    let (operations, _) = plan.done();
    plan.arm(None);
    check(&site, &told, "undisturbed");
    assert!(operations > 60, "{operations}");
    let mut runs = 0;
    for fault in Fault::ALL {
        // Packs are stored side by side, so the number of operations is not always the same.
        for number in 0..operations + 5 {
            plan.arm(None);
            let (site, mut told) = prepare(&plan);
            plan.arm(Some((number, fault)));
            let outcome = live(&site, &mut told, how);
            let (_, met) = plan.done();
            let comes = plan.take_late();
            if comes {
                // The late change comes with the next operation.
                let _ = site.names("config");
            }
            plan.arm(None);
            if met {
                runs += 1;
                let what = format!("operation {number}, {fault:?}, {:?}", outcome.err());
                check(&site, &told, &what);
            }
        }
    }
    // A wait for somebody else looks as often as it must, so runs differ by a few looks.
    assert!(runs >= 3 * operations, "{runs} of 4 x {operations}");
    println!("{how:?}: {operations} operations, {runs} runs: no reported point was lost");
}

#[test]
fn roots_whose_deletion_does_not_last_would_be_found_out() {
    // The mistake that the folder's fsync is there against: a root comes back after its tombstone is gone.
    let plan = Plan::undoing(|name| name.starts_with("point/"));
    let (site, mut told) = prepare(&plan);
    plan.arm(None);
    live(&site, &mut told, Second::AtOnce).unwrap();
    let (operations, _) = plan.done();
    let found = (operations - 15..operations).filter(|number| {
        plan.arm(None);
        let (site, mut told) = prepare(&plan);
        plan.arm(Some((*number, Fault::PowerCut)));
        // The power went, so it says nothing.
        let _ = live(&site, &mut told, Second::AtOnce);
        plan.arm(None);
        let checked = AssertUnwindSafe(|| check(&site, &told, "the mistake"));
        catch_unwind(checked).is_err()
    });
    assert!(found.count() > 0);
}
