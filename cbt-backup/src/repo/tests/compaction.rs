//! Compaction: packs that are mostly garbage are emptied, and every point stays what it was.

use super::site::{BLOCK_BYTES, Site, content, info, options, spec};
use super::sweep::at_once;
use crate::repo::{
    CompactOptions, CompactReport, Error, Image, Piece, PointId, VerifyLevel, WalkOptions,
};

fn image(seed: u8) -> Vec<u8> {
    (0..40)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

/// Every pack with any garbage in it is a candidate.
pub(super) fn all_that_is_not_full() -> CompactOptions {
    CompactOptions {
        min_live_percent: 100,
        session: options(),
        ..CompactOptions::default()
    }
}

pub(super) fn compact(site: &Site) -> CompactReport {
    let options = all_that_is_not_full();
    site.repo
        .compact(site.runtime.handle(), "proxy", &options, &())
        .unwrap()
}

pub(super) fn sweep(site: &Site) {
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    swept.unwrap();
}

#[track_caller]
fn assert_whole(site: &Site, points: &[(PointId, &[u8])]) {
    let repo = site.reopen().unwrap();
    for (point, image) in points {
        assert!(site.restore(&repo, *point).unwrap() == *image);
    }
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(site.names("open").is_empty());
}

fn stored_bytes(site: &Site) -> usize {
    let packs = site.names("pack");
    packs.iter().map(|name| site.read(name).len()).sum()
}

/// A full point, two increments that replace most of it, and the full dropped.
pub(super) fn mostly_garbage() -> (Site, [(PointId, Vec<u8>); 2]) {
    let site = Site::new(2);
    let points = fill_with_garbage(&site);
    (site, points)
}

/// The same in a repository that is there.
pub(super) fn fill_with_garbage(site: &Site) -> [(PointId, Vec<u8>); 2] {
    let first = image(1);
    let full = site.backup(&first, None, 1).unwrap();
    let mut second = first.clone();
    let changed: Vec<u64> = (0..40).filter(|block| block % 4 != 0).collect();
    for block in &changed {
        let seed = *block as u8 + 120;
        let from = *block as usize * BLOCK_BYTES;
        second[from..from + BLOCK_BYTES].copy_from_slice(&content(seed, BLOCK_BYTES));
    }
    let next = site.backup(&second, Some((full, changed)), 2).unwrap();
    let mut third = second.clone();
    third[..BLOCK_BYTES].copy_from_slice(&content(3, BLOCK_BYTES));
    let last = site.backup(&third, Some((next, vec![0])), 3).unwrap();
    let dropped = site.repo.drop_point(full, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    sweep(site);
    [(next, second), (last, third)]
}

#[test]
fn half_empty_packs_are_emptied_and_go() {
    let (site, [(next, second), (last, third)]) = mostly_garbage();
    let points = [(next, second.as_slice()), (last, third.as_slice())];
    assert_whole(&site, &points);
    let before = stored_bytes(&site);
    let report = compact(&site);
    assert!(
        report.candidates > 1 && report.copied_blobs > 5,
        "{report:?}"
    );
    assert_eq!(report.rewritten.len(), 2, "{report:?}");
    assert!(report.skipped.is_empty());
    // Both points share what was moved: it was copied once.
    assert!(report.copied_blobs < 40, "{report:?}");
    assert_whole(&site, &points);
    assert_eq!(site.point(next).name.generation, 1);
    assert_eq!(site.names("point").len(), 4);
    sweep(&site);
    assert_eq!(site.names("point").len(), 2, "old generations are gone");
    sweep(&site);
    assert!(stored_bytes(&site) < before);
    assert_whole(&site, &points);
    // Packs of nodes whose nodes were written anew come next; then all is full and left alone.
    compact(&site);
    sweep(&site);
    sweep(&site);
    assert_whole(&site, &points);
    let again = compact(&site);
    assert_eq!(
        (again.candidates, again.rewritten.len()),
        (0, 0),
        "{again:?}"
    );
    // An increment builds on the new generation.
    let fourth = site.backup(&second, Some((last, vec![0])), 4).unwrap();
    assert_whole(&site, &[(fourth, second.as_slice())]);
}

#[test]
fn a_reader_that_was_not_pinned_looks_again_when_its_packs_are_gone() {
    let (site, [(next, second), (_, _)]) = mostly_garbage();
    let stale = site.point(next);
    compact(&site);
    for _ in 0..2 {
        sweep(&site);
    }
    let handle = site.runtime.handle();
    let image = Image::open(&site.repo, handle, &stale, 0);
    let gone = image.and_then(|image| image.walk(WalkOptions::default(), |_| Ok(())));
    assert!(gone.unwrap_err().is_damage(), "the old root still reads");
    let mut read = Vec::new();
    let options = WalkOptions::default();
    let walked = site.repo.walk_disk(handle, &stale, 0, options, |piece| {
        match piece {
            Piece::Data { data, .. } => read.extend_from_slice(data),
            Piece::Hole { length_bytes, .. } => {
                read.resize(read.len() + length_bytes as usize, 0);
            }
        }
        Ok::<_, Error>(())
    });
    walked.unwrap();
    assert!(read == second);
    // What is really lost stays an error.
    for pack in site.names("pack") {
        site.delete(&pack);
    }
    let lost = site.repo.walk_disk(
        handle,
        &site.point(next),
        0,
        options,
        |_| Ok::<_, Error>(()),
    );
    assert!(lost.unwrap_err().is_damage());
}

#[test]
fn the_budget_bounds_what_is_copied() {
    let (site, [(next, second), (last, third)]) = mostly_garbage();
    let options = CompactOptions {
        budget_bytes: 9_000,
        ..all_that_is_not_full()
    };
    let report = site
        .repo
        .compact(site.runtime.handle(), "", &options, &())
        .unwrap();
    assert!(
        report.candidates > 0 && report.copied_bytes <= 9_000,
        "{report:?}"
    );
    sweep(&site);
    sweep(&site);
    assert_whole(&site, &[(next, &second), (last, &third)]);
}

#[test]
fn a_point_with_packs_in_quarantine_is_left_alone() {
    let (site, [(next, second), (last, third)]) = mostly_garbage();
    let session = site.point(next).root.session;
    let pack = crate::repo::PackId {
        kind: crate::repo::PackKind::Data,
        session,
        seq: 0,
    };
    site.runtime
        .block_on(site.repo.quarantine(vec![pack]))
        .unwrap();
    let report = compact(&site);
    assert!(report.rewritten.is_empty(), "{report:?}");
    assert_eq!(report.skipped.len(), 2, "{report:?}");
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, next).unwrap() == second);
    assert!(site.restore(&repo, last).unwrap() == third);
}

#[test]
fn a_reader_of_the_old_generation_reads_on() {
    let (site, [(next, second), _]) = mostly_garbage();
    let handle = site.runtime.handle();
    let points = [next];
    let often = std::time::Duration::from_millis(1);
    let pin = site.repo.pin(&points, "", often, handle);
    let pin = site.runtime.block_on(pin).unwrap().unwrap();
    let old = site.point(next);
    compact(&site);
    let slow = crate::repo::SweepOptions {
        look_interval: std::time::Duration::from_millis(60),
        ..at_once()
    };
    for _ in 0..2 {
        let swept = site.repo.sweep(slow.clone(), &());
        site.runtime.block_on(swept).unwrap();
    }
    let disk = crate::repo::Image::open(&site.reopen().unwrap(), handle, &old, 0).unwrap();
    let mut bytes = vec![0; second.len()];
    disk.read_at(0, &mut bytes).unwrap();
    assert!(bytes == second);
    site.runtime.block_on(pin.close()).unwrap();
}

#[test]
fn points_between_that_need_nothing_of_it_do_not_make_blobs_move_twice() {
    let (site, [(next, second), (last, third)]) = mostly_garbage();
    // A point of another VM lies between the two in time, and shares nothing.
    let mut spec = spec();
    spec.vm.instance_uuid = "another".to_owned();
    let begin = site.repo.begin(spec, site.runtime.handle(), options());
    let session = site.runtime.block_on(begin).unwrap();
    let other = content(77, BLOCK_BYTES * 40);
    let kind = Site::fill(&session, &other, None).unwrap();
    let between = session.commit(info(kind, 2)).unwrap().point;
    let report = compact(&site);
    assert_eq!(report.rewritten.len(), 2, "{report:?}");
    assert!(report.copied_blobs < 40, "{report:?}");
    assert_whole(&site, &[(next, &second), (last, &third), (between, &other)]);
}

/// A prune that died beside its proposal of a fence may be asleep, for all anybody knows, and make it final. Space is lost
/// for a while, and no data.
#[test]
fn beside_a_mere_proposal_the_older_generation_stays_until_the_point_goes() {
    let (site, [(next, second), (last, third)]) = mostly_garbage();
    compact(&site);
    let session = site.point(next).root.session;
    let proposal = format!("fence/{session}/{}.p", crate::repo::ObjectId::generate());
    site.write(&proposal, Vec::new());
    for _ in 0..4 {
        sweep(&site);
    }
    assert_eq!(site.names("point").len(), 3);
    assert_whole(&site, &[(next, &second), (last, &third)]);
    let dropped = site.repo.drop_point(next, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    for _ in 0..4 {
        sweep(&site);
    }
    assert_eq!(site.names("point").len(), 1);
    assert_whole(&site, &[(last, &third)]);
    let report = site
        .repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &());
    assert_eq!(report.unwrap().counts.garbage_packs, 0);
}
