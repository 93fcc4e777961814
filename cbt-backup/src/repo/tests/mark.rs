//! Marks: what is found out about a point later stands in its next generation.

use super::compaction::sweep;
use super::site::{BLOCK_BYTES, Site, content, options};
use crate::repo::usage::Usage;
use crate::repo::{
    Distrust, Error, FOUND_WRONG, PointEvent, PointId, PointMark, Root, VerifyLevel,
};

fn image(seed: u8) -> Vec<u8> {
    (0..30)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

/// A full and an increment, the increment to be marked.
fn site() -> (Site, [(PointId, Vec<u8>); 2]) {
    let site = Site::new(2);
    let first = image(1);
    let full = site.backup(&first, None, 1).unwrap();
    let mut second = first.clone();
    second[..3 * BLOCK_BYTES].copy_from_slice(&image(101)[..3 * BLOCK_BYTES]);
    let next = site
        .backup(&second, Some((full, (0..3).collect())), 2)
        .unwrap();
    (site, [(full, first), (next, second)])
}

fn event(text: &str) -> PointEvent {
    PointEvent {
        code: FOUND_WRONG.to_owned(),
        text: text.to_owned(),
    }
}

fn mark(text: &str) -> PointMark {
    let distrust = Distrust {
        tracking: Some("52 c0".to_owned()),
        allocation: true,
    };
    PointMark {
        // The second is of no disk of the point.
        distrust: vec![(0, distrust.clone()), (2099, distrust)],
        events: vec![event(text)],
    }
}

fn put(site: &Site, point: PointId, mark: &PointMark) -> Result<(), Error> {
    let handle = site.runtime.handle();
    site.repo.mark(handle, "proxy", point, mark, options())
}

/// What a point needs of each pack.
fn usage(site: &Site, root: &Root) -> Usage {
    let usage = site.runtime.block_on(site.repo.usage(&root.usage));
    usage.unwrap()
}

/// All that is there, by name.
fn all(site: &Site) -> Vec<String> {
    site.names("")
}

#[test]
fn a_mark_adds_what_was_found_and_changes_nothing_else() {
    let (site, points) = site();
    let (id, _) = points[1];
    let before = site.point(id);
    for (generation, text) in [(1, "one"), (2, "two")] {
        put(&site, id, &mark(text)).unwrap();
        let now = site.point(id);
        assert_eq!(now.name.generation, generation);
        assert_ne!(now.name.session, before.name.session);
    }
    let now = site.point(id);
    assert_eq!(usage(&site, &now.root), usage(&site, &before.root));
    let distrust = &now.root.disks[0].distrust;
    assert_eq!(distrust.tracking.as_deref(), Some("52 c0"));
    assert!(distrust.allocation);
    let mut wanted = before.root.clone();
    wanted.events.extend([event("one"), event("two")]);
    wanted.disks[0].distrust = distrust.clone();
    wanted.generation = 2;
    (wanted.session, wanted.usage) = (now.root.session, now.root.usage);
    assert_eq!(now.root, wanted);

    let listed = site.runtime.block_on(site.repo.points(None)).unwrap();
    let wrong: Vec<bool> = listed
        .points
        .iter()
        .map(|point| point.found_wrong)
        .collect();
    assert_eq!(wrong, [false, true]);
    assert_eq!(site.names("point").len(), 4, "older generations are there");
    for _ in 0..2 {
        sweep(&site);
    }
    assert_eq!(site.names("point").len(), 2);
    assert!(site.names("open").is_empty());
    let repo = site.reopen().unwrap();
    for (point, image) in points {
        assert!(site.restore(&repo, point).unwrap() == image, "{point}");
    }
    let report = repo.verify(site.runtime.handle(), VerifyLevel::Full, &());
    let report = report.unwrap();
    // It says what was found, and that is all.
    assert!(report.is_clean(), "{:?}", report.findings);
    let said: Vec<&str> = report
        .findings
        .iter()
        .map(|one| one.what.as_str())
        .collect();
    assert_eq!(
        said,
        ["one", "two"].map(|what| format!("the point was found wrong by an audit: {what}"))
    );
}

#[test]
fn a_point_that_was_dropped_or_never_was_takes_no_mark() {
    let (site, [(full, _), (next, _)]) = site();
    let dropped = site.repo.drop_point(next, "proxy", "named", 0);
    site.runtime.block_on(dropped).unwrap();
    let before = all(&site);
    for point in [next, PointId::generate()] {
        let refused = put(&site, point, &mark("x"));
        assert!(
            matches!(refused, Err(Error::PointNotFound { .. })),
            "{refused:?}"
        );
        assert_eq!(all(&site), before);
    }
    put(&site, full, &mark("x")).unwrap();
}

#[test]
fn a_point_that_lacks_a_pack_takes_no_mark_and_nothing_is_left() {
    let (site, [(full, _), (next, image)]) = site();
    let pack = site
        .names("pack")
        .into_iter()
        .find(|name| name.contains("/d"));
    site.delete(&pack.unwrap());
    let before = all(&site);
    for point in [full, next] {
        let refused = put(&site, point, &mark("x"));
        assert!(
            matches!(refused, Err(Error::NotWhole { .. })),
            "{refused:?}"
        );
        assert_eq!(all(&site), before);
        assert_eq!(site.point(point).name.generation, 0);
    }
    drop(image);
}
