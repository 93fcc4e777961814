//! Verifications: what they write down, and what goes on beside them.

use std::sync::Arc;

use super::compaction::{compact, fill_with_garbage, sweep};
use super::fault_store::{FaultStore, Faults};
use super::site::{BLOCK_BYTES, Site, content};
use crate::repo::{ObjectId, PointId, Severity, VerifyLevel, VerifyMonitor, VerifyReport};

fn image(seed: u8) -> Vec<u8> {
    (0..12)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

fn site() -> (Site, Faults) {
    let faults = Faults::none();
    let site = Site::over(Arc::new(FaultStore::new(&faults)), 2);
    (site, faults)
}

fn verify(site: &Site, level: VerifyLevel) -> VerifyReport {
    let repo = site.reopen().unwrap();
    repo.verify(site.runtime.handle(), level, &()).unwrap()
}

fn lose_a_data_pack(site: &Site, point: PointId) {
    let session = site.point(point).root.session;
    site.delete(&format!("pack/{session}/d00000001"));
}

#[test]
fn damaged_packs_go_into_quarantine_once() {
    for level in ["structure", "sample", "full", "point"] {
        let (site, _) = site();
        let point = site.backup(&image(1), None, 1).unwrap();
        let level = match level {
            "structure" => VerifyLevel::Structure,
            "sample" => VerifyLevel::Sample {
                divisor: 30,
                remainder: 0,
            },
            "full" => VerifyLevel::Full,
            _ => VerifyLevel::Point(point),
        };
        assert!(!verify(&site, level).quarantined);
        assert!(site.names("sweep").is_empty());
        lose_a_data_pack(&site, point);
        let first = verify(&site, level);
        assert!(first.quarantined);
        assert_eq!(first.damaged_packs.len(), 1);
        let lists = site.names("sweep");
        assert_eq!(lists.len(), 1);
        // Another time all is told again, and nothing is written.
        let second = verify(&site, level);
        assert!(second.quarantined);
        assert_eq!(second.findings, first.findings);
        assert_eq!(site.names("sweep"), lists);
        // Something new is lost: only that is written.
        let session = site.point(point).root.session;
        site.delete(&format!("pack/{session}/d00000000"));
        let third = verify(&site, level);
        assert_eq!(third.damaged_packs.len(), 2);
        assert_eq!(site.names("sweep").len(), 2);
    }
}

#[test]
fn a_store_that_takes_no_data_is_verified_with_a_warning() {
    let (site, faults) = site();
    let point = site.backup(&image(1), None, 1).unwrap();
    faults.writes(0);
    assert!(verify(&site, VerifyLevel::Full).findings.is_empty());
    lose_a_data_pack(&site, point);
    let report = verify(&site, VerifyLevel::Full);
    assert_eq!(report.damaged_packs.len(), 1);
    assert!(!report.quarantined);
    let warnings = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning);
    let warnings: Vec<_> = warnings.map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("not be put in quarantine"));
    faults.writes(usize::MAX);
    assert!(verify(&site, VerifyLevel::Full).quarantined);
}

#[test]
fn a_list_that_cannot_be_read_is_told() {
    let (site, _) = site();
    let lists = [
        format!("sweep/{}", ObjectId::generate()),
        format!("sweep/q-{}", ObjectId::generate()),
    ];
    for list in &lists {
        site.write(list, vec![1; 50]);
    }
    let mut told: Vec<_> = verify(&site, VerifyLevel::Structure)
        .findings
        .into_iter()
        .map(|finding| (finding.severity, finding.object))
        .collect();
    told.sort();
    assert_eq!(told, lists.map(|list| (Severity::Error, list)));
}

#[test]
fn a_point_that_is_committed_meanwhile_is_no_damage() {
    let (site, faults) = site();
    let mut point = site.backup(&image(1), None, 1).unwrap();
    for lists_before in 0.. {
        let repo = site.reopen().unwrap();
        let check = || {
            repo.verify(site.runtime.handle(), VerifyLevel::Full, &())
                .unwrap()
        };
        let backup = || {
            let image = image(lists_before as u8 * 4 + 5);
            let blocks = (0..12).collect();
            point = site.backup(&image, Some((point, blocks)), 2).unwrap();
        };
        let (report, held) = faults.hold_at_list(lists_before, check, backup);
        assert!(
            report.findings.is_empty(),
            "after {lists_before} lists: {:?}",
            report.findings
        );
        assert!(site.names("open").is_empty());
        if !held {
            // Points, tombstones, fences; the same after the pin; all objects; key slots.
            assert_eq!(lists_before, 8);
            break;
        }
    }
}

#[test]
fn a_point_that_is_pruned_meanwhile_is_no_damage() {
    let (site, faults) = site();
    for lists_before in 0.. {
        let point = site.backup(&image(1), None, 1).unwrap();
        let session = site.point(point).root.session;
        let repo = site.reopen().unwrap();
        let check = || {
            repo.verify(site.runtime.handle(), VerifyLevel::Full, &())
                .unwrap()
        };
        let mut pinned = false;
        let prune = || {
            let dropped = site.repo.drop_point(point, "", "", 0);
            site.runtime.block_on(dropped).unwrap();
            let open = site.runtime.block_on(site.repo.open_sessions()).unwrap();
            pinned = open.iter().any(|open| open.pinned.contains(&point));
            if !pinned {
                for pack in site.names(&format!("pack/{session}")) {
                    site.delete(&pack);
                }
            }
        };
        let (report, held) = faults.hold_at_list(lists_before, check, prune);
        assert!(
            report.findings.is_empty(),
            "after {lists_before} lists: {:?}",
            report.findings
        );
        if !held {
            break;
        }
        // From the second look at the points on they are pinned.
        assert_eq!(pinned, lists_before >= 3);
    }
}

#[test]
fn a_point_that_is_moved_meanwhile_is_no_damage() {
    let mut moved = 0;
    for lists_before in 0.. {
        let (site, faults) = site();
        fill_with_garbage(&site);
        let repo = site.reopen().unwrap();
        let check = || {
            repo.verify(site.runtime.handle(), VerifyLevel::Full, &())
                .unwrap()
        };
        let meanwhile = || {
            moved += compact(&site).rewritten.len();
            sweep(&site);
        };
        let (report, held) = faults.hold_at_list(lists_before, check, meanwhile);
        assert!(
            report.findings.is_empty(),
            "after {lists_before} lists: {:?}",
            report.findings
        );
        assert_eq!(report.counts.points, 2, "after {lists_before} lists");
        assert!(!report.quarantined);
        if !held {
            break;
        }
    }
    assert!(moved > 10, "{moved}");
}

/// Packs that went by right while a verification stood still, and lost its pin for it.
fn stands_still(meanwhile: impl FnOnce(&Site, [PointId; 2])) -> (Site, VerifyReport) {
    let (site, faults) = site();
    let points = fill_with_garbage(&site).map(|(point, _)| point);
    let repo = site.reopen().unwrap();
    let check = || {
        repo.verify(site.runtime.handle(), VerifyLevel::Full, &())
            .unwrap()
    };
    let meanwhile = || {
        meanwhile(&site, points);
        for _ in 0..3 {
            sweep(&site);
        }
    };
    // It has read the roots, and lists all objects next.
    let (report, held) = faults.hold_at_list(6, check, meanwhile);
    assert!(held);
    (site, report)
}

#[test]
fn what_was_moved_while_a_verification_stood_still_is_not_damaged() {
    let (site, report) = stands_still(|site, _| drop(compact(site)));
    assert!(report.is_clean(), "{:?}", report.findings);
    // It has not looked at the new roots, and says so.
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    assert_eq!(report.counts.points, 0);
    assert!(!report.quarantined && report.damaged_packs.is_empty());
    assert!(site.names("sweep").is_empty());
    let again = verify(&site, VerifyLevel::Full);
    assert!(again.findings.is_empty() && again.counts.points == 2);
}

#[test]
fn what_was_dropped_while_a_verification_stood_still_is_not_damaged() {
    let (site, report) = stands_still(|site, [next, _]| {
        let dropped = site.repo.drop_point(next, "", "", 0);
        site.runtime.block_on(dropped).unwrap();
    });
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.counts.points, 1);
    assert!(!report.quarantined && site.names("sweep").is_empty());
}

#[test]
fn a_verification_that_is_stopped_leaves_no_pin() {
    struct Impatient;
    impl VerifyMonitor for Impatient {
        fn should_stop(&self) -> bool {
            true
        }
    }
    let (site, _) = site();
    site.backup(&image(1), None, 1).unwrap();
    let handle = site.runtime.handle();
    let stopped = site.repo.verify(handle, VerifyLevel::Full, &Impatient);
    assert!(matches!(stopped, Err(crate::repo::Error::Stopped)));
    assert!(site.names("open").is_empty());
}

#[test]
fn findings_name_the_vm_and_the_disk() {
    let (site, _) = site();
    let first = site.backup(&image(1), None, 1).unwrap();
    let second = site.backup(&image(51), None, 2).unwrap();
    lose_a_data_pack(&site, first);
    // This root cannot be read; the other point says of which VM it is.
    site.write(&site.point(second).name.to_string(), vec![1; 50]);
    let findings = verify(&site, VerifyLevel::Structure).findings;
    let of = |point| {
        let mut of = findings.iter().filter(move |f| f.point == Some(point));
        of.next().unwrap()
    };
    for point in [first, second] {
        assert_eq!(of(point).vm_name.as_deref(), Some("db01"));
        assert!(
            of(point)
                .to_string()
                .contains(&format!("point {point} of VM db01"))
        );
    }
    assert_eq!(of(first).disk_label.as_deref(), Some("Hard disk 1"));
    let text = of(first).to_string();
    assert!(text.contains(", disk 0 (Hard disk 1), bytes "), "{text}");
    assert_eq!(of(second).disk_label, None);
}
