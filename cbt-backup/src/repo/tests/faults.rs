//! A store that fills up at a chosen write, and power cuts before the root.

use std::sync::Arc;

use super::fault_store::{FaultStore, Faults};
use super::site::{BLOCK_BYTES, Site, content};
use crate::repo::VerifyLevel;

fn image(seed: u8) -> Vec<u8> {
    (0..30)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

#[test]
fn a_store_that_fills_up_at_any_write_costs_nothing_that_was_there() {
    let faults = Faults::none();
    let site = Site::over(Arc::new(FaultStore::new(&faults)), 2);
    let (first, second) = (image(1), image(101));
    let full = site.backup(&first, None, 1).unwrap();
    let blocks = || (0..30).collect::<Vec<u64>>();
    let mut failures = 0;
    for writes in 0.. {
        faults.writes(writes);
        let outcome = site.backup(&second, Some((full, blocks())), 2);
        faults.writes(usize::MAX);
        let repo = site.reopen().unwrap();
        let list = site.runtime.block_on(repo.points(None)).unwrap();
        let report = repo
            .verify(site.runtime.handle(), VerifyLevel::Full, &())
            .unwrap();
        assert!(
            report.findings.is_empty(),
            "after {writes} writes: {:?}",
            report.findings
        );
        assert!(site.restore(&repo, full).unwrap() == first);
        match outcome {
            Ok(point) => {
                assert_eq!(list.points.len(), 2);
                assert!(site.restore(&repo, point).unwrap() == second);
                break;
            }
            Err(error) => {
                failures += 1;
                assert!(error.is_not_writable(), "after {writes} writes: {error}");
                assert_eq!(list.points.len(), 1);
            }
        }
    }
    // The announcement, several data packs, node packs, the usage table and the root each failed once.
    assert!(failures > 8, "{failures}");
}

#[test]
fn a_session_that_dies_before_its_root_changes_no_point() {
    let site = Site::new(2);
    let (first, second) = (image(1), image(51));
    let full = site.backup(&first, None, 1).unwrap();
    let session = site.begin().unwrap();
    Site::fill(&session, &second, Some((full, (0..30).collect()))).unwrap();
    drop(session);
    let repo = site.reopen().unwrap();
    let list = site.runtime.block_on(repo.points(None)).unwrap();
    assert_eq!(list.points.len(), 1);
    assert_eq!(site.names("open").len(), 1);
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty());
    assert!(report.counts.garbage_packs > 0);
    // The next one succeeds, and so does one that says nothing of what it wrote.
    let next = site
        .backup(&second, Some((full, (0..30).collect())), 2)
        .unwrap();
    assert!(site.restore(&repo, next).unwrap() == second);
    let session = site.begin().unwrap();
    session.abandon();
    assert_eq!(site.names("open").len(), 1);
}
