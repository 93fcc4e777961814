//! Seeds: the first full of a VM does not store what a similar VM has, and nothing is lost by that.

use std::collections::BTreeSet;

use super::compaction::{compact, sweep};
use super::site::{BLOCK_BYTES, Site, complete, content, info, options, spec};
use super::sweep::at_once;
use crate::repo::name::ObjectName;
use crate::repo::{
    Committed, Error, PackId, PointId, PointKind, SeedReport, Session, SessionOptions, SessionSpec,
    VerifyLevel, VmIdentity,
};

const BLOCKS: usize = 40;

/// A disk each block of which has its own content; the blocks of `changed` have another one.
fn image(changed: &[usize]) -> Vec<u8> {
    let seed = |block: usize| block as u8 * 2 + 1 + u8::from(changed.contains(&block)) * 100;
    let blocks = (0..BLOCKS).flat_map(|block| content(seed(block), BLOCK_BYTES));
    blocks.collect()
}

fn clone_of(seeds: &[&str]) -> SessionSpec {
    SessionSpec {
        vm: VmIdentity {
            instance_uuid: "clone".to_owned(),
            name: "web01".to_owned(),
            ..spec().vm
        },
        seeds: seeds.iter().map(|name| (*name).to_owned()).collect(),
        ..spec()
    }
}

fn begin_with(site: &Site, seeds: &[&str], options: SessionOptions) -> Session {
    let handle = site.runtime.handle();
    let begin = site.repo.begin(clone_of(seeds), handle, options);
    site.runtime.block_on(begin).unwrap()
}

/// A first full of the clone.
fn clone_full(site: &Site, image: &[u8], seeds: &[&str]) -> Committed {
    let session = begin_with(site, seeds, options());
    Site::fill(&session, image, None).unwrap();
    session.commit(info(PointKind::Full, 10)).unwrap()
}

fn new_and_known(made: &Committed) -> (u64, u64) {
    (made.stats.new_blocks, made.stats.duplicate_blocks)
}

#[track_caller]
fn assert_whole(site: &Site, points: &[(PointId, &[u8])]) {
    let repo = site.reopen().unwrap();
    for (point, image) in points {
        assert!(site.restore(&repo, *point).unwrap() == *image, "{point}");
    }
    let handle = site.runtime.handle();
    let report = repo.verify(handle, VerifyLevel::Full, &()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

fn forget(site: &Site, point: PointId) {
    let dropped = site.repo.drop_point(point, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
}

fn data_packs(site: &Site, point: PointId) -> Vec<PackId> {
    let session = site.point(point).root.session;
    let names = site.names(&format!("pack/{session}"));
    let packs = names.iter().filter(|name| name.contains("/d"));
    let packs = packs.map(|name| match ObjectName::parse(name) {
        Some(ObjectName::Pack(pack)) => pack,
        other => panic!("{other:?}"),
    });
    packs.collect()
}

#[test]
fn a_clone_stores_what_its_template_has_not_and_outlives_it() {
    let site = Site::new(2);
    let (old, template, other) = (image(&[]), image(&[7]), image(&[3, 39]));
    let first = site.backup(&old, None, 1).unwrap();
    let newest = site.backup(&template, Some((first, vec![7])), 2).unwrap();
    let made = clone_full(&site, &other, &["db01"]);
    // Of the template only the newest point is looked at.
    assert_eq!(new_and_known(&made), (3, 37));
    let clone = made.point;
    assert_whole(
        &site,
        &[(first, &old), (newest, &template), (clone, &other)],
    );

    // The template goes; what the clone needs of it stays.
    forget(&site, first);
    forget(&site, newest);
    for _ in 0..3 {
        sweep(&site);
    }
    assert_whole(&site, &[(clone, &other)]);
    let before = data_packs(&site, clone).len();
    assert!(compact(&site).rewritten.contains(&clone));
    for _ in 0..3 {
        sweep(&site);
    }
    assert!(site.names("point").len() == 1 && data_packs(&site, clone).len() >= before);
    assert_whole(&site, &[(clone, &other)]);

    // An increment builds on it as on any other; no seed is looked for.
    let session = begin_with(&site, &["db01"], options());
    let next = image(&[3, 5, 39]);
    Site::fill(&session, &next, Some((clone, vec![5]))).unwrap();
    assert_eq!(session.take_seed_report(), None);
    let made = session.commit(info(PointKind::Incremental, 11)).unwrap();
    assert_whole(&site, &[(clone, &other), (made.point, &next)]);
}

#[test]
fn without_a_seed_all_is_stored_and_an_unknown_name_is_told() {
    let site = Site::new(2);
    let all = image(&[]);
    site.backup(&all, None, 1).unwrap();
    let session = begin_with(&site, &["nobody", "db01"], options());
    Site::fill(&session, &all, None).unwrap();
    let report = session.take_seed_report().unwrap();
    assert_eq!(
        (report.unknown.as_slice(), report.blocks),
        (&["nobody".to_owned()][..], 40)
    );
    assert_eq!(report.points[0].1, "db01");
    assert_eq!(session.take_seed_report(), None);
    session.abandon();
    assert_eq!(new_and_known(&clone_full(&site, &all, &[])), (40, 0));
}

#[test]
fn what_is_lost_condemned_or_damaged_is_stored_again() {
    for trouble in ["lost", "cut", "quarantine", "table", "nodes"] {
        let site = Site::new(2);
        let all = image(&[]);
        let template = site.backup(&all, None, 1).unwrap();
        let packs = data_packs(&site, template);
        assert!(packs.len() > 1);
        let one = packs[0].to_string();
        let session = site.point(template).root.session;
        match trouble {
            "lost" => site.delete(&one),
            "cut" => site.write(&one, site.read(&one)[..900].to_vec()),
            "quarantine" => {
                let written = site.repo.quarantine(vec![packs[0]]);
                site.runtime.block_on(written).unwrap();
            }
            kind => {
                let number = u32::from(kind == "table");
                let name = format!("pack/{session}/n{number:08x}");
                let mut bytes = site.read(&name);
                for byte in &mut bytes[64..] {
                    *byte ^= 1;
                }
                site.write(&name, bytes);
            }
        }
        let repo = site.reopen().unwrap();
        let handle = site.runtime.handle();
        let begin = repo.begin(clone_of(&["db01"]), handle, options());
        let session = site.runtime.block_on(begin).unwrap();
        Site::fill(&session, &all, None).unwrap();
        let made = session.commit(info(PointKind::Full, 10)).unwrap();
        let (new, known) = new_and_known(&made);
        assert_eq!(new + known, 40);
        if ["table", "nodes"].contains(&trouble) {
            assert_eq!(known, 0, "{trouble}");
        } else {
            assert!(new > 0 && known > 0, "{trouble}: {new}");
        }
        let report = repo.verify(handle, VerifyLevel::Point(made.point), &());
        let report = report.unwrap();
        assert!(
            report.findings.is_empty(),
            "{trouble}: {:?}",
            report.findings
        );
        assert!(site.restore(&repo, made.point).unwrap() == all, "{trouble}");
    }
}

/// A prune that begins after the session has read the lists sees it, and fences it before anything goes.
#[test]
fn a_prune_beside_a_session_that_has_seeds_takes_nothing_from_its_point() {
    let site = Site::new(2);
    let (all, other) = (image(&[]), image(&[3]));
    let template = site.backup(&all, None, 1).unwrap();
    let session = begin_with(&site, &["db01"], options());
    Site::fill(&session, &other, None).unwrap();
    forget(&site, template);
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    assert_eq!(swept.unwrap().fenced, [session.id()]);
    let late = session.commit(info(PointKind::Full, 10));
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    // The template is gone, and so the next run stores all.
    sweep(&site);
    let made = clone_full(&site, &other, &["db01"]);
    assert_eq!(new_and_known(&made), (40, 0));
    assert_whole(&site, &[(made.point, &other)]);
}

#[test]
fn a_session_that_has_committed_keeps_what_it_took_from_a_dropped_point() {
    let site = Site::new(2);
    let (all, other) = (image(&[]), image(&[3]));
    let template = site.backup(&all, None, 1).unwrap();
    let session = begin_with(&site, &["db01"], options());
    Site::fill(&session, &other, None).unwrap();
    // Dropped while the session runs, swept after its commit.
    forget(&site, template);
    let made = session.commit(info(PointKind::Full, 10)).unwrap();
    assert_eq!(new_and_known(&made), (1, 39));
    for _ in 0..3 {
        sweep(&site);
    }
    assert_whole(&site, &[(made.point, &other)]);
}

#[test]
fn the_rest_of_a_long_run_knows_them_too_and_half_the_table_stays_free() {
    let site = Site::new(2);
    let all = image(&[]);
    site.backup(&all, None, 1).unwrap();
    let session = begin_with(&site, &["db01"], options());
    let slot = session
        .add_disk(Site::disk(None, all.len() as u64))
        .unwrap();
    let put = |session: &Session, blocks: std::ops::Range<usize>| {
        for block in blocks {
            let data = &all[block * BLOCK_BYTES..][..BLOCK_BYTES];
            session.put(slot, block as u64, data).unwrap();
        }
    };
    put(&session, 0..10);
    let (session, _) = session.checkpoint(info(PointKind::Full, 9)).unwrap();
    put(&session, 10..40);
    session.set_disk_state(slot, complete());
    let made = session.commit(info(PointKind::Full, 10)).unwrap();
    assert_eq!(new_and_known(&made), (0, 40));
    assert!(site.restore(&site.repo, made.point).unwrap() == all);

    let small = SessionOptions {
        dedup_entries: 24,
        ..options()
    };
    let mut spec = clone_of(&["db01", "web01"]);
    "third".clone_into(&mut spec.vm.instance_uuid);
    let begin = site.repo.begin(spec, site.runtime.handle(), small);
    let session = site.runtime.block_on(begin).unwrap();
    let _ = session
        .add_disk(Site::disk(None, all.len() as u64))
        .unwrap();
    let SeedReport { blocks, points, .. } = session.take_seed_report().unwrap();
    let names: BTreeSet<&str> = points.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!((blocks, names.len()), (12, 2));
    session.abandon();
}
