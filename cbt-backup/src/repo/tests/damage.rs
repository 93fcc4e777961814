//! Every kind of object, cut, flipped, lost or swapped: an error or a finding, never a wrong byte.

use super::site::{BLOCK_BYTES, Site, content, passphrase};
use crate::repo::{Error, Image, PointId, Repository, Severity, VerifyLevel};
use crate::secret::Secret;

fn image(seed: u8) -> Vec<u8> {
    let blocks = (0..20).flat_map(|block| content(block * 3 + seed, BLOCK_BYTES));
    let mut image: Vec<u8> = blocks.collect();
    image.truncate(19 * BLOCK_BYTES + 513);
    image
}

/// Two points: a full, and an increment of four blocks.
fn two_points() -> (Site, Vec<(PointId, Vec<u8>)>) {
    let site = Site::new(2);
    let first = image(1);
    let full = site.backup(&first, None, 1).unwrap();
    let mut second = first.clone();
    let changed = vec![0, 7, 8, 19];
    for block in &changed {
        let from = *block as usize * BLOCK_BYTES;
        let to = second.len().min(from + BLOCK_BYTES);
        second[from..to].copy_from_slice(&content(77 + *block as u8 * 2, to - from));
    }
    let increment = site.backup(&second, Some((full, changed)), 2).unwrap();
    (site, vec![(full, first), (increment, second)])
}

/// True when the damage shows somewhere. A byte that is read is always the right one.
fn shows(site: &Site, points: &[(PointId, Vec<u8>)]) -> bool {
    let Ok(repo) = site.reopen() else { return true };
    let list = site.runtime.block_on(repo.points(None)).unwrap();
    let mut shows = !list.findings.is_empty() || list.points.len() != points.len();
    for (point, image) in points {
        match site.restore(&repo, *point) {
            Ok(bytes) => assert!(bytes == *image),
            Err(_) => shows = true,
        }
    }
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    shows | !report.is_clean()
}

/// True when opening or a verification tells of it.
fn is_told(site: &Site) -> bool {
    let Ok(repo) = site.reopen() else { return true };
    let level = VerifyLevel::Structure;
    let report = repo.verify(site.runtime.handle(), level, &()).unwrap();
    !report.is_clean()
}

#[test]
fn every_object_cut_flipped_or_lost_shows() {
    let (site, points) = two_points();
    assert!(!shows(&site, &points));
    for name in site.names("") {
        let sound = site.read(&name);
        let mut versions = Vec::new();
        for share in [0, 1, 3, 5, 7] {
            let at = sound.len() * share / 8;
            versions.push(sound[..at].to_vec());
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            versions.push(flipped);
        }
        let longer = [sound.as_slice(), b"x"].concat();
        versions.push(longer);
        for version in versions {
            site.write(&name, version);
            let shows = shows(&site, &points);
            // A flipped default in the plain config harms nothing.
            assert!(
                shows || name == "config" || name.starts_with("key/"),
                "{name}"
            );
        }
        site.delete(&name);
        assert!(is_told(&site), "{name}");
        site.write(&name, sound);
        assert!(!shows(&site, &points), "{name}");
    }
}

#[test]
fn a_lost_pack_is_told_with_points_and_byte_ranges_and_heals() {
    let (site, points) = two_points();
    let (full, increment) = (points[0].0, points[1].0);
    // The second data pack of the full: blocks that the increment shares with it.
    let session = site.point(full).root.session;
    let lost = format!("pack/{session}/d00000001");
    site.delete(&lost);
    let repo = site.reopen().unwrap();
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Structure, &())
        .unwrap();
    assert!(!report.is_clean());
    let hit = |point| {
        let findings = report.findings.iter().filter(|f| f.point == Some(point));
        findings
            .filter_map(|f| f.byte_range.clone())
            .map(|r| r.end - r.start)
            .sum::<u64>()
    };
    assert!(
        hit(full) >= hit(increment) && hit(increment) > 0,
        "{:?}",
        report.findings
    );
    let lost_packs: Vec<_> = report
        .damaged_packs
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(lost_packs, [lost.as_str()]);

    // Blocks outside of the lost pack can still be read.
    let point = site.point(increment);
    let image = Image::open(&repo, site.runtime.handle(), &point, 0).unwrap();
    let (mut good, mut bad) = (0, 0);
    for block in 0..19_u64 {
        let mut bytes = vec![0; BLOCK_BYTES];
        match image.read_at(block * BLOCK_BYTES as u64, &mut bytes) {
            Ok(()) => {
                good += 1;
                assert!(bytes == points[1].1[block as usize * BLOCK_BYTES..][..BLOCK_BYTES]);
            }
            Err(Error::Unreadable {
                start_bytes,
                end_bytes,
                ..
            }) => {
                bad += 1;
                assert_eq!(start_bytes, block * BLOCK_BYTES as u64);
                assert_eq!(end_bytes - start_bytes, BLOCK_BYTES as u64);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(good > 0 && bad > 0);

    let healed = site
        .backup(&points[1].1, Some((increment, vec![3])), 3)
        .unwrap();
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, healed).unwrap() == points[1].1);
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.point != Some(healed))
    );
}

#[test]
fn a_lost_node_pack_in_quarantine_heals() {
    let (site, points) = two_points();
    let session = site.point(points[0].0).root.session;
    let lost = format!("pack/{session}/n00000000");
    site.delete(&lost);
    let repo = site.reopen().unwrap();
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Structure, &())
        .unwrap();
    let files = |f: &&crate::repo::Finding| f.point == Some(points[1].0) && f.disk == Some(0);
    assert!(
        report.findings.iter().any(|f| files(&f)),
        "{:?}",
        report.findings
    );
    let site = Site { repo, ..site };
    let healed = site
        .backup(&points[1].1, Some((points[1].0, vec![])), 3)
        .unwrap();
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, healed).unwrap() == points[1].1);
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Point(healed), &())
        .unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert!(report.counts.blobs_checked > 0);
}

#[test]
fn objects_do_not_open_under_another_name() {
    let (site, points) = two_points();
    let roots = site.names("point");
    let (first, second) = (site.read(&roots[0]), site.read(&roots[1]));
    site.write(&roots[0], second);
    site.write(&roots[1], first);
    let repo = site.reopen().unwrap();
    let list = site.runtime.block_on(repo.points(None)).unwrap();
    assert!(list.points.is_empty());
    assert_eq!(list.findings.len(), points.len());
    assert!(
        list.findings
            .iter()
            .all(|f| f.point.is_some() && f.severity == Severity::Error)
    );

    let packs = site.names("pack");
    let data: Vec<_> = packs.iter().filter(|name| name.contains("/d")).collect();
    let (site, points) = (site, points);
    let (a, b) = (site.read(data[0]), site.read(data[1]));
    site.write(data[0], b);
    site.write(data[1], a);
    assert!(shows(&site, &points));
}

#[test]
fn strange_objects_are_told_and_harm_nothing() {
    let (site, points) = two_points();
    site.write("lost+found", vec![1]);
    site.write("point/0123456789abcdef/x", vec![1]);
    let repo = site.reopen().unwrap();
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Structure, &())
        .unwrap();
    assert_eq!(report.findings.len(), 2);
    assert!(report.is_clean());
    assert!(!shows(&site, &points));
}

#[test]
fn the_wrong_passphrase_opens_nothing() {
    let site = Site::new(2);
    let store = crate::repo::Store::with_objects(site.objects.clone(), "memory");
    let wrong = Secret::new("another passphrase".to_owned());
    let opened = site
        .runtime
        .block_on(Repository::open(store.clone(), &wrong));
    assert!(matches!(opened, Err(Error::WrongKey { slots: 1, .. })));
    let empty = Secret::new(String::new());
    assert!(
        site.runtime
            .block_on(Repository::open(store.clone(), &empty))
            .is_err()
    );
    assert!(
        site.runtime
            .block_on(Repository::open(store, &passphrase()))
            .is_ok()
    );
}

#[test]
fn samples_together_read_everything() {
    let (site, _) = two_points();
    let read = |level| {
        let report = site.repo.verify(site.runtime.handle(), level, &()).unwrap();
        assert!(report.is_clean());
        report.counts.packs_read
    };
    let shares = (0..3).map(|remainder| {
        read(VerifyLevel::Sample {
            divisor: 3,
            remainder,
        })
    });
    assert_eq!(shares.sum::<u64>(), read(VerifyLevel::Full));
}

#[test]
fn verifying_a_point_reads_every_block() {
    let (site, points) = two_points();
    let session = site.point(points[0].0).root.session;
    let name = format!("pack/{session}/d00000000");
    let mut bytes = site.read(&name);
    bytes[70] ^= 1;
    site.write(&name, bytes);
    let repo = site.reopen().unwrap();
    let handle = site.runtime.handle();
    let structure = repo.verify(handle, VerifyLevel::Structure, &()).unwrap();
    assert!(structure.is_clean());
    let report = repo
        .verify(handle, VerifyLevel::Point(points[0].0), &())
        .unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let range = report.findings[0].byte_range.clone().unwrap();
    assert!(range.start.is_multiple_of(BLOCK_BYTES as u64));
    assert!(range.end - range.start <= BLOCK_BYTES as u64);
    assert_eq!(
        report
            .damaged_packs
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [name]
    );
    let full = repo.verify(handle, VerifyLevel::Full, &()).unwrap();
    assert!(
        full.findings
            .iter()
            .any(|f| f.byte_range == Some(range.clone()))
    );
}
