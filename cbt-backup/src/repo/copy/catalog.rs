//! Which points there are on both sides, and which are copies of which.

use std::collections::{HashMap, HashSet};

use crate::repo::error::Error;
use crate::repo::id::{PointId, VmKey};
use crate::repo::point::Point;
use crate::repo::repository::Repository;
use crate::repo::root::{Origin, PointKind};
use crate::repo::verify::Finding;

/// The points of the source, and what of them the target has.
pub(super) struct Catalog {
    source: Repository,
    /// Oldest first.
    pub(super) points: Vec<Point>,
    /// Points of the source that cannot be read.
    pub(super) findings: Vec<Finding>,
    /// Points that the target has whole, by what they are.
    there: HashMap<Origin, PointId>,
    /// The points that the target had at the beginning, newest first.
    target: Vec<Point>,
}

/// What a point is, wherever it lies: its origin, or itself.
pub(crate) fn identity(repo: &Repository, point: &Point) -> Origin {
    point.root.origin.unwrap_or(Origin {
        repository: repo.config().id,
        point: point.id(),
    })
}

/// The two ids that say which VM it is, in any repository.
fn vm_of(point: &Point) -> (&str, &str) {
    let vm = &point.root.vm;
    (&vm.vcenter_instance_uuid, &vm.instance_uuid)
}

pub(super) fn is_unfinished(point: &Point) -> bool {
    point.root.kind == PointKind::Partial
}

impl Catalog {
    pub(super) async fn read(source: &Repository, target: &Repository) -> Result<Self, Error> {
        let listed = target.full_points(None).await?;
        for finding in &listed.findings {
            tracing::warn!(object = %finding.object, what = %finding.what, "a point of the target cannot be read");
        }
        let whole = listed.points.iter().filter(|point| !is_unfinished(point));
        let there = whole.map(|point| (identity(target, point), point.id()));
        let mut catalog = Self {
            source: source.clone(),
            points: Vec::new(),
            findings: Vec::new(),
            there: there.collect(),
            target: listed.points.into_iter().rev().collect(),
        };
        catalog.read_source().await?;
        Ok(catalog)
    }

    /// Reads the points of the source. To be done again once they are pinned: before that a compaction may
    /// have moved what they need, and a prune may have taken what it was moved from.
    pub(super) async fn read_source(&mut self) -> Result<(), Error> {
        let listed = self.source.full_points(None).await?;
        self.points = listed.points;
        self.findings = listed.findings;
        Ok(())
    }

    /// The copy of a point, if the target has it.
    pub(super) fn copy_of(&self, point: &Point) -> Option<PointId> {
        let identity = identity(&self.source, point);
        self.there.get(&identity).copied()
    }

    /// The copy of a point of the source by its id there, if the target has it.
    pub(super) fn copy_of_id(&self, point: PointId) -> Option<PointId> {
        if let Some(known) = self.points.iter().find(|known| known.id() == point) {
            return self.copy_of(known);
        }
        let repository = self.source.config().id;
        self.there.get(&Origin { repository, point }).copied()
    }

    /// The points that a copy of `point` may be built upon, newest first.
    pub(super) fn parents(&self, point: &Point) -> Vec<Point> {
        let (vcenter, vm) = vm_of(point);
        let same = |parent: &&Point| vm_of(parent) == (vcenter, vm);
        self.target.iter().filter(same).cloned().collect()
    }

    /// The target has a copy of it now.
    pub(super) fn has_now(&mut self, origin: Origin, copy: PointId) {
        self.there.insert(origin, copy);
    }

    /// The points to be pinned while `wanted` are copied: they, and those they may be compared with.
    pub(super) fn to_pin(&self, wanted: &HashSet<PointId>) -> Vec<PointId> {
        let todo = |point: &&Point| wanted.contains(&point.id()) && self.copy_of(point).is_none();
        let vms: HashSet<&VmKey> = self
            .points
            .iter()
            .filter(todo)
            .map(|point| &point.name.vm)
            .collect();
        let of_use = |point: &&Point| {
            let base = self.copy_of(point).is_some();
            vms.contains(&point.name.vm) && (base || wanted.contains(&point.id()))
        };
        self.points.iter().filter(of_use).map(Point::id).collect()
    }

    /// The points that `point` may be compared with, and their copies: the one it was built on first, then
    /// older ones, the newest first, then newer ones.
    pub(super) fn bases(&self, point: &Point) -> Vec<(Point, PointId)> {
        let key = |point: &Point| (point.root.snapshot_time_ms, point.id());
        let others = self.points.iter().filter(|other| {
            other.name.vm == point.name.vm && other.id() != point.id() && !is_unfinished(other)
        });
        let mut bases: Vec<(Point, PointId)> = others
            .filter_map(|other| Some((other.clone(), self.copy_of(other)?)))
            .collect();
        bases.sort_by_key(|(other, _)| {
            let newer = key(other) > key(point);
            let parent = Some(other.id()) == point.root.parent;
            let distance = other
                .root
                .snapshot_time_ms
                .abs_diff(point.root.snapshot_time_ms);
            (!parent, newer, distance, other.id())
        });
        bases
    }
}
