//! What the world was told, and whether it is so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::ground::{Content, Counts, Ground};
use crate::repo::{PointId, VerifyReport};

#[derive(Default, Debug)]
pub(super) struct Told {
    points: BTreeMap<PointId, Content>,
    /// Somebody tried to drop them.
    dropping: BTreeSet<PointId>,
    counts: Counts,
    /// Points that were read and found to be right when nobody else was there.
    checked: u64,
}

impl Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (points, dropping) = (self.points.len(), self.dropping.len());
        let counts = &self.counts;
        write!(f, "{points} points told, {dropping} dropped, {counts}, ")?;
        write!(f, "{} found whole", self.checked)
    }
}

impl Told {
    pub(super) fn points(&self) -> usize {
        self.points.len()
    }

    pub(super) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse().unwrap();
        match words.as_slice() {
            ["point", point, _, _] => {
                let content = Content {
                    vm: number(2),
                    step: number(3),
                };
                self.points.insert(point.parse().unwrap(), content);
            }
            ["dropping", point] => drop(self.dropping.insert(point.parse().unwrap())),
            ["swept", ..] => {
                self.counts.add("sweeps", 1);
                self.counts.add("packs swept", number(1));
                self.counts.add("roots swept", number(2));
                self.counts.add("sessions fenced", number(3));
            }
            ["compacted", ..] => {
                self.counts.add("compactions", 1);
                self.counts.add("points rewritten", number(1));
                self.counts.add("blobs moved", number(2));
            }
            ["count", ..] => self.counts.add(&words[1..].join(" "), 1),
            _ => {}
        }
    }

    /// What was told is there, and everything that is there is right.
    pub(super) fn judge(&mut self, ground: &Ground) -> VerifyReport {
        let living = ground.points();
        for (point, content) in &self.points {
            match living.iter().find(|living| living.id() == *point) {
                Some(living) => assert_eq!(Content::of(living), *content, "{point}"),
                None => assert!(self.dropping.contains(point), "{point} is lost: {self}"),
            }
        }
        let repo = ground.afresh();
        for point in &living {
            let (id, content) = (point.id(), Content::of(point));
            let bytes = ground.read(&repo, point, || {});
            let bytes = bytes.unwrap_or_else(|error| panic!("{id}: {error}: {self}"));
            assert!(bytes == content.image(), "{id} is not {content:?}: {self}");
            self.checked += 1;
        }
        ground.verify()
    }

    /// As [`Told::judge`], and nothing is there that nobody needs.
    pub(super) fn judge_clean(&mut self, ground: &Ground) {
        let report = self.judge(ground);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let orphans = ground.packs_of_no_root();
        assert!(
            orphans.is_empty(),
            "{orphans:?}: {self}; {}",
            ground.all_names()
        );
        // Both roots of two compactions at once stay until the next one of the point, with all they need.
        if !ground.has_twin_roots() {
            let garbage = report.counts.garbage_packs;
            assert_eq!(garbage, 0, "{self}; {}", ground.all_names());
        }
    }
}
