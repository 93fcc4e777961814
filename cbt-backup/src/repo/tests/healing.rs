//! What is lost or damaged is read from the source again, with and without a verification before.

use super::site::{BLOCK_BYTES, Site, complete, content, info};
use crate::repo::{DiskOutcome, DiskState, PointId, PointKind, RetentionPolicy, VerifyLevel, plan};

const BLOCKS: u64 = 40;

fn image() -> Vec<u8> {
    // Each block compresses to nothing or is all its own, so packs of both kinds are several.
    (0..BLOCKS)
        .flat_map(|block| content(block as u8 * 2 + 1, BLOCK_BYTES))
        .collect()
}

/// A full and an increment of one block; data and node packs of the full that both need.
fn two_points() -> (Site, Vec<u8>, PointId, Vec<String>) {
    let site = Site::new(2);
    let mut image = image();
    let full = site.backup(&image, None, 1).unwrap();
    image[..BLOCK_BYTES].copy_from_slice(&content(201, BLOCK_BYTES));
    let increment = site.backup(&image, Some((full, vec![0])), 2).unwrap();
    let table = site.point(increment).root.usage;
    let table = site.runtime.block_on(site.repo.usage(&table)).unwrap();
    let session = site.point(full).root.session;
    let needs = table.of_disk(0);
    let needed = needs.packs();
    let mut packs: Vec<String> = needed
        .filter(|pack| pack.session == session)
        .map(|pack| pack.to_string())
        .collect();
    packs.sort();
    assert!(packs.iter().any(|name| name.contains("/n")), "{packs:?}");
    assert!(packs.iter().any(|name| name.contains("/d")), "{packs:?}");
    (site, image, increment, packs)
}

/// The next backup is bit-equal and needs nothing that is damaged.
fn assert_heals(site: &Site, image: &[u8], parent: PointId, full: bool) {
    let all = || (0..BLOCKS).collect();
    let blocks = if full { all() } else { vec![7] };
    let site = Site {
        repo: site.reopen().unwrap(),
        runtime: tokio::runtime::Runtime::new().unwrap(),
        objects: site.objects.clone(),
    };
    let healed = site.backup(image, Some((parent, blocks)), 3).unwrap();
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, healed).unwrap() == image);
    for level in [VerifyLevel::Point(healed), VerifyLevel::Full] {
        let report = repo.verify(site.runtime.handle(), level, &()).unwrap();
        let of_the_new = |finding: &&crate::repo::Finding| finding.point == Some(healed);
        let first = report.findings.iter().find(of_the_new);
        assert_eq!(first, None);
    }
}

#[test]
fn the_next_backup_heals_lost_and_cut_packs_without_a_verification() {
    let (site, image, increment, packs) = two_points();
    for name in &packs {
        let sound = site.read(name);
        for length in [None, Some(sound.len() - 1), Some(70), Some(0)] {
            for full in [false, true] {
                match length {
                    None => site.delete(name),
                    Some(length) => site.write(name, sound[..length].to_vec()),
                }
                assert_heals(&site, &image, increment, full);
                // The quarantine of assert_heals must not help the next turn.
                for list in site.names("sweep") {
                    site.delete(&list);
                }
            }
        }
        site.write(name, sound);
    }
}

#[test]
fn the_next_backup_heals_what_a_verification_has_found_rotten() {
    let (site, image, increment, packs) = two_points();
    for name in &packs {
        let sound = site.read(name);
        let mut rotten = sound.clone();
        rotten[70] ^= 1;
        site.write(name, rotten);
        let report = site
            .reopen()
            .unwrap()
            .verify(site.runtime.handle(), VerifyLevel::Full, &())
            .unwrap();
        assert!(report.quarantined, "{:?}", report.findings);
        for full in [false, true] {
            assert_heals(&site, &image, increment, full);
        }
        site.write(name, sound);
    }
}

#[test]
fn a_leaf_that_is_lost_while_another_pack_is_healed_is_an_error_and_no_hole() {
    let (site, image, increment, packs) = two_points();
    let data = packs.iter().find(|name| name.contains("/d")).unwrap();
    site.delete(data);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(increment), image.len() as u64))
        .unwrap();
    let missing = session.unreadable_blocks(slot);
    assert!(!missing.is_empty() && missing.iter().map(|run| run.blocks).sum::<u64>() < BLOCKS);
    session.expect_blocks(slot, missing.clone());
    session.expect_no_others(slot);
    // Of a larger disk few nodes are kept in memory.
    site.repo.forget_nodes();
    for name in packs.iter().filter(|name| name.contains("/n")) {
        site.delete(name);
    }
    let heal = || {
        for run in missing {
            for block in run.first..run.first + run.blocks {
                let data = &image[block as usize * BLOCK_BYTES..][..BLOCK_BYTES];
                session.put(slot, block, data)?;
            }
        }
        session.set_disk_state(slot, complete());
        session.commit(info(PointKind::Incremental, 3))
    };
    let error = heal().unwrap_err();
    assert!(error.is_damage(), "{error}");
}

#[test]
fn a_lost_leaf_may_become_a_hole() {
    let (site, mut image, increment, packs) = two_points();
    for name in packs.iter().filter(|name| name.contains("/n")) {
        site.delete(name);
    }
    image.fill(0);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(increment), image.len() as u64))
        .unwrap();
    session.put_hole(slot, 0, BLOCKS).unwrap();
    session.set_disk_state(slot, complete());
    let point = session.commit(info(PointKind::Full, 3)).unwrap().point;
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image);
    assert_eq!(site.point(point).root.disks[0].tree, None);
}

#[test]
fn a_disk_is_not_carried_on_packs_that_cannot_be_relied_on() {
    let (site, image, increment, packs) = two_points();
    let data = packs.iter().find(|name| name.contains("/d")).unwrap();
    site.delete(data);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(increment), image.len() as u64))
        .unwrap();
    // That the blocks themselves come again is no help: the parent's tree would be carried.
    for run in session.unreadable_blocks(slot) {
        for block in run.first..run.first + run.blocks {
            let data = &image[block as usize * BLOCK_BYTES..][..BLOCK_BYTES];
            session.put(slot, block, data).unwrap();
        }
    }
    session.set_disk_state(
        slot,
        DiskOutcome::Carried {
            from: increment,
            reason: "the disk went away".to_owned(),
        },
    );
    let committed = session.commit(info(PointKind::Incremental, 3)).unwrap();
    let root = site.point(committed.point).root;
    let DiskState::Absent { reason } = &root.disks[0].state else {
        panic!("{:?}", root.disks[0].state);
    };
    assert!(reason.starts_with("the disk went away; "), "{reason}");
    assert!(reason.contains(&increment.to_string()), "{reason}");
    assert!(reason.contains("1 of the packs"), "{reason}");
    assert_eq!(
        (root.disks[0].tree, root.disks[0].change_id.as_ref()),
        (None, None)
    );
    assert_eq!(root.stats, committed.stats);
    assert_eq!(root.stats.put_blocks, 0);
    let level = VerifyLevel::Point(committed.point);
    let report = site.repo.verify(site.runtime.handle(), level, &()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn a_point_whose_packs_are_in_quarantine_is_not_complete_and_retention_keeps_a_sound_one() {
    let site = Site::new(2);
    let mut image = image();
    let full = site.backup(&image, None, 1).unwrap();
    image[..BLOCK_BYTES].copy_from_slice(&content(201, BLOCK_BYTES));
    let increment = site.backup(&image, Some((full, vec![0])), 2).unwrap();
    // A pack that only the increment needs.
    let session = site.point(increment).root.session;
    let pack = site
        .names("pack")
        .into_iter()
        .find(|name| name.contains(&session.to_string()) && name.contains("/d"))
        .unwrap();
    site.delete(&pack);
    let state = || {
        let listed = site.runtime.block_on(site.repo.points(None)).unwrap();
        assert!(listed.findings.is_empty());
        let points = listed.points.iter();
        let state: Vec<_> = points
            .map(|point| (point.complete, point.damaged))
            .collect();
        (listed, state)
    };
    assert_eq!(
        state().1,
        [(true, false), (true, false)],
        "nobody knows yet"
    );
    site.repo
        .verify(site.runtime.handle(), VerifyLevel::Structure, &())
        .unwrap();
    let (listed, told) = state();
    assert_eq!(told, [(true, false), (false, true)]);
    let policy = RetentionPolicy {
        last: 1,
        ..RetentionPolicy::default()
    };
    let zone = jiff::tz::TimeZone::UTC;
    let verdicts = plan(&listed.points, &policy, &zone, jiff::Timestamp::now()).unwrap();
    assert!(
        verdicts.iter().all(crate::repo::Verdict::is_kept),
        "{verdicts:?}"
    );
}
