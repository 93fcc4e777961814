//! The list of a sweep that nobody can read: it stops all until whoever knows that its sweep is dead says so.

use super::site::{BLOCK_BYTES, Site, content};
use super::sweep::at_once;
use crate::repo::{Error, ObjectId, SweepMonitor, SweepOptions, SweepReport};

fn image() -> Vec<u8> {
    (0..20)
        .flat_map(|block| content(block * 2 + 1, BLOCK_BYTES))
        .collect()
}

/// A point, a dropped one, and a list that cannot be read.
fn site() -> (Site, String) {
    let site = Site::new(2);
    site.backup(&image(), None, 1).unwrap();
    let dropped = site
        .backup(&content(201, 9 * BLOCK_BYTES), None, 2)
        .unwrap();
    let dropped = site.repo.drop_point(dropped, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    let list = format!("sweep/{}", ObjectId::generate());
    site.write(&list, vec![1; 50]);
    (site, list)
}

fn removing(site: &Site, monitor: &dyn SweepMonitor) -> Result<SweepReport, Error> {
    let options = SweepOptions {
        remove_unreadable_lists: true,
        ..at_once()
    };
    site.runtime.block_on(site.repo.sweep(options, monitor))
}

/// Something happens between the two looks.
struct Meanwhile<F>(F);

impl<F: Fn() + Sync> SweepMonitor for Meanwhile<F> {
    fn looking_twice(&self) {
        // On a thread of its own: this one drives the sweep.
        std::thread::scope(|scope| scope.spawn(|| (self.0)()).join().unwrap());
    }
}

#[test]
fn it_is_removed_when_asked_for() {
    let (site, list) = site();
    let is_list = |error: Error| matches!(error, Error::Damaged { object, .. } if object == list);
    assert!(is_list(site.begin().unwrap_err()));
    let swept = site.repo.sweep(at_once(), &());
    assert!(is_list(site.runtime.block_on(swept).unwrap_err()));
    assert_eq!(removing(&site, &()).unwrap().unreadable_lists, [list]);
    assert_eq!(removing(&site, &()).unwrap().unreadable_lists, [""; 0]);
    assert!(site.names("sweep").is_empty());
    let point = site.backup(&image(), None, 3).unwrap();
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image());
}

#[test]
fn it_stays_while_packs_or_lists_come_or_go() {
    let (site, list) = site();
    let takes_a_pack = || site.delete(&site.names("pack")[0]);
    let begins = || site.write(&format!("sweep/{}", ObjectId::generate()), vec![2; 50]);
    let ends = || {
        let lists = site.names("sweep").into_iter();
        lists
            .filter(|other| *other != list)
            .for_each(|other| site.delete(&other));
    };
    let sweeps: [&(dyn Fn() + Sync); 3] = [&takes_a_pack, &begins, &ends];
    for sweep in sweeps {
        let refused = removing(&site, &Meanwhile(sweep)).unwrap_err();
        assert!(matches!(refused, Error::OtherSweep { .. }), "{refused}");
        assert!(site.names("sweep").contains(&list));
    }
    let dry = SweepOptions {
        remove_unreadable_lists: true,
        dry_run: true,
        ..at_once()
    };
    site.runtime.block_on(site.repo.sweep(dry, &())).unwrap();
    assert!(
        site.names("sweep").contains(&list),
        "a dry run changes nothing"
    );
}
