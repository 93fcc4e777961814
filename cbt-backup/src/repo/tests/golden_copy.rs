//! A golden repository with points that were copied from a damaged one: parts of their disks are lost.
//!
//! `expected.json` names of each disk what is lost, and its BLAKE3 hash with zeros in those places.

use std::fs;

use serde_json::{Value, json};

use super::copying::copy_options;
use super::golden::{Maker, PASSPHRASE, folder_copy, goldens, open, write_new};
use super::site::{BLOCK_BYTES, Site, cheap, content};
use crate::repo::tree::{TreeCursor, TreeItem};
use crate::repo::{
    Error, FORMAT, Finding, Image, PackKind, Point, PointId, RepositoryKey, Severity, VerifyLevel,
};
use crate::secret::Secret;

const NAME: &str = "copied";
const BLOCKS: u8 = 12;
const LAST_BYTES: usize = 700;

fn image(seed: u8) -> Vec<u8> {
    let blocks = (0..BLOCKS).flat_map(|block| content(block * 3 + seed, BLOCK_BYTES));
    let mut image: Vec<u8> = blocks.collect();
    image.truncate((usize::from(BLOCKS) - 1) * BLOCK_BYTES + LAST_BYTES);
    image
}

/// With new content in some blocks.
fn changed(image: &[u8], blocks: &[u64]) -> Vec<u8> {
    let mut image = image.to_vec();
    for block in blocks {
        let from = *block as usize * BLOCK_BYTES;
        let to = image.len().min(from + BLOCK_BYTES);
        image[from..to].copy_from_slice(&content(101 + 2 * *block as u8, to - from));
    }
    image
}

/// Flips a bit in each of these blocks of a point.
fn damage(site: &Site, point: PointId, blocks: &[u64]) {
    let point = site.point(point);
    let disk = &point.root.disks[0];
    let tree = disk.tree.map(crate::repo::TreeRecord::base);
    let mut cursor = TreeCursor::new(&site.repo, disk.geometry().unwrap(), tree);
    let mut damaged = 0;
    while let Some(item) = site.runtime.block_on(cursor.next()) {
        let TreeItem::Block { number, reference } = item else {
            continue;
        };
        if blocks.contains(&number) {
            let pack = reference.pack(PackKind::Data).to_string();
            let mut bytes = site.read(&pack);
            bytes[reference.offset as usize + 3] ^= 1;
            site.write(&pack, bytes);
            damaged += 1;
        }
    }
    assert_eq!(damaged, blocks.len());
}

/// A disk with zeros where it is lost, and what is lost: where it begins, and how long it is, in bytes.
fn read(site: &Site, point: &Point) -> (Vec<u8>, Vec<(u64, u64)>) {
    let disk = Image::open(&site.repo, site.runtime.handle(), point, 0).unwrap();
    let mut bytes = vec![0; disk.capacity_bytes() as usize];
    let mut lost: Vec<(u64, u64)> = Vec::new();
    for (block, part) in (0..).zip(bytes.chunks_mut(BLOCK_BYTES)) {
        let (start, length) = (block * BLOCK_BYTES as u64, part.len() as u64);
        match disk.read_at(start, part) {
            Ok(()) => {}
            Err(Error::Unreadable { .. }) => match lost.last_mut() {
                Some((first, bytes)) if *first + *bytes == start => *bytes += length,
                _ => lost.push((start, length)),
            },
            Err(error) => panic!("{error}"),
        }
    }
    (bytes, lost)
}

fn described(site: &Site) -> Value {
    let points = site.runtime.block_on(site.repo.full_points(None)).unwrap();
    let points = points.points.iter().map(|point| {
        let (bytes, lost) = read(site, point);
        json!({"point": point.id().to_string(), "kind": point.root.kind, "disks": [{
            "key": point.root.disks[0].identity.device_key,
            "bytes": bytes.len(),
            "blake3": blake3::hash(&bytes).to_hex().to_string(),
            "lost": lost,
        }]})
    });
    json!({"format": FORMAT, "points": points.collect::<Vec<_>>()})
}

/// To be run once for a format: `CBT_GOLDEN=<new folder>`.
#[test]
#[ignore = "makes a new golden repository; the one that is committed stays as it is"]
fn a_golden_copy_is_made() {
    let folder = std::env::var("CBT_GOLDEN").expect("CBT_GOLDEN names a new folder");
    let (from, to) = (Site::new(2), Maker::new(cheap(2)).site);
    let first = image(1);
    let full = from.backup(&first, None, 1_000).unwrap();
    let second = changed(&first, &[5, 9]);
    let next = from
        .backup(&second, Some((full, vec![5, 9])), 2_000)
        .unwrap();
    damage(&from, full, &[4, 5, u64::from(BLOCKS) - 1]);
    let (source, handle) = (from.reopen().unwrap(), from.runtime.handle());
    let report = source.copy(&to.repo, handle, &[full, next], &copy_options(), &());
    let report = report.unwrap();
    let copied = report.copied.last().unwrap().to.unwrap();
    // The next backup into the copy heals it.
    let third = changed(&second, &[0]);
    to.backup(&third, Some((copied, vec![0])), 3_000).unwrap();
    write_new(&folder, NAME, &to, &described(&to));
}

/// What a finding says is lost, as `expected.json` has it.
fn range(finding: &Finding) -> (u64, u64) {
    let range = finding.byte_range.clone().unwrap();
    (range.start, range.end - range.start)
}

#[test]
fn a_golden_copy_stays_readable_and_its_losses_stay_lost() {
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

    let lost: Vec<Vec<(u64, u64)>> = expected["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| serde_json::from_value(point["disks"][0]["lost"].clone()).unwrap())
        .collect();
    assert_eq!(lost.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 0]);
    let handle = site.runtime.handle();
    let report = site.repo.verify(handle, VerifyLevel::Full, &()).unwrap();
    let mut told: Vec<(u64, u64)> = report.findings.iter().map(range).collect();
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.severity == Severity::Error)
    );
    let mut all = lost.concat();
    told.sort_unstable();
    all.sort_unstable();
    assert_eq!(told, all);

    // An increment on the second copy puts what is lost there, whatever was changed.
    let points = site
        .runtime
        .block_on(site.repo.full_points(None))
        .unwrap()
        .points;
    let (image, _) = read(&site, &points[2]);
    let healed = site
        .backup(&image, Some((points[1].id(), vec![0])), 4_000)
        .unwrap();
    assert_eq!(read(&site, &site.point(healed)), (image, Vec::new()));
}
