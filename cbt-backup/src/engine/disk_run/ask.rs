//! What has changed is asked of several disks at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{DiskRun, DiskTask, Ground};
use crate::{
    engine::{
        coverage::{Coverage, Uncovered},
        error::Error,
        plan::DiskPlan,
    },
    vsphere::Disk,
};

/// Most disks of a VM of which the server is asked at once.
const AT_ONCE: usize = 4;

/// What the server said has changed on a disk; `None` where it was not asked.
#[derive(Default)]
pub(super) struct Answers {
    /// Since the point that the disk builds on.
    pub(super) since_base: Option<Result<Coverage, Uncovered<Error>>>,
    /// Since the partial point of a later run; asked where the first answer is good.
    pub(super) since_partial: Option<Result<Coverage, Uncovered<Error>>>,
}

impl DiskRun<'_> {
    /// Plans disks, asks for their changed areas and adds them to the session. What is told, and the first error, are those
    /// of one disk after the other. Disks that are left out are missing.
    ///
    /// # Errors
    /// When the repository cannot take one, a bad map is to fail the run, or a signal came.
    pub fn prepare_all(&self, disks: &[Disk]) -> Result<Vec<DiskTask>, Error> {
        let mut grounds = Vec::new();
        for disk in disks {
            self.check_cancel()?;
            grounds.push(self.ground(disk)?);
        }
        let answers = self.ask_all(disks, &grounds);
        let mut tasks = Vec::new();
        for ((disk, ground), answers) in disks.iter().zip(grounds).zip(answers) {
            self.check_cancel()?;
            tasks.extend(self.prepare(disk, ground, answers)?);
        }
        Ok(tasks)
    }

    fn ask_all(&self, disks: &[Disk], grounds: &[Ground]) -> Vec<Answers> {
        let asks = grounds
            .iter()
            .any(|ground| self.base_change_id(ground).is_some());
        if asks {
            self.monitor.step("ask for changed areas");
        }
        let answers: Vec<Mutex<Answers>> = disks.iter().map(|_| Mutex::default()).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(((disk, ground), answers)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                disks.iter().zip(grounds).zip(&answers).nth(index)
            } {
                let asked = self.ask(disk, ground);
                *answers.lock().unwrap_or_else(PoisonError::into_inner) = asked;
            }
        };
        let at_once = self.options.disks_at_once.min(AT_ONCE).min(disks.len());
        thread::scope(|scope| {
            for _ in 1..at_once {
                scope.spawn(work);
            }
            work();
        });
        let answers = answers.into_iter().map(Mutex::into_inner);
        answers
            .map(|answers| answers.unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    fn ask(&self, disk: &Disk, ground: &Ground) -> Answers {
        let Some(change_id) = self.base_change_id(ground) else {
            return Answers::default();
        };
        let since_base = self.changed(disk, change_id, self.cancel);
        let partial = ground.partial.as_ref().filter(|_| since_base.is_ok());
        let partial = partial.and_then(|partial| partial.disk.change_id.as_deref());
        Answers {
            since_partial: partial.map(|change_id| self.changed(disk, change_id, self.cancel)),
            since_base: Some(since_base),
        }
    }

    /// From where changes are asked for, where they are.
    fn base_change_id<'g>(&self, ground: &'g Ground) -> Option<&'g str> {
        match &ground.plan {
            DiskPlan::Incremental { base_change_id } if !self.options.full => Some(base_change_id),
            _ => None,
        }
    }
}
