//! What the server said of a disk's changes: kept with the point, and held against the trees again.

use std::collections::BTreeSet;

use super::compaction::{compact, sweep};
use super::copying;
use super::site::{BLOCK_BYTES, Site, content, info, options};
use crate::repo::{
    AnswerWriter, BlockRange, Coverage, DiskOutcome, DiskSpec, Finding, Page, ParentDisk, PointId,
    PointKind, SavedAnswer, Severity, Tiling, VerifyLevel, VerifyReport, write_changed_areas,
};

const BLOCKS: u64 = 40;
/// The end of the disk is no end of a block.
const CAPACITY: usize = BLOCKS as usize * BLOCK_BYTES - 512;

/// A disk each block of which has its own content; the blocks of `changed` have another one.
pub(super) fn image(changed: &[u64]) -> Vec<u8> {
    let seed = |block: u64| block as u8 * 2 + 1 + u8::from(changed.contains(&block));
    let blocks = (0..BLOCKS).flat_map(|block| content(seed(block), BLOCK_BYTES));
    blocks.take(CAPACITY).collect()
}

/// An answer that calls these blocks changed.
fn answer(blocks: &[u64]) -> (Coverage, SavedAnswer) {
    let (mut tiling, mut writer) = (Tiling::new(CAPACITY as u64), AnswerWriter::default());
    let mut page = Page {
        start_bytes: 0,
        length_bytes: CAPACITY as u64,
        areas: blocks
            .iter()
            .map(|block| (block * BLOCK_BYTES as u64 + 512, 1024))
            .collect(),
    };
    tiling.add(&mut page, drop).unwrap();
    writer.add(&page);
    let totals = tiling.totals();
    let coverage = Coverage {
        method: "query-changed-disk-areas".to_owned(),
        digest: blake3::Hash::from(totals.digest).to_hex().to_string(),
        pages: totals.pages,
        areas: totals.areas,
        area_bytes: totals.changed_bytes,
        kept: "pages".to_owned(),
        ..Coverage::default()
    };
    (
        coverage,
        writer.finish(CAPACITY as u64, 12, std::iter::empty()),
    )
}

/// An increment that puts blocks, and keeps an answer that calls others changed.
pub(super) fn increment(
    site: &Site,
    base: PointId,
    image: &[u8],
    put: &[u64],
    said: &[u64],
) -> PointId {
    let (coverage, saved) = answer(said);
    let file = write_changed_areas(&[(base, 0, saved)]);
    with_file(
        site,
        Site::disk(Some(base), CAPACITY as u64),
        image,
        put,
        coverage,
        file,
    )
}

fn with_file(
    site: &Site,
    spec: DiskSpec,
    image: &[u8],
    put: &[u64],
    coverage: Coverage,
    file: Vec<u8>,
) -> PointId {
    let session = site.begin().unwrap();
    let slot = session.add_disk(spec).unwrap();
    let lost = session.unreadable_blocks(slot);
    let lost = lost
        .iter()
        .flat_map(|run| run.first..run.first + run.blocks);
    let all: BTreeSet<u64> = put.iter().copied().chain(lost).collect();
    for number in all {
        let from = number as usize * BLOCK_BYTES;
        let end = (from + BLOCK_BYTES).min(CAPACITY);
        session.put(slot, number, &image[from..end]).unwrap();
    }
    let changed_areas = Some(file);
    session.set_disk_state(
        slot,
        DiskOutcome::Complete {
            coverage,
            changed_areas,
        },
    );
    let info = info(PointKind::Incremental, 2);
    session.commit(info).unwrap().point
}

fn verify(site: &Site, level: VerifyLevel) -> VerifyReport {
    let repo = site.reopen().unwrap();
    repo.verify(site.runtime.handle(), level, &()).unwrap()
}

/// How many files were held against their roots, and how many answers against trees.
#[track_caller]
fn clean(site: &Site, level: VerifyLevel) -> (u64, u64) {
    let report = verify(site, level);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    (report.counts.maps_checked, report.counts.maps_compared)
}

fn told(findings: &[Finding]) -> Vec<std::ops::Range<u64>> {
    let told = findings.iter().filter(|finding| {
        assert_eq!(finding.severity, Severity::Error);
        finding.what.contains("did not call them changed")
    });
    told.filter_map(|finding| finding.byte_range.clone())
        .collect()
}

fn bytes(first: u64, end: u64) -> std::ops::Range<u64> {
    first * BLOCK_BYTES as u64..(end * BLOCK_BYTES as u64).min(CAPACITY as u64)
}

#[test]
fn an_answer_that_names_all_that_differs_is_sound_at_every_level() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    assert_eq!(clean(&site, VerifyLevel::Structure), (0, 0));
    // More than differs may be called changed, and put again.
    let now = image(&[3, 39]);
    let point = increment(&site, full, &now, &[3, 7, 39], &[3, 7, 20, 39]);
    for level in [
        VerifyLevel::Structure,
        VerifyLevel::Full,
        VerifyLevel::Point(point),
    ] {
        assert_eq!(clean(&site, level), (1, 1), "{level:?}");
    }
    let root = site.point(point).root;
    let file = root.changed_areas(&root.disks[0]).unwrap();
    assert_eq!(file.name, "changed-areas-0");
    assert!(file.length_bytes < 60, "{file:?}");
}

#[test]
fn what_differs_and_was_not_called_changed_is_found() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    // Two neighbours that nobody named, and the short block at the end.
    let now = image(&[3, 17, 18, 39]);
    let point = increment(&site, full, &now, &[3, 17, 18, 39], &[3]);
    let report = verify(&site, VerifyLevel::Structure);
    assert_eq!(told(&report.findings), [bytes(17, 19), bytes(39, 40)]);
    let finding = &report.findings[0];
    assert_eq!(
        (finding.point, finding.disk, finding.vm_name.as_deref()),
        (Some(point), Some(0), Some("db01"))
    );
    assert!(!report.is_clean());
    // Where only this point is looked at, the other one is found, too.
    let alone = verify(&site, VerifyLevel::Point(point));
    assert_eq!(told(&alone.findings), told(&report.findings));
    // Nothing is damaged: there is nothing to be read anew.
    assert!(report.damaged_packs.is_empty() && !report.quarantined);
}

#[test]
fn zeros_on_either_side_are_blocks_like_others() {
    let site = Site::new(2);
    let mut sparse = image(&[]);
    // Whole nodes of zeros, of which one block has something later, and the reverse.
    sparse[..32 * BLOCK_BYTES].fill(0);
    let full = site.backup(&sparse, None, 1).unwrap();
    let mut now = sparse.clone();
    now[5 * BLOCK_BYTES..6 * BLOCK_BYTES].fill(9);
    now[32 * BLOCK_BYTES..].fill(0);
    let put: Vec<u64> = [5].into_iter().chain(32..40).collect();
    let _ = increment(&site, full, &now, &put, &[33, 35]);
    let found = told(&verify(&site, VerifyLevel::Structure).findings);
    assert_eq!(
        found,
        [bytes(5, 6), bytes(32, 33), bytes(34, 35), bytes(36, 40)]
    );
}

#[test]
fn without_the_point_before_nothing_is_compared() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    let _ = increment(&site, full, &image(&[3, 8]), &[3, 8], &[3]);
    assert_eq!(told(&verify(&site, VerifyLevel::Full).findings).len(), 1);
    let dropped = site.repo.drop_point(full, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    assert_eq!(clean(&site, VerifyLevel::Full), (1, 0));
    sweep(&site);
    assert_eq!(clean(&site, VerifyLevel::Full), (1, 0));
}

#[test]
fn a_compaction_moves_blocks_and_changes_none() {
    let site = Site::new(2);
    let first = site.backup(&image(&[]), None, 1).unwrap();
    let all: Vec<u64> = (0..BLOCKS).filter(|block| block % 3 != 0).collect();
    let now = image(&all);
    let second = increment(&site, first, &now, &all, &all);
    let later = image(&[&all[..], &[0]].concat());
    let _ = increment(&site, second, &later, &[0], &[0]);
    let dropped = site.repo.drop_point(first, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    sweep(&site);
    assert_eq!(clean(&site, VerifyLevel::Full), (2, 1));
    let report = compact(&site);
    assert!(report.copied_blobs > 5, "{report:?}");
    assert_eq!(clean(&site, VerifyLevel::Full), (2, 1));
    sweep(&site);
    sweep(&site);
    assert_eq!(clean(&site, VerifyLevel::Full), (2, 1));
}

#[test]
fn damage_of_the_point_before_is_told_as_that_and_nothing_else() {
    for what in ["d", "n"] {
        let site = Site::new(2);
        let full = site.backup(&image(&[]), None, 1).unwrap();
        let session = site.point(full).root.session;
        let _ = increment(&site, full, &image(&[3]), &[3], &[3]);
        for pack in site.names(&format!("pack/{session}")) {
            let mut bytes = site.read(&pack);
            if pack.ends_with(&format!("/{what}00000000")) {
                // The first blob: a block, or a node.
                bytes[80] ^= 1;
                site.write(&pack, bytes);
            }
        }
        let report = verify(&site, VerifyLevel::Full);
        assert!(!report.findings.is_empty());
        assert!(told(&report.findings).is_empty(), "{:?}", report.findings);
        // What is lost is put again as it was: no map names it, and none has to.
        let _ = increment(&site, full, &image(&[4]), &[4], &[4]);
        let report = verify(&site, VerifyLevel::Full);
        assert!(told(&report.findings).is_empty(), "{:?}", report.findings);
    }
}

#[test]
fn a_file_that_is_no_answer_or_another_one_is_found() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    let disk = || Site::disk(Some(full), CAPACITY as u64);
    let (coverage, saved) = answer(&[3]);
    let (_, other) = answer(&[3, 4]);
    let wrong = [
        (
            b"nonsense".to_vec(),
            "no list of changed areas",
            Severity::Error,
        ),
        (vec![b'C', 1, 1], "version 1", Severity::Warning),
        (
            write_changed_areas(&[(full, 0, other)]),
            "digest",
            Severity::Error,
        ),
    ];
    for (file, what, severity) in wrong {
        let point = with_file(&site, disk(), &image(&[3]), &[3], coverage.clone(), file);
        let findings = verify(&site, VerifyLevel::Point(point)).findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].severity, severity);
        assert_eq!(findings[0].object, "changed-areas-0");
        assert!(findings[0].what.contains(what), "{findings:?}");
    }
    let file = write_changed_areas(&[(full, 0, saved)]);
    let point = with_file(&site, disk(), &image(&[3]), &[3], coverage.clone(), file);
    assert_eq!(clean(&site, VerifyLevel::Point(point)), (1, 1));
    // The root tells of a file that there is not.
    let session = site.begin().unwrap();
    let slot = session.add_disk(disk()).unwrap();
    let outcome = DiskOutcome::Complete {
        coverage,
        changed_areas: None,
    };
    session.set_disk_state(slot, outcome);
    let point = session
        .commit(info(PointKind::Incremental, 3))
        .unwrap()
        .point;
    let findings = verify(&site, VerifyLevel::Point(point)).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].what.contains("not among"), "{findings:?}");
}

/// A copy is held against the copy of the point it was built on, wherever that one was copied to.
#[test]
fn copies_keep_what_was_said() {
    let from = Site::new(2);
    let full = from.backup(&image(&[]), None, 1).unwrap();
    let good = increment(&from, full, &image(&[3]), &[3], &[3]);
    let bad = increment(&from, good, &image(&[3, 8]), &[8], &[9]);
    let both = Site::new(3);
    copying::copy(&from, &both, &[full, good]).unwrap();
    assert_eq!(clean(&both, VerifyLevel::Full), (1, 1));
    copying::copy(&from, &both, &[bad]).unwrap();
    let found = told(&verify(&both, VerifyLevel::Full).findings);
    assert_eq!(found, [bytes(8, 9)]);
    // Without the point it was built on the copy builds on another one, of which the answer says nothing.
    let some = Site::new(2);
    copying::copy(&from, &some, &[full]).unwrap();
    copying::copy(&from, &some, &[bad]).unwrap();
    assert_eq!(clean(&some, VerifyLevel::Full), (1, 0));
    // A backup into the repository of copies, which it names as what they are there.
    let copied = Site::new(2);
    copying::copy(&from, &copied, &[full]).unwrap();
    let list = copied.runtime.block_on(copied.repo.points(None)).unwrap();
    let made = increment(&copied, list.points[0].id, &image(&[3]), &[3], &[3]);
    assert_eq!(clean(&copied, VerifyLevel::Full), (1, 1));
    increment(&copied, made, &image(&[3, 8]), &[8], &[9]);
    let found = told(&verify(&copied, VerifyLevel::Full).findings);
    assert_eq!(found, [bytes(8, 9)]);
    // A copy of copies.
    let third = Site::new(2);
    let list = both.runtime.block_on(both.repo.points(None)).unwrap();
    let all: Vec<PointId> = list.points.iter().map(|point| point.id).collect();
    copying::copy(&both, &third, &all).unwrap();
    let found = told(&verify(&third, VerifyLevel::Full).findings);
    assert_eq!(found, [bytes(8, 9)]);
}

#[test]
fn what_comes_out_of_the_bin_keeps_what_was_said() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    let point = increment(&site, full, &image(&[3]), &[3], &[3]);
    let dropped = site.repo.drop_point(point, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    assert_eq!(clean(&site, VerifyLevel::Full), (0, 0));
    let back = site
        .repo
        .undelete(site.runtime.handle(), point, "proxy", options());
    back.unwrap();
    assert_eq!(clean(&site, VerifyLevel::Full), (1, 1));
}

#[test]
fn a_carried_disk_keeps_what_was_said_of_its_data() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    let point = increment(&site, full, &image(&[3]), &[3], &[3]);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(point), CAPACITY as u64))
        .unwrap();
    session.put(slot, 5, &content(99, BLOCK_BYTES)).unwrap();
    let reason = "no route".to_owned();
    let outcome = DiskOutcome::Carried {
        from: point,
        reason,
    };
    session.set_disk_state(slot, outcome);
    let carried = session.commit(info(PointKind::Incremental, 3)).unwrap();
    let root = site.point(carried.point).root;
    assert_eq!(root.disks[0].coverage.kept, "pages");
    let file = root.changed_areas(&root.disks[0]).unwrap();
    assert_ne!(file.reference.session, site.point(point).root.session);
    assert_eq!(clean(&site, VerifyLevel::Full), (2, 2));
    // An increment on it is compared with what it carries.
    let _ = increment(&site, carried.point, &image(&[3, 8]), &[8], &[9]);
    let found = told(&verify(&site, VerifyLevel::Full).findings);
    assert_eq!(found, [bytes(8, 9)]);
}

/// A run that goes on from one that died, of which only the beginning is as it was at its snapshot.
#[test]
fn of_a_partial_point_only_what_it_covers_is_compared() {
    let site = Site::new(2);
    let full = site.backup(&image(&[]), None, 1).unwrap();
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), CAPACITY as u64))
        .unwrap();
    let runs = [3, 30].map(|first| BlockRange { first, blocks: 1 });
    session.expect_blocks(slot, runs);
    let then = image(&[3, 30]);
    let block = |image: &[u8], number: usize| image[number * BLOCK_BYTES..][..BLOCK_BYTES].to_vec();
    session.put(slot, 3, &block(&then, 3)).unwrap();
    // Of a later time than what follows, so that it stays.
    let (next, partial) = session.checkpoint(info(PointKind::Incremental, 9)).unwrap();
    drop(next);
    // Since then 5 has changed, and behind what was covered 31.
    let now = image(&[3, 5, 30, 31]);
    let resumed = |since_partial: &[u64]| {
        let (whole, first) = answer(&[3, 5, 30, 31]);
        let (since, second) = answer(since_partial);
        let mut hasher = blake3::Hasher::new();
        for coverage in [&whole, &since] {
            hasher.update(blake3::Hash::from_hex(&coverage.digest).unwrap().as_bytes());
        }
        let grains = 1 + u64::from(!since_partial.is_empty());
        let coverage = Coverage {
            digest: hasher.finalize().to_hex().to_string(),
            pages: 2,
            areas: whole.areas + since.areas,
            area_bytes: grains << 16,
            ..whole
        };
        let covered = 30 * BLOCK_BYTES as u64;
        let file = write_changed_areas(&[(full, covered, first), (partial.point, 0, second)]);
        let disk = DiskSpec {
            unchanged_since: Some(ParentDisk {
                point: full,
                disk: 0,
            }),
            ..Site::disk(Some(partial.point), CAPACITY as u64)
        };
        with_file(&site, disk, &now, &[5, 30, 31], coverage, file)
    };
    let sound = resumed(&[5]);
    // Both answers are held against their points.
    assert_eq!(clean(&site, VerifyLevel::Point(sound)), (1, 2));
    let false_one = resumed(&[]);
    let report = verify(&site, VerifyLevel::Point(false_one));
    assert_eq!(told(&report.findings), [bytes(5, 6)]);
}
