//! Quarantines that are wrong, or that cannot be read, are lifted by a full verification.

use std::sync::Arc;

use super::fault_store::{FaultStore, Faults};
use super::site::{BLOCK_BYTES, Site, content, options};
use super::sweep::at_once;
use crate::repo::name::ObjectName;
use crate::repo::{
    Error, ObjectId, PackId, PointId, Severity, SweepOptions, VerifyLevel, VerifyReport,
};

const BLOCKS: u8 = 12;

fn image(seed: u8) -> Vec<u8> {
    (0..BLOCKS)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

fn site() -> (Site, Faults, PointId) {
    let faults = Faults::none();
    let site = Site::over(Arc::new(FaultStore::new(&faults)), 2);
    let point = site.backup(&image(1), None, 1).unwrap();
    (site, faults, point)
}

fn verify(site: &Site, level: VerifyLevel) -> VerifyReport {
    let repo = site.reopen().unwrap();
    repo.verify(site.runtime.handle(), level, &()).unwrap()
}

fn packs(site: &Site) -> Vec<PackId> {
    let names = site.names("pack");
    let packs = names.iter().map(|name| match ObjectName::parse(name) {
        Some(ObjectName::Pack(pack)) => pack,
        other => panic!("{other:?}"),
    });
    packs.collect()
}

fn quarantine(site: &Site, packs: &[PackId]) -> String {
    let written = site.repo.quarantine(packs.to_vec());
    site.runtime.block_on(written).unwrap().remove(0)
}

fn is_damaged(site: &Site) -> bool {
    let listed = site.runtime.block_on(site.repo.points(None)).unwrap();
    listed.points[0].damaged
}

fn flip(site: &Site, pack: PackId) {
    let mut bytes = site.read(&pack.to_string());
    bytes[70] ^= 1;
    site.write(&pack.to_string(), bytes);
}

/// A list that nobody can read.
fn unreadable_list(site: &Site) -> String {
    let list = format!("sweep/q-{}", ObjectId::generate());
    site.write(&list, vec![1; 50]);
    list
}

#[test]
fn one_whose_packs_are_all_sound_is_lifted_when_all_were_read() {
    let (site, _, _) = site();
    let all = packs(&site);
    let lists = [quarantine(&site, &all[..2]), quarantine(&site, &all[1..])];
    let sample = VerifyLevel::Sample {
        divisor: 1,
        remainder: 0,
    };
    for level in [VerifyLevel::Structure, sample] {
        let report = verify(&site, level);
        assert!(report.findings.is_empty() && report.lifted_lists.is_empty());
        assert!(is_damaged(&site));
    }
    let report = verify(&site, VerifyLevel::Full);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let mut lifted = report.lifted_lists;
    lifted.sort();
    let mut wanted = lists.to_vec();
    wanted.sort();
    assert_eq!(lifted, wanted);
    assert!(site.names("sweep").is_empty() && !is_damaged(&site));
}

#[test]
fn one_that_names_a_damaged_pack_stays_until_the_pack_is_whole_again() {
    let (site, _, _) = site();
    let all = packs(&site);
    let sound = site.read(&all[0].to_string());
    for lose in [false, true] {
        if lose {
            site.delete(&all[0].to_string());
        } else {
            flip(&site, all[0]);
        }
        let list = quarantine(&site, &all);
        let report = verify(&site, VerifyLevel::Full);
        assert!(report.quarantined && report.lifted_lists.is_empty());
        assert_eq!(site.names("sweep"), [list.as_str()]);
        site.write(&all[0].to_string(), sound.clone());
        let report = verify(&site, VerifyLevel::Full);
        assert!(report.findings.is_empty());
        assert_eq!(report.lifted_lists, [list]);
    }
}

#[test]
fn packs_that_are_gone_and_needed_by_nobody_keep_no_quarantine() {
    let (site, _, _) = site();
    let mut all = packs(&site);
    all.truncate(1);
    all.push(PackId { seq: 999, ..all[0] });
    let list = quarantine(&site, &all);
    // A list none of whose packs is there is a sweep's to remove.
    let gone = quarantine(&site, &all[1..]);
    assert_eq!(verify(&site, VerifyLevel::Full).lifted_lists, [list]);
    assert_eq!(site.names("sweep"), [gone]);
}

#[test]
fn one_that_cannot_be_read_is_lifted_and_backups_go_on() {
    let (site, _, point) = site();
    let list = unreadable_list(&site);
    let next = || site.backup(&image(1), Some((point, vec![1])), 2);
    assert!(next().unwrap_err().is_damage());
    let sweep = || site.runtime.block_on(site.repo.sweep(at_once(), &()));
    assert!(sweep().unwrap_err().is_damage());
    assert!(!verify(&site, VerifyLevel::Structure).is_clean());
    let report = verify(&site, VerifyLevel::Full);
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.lifted_lists, [list.as_str()]);
    let told: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.severity, finding.object.as_str()))
        .collect();
    assert_eq!(told, [(Severity::Warning, list.as_str())]);
    let next = next().unwrap();
    assert!(site.restore(&site.reopen().unwrap(), next).unwrap() == image(1));
    sweep().unwrap();
}

#[test]
fn before_an_unreadable_one_goes_all_damage_is_in_another() {
    let (site, _, point) = site();
    let other = site.backup(&image(101), None, 2).unwrap();
    let needed = packs(&site);
    // What only a point in the bin needs is read too: somebody may bring it back.
    let dropped = site.repo.drop_point(point, "", "", i64::MAX);
    site.runtime.block_on(dropped).unwrap();
    let session = site.point(other).root.session;
    let of_bin = needed.iter().find(|pack| pack.session != session).unwrap();
    let of_other = needed.iter().find(|pack| pack.session == session).unwrap();
    flip(&site, *of_bin);
    flip(&site, *of_other);
    let list = unreadable_list(&site);
    let report = verify(&site, VerifyLevel::Full);
    assert_eq!(report.lifted_lists, [list]);
    assert_eq!(report.damaged_packs, [*of_other]);
    assert!(report.quarantined);
    let handle = site.runtime.handle();
    let back = site.repo.undelete(handle, point, "proxy", options());
    assert!(matches!(back, Err(Error::NotWhole { .. })), "{back:?}");
}

#[test]
fn the_list_of_a_sweep_stays_whatever_is_read() {
    let (site, _, _) = site();
    let list = format!("sweep/{}", ObjectId::generate());
    site.write(&list, vec![1; 50]);
    let report = verify(&site, VerifyLevel::Full);
    assert!(!report.is_clean() && report.lifted_lists.is_empty());
    assert_eq!(site.names("sweep"), [list]);
}

#[test]
fn nothing_is_lifted_where_the_damage_cannot_be_written_down() {
    let (site, faults, _) = site();
    let all = packs(&site);
    flip(&site, all[0]);
    let list = unreadable_list(&site);
    faults.writes(0);
    let report = verify(&site, VerifyLevel::Full);
    faults.writes(usize::MAX);
    assert!(report.lifted_lists.is_empty());
    assert!(
        report
            .findings
            .iter()
            .any(|finding| { finding.object == list && finding.severity == Severity::Error })
    );
    assert!(site.names("sweep").contains(&list));
}

#[test]
fn a_session_that_has_read_a_list_is_not_hurt_when_it_is_lifted() {
    let (site, _, point) = site();
    let list = quarantine(&site, &packs(&site));
    let session = site.begin().unwrap();
    assert_eq!(verify(&site, VerifyLevel::Full).lifted_lists, [list]);
    let mut now = image(1);
    now[..BLOCK_BYTES].copy_from_slice(&content(201, BLOCK_BYTES));
    let kind = Site::fill(&session, &now, Some((point, vec![0]))).unwrap();
    let made = session.commit(super::site::info(kind, 2)).unwrap();
    assert!(site.restore(&site.reopen().unwrap(), made.point).unwrap() == now);
    assert!(verify(&site, VerifyLevel::Full).findings.is_empty());
}

/// A bad sector is damage like any other: found, named, healed by the next backup, and forgiven when the medium
/// gives the pack again.
#[test]
fn a_pack_on_a_bad_sector_is_damaged_and_heals() {
    let (site, faults, point) = site();
    for pack in packs(&site) {
        faults.rot(Some(&pack.to_string()));
        let report = verify(&site, VerifyLevel::Full);
        assert_eq!(report.damaged_packs, [pack], "{:?}", report.findings);
        assert!(report.quarantined && is_damaged(&site));
        let healed = site.backup(&image(1), None, 2).unwrap();
        assert!(site.restore(&site.reopen().unwrap(), healed).unwrap() == image(1));
        faults.rot(None);
        let report = verify(&site, VerifyLevel::Full);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(report.lifted_lists.len(), 1);
        assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image(1));
    }
}

/// What it needs is not known, and the medium may give it again. When its time is over nobody asks.
#[test]
fn a_dropped_root_on_a_bad_sector_stops_a_sweep_while_it_is_in_the_bin() {
    let (site, faults, point) = site();
    let other = site.backup(&image(51), None, 2).unwrap();
    let name = site.point(point).name.to_string();
    let dropped = site.repo.drop_point(point, "", "", 5_000);
    site.runtime.block_on(dropped).unwrap();
    faults.rot(Some(&name));
    let in_bin = SweepOptions {
        now_ms: 5_500,
        bin_ms: 1_000,
        ..at_once()
    };
    let stopped = site.runtime.block_on(site.repo.sweep(in_bin, &()));
    assert!(matches!(stopped, Err(Error::Unsweepable { point: of, .. }) if of == point));
    let report = site
        .runtime
        .block_on(site.repo.sweep(at_once(), &()))
        .unwrap();
    assert_eq!(report.roots_removed, 1);
    assert!(site.restore(&site.reopen().unwrap(), other).unwrap() == image(51));
}
