//! A golden repository with what the server said of a disk's changes, and with tags.
//!
//! `expected.json` names each point's tags and the answers that are kept of its disk, and the disk's BLAKE3 hash.

use std::fs;

use serde_json::{Value, json};

use super::changed_areas::{image, increment};
use super::golden::{Maker, PASSPHRASE, folder_copy, goldens, open, write_new};
use super::site::{Site, cheap, info, options, spec};
use crate::repo::{FORMAT, Point, PointId, PointKind, RepositoryKey, SessionSpec, VerifyLevel};
use crate::secret::Secret;

const NAME: &str = "changes";

fn points(site: &Site) -> Vec<Point> {
    let list = site.runtime.block_on(site.repo.full_points(None)).unwrap();
    assert!(list.findings.is_empty(), "{:?}", list.findings);
    list.points
}

fn described(site: &Site) -> Value {
    let points = points(site).into_iter().map(|point| {
        let disk = &point.root.disks[0];
        let bytes = site.restore(&site.repo, point.id()).unwrap();
        let file = point.root.changed_areas(disk).map(|file| {
            let content = site.runtime.block_on(site.repo.file(file)).unwrap();
            json!({"name": file.name, "blake3": blake3::hash(&content).to_hex().to_string()})
        });
        json!({
            "point": point.id().to_string(),
            "kind": point.root.kind,
            "tags": point.root.tags,
            "disks": [{
                "key": disk.identity.device_key,
                "bytes": bytes.len(),
                "blake3": blake3::hash(&bytes).to_hex().to_string(),
                "changed_areas": file,
                "areas": disk.coverage.areas,
                "kept": disk.coverage.kept,
            }],
        })
    });
    json!({"format": FORMAT, "points": points.collect::<Vec<_>>()})
}

/// Answers held against trees, of a repository that is sound.
fn compared(site: &Site) -> u64 {
    let handle = site.runtime.handle();
    let report = site.repo.verify(handle, VerifyLevel::Full, &()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.counts.maps_checked, report.counts.maps_compared);
    report.counts.maps_compared
}

fn tagged_full(site: &Site) -> PointId {
    let words = ["before-update", "change:4711"];
    let spec = SessionSpec {
        tags: words.iter().map(|word| word.parse().unwrap()).collect(),
        ..spec()
    };
    let begin = site.repo.begin(spec, site.runtime.handle(), options());
    let session = site.runtime.block_on(begin).unwrap();
    Site::fill(&session, &image(&[]), None).unwrap();
    session.commit(info(PointKind::Full, 1)).unwrap().point
}

/// To be run once for a format: `CBT_GOLDEN=<new folder>`.
#[test]
#[ignore = "makes a new golden repository; the one that is committed stays as it is"]
fn golden_changes_are_made() {
    let folder = std::env::var("CBT_GOLDEN").expect("CBT_GOLDEN names a new folder");
    let site = Maker::new(cheap(2)).site;
    let full = tagged_full(&site);
    let next = increment(&site, full, &image(&[3, 39]), &[3, 39], &[3, 20, 39]);
    increment(&site, next, &image(&[3, 8, 39]), &[8], &[8]);
    write_new(&folder, NAME, &site, &described(&site));
}

#[test]
fn golden_changes_and_tags_stay_readable() {
    let golden = goldens()
        .into_iter()
        .find(|path| path.ends_with(format!("format-1-{NAME}")));
    let golden = golden.expect("it is committed");
    let expected = fs::read(golden.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    folder_copy(&golden.join("repository"), scratch.path());
    let key = RepositoryKey::passphrase(&Secret::new(PASSPHRASE.to_owned()));
    let site = open(scratch.path(), key);
    assert_eq!(described(&site), expected);
    assert_eq!(
        expected["points"][0]["tags"],
        json!(["before-update", "change:4711"])
    );
    assert_eq!(compared(&site), 2);

    // The next increment is held against the newest of them.
    let newest = points(&site).pop().unwrap().id();
    let next = increment(&site, newest, &image(&[3, 8, 9, 39]), &[9], &[9]);
    assert_eq!(compared(&site), 3);
    let restored = site.restore(&site.repo, next).unwrap();
    assert!(restored == image(&[3, 8, 9, 39]));
}
