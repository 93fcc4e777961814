//! Space: who needs how much, in whole packs.

use super::site::{BLOCK_BYTES, Site, content, info, options, spec};
use super::sweep::at_once;
use crate::repo::{PointId, PointKind, SessionSpec, SpaceReport, VmIdentity};

fn image(seed: u8) -> Vec<u8> {
    (0..20)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

fn space(site: &Site) -> SpaceReport {
    site.runtime.block_on(site.repo.space()).unwrap()
}

fn backup_other(site: &Site, image: &[u8]) -> PointId {
    let other = SessionSpec {
        vm: VmIdentity {
            instance_uuid: "other".to_owned(),
            name: "web01".to_owned(),
            ..spec().vm
        },
        ..spec()
    };
    let begin = site.repo.begin(other, site.runtime.handle(), options());
    let session = site.runtime.block_on(begin).unwrap();
    Site::fill(&session, image, None).unwrap();
    session.commit(info(PointKind::Full, 5)).unwrap().point
}

fn packs_bytes(site: &Site) -> u64 {
    let packs = site.names("pack");
    packs.iter().map(|name| site.read(name).len() as u64).sum()
}

fn drop_it(site: &Site, point: PointId) {
    let dropped = site.repo.drop_point(point, "proxy", "a test", 1);
    site.runtime.block_on(dropped).unwrap();
}

#[test]
fn what_is_freed_is_what_was_told() {
    let site = Site::new(2);
    let first = image(1);
    let full = site.backup(&first, None, 1).unwrap();
    let mut second = first.clone();
    second[..BLOCK_BYTES].copy_from_slice(&content(201, BLOCK_BYTES));
    let increment = site.backup(&second, Some((full, vec![0])), 2).unwrap();
    let other = backup_other(&site, &image(101));

    let told = space(&site);
    assert!(
        told.findings.is_empty() && told.missing_packs == 0,
        "{told:?}"
    );
    assert_eq!((told.bin_bytes, told.unneeded_bytes), (0, 0));
    assert_eq!(told.total_bytes, packs_bytes(&site));
    let of = |name: &str| told.vms.iter().find(|vm| vm.vm_name == name).unwrap();
    let (db, web) = (of("db01"), of("web01"));
    assert_eq!((db.points, web.points), (2, 1));
    assert_eq!(db.logical_bytes, second.len() as u64);
    assert_eq!(db.unique_bytes + web.unique_bytes, told.total_bytes);
    assert_eq!(db.stored_bytes, db.unique_bytes);

    // One VM's points go to the bin, and out of it.
    let (freed, stays) = (db.unique_bytes, web.stored_bytes);
    drop_it(&site, full);
    drop_it(&site, increment);
    let in_bin = space(&site);
    assert_eq!((in_bin.bin_bytes, in_bin.unneeded_bytes), (freed, 0));
    assert_eq!(in_bin.vms.len(), 1);
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    swept.unwrap();
    let after = space(&site);
    assert_eq!((after.total_bytes, after.bin_bytes), (stays, 0));
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, other).unwrap() == image(101));
}

#[test]
fn what_cannot_be_counted_is_told() {
    let site = Site::new(2);
    site.backup(&image(1), None, 1).unwrap();
    let pack = site
        .names("pack")
        .into_iter()
        .find(|name| name.contains("/d"))
        .unwrap();
    site.delete(&pack);
    assert_eq!(space(&site).missing_packs, 1);
    let root = site.names("point").remove(0);
    site.write(&root, vec![0; 40]);
    let told = space(&site);
    assert_eq!(told.findings.len(), 1, "{told:?}");
    assert!(told.vms.is_empty() && told.unneeded_bytes > 0);
}
