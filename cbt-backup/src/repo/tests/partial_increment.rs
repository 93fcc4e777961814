//! What an increment that died had read is not put again, where an older point vouches for the rest.

use super::site::{BLOCK_BYTES, Site, complete, content, info};
use crate::repo::{BlockRange, DiskSpec, ParentDisk, PointId, PointKind, VerifyLevel};

const BLOCKS: u64 = 40;

/// A disk each block of which has its own content; the blocks of `changed` have another one.
fn image(changed: &[u64]) -> Vec<u8> {
    let seed = |block: u64| block as u8 * 2 + 1 + u8::from(changed.contains(&block));
    (0..BLOCKS)
        .flat_map(|block| content(seed(block), BLOCK_BYTES))
        .collect()
}

fn block(image: &[u8], block: u64) -> &[u8] {
    &image[block as usize * BLOCK_BYTES..][..BLOCK_BYTES]
}

/// An increment on `parent` that puts these blocks, expects those, too, and is no more after a partial point.
fn dead_increment(
    site: &Site,
    image: &[u8],
    parent: Option<PointId>,
    put: &[u64],
    expected: &[u64],
) -> PointId {
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(parent, image.len() as u64))
        .unwrap();
    let all = put.iter().chain(expected);
    session.expect_blocks(
        slot,
        all.map(|first| BlockRange {
            first: *first,
            blocks: 1,
        }),
    );
    for number in put {
        session.put(slot, *number, block(image, *number)).unwrap();
    }
    let (next, committed) = session.checkpoint(info(PointKind::Incremental, 1)).unwrap();
    drop(next);
    committed.point
}

fn resumed(partial: PointId, whole: PointId) -> DiskSpec {
    DiskSpec {
        unchanged_since: Some(ParentDisk {
            point: whole,
            disk: 0,
        }),
        ..Site::disk(Some(partial), BLOCKS * BLOCK_BYTES as u64)
    }
}

/// What must be put though nobody says that it changed.
fn must_put(site: &Site, spec: DiskSpec) -> Vec<u64> {
    let session = site.begin().unwrap();
    let slot = session.add_disk(spec).unwrap();
    let runs = session.unreadable_blocks(slot);
    session.abandon();
    let blocks = runs.iter().map(|run| run.first..run.first + run.blocks);
    blocks.flatten().collect()
}

#[track_caller]
fn assert_point(site: &Site, spec: DiskSpec, put: &[u64], image: &[u8]) {
    let session = site.begin().unwrap();
    let slot = session.add_disk(spec).unwrap();
    for number in put {
        session.put(slot, *number, block(image, *number)).unwrap();
    }
    session.set_disk_state(slot, complete());
    let point = session
        .commit(info(PointKind::Incremental, 2))
        .unwrap()
        .point;
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, point).unwrap() == image);
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn what_was_read_is_not_put_again_and_what_was_not_is_taken_from_the_older_point() {
    let site = Site::new(2);
    let whole = site.backup(&image(&[]), None, 0).unwrap();
    // 3, 8 and 30 changed; the run died before it came to 30.
    let now = image(&[3, 8, 30]);
    let partial = dead_increment(&site, &now, Some(whole), &[3, 8], &[30]);
    let spec = resumed(partial, whole);
    assert!(must_put(&site, spec.clone()).is_empty());
    assert_point(&site, spec, &[30], &now);
}

#[test]
fn without_a_word_for_the_rest_all_of_it_is_put() {
    let site = Site::new(2);
    let whole = site.backup(&image(&[]), None, 0).unwrap();
    let partial = dead_increment(&site, &image(&[3, 30]), Some(whole), &[3], &[30]);
    let spec = Site::disk(Some(partial), BLOCKS * BLOCK_BYTES as u64);
    assert_eq!(must_put(&site, spec), (30..BLOCKS).collect::<Vec<_>>());
    // A point that is no whole one has no say.
    let spec = resumed(partial, partial);
    assert_eq!(must_put(&site, spec), (30..BLOCKS).collect::<Vec<_>>());
}

/// The dead run built on another point than the one that is named: an older one, or none at all.
#[test]
fn what_differs_from_the_older_point_is_put() {
    let site = Site::new(2);
    let older = site.backup(&image(&[25, 35]), None, 0).unwrap();
    let whole = site.backup(&image(&[]), None, 1).unwrap();
    let now = image(&[3, 30]);
    let partial = dead_increment(&site, &now, Some(older), &[3, 25], &[30, 35]);
    let spec = resumed(partial, whole);
    assert_eq!(must_put(&site, spec.clone()), [35]);
    assert_point(&site, spec, &[30, 35], &now);

    let site = Site::new(2);
    let whole = site.backup(&image(&[]), None, 1).unwrap();
    let rest: Vec<u64> = (30..BLOCKS).collect();
    let begin: Vec<u64> = (0..30).collect();
    let partial = dead_increment(&site, &now, None, &begin, &rest);
    let spec = resumed(partial, whole);
    // Holes, none of which is zeros.
    assert_eq!(must_put(&site, spec.clone()), rest);
    assert_point(&site, spec, &rest, &now);
}

/// Its parent's data could not be read, and the run died before it had put them.
#[test]
fn a_hole_for_what_was_lost_is_put() {
    let site = Site::new(2);
    let whole = site.backup(&image(&[]), None, 0).unwrap();
    let packs = site.names("pack");
    // What was put last is far from the disk's beginning, whichever thread was faster.
    let data = packs.iter().rfind(|name| name.contains("/d"));
    let data = data.unwrap();
    let kept = site.read(data);
    site.delete(data);
    let now = image(&[3]);
    let partial = dead_increment(&site, &now, Some(whole), &[3], &[]);
    // The pack comes back: the older point is whole again.
    site.write(data, kept);
    let spec = resumed(partial, whole);
    let must = must_put(&site, spec.clone());
    assert!(!must.is_empty() && !must.contains(&3), "{must:?}");
    assert_point(&site, spec, &must, &now);
}
