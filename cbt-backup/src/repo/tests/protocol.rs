//! Announce, commit, fences, condemned packs, and what a session refuses.

use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::site::{BLOCK_BYTES, Site, cheap, complete, content, info, options, passphrase, spec};
use crate::repo::{
    DiskOutcome, DiskState, Error, Image, ObjectId, PointId, PointKind, PutOutcome, PutStats,
    Repository, SessionOptions, Store, VerifyLevel,
};

fn image() -> Vec<u8> {
    (0..40)
        .flat_map(|block| content(block + 1, BLOCK_BYTES))
        .collect()
}

#[test]
fn a_folder_becomes_a_repository_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("backups").display().to_string();
    let init = |address: &str| {
        let store = Store::create(address).unwrap();
        runtime.block_on(Repository::init(store, &passphrase(), cheap(8)))
    };
    let open =
        |address: &str| runtime.block_on(Repository::open(Store::open(address)?, &passphrase()));
    assert!(matches!(open(&address), Err(Error::NoRepository { .. })));
    let repo = init(&address).unwrap();
    assert!(matches!(
        init(&address),
        Err(Error::AlreadyRepository { .. })
    ));
    assert_eq!(open(&address).unwrap().config().id, repo.config().id);
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("letter.txt"), "dear").unwrap();
    let other = other.path().display().to_string();
    assert!(matches!(init(&other), Err(Error::NotEmpty { .. })));
    assert!(matches!(open(&other), Err(Error::NoRepository { .. })));
}

#[test]
fn a_local_folder_holds_points() {
    let folder = tempfile::tempdir().unwrap();
    let objects = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let site = Site::over(std::sync::Arc::new(objects), 8);
    let image = image();
    let point = site.backup(&image, None, 1).unwrap();
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image);
    let report = site
        .repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let session = site.point(point).root.session;
    let lost = folder.path().join(format!("pack/{session}/d00000000"));
    std::fs::remove_file(lost).unwrap();
    let healed = site.backup(&image, Some((point, Vec::new())), 2).unwrap();
    assert!(site.restore(&site.reopen().unwrap(), healed).unwrap() == image);
}

#[test]
fn outcomes_tell_what_became_of_each_block() {
    let site = Site::new(2);
    let block = |seed| content(seed, BLOCK_BYTES);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, 6 * BLOCK_BYTES as u64))
        .unwrap();
    assert!(matches!(
        session.put(slot, 0, &block(1)),
        Ok(PutOutcome::New { .. })
    ));
    assert_eq!(
        session.put(slot, 1, &block(1)).unwrap(),
        PutOutcome::Duplicate
    );
    assert_eq!(session.put(slot, 2, &block(0)).unwrap(), PutOutcome::Hole);
    session.put_hole(slot, 3, 3).unwrap();
    session.set_disk_state(slot, complete());
    let full = session.commit(info(PointKind::Full, 1)).unwrap();
    assert_eq!(
        (
            full.stats.new_blocks,
            full.stats.duplicate_blocks,
            full.stats.hole_blocks
        ),
        (1, 1, 4)
    );

    let session = site.begin().unwrap();
    assert_eq!(session.parents()[0].id(), full.point);
    let slot = session
        .add_disk(Site::disk(Some(full.point), 6 * BLOCK_BYTES as u64))
        .unwrap();
    assert_eq!(
        session.put(slot, 0, &block(1)).unwrap(),
        PutOutcome::Unchanged
    );
    session.set_disk_state(slot, complete());
    let same = session.commit(info(PointKind::Incremental, 2)).unwrap();
    // Nothing changed: the tree is the very same.
    let tree = |point| site.point(point).root.disks[0].tree;
    assert_eq!(tree(full.point), tree(same.point));
    assert_eq!(same.stats.stored_bytes, 0);
}

#[test]
fn an_increment_writes_only_paths_that_changed() {
    let site = Site::new(2);
    let mut image: Vec<u8> = (0..250)
        .flat_map(|block| content(block + 1, BLOCK_BYTES))
        .collect();
    let full = site.backup(&image, None, 1).unwrap();
    image[100 * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(&content(254, BLOCK_BYTES));
    let before = site.names("pack").len();
    let point = site.backup(&image, Some((full, vec![100])), 2).unwrap();
    // One data pack, one node pack, one usage table.
    assert_eq!(site.names("pack").len() - before, 3);
    let session = site.point(point).root.session;
    let nodes = site.read(&format!("pack/{session}/n00000000"));
    assert!(
        nodes.len() < 3000,
        "{} bytes for a path of four nodes and a file",
        nodes.len()
    );
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image);
}

#[test]
fn misuse_is_refused_and_makes_no_point() {
    let site = Site::new(2);
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, 3 * BLOCK_BYTES as u64 + 512))
        .unwrap();
    let block = content(1, BLOCK_BYTES);
    assert!(matches!(
        session.put(slot, 0, &block[1..]),
        Err(Error::BadBlock { .. })
    ));
    assert!(matches!(
        session.put(slot, 3, &block),
        Err(Error::BadBlock { .. })
    ));
    assert!(session.put(slot, 3, &block[..512]).is_ok());
    assert!(matches!(
        session.put(slot, 4, &block),
        Err(Error::BadBlock { .. })
    ));
    assert!(matches!(
        session.put_hole(slot, 3, 2),
        Err(Error::BadBlock { .. })
    ));
    session.put(slot, 0, &block).unwrap();
    assert!(matches!(
        session.put(slot, 0, &block),
        Err(Error::BlockNotOpen { block: 0, .. })
    ));
    assert!(matches!(
        session.put_hole(slot, 0, 4),
        Err(Error::BlockNotOpen { .. })
    ));
    let unknown = session.add_disk(Site::disk(Some(PointId::generate()), 512));
    assert!(matches!(unknown, Err(Error::BadParent { .. })));
    assert!(matches!(
        session.add_disk(Site::disk(None, 0)),
        Err(Error::OutOfRange { .. })
    ));
    let undecided = session.commit(info(PointKind::Full, 1));
    assert!(matches!(undecided, Err(Error::DiskUndecided { .. })));
    assert!(site.names("point").is_empty());
    assert!(site.names("open").is_empty());
}

#[test]
fn a_disk_cannot_shrink_and_a_cut_block_must_be_read_again() {
    let site = Site::new(2);
    let image = content(5, 3 * BLOCK_BYTES + 100);
    let full = site.backup(&image, None, 1).unwrap();
    let session = site.begin().unwrap();
    let shrunk = session.add_disk(Site::disk(Some(full), 3 * BLOCK_BYTES as u64));
    assert!(matches!(shrunk, Err(Error::BadParent { .. })));
    let slot = session
        .add_disk(Site::disk(Some(full), 9 * BLOCK_BYTES as u64))
        .unwrap();
    let missing = session.unreadable_blocks(slot);
    assert_eq!(
        missing
            .iter()
            .map(|run| (run.first, run.blocks))
            .collect::<Vec<_>>(),
        [(3, 1)]
    );
    session.set_disk_state(slot, complete());
    let committed = session.commit(info(PointKind::Incremental, 2));
    assert!(matches!(
        committed,
        Err(Error::BlocksMissing { blocks: 1, .. })
    ));
}

#[test]
fn failed_disks_are_carried_or_absent() {
    let site = Site::new(2);
    let image = image();
    let full = site.backup(&image, None, 1).unwrap();
    let session = site.begin().unwrap();
    let carried = session
        .add_disk(Site::disk(Some(full), image.len() as u64))
        .unwrap();
    session.put(carried, 0, &content(99, BLOCK_BYTES)).unwrap();
    let reason = "the disk went away".to_owned();
    session.set_disk_state(
        carried,
        DiskOutcome::Carried {
            from: full,
            reason: reason.clone(),
        },
    );
    let absent = session.add_disk(Site::disk(None, 4096)).unwrap();
    session.put(absent, 0, &content(97, 4096)).unwrap();
    session.set_disk_state(absent, DiskOutcome::Absent { reason });
    let point = session
        .commit(info(PointKind::Incremental, 2))
        .unwrap()
        .point;
    let root = site.point(point).root;
    assert!(matches!(root.disks[0].state, DiskState::Carried { from, .. } if from == full));
    assert_eq!(root.disks[0].change_id.as_deref(), Some("52 c0/7"));
    assert_eq!(root.disks[1].change_id, None);
    // What failed disks have put counts nowhere.
    assert_eq!(root.stats, PutStats::default());
    assert!(root.disks.iter().all(|disk| disk.stats == root.stats));
    assert!(site.restore(&site.repo, point).unwrap() == image);
    let open = Image::open(&site.repo, site.runtime.handle(), &site.point(point), 1);
    assert!(matches!(open, Err(Error::DiskAbsent { .. })));
    let list = site.runtime.block_on(site.repo.points(None)).unwrap();
    assert_eq!(
        list.points.iter().map(|p| p.complete).collect::<Vec<_>>(),
        [true, false]
    );
    let report = site
        .repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn condemned_packs_are_read_from_the_source_again() {
    let site = Site::new(2);
    let image = image();
    let full = site.backup(&image, None, 1).unwrap();
    let packs = site.names("pack");
    let condemned: Vec<_> = packs
        .iter()
        .filter(|name| name.ends_with("/d00000002"))
        .filter_map(|name| match crate::repo::name::ObjectName::parse(name) {
            Some(crate::repo::name::ObjectName::Pack(pack)) => Some(pack),
            _ => None,
        })
        .collect();
    // A sweep's list has the form of a quarantine's; here the name makes no difference.
    site.runtime
        .block_on(site.repo.quarantine(condemned))
        .unwrap();
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), image.len() as u64))
        .unwrap();
    let missing = session.unreadable_blocks(slot);
    assert!(!missing.is_empty());
    for run in missing {
        for block in run.first..run.first + run.blocks {
            let data = &image[block as usize * BLOCK_BYTES..][..BLOCK_BYTES];
            // The parent has the same, but in a pack that cannot be relied on.
            assert!(matches!(
                session.put(slot, block, data),
                Ok(PutOutcome::New { .. })
            ));
        }
    }
    session.set_disk_state(slot, complete());
    let point = session
        .commit(info(PointKind::Incremental, 2))
        .unwrap()
        .point;
    let gone = packs
        .iter()
        .find(|name| name.ends_with("/d00000002"))
        .unwrap();
    site.delete(gone);
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image);
    let level = VerifyLevel::Point(point);
    let report = site.repo.verify(site.runtime.handle(), level, &()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn a_list_that_cannot_be_read_stops_the_session() {
    let site = Site::new(2);
    site.write(&format!("sweep/{}", ObjectId::generate()), vec![1; 50]);
    assert!(site.begin().unwrap_err().is_damage());
    assert!(site.names("open").is_empty());
}

#[test]
fn a_final_fence_ends_the_point_and_a_proposal_is_waited_for() {
    let site = Site::new(2);
    for (end, last) in [("f", true), ("p", false)] {
        let session = site.begin().unwrap();
        Site::fill(&session, &image(), None).unwrap();
        let fence = format!("fence/{}/{}.{end}", session.id(), ObjectId::generate());
        site.write(&fence, Vec::new());
        let open = site.runtime.block_on(site.repo.open_sessions()).unwrap();
        let open = open.iter().find(|open| open.session == session.id());
        let point = open.and_then(|open| open.point).unwrap();
        match session.commit(info(PointKind::Full, 1)) {
            Err(Error::Fenced { point: fenced, .. }) => assert!(last && fenced == point),
            Err(Error::FenceUndecided { .. }) => assert!(!last),
            other => panic!("{other:?}"),
        }
        let list = site.runtime.block_on(site.repo.points(None)).unwrap();
        // The root is left alone in every case; only the final fence hides it.
        assert_eq!(list.points.iter().any(|p| p.id == point), !last);
        assert_eq!(site.names("point").len(), if last { 1 } else { 2 });
    }
}

#[test]
fn a_proposal_that_is_withdrawn_lets_the_session_succeed() {
    let site = Site::new(2);
    let patient = SessionOptions {
        fence_looks: u32::MAX,
        ..options()
    };
    let begin = site.repo.begin(spec(), site.runtime.handle(), patient);
    let session = site.runtime.block_on(begin).unwrap();
    Site::fill(&session, &image(), None).unwrap();
    let fence = format!("fence/{}/{}.p", session.id(), ObjectId::generate());
    site.write(&fence, Vec::new());
    let (objects, repo) = (site.objects.clone(), site.repo.clone());
    let withdraw = site.runtime.spawn(async move {
        while repo.points(None).await.unwrap().points.is_empty() {
            tokio::task::yield_now().await;
        }
        objects.delete(&Path::from(fence)).await.unwrap();
    });
    assert!(session.commit(info(PointKind::Full, 1)).is_ok());
    site.runtime.block_on(withdraw).unwrap();
    assert!(site.names("open").is_empty());
}

#[test]
fn tombstones_hide_points_and_prefixes_find_them() {
    let site = Site::new(2);
    let first = site.backup(&image(), None, 1).unwrap();
    let second = site.backup(&image(), None, 2).unwrap();
    let resolve = |text: &str| site.runtime.block_on(site.repo.resolve(text));
    assert_eq!(resolve(&first.to_string().to_lowercase()).unwrap(), first);
    assert!(matches!(
        resolve("0"),
        Err(Error::PointAmbiguous { matches: 2, .. })
    ));
    assert!(matches!(resolve("8"), Err(Error::PointNotFound { .. })));
    site.write(&format!("dead/{first}"), Vec::new());
    assert_eq!(resolve("0").unwrap(), second);
    assert!(matches!(
        site.runtime.block_on(site.repo.point(&first)),
        Err(Error::PointNotFound { .. })
    ));
    let pin = |point| {
        let points = [point];
        let pin = site.repo.pin(
            &points,
            "here",
            Duration::from_mins(1),
            site.runtime.handle(),
        );
        site.runtime.block_on(pin)
    };
    assert!(matches!(pin(first), Err(Error::PointNotFound { .. })));
    assert!(site.names("open").is_empty());
    let pin = pin(second).unwrap().unwrap();
    let open = site.runtime.block_on(site.repo.open_sessions()).unwrap();
    assert!(open.iter().any(|session| session.pinned == [second]));
    site.runtime.block_on(pin.close()).unwrap();
}

#[test]
fn the_heart_beat_moves_and_stops() {
    let site = Site::new(2);
    let quick = SessionOptions {
        heartbeat: Duration::from_millis(1),
        ..options()
    };
    let begin = site.repo.begin(spec(), site.runtime.handle(), quick);
    let session = site.runtime.block_on(begin).unwrap();
    let name = format!("open/{}", session.id());
    let (first, mut counter) = (site.read(&name), 0);
    while counter < 3 {
        let open = site.runtime.block_on(site.repo.open_sessions()).unwrap();
        assert_eq!(open[0].session, session.id());
        assert!(open[0].point.is_some());
        assert_eq!(open[0].vm, Some(site.repo.vm_key("vc", "vm")));
        counter = open[0].counter;
    }
    assert_ne!(site.read(&name), first);
    session.abandon();
    assert!(site.names("open").is_empty());
}

#[test]
fn what_a_later_program_needs_is_refused_by_name() {
    let site = Site::new(2);
    let point = site.backup(&image(), None, 1).unwrap();
    let name = site.point(point).name.to_string();
    let mut root = serde_json::to_value(site.point(point).root).unwrap();
    root["remark"] = "a field nobody knows".into();
    let write = |root: &serde_json::Value| {
        let (store, keys) = (site.repo.store(), site.repo.keys());
        let put = store.put_sealed(keys, &name, root, 16 << 20);
        site.runtime.block_on(put).unwrap();
        site.runtime.block_on(site.repo.point(&point))
    };
    assert!(write(&root).is_ok());
    root["needs"] = vec!["time travel"].into();
    assert!(
        write(&root)
            .unwrap_err()
            .to_string()
            .contains("time travel")
    );
    root["format"] = 9.into();
    assert!(matches!(
        write(&root),
        Err(Error::FormatTooNew { found: 9, .. })
    ));
}

#[test]
fn files_of_the_configuration_come_back() {
    let site = Site::new(2);
    let point = site.backup(&image(), None, 1).unwrap();
    let root = site.point(point).root;
    let file = site
        .runtime
        .block_on(site.repo.file(&root.files[0]))
        .unwrap();
    assert_eq!(file, b"<config/>");
}
