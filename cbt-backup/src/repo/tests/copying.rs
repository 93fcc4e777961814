//! Points copied to another repository.

use std::time::Duration;

use super::compaction::all_that_is_not_full;
use super::site::{BLOCK_BYTES, Site, content, info, options};
use super::sweep::at_once;
use crate::repo::{
    CopyMonitor, CopyOptions, CopyReport, DiskOutcome, DiskState, Error, Image, Piece, PointId,
    PointKind, Repository, RowInterval, VerifyLevel, WalkOptions,
};

pub(super) const BLOCKS: usize = 40;

pub(super) fn image(seed: u8) -> Vec<u8> {
    let block = |block: u8| content(block.wrapping_mul(3).wrapping_add(seed), BLOCK_BYTES);
    (0..BLOCKS as u8).flat_map(block).collect()
}

/// A few blocks at once, and never a partial point.
pub(super) fn copy_options() -> CopyOptions {
    CopyOptions {
        host: "copier".to_owned(),
        program: "test".to_owned(),
        session: options(),
        walk: WalkOptions {
            memory_bytes: 2 * 4 * BLOCK_BYTES as u64,
            threads: 2,
        },
        interval: RowInterval {
            put_bytes: u64::MAX,
            time: Duration::from_hours(1),
        },
        ..CopyOptions::default()
    }
}

pub(super) fn copy(from: &Site, to: &Site, points: &[PointId]) -> Result<CopyReport, Error> {
    copy_with(from, to, points, &copy_options(), &())
}

pub(super) fn copy_with(
    from: &Site,
    to: &Site,
    points: &[PointId],
    options: &CopyOptions,
    monitor: &dyn CopyMonitor,
) -> Result<CopyReport, Error> {
    let (source, target) = (from.reopen().unwrap(), to.reopen().unwrap());
    source.copy(&target, from.runtime.handle(), points, options, monitor)
}

/// A full and increments, each with its changed blocks; the last one's disk has grown.
pub(super) fn history(site: &Site) -> Vec<(PointId, Vec<u8>)> {
    let mut now = image(1);
    let mut points = vec![(site.backup(&now, None, 1).unwrap(), now.clone())];
    for (time, changed) in [
        (2_u8, vec![3_u64, 4, 39]),
        (3, vec![0]),
        (4, vec![20, 40, 41]),
    ] {
        now.resize(
            now.len()
                .max((changed.iter().max().unwrap() + 1) as usize * BLOCK_BYTES),
            0,
        );
        for block in &changed {
            // Of the last increment one block becomes zeros.
            let seed = if *block == 20 { 0 } else { 101 + 2 * time };
            let start = *block as usize * BLOCK_BYTES;
            now[start..start + BLOCK_BYTES].copy_from_slice(&content(seed, BLOCK_BYTES));
        }
        let parent = points.last().unwrap().0;
        let point = site
            .backup(&now, Some((parent, changed)), time.into())
            .unwrap();
        points.push((point, now.clone()));
    }
    points
}

pub(super) fn ids(points: &[(PointId, Vec<u8>)]) -> Vec<PointId> {
    points.iter().map(|(id, _)| *id).collect()
}

pub(super) fn assert_clean(site: &Site) {
    let repo = site.reopen().unwrap();
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// Every point of `points` has a copy in the target, which restores to its image.
pub(super) fn assert_copied(to: &Site, points: &[(PointId, Vec<u8>)]) {
    let repo = to.reopen().unwrap();
    let listed = to.runtime.block_on(repo.points(None)).unwrap();
    for (point, image) in points {
        let copies: Vec<_> = listed
            .points
            .iter()
            .filter(|copy| copy.origin.is_some_and(|origin| origin.point == *point))
            // One whose tombstone could not be written is left to retention.
            .filter(|copy| copy.kind != PointKind::Partial)
            .collect();
        assert_eq!(copies.len(), 1, "{point}");
        assert!(
            to.restore(&repo, copies[0].id).unwrap() == *image,
            "{point}"
        );
        assert!(copies[0].complete);
    }
}

/// Takes the first pack of data away.
pub(super) fn lose_data(site: &Site) {
    let mut packs = site.names("pack").into_iter();
    let pack = packs.find(|name| name.contains("/d")).unwrap();
    site.delete(&pack);
}

#[test]
fn copies_are_equal_and_increments_cost_what_they_changed() {
    let (from, to) = (Site::new(2), Site::new(3));
    let points = history(&from);
    let dry = CopyOptions {
        dry_run: true,
        ..copy_options()
    };
    let planned = copy_with(&from, &to, &ids(&points), &dry, &()).unwrap();
    assert_eq!(
        to.names(""),
        vec!["config".to_owned(), to.names("key").remove(0)]
    );
    let report = copy(&from, &to, &ids(&points)).unwrap();
    assert!(report.is_clean() && report.there.is_empty());
    assert_copied(&to, &points);
    assert_clean(&to);
    assert_clean(&from);
    let read: Vec<u64> = report
        .copied
        .iter()
        .map(|copied| copied.read_blocks)
        .collect();
    let planned: Vec<u64> = planned
        .copied
        .iter()
        .map(|copied| copied.read_blocks)
        .collect();
    assert_eq!(read, planned);
    // Block 0 of the first image and block 20 of the last are zeros or not: only data is read.
    assert_eq!(read[1..], [3, 1, 2]);
    assert!(read[0] as usize >= BLOCKS - 1);
    let new: Vec<u64> = report
        .copied
        .iter()
        .map(|copied| copied.stats.new_blocks)
        .collect();
    assert_eq!(
        (new[1], new[2]),
        (1, 1),
        "equal blocks of one point are stored once"
    );
    // The history is in order, and each point says where it is from.
    let listed = to
        .runtime
        .block_on(to.reopen().unwrap().full_points(None))
        .unwrap();
    let first = &listed.points[0].root;
    assert_eq!((first.parent, first.kind), (None, PointKind::Full));
    for (pair, (point, _)) in listed.points.windows(2).zip(&points[1..]) {
        assert_eq!(pair[1].root.parent, Some(pair[0].id()));
        assert_eq!(pair[1].root.kind, PointKind::Incremental);
        let origin = pair[1].root.origin.unwrap();
        assert_eq!(
            (origin.repository, origin.point),
            (from.repo.config().id, *point)
        );
        assert_eq!(pair[1].root.disks[0].change_id.as_deref(), Some("52 c0/7"));
    }
    // Nothing is left open, and a second copy does nothing.
    assert!(from.names("open").is_empty() && to.names("open").is_empty());
    let before = to.names("");
    let again = copy(&from, &to, &ids(&points)).unwrap();
    assert_eq!((again.copied.len(), again.there), (0, ids(&points)));
    assert_eq!(to.names(""), before);
    // A copy goes back to where it is from no second time, and into a third place as what it was.
    let copies: Vec<PointId> = listed.points.iter().map(crate::repo::Point::id).collect();
    assert_eq!(copy(&to, &from, &copies).unwrap().there.len(), points.len());
    let third = Site::new(2);
    copy(&to, &third, &copies[1..]).unwrap();
    assert_copied(&third, &points[1..]);
    let rest = copy(&from, &third, &ids(&points)).unwrap();
    assert_eq!((rest.copied.len(), rest.there.len()), (1, 3));
    assert_copied(&third, &points);
}

#[test]
fn nodes_of_the_copied_parent_are_used_again() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    copy(&from, &to, &ids(&points[..1])).unwrap();
    let before = to.names("pack").len();
    let report = copy(&from, &to, &ids(&points[2..3])).unwrap();
    // Against the first point four blocks differ, though the second was not copied.
    assert_eq!(report.copied[0].read_blocks, 4);
    assert_eq!(report.copied[0].base, Some(points[0].0));
    let written = to.names("pack").len() - before;
    assert!(written <= 3, "{written} packs for four blocks");
    // The one it was made upon is preferred.
    let report = copy(&from, &to, &ids(&points[1..2])).unwrap();
    assert_eq!(
        (report.copied[0].read_blocks, report.copied[0].base),
        (3, Some(points[0].0))
    );
    assert_copied(&to, &points[..3]);
    // An older one is compared with a newer one, if there is no other.
    let to = Site::new(2);
    copy(&from, &to, &ids(&points[2..3])).unwrap();
    let report = copy(&from, &to, &ids(&points[1..2])).unwrap();
    assert_eq!(report.copied[0].read_blocks, 1);
    assert_copied(&to, &points[1..3]);
    assert_clean(&to);
}

#[test]
fn a_repository_is_not_copied_into_itself() {
    let site = Site::new(2);
    let points = history(&site);
    let error = copy(&site, &site, &ids(&points)).unwrap_err();
    assert!(matches!(error, Error::SameRepository { .. }), "{error}");
    let other = Site::new(2);
    let error = copy(&site, &other, &[PointId::generate()]).unwrap_err();
    assert!(matches!(error, Error::PointNotFound { .. }), "{error}");
}

#[test]
fn other_points_of_the_vm_serve_where_nothing_can_be_compared() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    // The target has a backup of its own, equal but for one block.
    let mut own = points[1].1.clone();
    own[..BLOCK_BYTES].fill(7);
    own[BLOCK_BYTES..2 * BLOCK_BYTES].fill(0);
    to.backup(&own, None, 1).unwrap();
    let report = copy(&from, &to, &ids(&points[1..2])).unwrap();
    let stats = report.copied[0].stats;
    assert_eq!(stats.new_blocks + stats.duplicate_blocks, 2, "{stats:?}");
    assert_copied(&to, &points[1..2]);
    assert_clean(&to);
}

#[test]
fn what_was_compacted_or_swept_meanwhile_is_copied_all_the_same() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    copy(&from, &to, &ids(&points[..1])).unwrap();
    let dropped = from.repo.drop_point(points[1].0, "", "", 0);
    from.runtime.block_on(dropped).unwrap();
    let compacted = from
        .repo
        .compact(from.runtime.handle(), "", &all_that_is_not_full(), &());
    assert!(!compacted.unwrap().rewritten.is_empty());
    for _ in 0..2 {
        from.runtime
            .block_on(from.repo.sweep(at_once(), &()))
            .unwrap();
    }
    let rest = [points[0].clone(), points[2].clone(), points[3].clone()];
    let report = copy(&from, &to, &ids(&rest)).unwrap();
    let read: Vec<u64> = report
        .copied
        .iter()
        .map(|copied| copied.read_blocks)
        .collect();
    // Blocks that only moved have the same ids, and are not read.
    assert_eq!(read, [4, 2]);
    assert_copied(&to, &rest);
    assert_clean(&to);
}

#[test]
fn carried_and_absent_disks_stay_what_they_are() {
    let (from, to) = (Site::new(2), Site::new(2));
    let image = image(1);
    let full = from.backup(&image, None, 1).unwrap();
    let session = from.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), image.len() as u64))
        .unwrap();
    session.set_disk_state(
        slot,
        DiskOutcome::Carried {
            from: full,
            reason: "it went away".to_owned(),
        },
    );
    let mut second = Site::disk(None, 4096);
    second.identity.device_key = 1;
    let slot = session.add_disk(second).unwrap();
    let reason = "never seen".to_owned();
    session.set_disk_state(slot, DiskOutcome::Absent { reason });
    let next = session
        .commit(info(PointKind::Incremental, 2))
        .unwrap()
        .point;
    let report = copy(&from, &to, &[full, next]).unwrap();
    assert_eq!(report.copied[1].read_blocks, 0);
    let made = to.point(report.copied[1].to.unwrap()).root;
    let DiskState::Carried { from: older, .. } = &made.disks[0].state else {
        panic!("{:?}", made.disks[0].state);
    };
    assert_eq!(Some(*older), report.copied[0].to);
    assert!(matches!(made.disks[1].state, DiskState::Absent { .. }));
    assert!(to.restore(&to.reopen().unwrap(), made.point).unwrap() == image);
    assert_eq!(made.files.len(), 1);
    assert_clean(&to);
}

/// Blocks of a point that cannot be read, by reading each.
pub(super) fn unreadable(site: &Site, repo: &Repository, point: PointId, image: &[u8]) -> Vec<u64> {
    let point = site.runtime.block_on(repo.point(&point)).unwrap();
    let disk = Image::open(repo, site.runtime.handle(), &point, 0).unwrap();
    let mut lost = Vec::new();
    for (number, block) in image.chunks(BLOCK_BYTES).enumerate() {
        let mut read = vec![1; block.len()];
        match disk.read_at((number * BLOCK_BYTES) as u64, &mut read) {
            Ok(()) => assert!(read == block, "block {number} has other bytes"),
            Err(error) => {
                assert!(error.is_damage(), "{error}");
                lost.push(number as u64);
            }
        }
    }
    lost
}

/// Pieces of a walk, which ends at the first loss.
fn walk_ends(site: &Site, repo: &Repository, point: PointId) -> Result<u64, Error> {
    let point = site.runtime.block_on(repo.point(&point)).unwrap();
    let disk = Image::open(repo, site.runtime.handle(), &point, 0).unwrap();
    let mut bytes = 0;
    disk.walk(WalkOptions::default(), |piece| {
        bytes += match piece {
            Piece::Data { data, .. } => data.len() as u64,
            Piece::Hole { length_bytes, .. } => length_bytes,
        };
        Ok::<_, Error>(())
    })
    .map(|()| bytes)
}

#[test]
fn damage_of_the_source_is_carried_as_what_it_is_and_heals() {
    let mut hit = 0;
    for number in 0.. {
        for cut in [None, Some(70), Some(4500)] {
            let (from, to) = (Site::new(2), Site::new(2));
            let points = history(&from);
            let Some(pack) = from.names("pack").get(number).cloned() else {
                assert!(hit > 20, "{hit}");
                return;
            };
            match cut {
                None => from.delete(&pack),
                Some(bytes) => {
                    let mut sound = from.read(&pack);
                    sound.truncate(bytes);
                    from.write(&pack, sound);
                }
            }
            let repo = from.reopen().unwrap();
            let lost: Vec<Vec<u64>> = points
                .iter()
                .map(|(id, image)| unreadable(&from, &repo, *id, image))
                .collect();
            let report = copy(&from, &to, &ids(&points)).unwrap();
            let some = lost.iter().any(|lost| !lost.is_empty());
            assert!(!some || !report.is_clean());
            hit += usize::from(some);
            let copied = to.reopen().unwrap();
            for ((made, (point, image)), lost) in report.copied.iter().zip(&points).zip(&lost) {
                let copy = made.to.unwrap();
                assert_eq!(made.from.id, *point);
                assert_eq!(
                    unreadable(&to, &copied, copy, image),
                    *lost,
                    "{pack} {cut:?}"
                );
                assert_eq!(walk_ends(&to, &copied, copy).is_ok(), lost.is_empty());
                let bytes = |block: &u64| {
                    (image.len() as u64 - block * BLOCK_BYTES as u64).min(BLOCK_BYTES as u64)
                };
                assert_eq!(made.unreadable_bytes, lost.iter().map(bytes).sum::<u64>());
                let root = to.point(copy).root;
                assert_eq!(root.disks[0].is_whole(), lost.is_empty());
                assert_eq!(root.needs.is_empty(), lost.is_empty());
                let told: u64 = report
                    .findings
                    .iter()
                    .filter(|finding| finding.point == Some(*point) && finding.disk == Some(0))
                    .filter_map(|finding| finding.byte_range.clone())
                    .map(|range| range.end - range.start)
                    .sum();
                assert_eq!(told, made.unreadable_bytes);
            }
            // Verify tells it too, of all levels, and puts no pack of the copy in quarantine.
            let last = report.copied.last().unwrap().to.unwrap();
            for level in [
                VerifyLevel::Structure,
                VerifyLevel::Full,
                VerifyLevel::Point(last),
            ] {
                let verified = copied.verify(to.runtime.handle(), level, &()).unwrap();
                let of_last = matches!(level, VerifyLevel::Point(_));
                let some = lost.iter().skip(if of_last { points.len() - 1 } else { 0 });
                let some = some.clone().any(|lost| !lost.is_empty());
                assert_eq!(verified.is_clean(), !some, "{level:?}");
                assert_eq!(verified.damaged_packs, []);
            }
            // A backup into the copy has to put what is lost, whatever change tracking says.
            let image = &points.last().unwrap().1;
            let healed = to.backup(image, Some((last, vec![1])), 9).unwrap();
            assert!(to.restore(&to.reopen().unwrap(), healed).unwrap() == *image);
            assert!(to.point(healed).root.disks[0].is_whole());
            // A copy of the copy says the same.
            let third = Site::new(2);
            let again = copy(&to, &third, &[report.copied[0].to.unwrap()]).unwrap();
            assert_eq!(
                again.copied[0].unreadable_bytes,
                report.copied[0].unreadable_bytes
            );
            let repo = third.reopen().unwrap();
            let copy = again.copied[0].to.unwrap();
            assert_eq!(unreadable(&third, &repo, copy, &points[0].1), lost[0]);
        }
    }
}

#[test]
fn a_disk_that_is_healed_in_the_source_is_whole_in_the_next_copy() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    lose_data(&from);
    copy(&from, &to, &ids(&points)).unwrap();
    let (parent, image) = points.last().unwrap();
    let healed = from.backup(image, Some((*parent, vec![])), 9).unwrap();
    let report = copy(&from, &to, &[healed]).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_copied(&to, &[(healed, image.clone())]);
    let root = to.point(report.copied[0].to.unwrap()).root;
    assert_eq!((root.needs.len(), root.disks[0].unreadable.len()), (0, 0));
}
