//! A copy onto points of the target that are damaged.

use std::sync::Mutex;

use super::copying::{copy, copy_options, copy_with, history, ids};
use super::site::Site;
use crate::repo::{CopyMonitor, Error, PackId, PointId, VerifyLevel};

/// Which packs of the target were found damaged on the way.
#[derive(Default)]
struct Found(Mutex<Vec<PackId>>);

impl CopyMonitor for Found {
    fn pack_damaged(&self, pack: PackId, error: &Error) {
        assert_eq!(error.damaged_pack(), Some(pack));
        self.0.lock().unwrap().push(pack);
    }
}

/// Copies the last point of a history onto the others, of whose copies pack `number` was hit before. Tells which
/// packs were found damaged; `None` when there are not so many packs.
fn copy_onto(number: usize, lose: bool) -> Option<Vec<PackId>> {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    let (older, last) = points.split_at(points.len() - 1);
    copy(&from, &to, &ids(older)).unwrap();
    let name = to.names("pack").get(number)?.clone();
    if lose {
        to.delete(&name);
    } else {
        let mut bytes = to.read(&name);
        let body = bytes.len().saturating_sub(150).max(65);
        bytes[64..body]
            .iter_mut()
            .step_by(40)
            .for_each(|byte| *byte ^= 1);
        to.write(&name, bytes);
    }
    let found = Found::default();
    let report = copy_with(&from, &to, &ids(last), &copy_options(), &found);
    let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
    // Nothing of the source is lost, so nothing of the new copy is.
    assert!(report.is_clean(), "{name}: {:?}", report.findings);
    let made: PointId = report.copied[0].to.unwrap();
    let repo = to.reopen().unwrap();
    assert!(to.point(made).root.disks[0].unreadable.is_empty());
    let found = found.0.into_inner().unwrap();
    let quarantined = to.names("sweep").len();
    assert_eq!(found.len(), quarantined, "{name}");
    // A rotten data pack is not noticed by who only builds on it: that is a verification's work.
    if lose || name.contains("/n") {
        assert!(to.restore(&repo, made).unwrap() == last[0].1, "{name}");
        let level = VerifyLevel::Point(made);
        let report = repo.verify(to.runtime.handle(), level, &()).unwrap();
        assert!(report.is_clean(), "{name}: {:?}", report.findings);
    }
    Some(found)
}

#[test]
fn a_copy_begins_again_when_what_it_builds_on_is_damaged() {
    for lose in [false, true] {
        let mut hit = 0;
        for number in 0.. {
            match copy_onto(number, lose) {
                Some(found) => hit += usize::from(!found.is_empty()),
                None => break,
            }
        }
        // Nodes and the usage table; of what is gone only the table, since the others are missed before they are read.
        assert!(hit > usize::from(!lose), "{hit}, {lose}");
    }
}
