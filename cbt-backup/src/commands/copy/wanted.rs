//! Which points are to be copied.

use std::collections::{BTreeMap, HashMap};

use anyhow::anyhow;

use super::Copy;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::printable,
    },
    repo::{Finding, Point, PointId, PointKind, Repository, VmKey},
};

impl Copy {
    /// The points that the options select, and roots among them that cannot be read.
    pub(super) async fn wanted(
        &self,
        source: &Repository,
        target: &Repository,
    ) -> Result<(Vec<PointId>, Vec<Finding>), Failure> {
        if !self.point.is_empty() {
            let mut wanted = Vec::new();
            for prefix in &self.point {
                wanted.push(source.resolve(prefix).await?);
            }
            return Ok((wanted, Vec::new()));
        }
        let mut listed = source.full_points(None).await?;
        for name in &self.vm {
            if !listed
                .points
                .iter()
                .any(|point| point.root.vm.name == *name)
            {
                let error = anyhow!("no point of a VM named {}", printable(name));
                return Err(Failure::new(ExitCode::NotFound, error)
                    .with_hint("`cbt-backup list` shows the points"));
            }
        }
        let named = |point: &Point| self.vm.is_empty() || self.vm.contains(&point.root.vm.name);
        listed.points.retain(named);
        if self.newer {
            let newest = newest_times(target).await?;
            listed.points.retain(|point| {
                let vm = &point.root.vm;
                let vm = target.vm_key(&vm.vcenter_instance_uuid, &vm.instance_uuid);
                let newest = newest.get(&vm);
                newest.is_none_or(|newest| point.root.snapshot_time_ms > *newest)
            });
        }
        if self.latest {
            listed.points = latest(listed.points);
        }
        let wanted = listed.points.iter().map(Point::id).collect();
        Ok((wanted, listed.findings))
    }
}

/// The time of each VM's newest point in the target that is not of an unfinished run.
async fn newest_times(target: &Repository) -> Result<HashMap<VmKey, i64>, Failure> {
    let mut newest: HashMap<VmKey, i64> = HashMap::new();
    for point in target.points(None).await?.points {
        if point.kind != PointKind::Partial {
            let time = newest.entry(point.vm).or_insert(point.snapshot_time_ms);
            *time = point.snapshot_time_ms.max(*time);
        }
    }
    Ok(newest)
}

/// The newest complete point of each VM in which nothing was found wrong; the newest one where there is none.
fn latest(points: Vec<Point>) -> Vec<Point> {
    let mut best: BTreeMap<VmKey, Point> = BTreeMap::new();
    let rank = |point: &Point| {
        (
            point.root.is_sound(),
            point.root.snapshot_time_ms,
            point.id(),
        )
    };
    for point in points {
        if point.root.kind == PointKind::Partial {
            continue;
        }
        match best.get(&point.name.vm) {
            Some(known) if rank(known) >= rank(&point) => {}
            _ => drop(best.insert(point.name.vm.clone(), point)),
        }
    }
    best.into_values().collect()
}
