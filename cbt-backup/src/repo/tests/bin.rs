//! Points that are dropped, the bin, and the way out of it.

use super::site::{BLOCK_BYTES, Site, content, options};
use crate::repo::{Error, ObjectId, PointId, VerifyLevel};

fn image(seed: u8) -> Vec<u8> {
    (0..30)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

fn drop_point(site: &Site, point: PointId) {
    let dropped = site.repo.drop_point(point, "proxy", "named", 1_000);
    site.runtime.block_on(dropped).unwrap();
}

fn undelete(site: &Site, point: PointId) -> Result<PointId, Error> {
    let made = site
        .repo
        .undelete(site.runtime.handle(), point, "proxy", options());
    made.map(|made| made.point)
}

fn living(site: &Site) -> Vec<PointId> {
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    list.points.iter().map(|point| point.id).collect()
}

#[test]
fn a_dropped_point_is_no_parent_and_comes_back_as_another_one() {
    let site = Site::new(2);
    let (first, second) = (image(1), image(101));
    let full = site.backup(&first, None, 1).unwrap();
    let next = site
        .backup(&second, Some((full, (0..30).collect())), 2)
        .unwrap();
    drop_point(&site, full);
    drop_point(&site, full);
    assert_eq!(living(&site), [next]);
    assert!(matches!(
        site.restore(&site.repo, full),
        Err(Error::PointNotFound { .. })
    ));
    let session = site.begin().unwrap();
    let parents: Vec<_> = session
        .parents()
        .iter()
        .map(super::super::Point::id)
        .collect();
    assert_eq!(parents, [next]);
    session.abandon();
    let bin = site
        .runtime
        .block_on(site.repo.deleted_points())
        .unwrap()
        .points;
    assert_eq!((bin.len(), bin[0].summary.id), (1, full));
    let tombstone = bin[0].tombstone.clone().unwrap();
    assert_eq!(
        (tombstone.deleted_ms, tombstone.reason.as_str()),
        (1_000, "named")
    );

    let prefix = full.to_string().to_lowercase();
    let found = site.runtime.block_on(site.repo.resolve_deleted(&prefix));
    assert_eq!(found.unwrap(), full);
    let back = undelete(&site, full).unwrap();
    assert_eq!(living(&site), [back, next]);
    assert!(site.restore(&site.reopen().unwrap(), back).unwrap() == first);
    let root = site.point(back).root;
    assert_eq!((root.parent, root.snapshot_time_ms), (Some(full), 1));
    assert_eq!(root.events.last().unwrap().code, "undeleted");
    let report = site
        .repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(site.names("open").is_empty());
    // An increment may build on it.
    let third = site.backup(&first, Some((back, vec![3])), 3).unwrap();
    assert!(site.restore(&site.repo, third).unwrap() == first);
}

#[test]
fn what_lives_or_never_was_is_not_in_the_bin() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    for point in [full, PointId::generate()] {
        let refused = undelete(&site, point);
        assert!(matches!(refused, Err(Error::PointNotFound { .. })));
    }
    let unknown = site.repo.drop_point(PointId::generate(), "", "", 0);
    let unknown = site.runtime.block_on(unknown);
    assert!(matches!(unknown, Err(Error::PointNotFound { .. })));
    assert!(site.names("dead").is_empty() && site.names("open").is_empty());
}

#[test]
fn a_point_that_is_not_whole_stays_in_the_bin() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    drop_point(&site, full);
    let packs = site.names("pack");
    let pack = match crate::repo::name::ObjectName::parse(&packs[1]) {
        Some(crate::repo::name::ObjectName::Pack(pack)) => pack,
        other => panic!("{other:?}"),
    };
    // On a list: a sweep may take it at any time.
    let list = site
        .runtime
        .block_on(site.repo.quarantine(vec![pack]))
        .unwrap();
    let refused = undelete(&site, full);
    assert!(
        matches!(refused, Err(Error::NotWhole { packs: 1, .. })),
        "{refused:?}"
    );
    site.delete(&list[0]);
    // Gone.
    let bytes = site.read(&packs[1]);
    site.delete(&packs[1]);
    let refused = undelete(&site, full);
    assert!(
        matches!(refused, Err(Error::NotWhole { packs: 1, .. })),
        "{refused:?}"
    );
    site.write(&packs[1], bytes);
    assert!(undelete(&site, full).is_ok());
    assert!(site.names("open").is_empty());
}

#[test]
fn a_tombstone_counts_though_nobody_can_read_it() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    site.write(&format!("dead/{full}"), b"?".to_vec());
    assert!(living(&site).is_empty());
    let bin = site
        .runtime
        .block_on(site.repo.deleted_points())
        .unwrap()
        .points;
    assert_eq!((bin.len(), bin[0].tombstone.is_none()), (1, true));
    assert!(undelete(&site, full).is_ok());
}

#[test]
fn a_root_that_was_fenced_for_good_does_not_come_back() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let session = site.point(full).root.session;
    drop_point(&site, full);
    site.write(
        &format!("fence/{session}/{}.f", ObjectId::generate()),
        Vec::new(),
    );
    assert!(matches!(
        undelete(&site, full),
        Err(Error::PointNotFound { .. })
    ));
}
