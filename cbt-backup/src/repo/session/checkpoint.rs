//! A partial root on the way, and the next session of the same run, which builds on it.

use std::sync::{Arc, PoisonError};

use super::begin::Session;
use super::disk::DiskWork;
use super::spec::{Committed, DiskOutcome, DiskSpec, ParentDisk, RootInfo};
use crate::repo::block_set::BlockSet;
use crate::repo::error::Error;
use crate::repo::root::PutStats;

/// What the next session must know of a disk.
struct Progress {
    spec: DiskSpec,
    expected: Option<BlockSet>,
    missing: BlockSet,
    open: BlockSet,
    outcome: Option<DiskOutcome>,
    unreadable: BlockSet,
    stats: PutStats,
}

impl Session {
    /// Commits what was put so far as a partial point, and goes on in a new session that builds on
    /// it. Disks keep their slots, and blocks that were put need not be put again. When the run dies
    /// later, the next one finds the partial point among its parents. Blocking; nobody may put
    /// anything meanwhile.
    ///
    /// # Errors
    /// Those of [`Session::commit`] and of `Repository::begin`; `PointNotFound` when somebody
    /// dropped the partial point at once. The run is over then.
    pub fn checkpoint(self, info: RootInfo) -> Result<(Self, Committed), Error> {
        let disks = self
            .disks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let progress: Vec<Progress> = disks.iter().map(progress).collect();
        let (repo, handle) = (self.repo.clone(), self.handle.clone());
        let (spec, options, origin) = (self.spec.clone(), self.options, self.origin);
        let times = Arc::clone(&self.times);
        let mut made = self.made.clone();
        let (session, root, name) = self.prepare_or_abandon(info, true)?;
        let committed = session.publish(&root, &name)?;
        // A session commits one root: the next one announces itself and reads all lists again.
        let mut next = handle.block_on(repo.begin(spec, &handle, options))?;
        next.origin = origin;
        next.times = times;
        made.insert(committed.point);
        next.made = made;
        match next.take_over(&committed, progress) {
            Ok(()) => Ok((next, committed)),
            Err(error) => {
                next.abandon();
                Err(error)
            }
        }
    }

    fn take_over(&self, partial: &Committed, progress: Vec<Progress>) -> Result<(), Error> {
        let point = partial.point;
        let there = |parent: &crate::repo::Point| parent.id() == point;
        let Some(parent) = self.parents.iter().find(|parent| there(parent)) else {
            return Err(Error::PointNotFound {
                id: point.to_string(),
            });
        };
        for (index, disk) in progress.into_iter().enumerate() {
            let has_data = parent.root.disks[index].has_data();
            let spec = match &disk.outcome {
                Some(DiskOutcome::Carried { .. } | DiskOutcome::Absent { .. }) => disk.spec,
                _ if !has_data => disk.spec,
                _ => DiskSpec {
                    parent: Some(ParentDisk { point, disk: index }),
                    ..disk.spec
                },
            };
            let slot = self.add(spec, false)?;
            let added = self.disk(slot);
            let mut work = added.work();
            work.outcome = disk.outcome;
            work.stats = disk.stats;
            // What nobody has put yet is a hole in the partial point.
            for run in disk.missing.runs() {
                work.missing.insert(run.first, run.blocks);
            }
            // What is known to be lost need not be told again.
            for run in disk.unreadable.runs() {
                work.missing.remove(run.first, run.blocks);
            }
            work.unreadable = disk.unreadable;
            // What this session cannot build upon is to be put though it was put before.
            let (mut expected, mut open) = (disk.expected, disk.open);
            for run in work.missing.runs() {
                open.insert(run.first, run.blocks);
                if let Some(expected) = &mut expected {
                    expected.insert(run.first, run.blocks);
                }
            }
            (work.expected, work.open) = (expected, open);
        }
        Ok(())
    }
}

fn progress(disk: &Arc<DiskWork>) -> Progress {
    let spec = DiskSpec {
        distrust: disk.distrust(),
        ..disk.spec.clone()
    };
    let work = disk.work();
    Progress {
        spec,
        expected: work.expected.clone(),
        missing: work.missing.clone(),
        open: work.open.clone(),
        outcome: work.outcome.clone(),
        unreadable: work.unreadable.clone(),
        stats: work.stats,
    }
}
