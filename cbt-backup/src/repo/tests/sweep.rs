//! Sweeps beside sessions, readers and each other.

use std::time::Duration;

use super::site::{BLOCK_BYTES, Site, content, info, options, spec};
use crate::repo::name::RootName;
use crate::repo::{
    Error, PointId, PointKind, SessionOptions, SweepOptions, SweepReport, VerifyLevel,
};

fn image(seed: u8) -> Vec<u8> {
    (0..30)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

/// No bin, looks that follow each other at once, and no limit.
pub(super) fn at_once() -> SweepOptions {
    SweepOptions {
        bin_ms: 0,
        lost_ms: 0,
        look_interval: Duration::from_millis(1),
        max_percent: 100,
        ..SweepOptions::default()
    }
}

fn sweep(site: &Site) -> SweepReport {
    let swept = site.repo.sweep(at_once(), &());
    site.runtime.block_on(swept).unwrap()
}

fn drop_point(site: &Site, point: PointId) {
    let dropped = site.repo.drop_point(point, "proxy", "named", 1_000);
    site.runtime.block_on(dropped).unwrap();
}

#[track_caller]
fn assert_clean(site: &Site) {
    let repo = site.reopen().unwrap();
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn what_no_point_needs_goes_and_the_rest_stays() {
    let site = Site::new(2);
    let (first, second) = (image(1), image(101));
    let full = site.backup(&first, None, 1).unwrap();
    let half = (0..15).collect();
    let mixed = [&second[..15 * BLOCK_BYTES], &first[15 * BLOCK_BYTES..]].concat();
    let next = site.backup(&mixed, Some((full, half)), 2).unwrap();
    assert_eq!(sweep(&site).packs_deleted, 0);
    let before = site.names("pack").len();

    // In the bin nothing goes.
    drop_point(&site, full);
    let in_bin = SweepOptions {
        now_ms: 2_000,
        bin_ms: 1_500,
        ..at_once()
    };
    let report = site.runtime.block_on(site.repo.sweep(in_bin, &())).unwrap();
    assert_eq!((report.packs_deleted, report.roots_removed), (0, 0));

    let dry = SweepOptions {
        dry_run: true,
        ..at_once()
    };
    let told = site.runtime.block_on(site.repo.sweep(dry, &())).unwrap();
    assert!(told.packs_deleted > 0);
    assert_eq!(site.names("pack").len(), before);

    let report = sweep(&site);
    assert_eq!(report.packs_deleted, told.packs_deleted);
    assert_eq!(
        site.names("pack").len() as u64,
        before as u64 - report.packs_deleted
    );
    assert_eq!(report.roots_removed, 1);
    assert!(site.restore(&site.reopen().unwrap(), next).unwrap() == mixed);
    assert_clean(&site);
    // The tombstone guards nothing any more once the root was seen to be gone.
    assert_eq!(site.names("dead").len(), 1);
    assert_eq!(sweep(&site).leftovers_removed, 1);
    assert!(site.names("dead").is_empty() && site.names("sweep").is_empty());
    let gone = site
        .repo
        .undelete(site.runtime.handle(), full, "", options());
    assert!(matches!(gone, Err(Error::PointNotFound { .. })));
}

#[test]
fn a_writer_that_was_fenced_fails_when_it_wakes() {
    let site = Site::new(2);
    let (first, second) = (image(1), image(51));
    let full = site.backup(&first, None, 1).unwrap();
    // Its heart-beat comes once a minute: to a sweep that looks twice at once it is dead.
    let session = site.begin().unwrap();
    let kind = Site::fill(&session, &second, Some((full, (0..30).collect()))).unwrap();
    let id = session.id();
    assert_eq!(sweep(&site).fenced, [id]);
    let woken = session.commit(info(kind, 2));
    assert!(matches!(woken, Err(Error::Fenced { .. })), "{woken:?}");
    // Its root is there, does not count, and goes; then its packs go.
    assert_eq!(site.names("point").len(), 2);
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    assert_eq!(list.points.len(), 1);
    let report = sweep(&site);
    assert_eq!((report.roots_removed, report.fenced.len()), (1, 0));
    assert_eq!(site.names(&format!("pack/{id}")).len(), 0);
    assert!(
        !site.names(&format!("fence/{id}")).is_empty(),
        "it stays for ever"
    );
    assert!(site.names("open").is_empty());
    assert!(site.restore(&site.reopen().unwrap(), full).unwrap() == first);
    assert_clean(&site);
}

#[test]
fn a_session_that_died_leaves_nothing_after_two_sweeps() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let session = site.begin().unwrap();
    Site::fill(&session, &image(51), Some((full, (0..30).collect()))).unwrap();
    let id = session.id();
    drop(session);
    assert!(!site.names(&format!("pack/{id}")).is_empty());
    sweep(&site);
    sweep(&site);
    assert!(site.names(&format!("pack/{id}")).is_empty());
    assert!(site.names("open").is_empty() && site.names("sweep").is_empty());
    assert_clean(&site);
}

#[test]
fn a_sweep_waits_for_a_session_that_lives() {
    let site = Site::new(2);
    let (first, second) = (image(1), image(51));
    let full = site.backup(&first, None, 1).unwrap();
    let lively = SessionOptions {
        heartbeat: Duration::from_millis(1),
        ..options()
    };
    let begin = site.repo.begin(spec(), site.runtime.handle(), lively);
    let session = site.runtime.block_on(begin).unwrap();
    Site::fill(&session, &second, Some((full, (0..30).collect()))).unwrap();
    drop_point(&site, full);
    let patient = |max_looks| SweepOptions {
        look_interval: Duration::from_millis(100),
        max_looks,
        ..at_once()
    };
    let gave_up = site
        .runtime
        .block_on(site.repo.sweep(patient(Some(2)), &()));
    let gave_up = gave_up.unwrap();
    assert_eq!(gave_up.still_open, [session.id()]);
    assert_eq!((gave_up.packs_deleted, gave_up.roots_removed), (0, 0));
    assert!(site.names("sweep").is_empty());

    let next = std::thread::scope(|scope| {
        let sweep = scope.spawn(|| site.runtime.block_on(site.repo.sweep(patient(None), &())));
        while site.names("sweep").is_empty() {
            std::thread::yield_now();
        }
        // The parent's packs are condemned by now, but this session has taken them over.
        let next = session.commit(info(PointKind::Incremental, 2)).unwrap();
        let report = sweep.join().unwrap().unwrap();
        assert!(report.fenced.is_empty() && report.still_open.is_empty());
        next.point
    });
    assert!(site.restore(&site.reopen().unwrap(), next).unwrap() == second);
    assert_clean(&site);
}

#[test]
fn a_reader_keeps_its_point_though_it_was_dropped() {
    let site = Site::new(2);
    let image = image(1);
    let full = site.backup(&image, None, 1).unwrap();
    let next = site.backup(&content(33, 9 * BLOCK_BYTES), None, 2).unwrap();
    let handle = site.runtime.handle();
    let often = Duration::from_millis(1);
    let points = [full];
    let pin = site.repo.pin(&points, "proxy", often, handle);
    let pin = site.runtime.block_on(pin).unwrap();
    assert!(pin.is_some());
    let point = site.point(full);
    drop_point(&site, full);
    let slow = SweepOptions {
        look_interval: Duration::from_millis(100),
        ..at_once()
    };
    let report = site.runtime.block_on(site.repo.sweep(slow, &())).unwrap();
    assert_eq!((report.packs_deleted, report.roots_removed), (0, 0));
    let disk = crate::repo::Image::open(&site.reopen().unwrap(), handle, &point, 0).unwrap();
    let mut bytes = vec![0; image.len()];
    disk.read_at(0, &mut bytes).unwrap();
    assert!(bytes == image);
    site.runtime.block_on(pin.unwrap().close()).unwrap();
    assert!(sweep(&site).packs_deleted > 0);
    assert!(site.restore(&site.repo, next).is_ok());
}

#[test]
fn a_reader_that_died_holds_its_point_for_one_more_sweep() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let rarely = Duration::from_mins(1);
    let points = [full];
    let pin = site.repo.pin(&points, "", rarely, site.runtime.handle());
    drop(site.runtime.block_on(pin).unwrap());
    drop_point(&site, full);
    assert_eq!(sweep(&site).packs_deleted, 0);
    assert!(site.names("open").is_empty());
    assert!(sweep(&site).packs_deleted > 0);
    assert!(site.names("pack").is_empty());
}

#[test]
fn a_living_point_that_cannot_be_read_stops_the_sweep() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let next = site.backup(&image(51), None, 2).unwrap();
    let name = site.point(full).name.to_string();
    let mut bytes = site.read(&name);
    bytes[40] ^= 1;
    site.write(&name, bytes);
    let before = site.names("");
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    assert!(
        matches!(swept, Err(Error::Unsweepable { point, .. }) if point == full),
        "{swept:?}"
    );
    assert_eq!(site.names(""), before);
    // Dropped it stops nobody.
    drop_point(&site, full);
    assert!(sweep(&site).packs_deleted > 0);
    assert!(site.restore(&site.reopen().unwrap(), next).is_ok());
    assert_clean(&site);
}

#[test]
fn too_much_at_once_is_refused() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    drop_point(&site, full);
    let careful = SweepOptions {
        max_percent: 99,
        ..at_once()
    };
    let before = site.names("");
    let swept = site.runtime.block_on(site.repo.sweep(careful, &()));
    assert!(
        matches!(swept, Err(Error::TooMuchGarbage { .. })),
        "{swept:?}"
    );
    assert_eq!(site.names(""), before);
}

#[test]
fn lists_of_sweeps_that_died_go_with_their_packs() {
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let next = site.backup(&image(51), None, 2).unwrap();
    let pack_of = |point| {
        let session = site.point(point).root.session;
        crate::repo::PackId {
            kind: crate::repo::PackKind::Data,
            session,
            seq: 0,
        }
    };
    let list = site.repo.quarantine(vec![pack_of(full)]);
    site.runtime.block_on(list).unwrap();
    sweep(&site);
    assert_eq!(site.names("sweep").len(), 1, "its pack is there");
    drop_point(&site, full);
    sweep(&site);
    assert!(site.names("sweep").is_empty());
    // A lost pack that a living point names stays on its list.
    let list = site.repo.quarantine(vec![pack_of(next)]);
    site.runtime.block_on(list).unwrap();
    site.delete(&pack_of(next).to_string());
    sweep(&site);
    assert_eq!(site.names("sweep").len(), 1);
}

#[test]
fn trees_are_counted_when_a_table_is_wrong() {
    // A table that names too little is written by hand: the point's own usage row is taken out.
    let site = Site::new(2);
    let full = site.backup(&image(1), None, 1).unwrap();
    let point = site.point(full);
    let mut usage = site
        .runtime
        .block_on(site.repo.usage(&point.root.usage))
        .unwrap();
    let ((disk, first), _) = usage.rows().next().unwrap();
    let mut needs = usage.of_disk(disk);
    needs.remove(first);
    usage.set(disk, needs);
    let session = site.begin().unwrap();
    let forged = session.forge_root(&point, &usage).unwrap();
    drop_point(&site, full);
    let trusting = SweepOptions {
        recount: false,
        dry_run: true,
        ..at_once()
    };
    let told = site
        .runtime
        .block_on(site.repo.sweep(trusting, &()))
        .unwrap();
    assert!(told.packs_deleted > 0, "by the table alone a pack would go");
    let report = sweep(&site);
    assert_eq!(report.packs_untold, 1);
    assert!(site.restore(&site.reopen().unwrap(), forged).unwrap() == image(1));
}

/// Somebody who cannot seal a root can still put an object under the name of a later generation. It hides the
/// point until it is removed; nothing that the point needs goes meanwhile, whatever it says.
#[test]
fn a_root_under_a_made_up_higher_generation_costs_no_data() {
    let site = Site::new(2);
    let (first, other) = (image(1), image(51));
    let full = site.backup(&first, None, 1).unwrap();
    let next = site.backup(&other, None, 2).unwrap();
    let real = site.point(full).name;
    let bytes = site.read(&real.to_string());
    let sessions = [
        real.session,
        site.point(next).name.session,
        crate::repo::SessionId::generate(),
    ];
    for content in [bytes, b"?".to_vec(), Vec::new()] {
        for session in sessions {
            let made_up = RootName {
                generation: 9,
                session,
                ..real.clone()
            };
            let made_up = made_up.to_string();
            site.write(&made_up, content.clone());
            let before = site.names("");
            for _ in 0..2 {
                let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
                assert!(
                    matches!(swept, Err(Error::Unsweepable { point, .. }) if point == full),
                    "{swept:?}"
                );
            }
            assert_eq!(site.names(""), before);
            let repo = site.reopen().unwrap();
            let list = site.runtime.block_on(repo.points(None)).unwrap();
            let named = list.findings.iter().map(|finding| &finding.object);
            assert_eq!(named.collect::<Vec<_>>(), [&made_up]);
            assert!(site.restore(&repo, full).unwrap_err().is_damage());
            assert!(site.restore(&repo, next).unwrap() == other);
            site.delete(&made_up);
            assert!(site.restore(&repo, full).unwrap() == first);
            sweep(&site);
            assert_clean(&site);
        }
    }
}
