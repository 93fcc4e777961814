//! The repository on a store that somebody else wrote; `cargo xtask stores` runs these.
//!
//! `CBT_BACKUP_TEST_STORE` is the address of a bucket, `CBT_BACKUP_TEST_LOCKED_STORE` that of one
//! which keeps what is written to it for a time. Each test takes a place of its own in it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::compaction::all_that_is_not_full;
use super::site::{BLOCK_BYTES, Site, content, options};
use super::sweep::at_once;
use crate::repo::id::ObjectId;
use crate::repo::store::{ProbeOutcome, Store};
use crate::repo::{Error, PointId, RetentionPolicy, SweepOptions, SweepReport, VerifyLevel, plan};

const BLOCKS: u64 = 40;
const WRITERS: u8 = 4;
const POINTS: u8 = 4;

/// A new place in the store that `variable` names.
pub(super) fn place(variable: &str) -> String {
    let address = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
    let (bucket, parameters) = address.split_once('?').unwrap_or((&address, ""));
    format!("{bucket}/{}?{parameters}", ObjectId::generate())
}

fn site(address: &str) -> Site {
    let store = Store::open(address).unwrap();
    Site::over(store.objects(), 2)
}

fn image(seed: u8) -> Vec<u8> {
    let block = |block: u8| content(block.wrapping_mul(3).wrapping_add(seed), BLOCK_BYTES);
    (0..BLOCKS as u8).flat_map(block).collect()
}

/// A full backup and increments, each of two blocks.
fn write_points(site: &Site, seed: u8) -> Result<Vec<(PointId, Vec<u8>)>, Error> {
    let mut now = image(seed);
    let mut points = vec![(site.backup(&now, None, 1)?, now.clone())];
    for number in 1..POINTS {
        let blocks = vec![u64::from(number), BLOCKS - 1];
        for block in &blocks {
            let start = *block as usize * BLOCK_BYTES;
            let new = content(seed.wrapping_add(100 + number * 2), BLOCK_BYTES);
            now[start..start + BLOCK_BYTES].copy_from_slice(&new);
        }
        let parent = points.last().unwrap().0;
        let point = site.backup(&now, Some((parent, blocks)), i64::from(number) + 1)?;
        points.push((point, now.clone()));
    }
    Ok(points)
}

fn check(site: &Site, points: &[(PointId, Vec<u8>)]) {
    let repo = site.reopen().unwrap();
    for (point, image) in points {
        assert!(site.restore(&repo, *point).unwrap() == *image, "{point}");
    }
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_real_store_is_fit() {
    let address = place("CBT_BACKUP_TEST_STORE");
    let (store, other) = (
        Store::open(&address).unwrap(),
        Store::open(&address).unwrap(),
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(store.demand_fit(&other)).unwrap();
    for check in report.checks {
        assert_eq!(check.outcome, ProbeOutcome::Kept, "{}", check.promise);
    }
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn writers_and_readers_share_a_real_store() {
    let site = site(&place("CBT_BACKUP_TEST_STORE"));
    let first = write_points(&site, 7).unwrap();
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let site = &site;
                scope.spawn(move || write_points(site, writer * 11))
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            check(&site, &first);
        }
        let points = writers.into_iter().map(|writer| writer.join().unwrap());
        points.collect::<Result<Vec<_>, _>>().unwrap()
    });
    let all: Vec<_> = written.into_iter().flatten().chain(first).collect();
    assert_eq!(all.len(), usize::from((WRITERS + 1) * POINTS));
    check(&site, &all);
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_session_that_dies_costs_a_real_store_nothing() {
    let site = site(&place("CBT_BACKUP_TEST_STORE"));
    let points = write_points(&site, 1).unwrap();
    let (parent, next) = (points.last().unwrap().0, image(90));
    let blocks = || Some((parent, (0..BLOCKS).collect()));
    let session = site.begin().unwrap();
    Site::fill(&session, &next, blocks()).unwrap();
    drop(session);
    check(&site, &points);
    let point = site.backup(&next, blocks(), 9).unwrap();
    check(&site, &[points, vec![(point, next)]].concat());
}

fn sweep(site: &Site) -> SweepReport {
    let swept = site.repo.sweep(at_once(), &());
    site.runtime.block_on(swept).unwrap()
}

/// Drops what a policy of `last` points does not keep, at this time.
fn drop_all_but(site: &Site, last: u32, now_ms: i64) -> Vec<PointId> {
    let policy = RetentionPolicy {
        last,
        ..RetentionPolicy::default()
    };
    let points = site.runtime.block_on(site.repo.points(None)).unwrap();
    let verdicts = plan(&points.points, &policy, &TimeZone::UTC, Timestamp::now()).unwrap();
    let gone = verdicts.iter().filter(|verdict| !verdict.is_kept());
    let gone: Vec<PointId> = gone.map(|verdict| verdict.point.id).collect();
    for point in &gone {
        let dropped = site.repo.drop_point(*point, "", "", now_ms);
        site.runtime.block_on(dropped).unwrap();
    }
    gone
}

/// Bytes of packs.
fn stored_bytes(site: &Site) -> usize {
    let packs = site.names("pack");
    packs.iter().map(|name| site.read(name).len()).sum()
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_real_store_is_pruned() {
    let site = site(&place("CBT_BACKUP_TEST_STORE"));
    let mut points = write_points(&site, 7).unwrap();
    let all = stored_bytes(&site);
    let gone = drop_all_but(&site, 2, 1_000);
    assert_eq!(gone, [points[0].0, points[1].0]);
    // In the bin all of it stays, and can be taken back.
    let in_bin = SweepOptions {
        now_ms: 2_000,
        bin_ms: 1_500,
        ..at_once()
    };
    let report = site.runtime.block_on(site.repo.sweep(in_bin, &())).unwrap();
    assert_eq!((report.packs_deleted, report.roots_removed), (0, 0));
    let handle = site.runtime.handle();
    let back = site.repo.undelete(handle, gone[0], "", options()).unwrap();
    points[0].0 = back.point;
    let dropped = points.remove(1);
    check(&site, &points);

    // Past the bin what nobody else needs goes.
    let report = sweep(&site);
    assert!(
        report.packs_deleted > 0 && report.roots_removed == 2,
        "{report:?}"
    );
    let lost = site.repo.undelete(handle, dropped.0, "", options());
    assert!(matches!(lost, Err(Error::PointNotFound { .. })), "{lost:?}");
    check(&site, &points);
    assert!(stored_bytes(&site) < all);

    // With the first full gone its packs are nearly empty: compaction moves the rest.
    drop_all_but(&site, 1, 3_000);
    points.drain(..points.len() - 1);
    sweep(&site);
    let before = stored_bytes(&site);
    let compacted = site.repo.compact(handle, "", &all_that_is_not_full(), &());
    let compacted = compacted.unwrap();
    assert!(
        compacted.rewritten.len() == 1 && compacted.skipped.is_empty(),
        "{compacted:?}"
    );
    check(&site, &points);
    for _ in 0..3 {
        sweep(&site);
    }
    assert!(stored_bytes(&site) < before);
    assert_eq!(site.names("point").len(), 1);
    for folder in ["open", "dead", "sweep"] {
        assert!(site.names(folder).is_empty(), "{folder}");
    }
    check(&site, &points);
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_real_store_is_pruned_beside_a_session_that_died() {
    let site = site(&place("CBT_BACKUP_TEST_STORE"));
    let points = write_points(&site, 1).unwrap();
    let (parent, next) = (points.last().unwrap().0, image(90));
    let blocks = Some((parent, (0..BLOCKS).collect()));
    let session = site.begin().unwrap();
    let kind = Site::fill(&session, &next, blocks.clone()).unwrap();
    let dead = session.id();
    assert_eq!(sweep(&site).fenced, [dead]);
    // It sleeps, and wakes up too late.
    let woken = session.commit(super::site::info(kind, 9));
    assert!(matches!(woken, Err(Error::Fenced { .. })), "{woken:?}");
    assert_eq!(sweep(&site).roots_removed, 1);
    assert!(site.names(&format!("pack/{dead}")).is_empty());
    let point = site.backup(&next, blocks, 9).unwrap();
    check(&site, &[points, vec![(point, next)]].concat());
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_locked_store_is_swept_and_keeps_what_is_needed() {
    let site = site(&place("CBT_BACKUP_TEST_LOCKED_STORE"));
    let points = write_points(&site, 5).unwrap();
    drop_all_but(&site, 1, 1_000);
    let report = sweep(&site);
    // A versioned bucket hides what is removed, another store says no, and keeps it for later.
    assert!(report.packs_deleted + report.packs_denied > 0, "{report:?}");
    check(&site, &points[points.len() - 1..]);
    let point = site.backup(&points[0].1, None, 9).unwrap();
    sweep(&site);
    check(&site, &[(point, points[0].1.clone())]);
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_locked_store_takes_backups_and_keeps_them() {
    let address = place("CBT_BACKUP_TEST_LOCKED_STORE");
    let store = Store::open(&address).unwrap();
    let site = site(&address);
    site.runtime.block_on(store.demand_fit(&store)).unwrap();
    let points = write_points(&site, 3).unwrap();
    check(&site, &points);
    // A versioned bucket hides what is removed, another store says no: neither is a failure.
    let pack = site.names("pack").remove(0);
    match site.runtime.block_on(store.delete(&pack)) {
        Ok(()) | Err(Error::DeleteRefused { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}
