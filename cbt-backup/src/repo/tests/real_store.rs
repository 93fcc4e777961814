//! The repository on a store that somebody else wrote; `cargo xtask stores` runs these.
//!
//! `CBT_BACKUP_TEST_STORE` is the address of a bucket, `CBT_BACKUP_TEST_LOCKED_STORE` that of one
//! which keeps what is written to it for a time. Each test takes a place of its own in it.

use super::site::{BLOCK_BYTES, Site, content};
use crate::repo::id::ObjectId;
use crate::repo::store::{ProbeOutcome, Store};
use crate::repo::{Error, PointId, VerifyLevel};

const BLOCKS: u64 = 40;
const WRITERS: u8 = 4;
const POINTS: u8 = 4;

/// A new place in the store that `variable` names.
fn place(variable: &str) -> String {
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
