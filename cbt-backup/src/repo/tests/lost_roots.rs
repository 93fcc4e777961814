//! A root that is lost is told, and its packs are held for a time.

use std::sync::Arc;

use super::compaction::all_that_is_not_full;
use super::fault_store::{FaultStore, Faults};
use super::site::{BLOCK_BYTES, Site, content, info};
use super::sweep::at_once;
use crate::repo::id::SessionId;
use crate::repo::{
    Finding, MissedRoot, PointId, PointKind, Severity, SweepOptions, SweepReport, VerifyLevel,
};

const LOST_MS: i64 = 1_000;

fn image(seed: u8) -> Vec<u8> {
    (0..20)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

fn at(now_ms: i64) -> SweepOptions {
    SweepOptions {
        now_ms,
        lost_ms: LOST_MS,
        ..at_once()
    }
}

fn sweep(site: &Site, options: SweepOptions) -> SweepReport {
    let swept = site.repo.sweep(options, &());
    site.runtime.block_on(swept).unwrap()
}

fn findings(site: &Site) -> Vec<Finding> {
    let repo = site.reopen().unwrap();
    let level = VerifyLevel::Structure;
    let verified = repo.verify(site.runtime.handle(), level, &());
    verified.unwrap().findings
}

fn drop_point(site: &Site, point: PointId, now_ms: i64) {
    let dropped = site.repo.drop_point(point, "", "", now_ms);
    site.runtime.block_on(dropped).unwrap();
}

/// A full point and an increment, whose root is taken away: its name and bytes, and its session.
fn lost_increment() -> (Site, PointId, (String, Vec<u8>), SessionId) {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let second = [&image(101)[..9 * BLOCK_BYTES], &image(1)[9 * BLOCK_BYTES..]].concat();
    let next = site
        .backup(&second, Some((full, (0..9).collect())), 2)
        .unwrap();
    let name = site.point(next).name;
    let root = (name.to_string(), site.read(&name.to_string()));
    site.delete(&root.0);
    (site, full, root, name.session)
}

#[test]
fn a_lost_root_is_told_and_can_be_brought_back_until_its_time_is_over() {
    let (site, _, root, session) = lost_increment();
    let told = findings(&site);
    let names: Vec<_> = told.iter().map(|found| found.object.as_str()).collect();
    assert_eq!(names, [format!("pack/{session}")], "{told:?}");
    assert_eq!(told[0].severity, Severity::Error);
    assert!(told[0].what.contains("of db01, begun at 20"), "{told:?}");

    let packs = site.names("pack");
    let own = packs
        .iter()
        .filter(|name| name.contains(&session.to_string()));
    let own = own.count() as u64;
    let dry = SweepOptions {
        dry_run: true,
        ..at(5_000)
    };
    let report = sweep(&site, dry);
    assert_eq!((report.packs_deleted, report.missed_roots.len()), (0, 1));
    assert!(site.names("lost").is_empty(), "a dry run changes nothing");
    for now_ms in [5_000, 5_000 + LOST_MS - 1] {
        let report = sweep(&site, at(now_ms));
        let [
            MissedRoot {
                vm: Some(ref vm),
                packs,
                held_until_ms,
                ..
            },
        ] = report.missed_roots[..]
        else {
            panic!("{report:?}");
        };
        assert_eq!(vm, "db01", "its points share packs with it");
        assert_eq!((packs, held_until_ms), (own, Some(5_000 + LOST_MS)));
        assert_eq!(report.packs_deleted, 0);
    }
    assert_eq!(site.names("pack"), packs);

    site.write(&root.0, root.1);
    assert_eq!(findings(&site), []);
    assert_eq!(sweep(&site, at(9_000)).missed_roots, []);
    assert!(site.names("lost").is_empty());
    assert_eq!(site.names("pack"), packs);
}

#[test]
fn when_its_time_is_over_the_packs_go() {
    let (site, full, _, session) = lost_increment();
    sweep(&site, at(5_000));
    let report = sweep(&site, at(5_000 + LOST_MS));
    assert_eq!(report.missed_roots[0].held_until_ms, None);
    assert!(report.packs_deleted > 0);
    assert!(site.names(&format!("pack/{session}")).is_empty());
    assert_eq!(sweep(&site, at(9_000)).leftovers_removed, 1);
    assert!(site.names("lost").is_empty());
    assert_eq!(findings(&site), []);
    assert!(site.restore(&site.reopen().unwrap(), full).unwrap() == image(1));
}

#[test]
fn what_the_lost_root_shares_with_a_point_that_goes_is_held_too() {
    let (site, full, root, _) = lost_increment();
    drop_point(&site, full, 0);
    sweep(&site, at(5_000));
    sweep(&site, at(5_001));
    assert_eq!(site.names("point").len(), 0, "the dropped one went");
    site.write(&root.0, root.1);
    assert_eq!(findings(&site), []);
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    let second = [&image(101)[..9 * BLOCK_BYTES], &image(1)[9 * BLOCK_BYTES..]].concat();
    assert!(site.restore(&site.repo, list.points[0].id).unwrap() == second);
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_holds() {
    let (site, _, _, session) = lost_increment();
    sweep(&site, at(5_000));
    site.write(&format!("lost/{session}"), b"?".to_vec());
    let told = findings(&site);
    assert_eq!(told.len(), 2, "{told:?}");
    let report = sweep(&site, at(9_000));
    assert!(report.missed_roots[0].held_until_ms.is_some());
    assert_eq!(report.packs_deleted, 0);
    // Unless nothing is to be held.
    assert!(sweep(&site, at_once()).packs_deleted > 0);
}

#[test]
fn what_ended_otherwise_is_not_taken_for_lost() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let changed = || {
        Some((
            full,
            (0..20).filter(|block| block % 4 != 0).collect::<Vec<u64>>(),
        ))
    };
    // A session that gave up early, and one when all but its root was stored.
    let session = site.begin().unwrap();
    Site::fill(&session, &image(51), changed()).unwrap();
    session.abandon();
    let session = site.begin().unwrap();
    Site::fill(&session, &image(71), changed()).unwrap();
    session.abandon_before_root(info(PointKind::Full, 2));
    assert_eq!(
        (site.names("open"), site.names("fence").len()),
        (Vec::new(), 1)
    );
    assert_eq!(findings(&site), [], "it fenced itself");
    assert_eq!(sweep(&site, at(5_000)).missed_roots, []);
    assert_eq!(sweep(&site, at(5_000)).missed_roots, []);
    assert_eq!(findings(&site), []);

    // Old generations whose packs go with the next sweep.
    let mut second = image(101);
    for block in (0..20).step_by(4) {
        let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
        second[range.clone()].copy_from_slice(&image(1)[range]);
    }
    let next = site.backup(&second, changed(), 3).unwrap();
    drop_point(&site, full, 0);
    sweep(&site, at(5_000));
    let handle = site.runtime.handle();
    let compacted = site
        .repo
        .compact(handle, "", &all_that_is_not_full(), &())
        .unwrap();
    assert_eq!(compacted.rewritten, [next]);
    let report = sweep(&site, at(5_000));
    assert_eq!(report.roots_removed, 1);
    let left = site.names("sweep").len();
    assert_eq!((left, findings(&site)), (1, Vec::new()));
    let report = sweep(&site, at(5_000));
    assert!(report.packs_deleted > 0 && report.missed_roots.is_empty());
    assert!(site.names("sweep").is_empty() && site.names("lost").is_empty());
    assert_eq!(findings(&site), []);
}

#[test]
fn a_removed_root_whose_packs_are_locked_is_not_taken_for_lost() {
    let faults = Faults::none();
    let site = Site::over(Arc::new(FaultStore::new(&faults)), 2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let next = site.backup(&image(51), None, 2).unwrap();
    drop_point(&site, full, 0);
    faults.lock_packs(true);
    for roots in [1, 0] {
        let report = sweep(&site, at(5_000));
        assert_eq!((report.packs_deleted, report.roots_removed), (0, roots));
        assert!(report.packs_denied > 0);
        assert_eq!(report.missed_roots, []);
        assert_eq!(findings(&site), []);
    }
    faults.lock_packs(false);
    let report = sweep(&site, at(5_000));
    assert!(report.packs_deleted > 0 && report.missed_roots.is_empty());
    assert!(site.names("sweep").is_empty() && site.names("lost").is_empty());
    assert!(site.restore(&site.reopen().unwrap(), next).unwrap() == image(51));
}

#[test]
fn two_sweeps_in_a_row_tell_once_of_each_root() {
    let (site, ..) = lost_increment();
    sweep(&site, at(5_000));
    let first = sweep(&site, at(5_000 + LOST_MS));
    let missed = first.missed_roots.clone();
    assert_eq!(missed.len(), 1);
    let next = sweep(&site, at(5_000 + LOST_MS));
    assert_eq!(first.and_then(next).missed_roots, missed);
    let again = SweepReport {
        missed_roots: missed.clone(),
        ..SweepReport::default()
    };
    assert_eq!(again.clone().and_then(again).missed_roots, missed);
}

/// A run that died right after its commit: its announcement is there. The root, and the bytes of the announcement.
fn died_after_its_commit(parent_dropped: bool) -> (Site, PointId, (String, Vec<u8>), SessionId) {
    let faults = Faults::none();
    let site = Site::over(Arc::new(FaultStore::new(&faults)), 2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let changed = Some((full, (0..9).collect()));
    let second = [&image(101)[..9 * BLOCK_BYTES], &image(1)[9 * BLOCK_BYTES..]].concat();
    let session = site.begin().unwrap();
    Site::fill(&session, &second, changed).unwrap();
    let id = session.id();
    let open = format!("open/{id}");
    let announced = site.read(&open);
    let next = session.commit(info(PointKind::Incremental, 2)).unwrap();
    site.write(&open, announced);
    if parent_dropped {
        drop_point(&site, full, 0);
    }
    let name = site.point(next.point).name.to_string();
    let root = (name.clone(), site.read(&name));
    site.delete(&name);
    (site, full, root, id)
}

#[test]
fn a_root_that_is_lost_right_after_its_commit_is_held_too() {
    let (site, full, root, session) = died_after_its_commit(true);
    let mut packs = None;
    for now_ms in [5_000, 5_000 + LOST_MS - 1] {
        let report = sweep(&site, at(now_ms));
        let [ref missed] = report.missed_roots[..] else {
            panic!("{report:?}");
        };
        assert_eq!((missed.session, missed.announced), (session, true));
        assert_eq!(missed.held_until_ms, Some(5_000 + LOST_MS));
        assert_eq!(report.fenced, []);
        // What the dropped point alone needed has gone with the first sweep.
        let left = packs.get_or_insert_with(|| site.names("pack"));
        assert_eq!(site.names("pack"), *left);
        assert_eq!(missed.packs as usize, left.len(), "{left:?}");
        let told = findings(&site);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].severity, Severity::Warning);
        assert!(told[0].what.contains("or that is lost"), "{told:?}");
    }
    assert!(site.names("point").is_empty(), "the dropped one went");
    assert_eq!(site.names("dead").len(), 1, "its tombstone waits");
    assert!(site.names("fence").is_empty());
    site.write(&root.0, root.1);
    let report = sweep(&site, at(9_000));
    assert_eq!((report.missed_roots, report.packs_deleted), (Vec::new(), 0));
    assert!(site.names("lost").is_empty() && site.names("open").is_empty());
    sweep(&site, at(9_000));
    assert!(site.names("dead").is_empty());
    assert_eq!(findings(&site), []);
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    let second = [&image(101)[..9 * BLOCK_BYTES], &image(1)[9 * BLOCK_BYTES..]].concat();
    assert_ne!(list.points[0].id, full);
    assert!(site.restore(&site.repo, list.points[0].id).unwrap() == second);
}

#[test]
fn when_its_time_is_over_a_session_without_a_root_is_ended() {
    let (site, full, root, session) = died_after_its_commit(false);
    sweep(&site, at(5_000));
    let report = sweep(&site, at(5_000 + LOST_MS));
    assert_eq!(
        (report.fenced, report.missed_roots),
        (vec![session], Vec::new())
    );
    // From now on it makes no point, though it wakes up.
    site.write(&root.0, root.1);
    assert!(sweep(&site, at(9_000)).packs_deleted > 0);
    assert!(site.names(&format!("pack/{session}")).is_empty());
    assert!(site.names("lost").is_empty() && site.names("open").is_empty());
    assert_eq!(findings(&site), []);
    assert!(site.restore(&site.reopen().unwrap(), full).unwrap() == image(1));
}

#[test]
fn a_session_that_wakes_up_when_its_packs_were_held_makes_its_point() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let session = site.begin().unwrap();
    let second = [&image(101)[..9 * BLOCK_BYTES], &image(1)[9 * BLOCK_BYTES..]].concat();
    Site::fill(&session, &second, Some((full, (0..9).collect()))).unwrap();
    let asleep = || {
        drop_point(&site, full, 0);
        let report = sweep(&site, at(5_000));
        assert_eq!(report.missed_roots.len(), 1);
    };
    let made = session
        .commit_after(info(PointKind::Incremental, 2), asleep)
        .unwrap();
    assert!(site.restore(&site.reopen().unwrap(), made.point).unwrap() == second);
    sweep(&site, at(5_000));
    assert!(site.restore(&site.reopen().unwrap(), made.point).unwrap() == second);
    assert_eq!(findings(&site), []);
}

#[test]
fn a_fence_that_a_dead_prune_proposed_hides_no_lost_root() {
    let (site, _, root, session) = lost_increment();
    let proposal = format!("fence/{session}/{}.p", crate::repo::ObjectId::generate());
    site.write(&proposal, Vec::new());
    assert_eq!(findings(&site)[0].severity, Severity::Error);
    let packs = site.names("pack");
    let report = sweep(&site, at(5_000));
    assert_eq!((report.missed_roots.len(), report.packs_deleted), (1, 0));
    assert_eq!(site.names("pack"), packs);
    site.write(&root.0, root.1);
    assert_eq!(findings(&site), []);
}

#[test]
fn a_root_that_a_prune_removes_meanwhile_is_not_taken_for_lost() {
    let faults = Faults::none();
    let site = Site::over(Arc::new(FaultStore::new(&faults)), 2);
    site.backup(&image(51), None, 1).unwrap();
    for (locked, then_gone) in [(true, false), (true, true), (false, false)] {
        for lists_before in 0.. {
            let repo = site.reopen().unwrap();
            let level = VerifyLevel::Structure;
            let check = || repo.verify(site.runtime.handle(), level, &()).unwrap();
            let come_and_go = || {
                let point = site.backup(&image(1), None, 2).unwrap();
                drop_point(&site, point, 0);
                faults.lock_packs(locked);
                assert_eq!(sweep(&site, at_once()).roots_removed, 1);
                faults.lock_packs(false);
                if then_gone {
                    assert!(sweep(&site, at_once()).packs_deleted > 0);
                }
            };
            let (report, held) = faults.hold_at_list(lists_before, check, come_and_go);
            let what = format!("{locked}, {then_gone}, after {lists_before} lists");
            assert_eq!(report.findings, [], "{what}");
            if !held {
                break;
            }
        }
    }
}
