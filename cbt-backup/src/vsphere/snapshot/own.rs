//! Snapshots of ours: made at most once, found again by their description, and removed.
//!
//! A call whose answer got lost may have taken effect. It is never repeated blindly: first we
//! look at the VM's tasks and its tree ("vSphere API reference, 1.14").

use std::time::Duration;

use super::{Quiesce, SnapshotTree};
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::task::{TaskRef, TaskState};

/// A wait before the next attempt does not grow beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A snapshot to be made. Name and description together must be its maker's alone: by them it is
/// found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSpec {
    /// Its name.
    pub name: String,
    /// Its description, with something no other snapshot has.
    pub description: String,
    /// How the guest is brought to rest.
    pub quiesce: Quiesce,
}

impl SnapshotTree {
    /// The snapshots that bear this description and, where one is given, this name. Without it the description must be one that
    /// nobody else gives.
    pub fn described(&self, name: Option<&str>, description: &str) -> Vec<Moref> {
        self.iter()
            .filter(|node| node.description == description)
            .filter(|node| name.is_none_or(|name| node.name == name))
            .map(|node| node.snapshot.clone())
            .collect()
    }
}

/// What of a VM's disks was already waiting to be consolidated before a snapshot of ours was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmerged {
    /// Nothing, as far as is known: what is unmerged after the removal is our doing, and is merged.
    Nothing,
    /// Something, which is somebody else's: it is not touched, for that costs hours on a large disk and may stun the VM.
    SomebodyElses,
}

impl Client {
    /// Makes a snapshot without memory and waits for it. After a failure that leaves open whether
    /// it came, it is looked for; only where it has not come the call is made again.
    ///
    /// # Errors
    ///
    /// The task's fault, [`Error::TaskTimedOut`], or any failure of the calls that lasts. The
    /// snapshot may have come all the same: [`Client::remove_own_snapshots`] belongs on every
    /// path.
    pub async fn make_snapshot(
        &self,
        vm: &Moref,
        spec: &SnapshotSpec,
        limit: Duration,
    ) -> Result<Moref, Error> {
        let mut wait = self.inner.retry.first_wait;
        let mut left = self.inner.retry.attempts.max(1);
        loop {
            let error = match self.make_once(vm, spec, limit).await {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            left -= 1;
            if left == 0 || !error.is_retryable() {
                return Err(error);
            }
            tracing::warn!(%error, vm = %vm, "making a snapshot failed, looking for its effect");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            let tasks = self.vm(vm).await?.recent_tasks;
            self.wait_for_creations(&tasks, limit).await?;
            let tree = self.vm(vm).await?.snapshots;
            if let Some(made) = tree.described(Some(&spec.name), &spec.description).pop() {
                return Ok(made);
            }
        }
    }

    async fn make_once(
        &self,
        vm: &Moref,
        spec: &SnapshotSpec,
        limit: Duration,
    ) -> Result<Moref, Error> {
        let (name, description) = (spec.name.as_str(), spec.description.as_str());
        let task = if spec.quiesce.is_plain() {
            let quiesce = spec.quiesce == Quiesce::Tools;
            self.create_snapshot(vm, name, description, false, quiesce)
                .await?
        } else {
            self.create_snapshot_ex(vm, name, description, false, &spec.quiesce)
                .await?
        };
        let info = self.finish(&task, limit).await?;
        info.result.ok_or_else(|| Error::BadAnswer {
            method: "CreateSnapshot_Task",
            what: format!("{} made a snapshot without telling which", task.0),
        })
    }

    /// Removes every snapshot with this description, and this name where one is given, also one that is still being made,
    /// and merges what that left unmerged, unless that was there `before`. None is fine. Gives how many were there.
    ///
    /// # Errors
    ///
    /// Any failure of the calls that lasts; then something may be left.
    pub async fn remove_own_snapshots(
        &self,
        vm: &Moref,
        name: Option<&str>,
        description: &str,
        before: Unmerged,
        limit: Duration,
    ) -> Result<usize, Error> {
        let tasks = self.vm(vm).await?.recent_tasks;
        let waited = self.wait_for_creations(&tasks, limit).await;
        let own = self.vm(vm).await?.snapshots.described(name, description);
        for snapshot in &own {
            self.remove_surely(snapshot, limit).await?;
        }
        if own.is_empty() {
            // A task that could not be looked at may still make it. Once it has come, the task is
            // another's: the description is given once.
            waited?;
        }
        if before == Unmerged::Nothing && self.vm(vm).await?.consolidation_needed == Some(true) {
            let task = self.consolidate(vm).await?;
            self.finish(&task, limit).await?;
        }
        Ok(own.len())
    }

    /// Removing twice does no harm: the second time the snapshot is not there.
    async fn remove_surely(&self, snapshot: &Moref, limit: Duration) -> Result<(), Error> {
        let mut wait = self.inner.retry.first_wait;
        let mut left = self.inner.retry.attempts.max(1);
        loop {
            let removed = match self.remove_snapshot(snapshot).await {
                Ok(task) => self.finish(&task, limit).await.map(|_| ()),
                Err(error) => Err(error),
            };
            left -= 1;
            match removed {
                Ok(()) => return Ok(()),
                Err(error) if error.fault_type() == Some("ManagedObjectNotFound") => return Ok(()),
                Err(error) if left > 0 && error.is_retryable() => {
                    tracing::warn!(%error, %snapshot, "removing a snapshot failed, trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the snapshots that are being made. How they end does not matter here.
    async fn wait_for_creations(&self, tasks: &[TaskRef], limit: Duration) -> Result<(), Error> {
        for task in self.unfinished_creations(tasks).await? {
            self.wait_for_creation(&task, limit, &|| false).await?;
        }
        Ok(())
    }

    /// Those of a VM's recent tasks that make a snapshot and have not ended.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn unfinished_creations(&self, tasks: &[TaskRef]) -> Result<Vec<TaskRef>, Error> {
        let mut unfinished = Vec::new();
        for task in tasks {
            let info = match self.task(task).await {
                Ok(info) => info,
                // It ended a while ago, and the server has forgotten it.
                Err(error) if error.fault_type() == Some("ManagedObjectNotFound") => continue,
                Err(error) => return Err(error),
            };
            let has_ended = matches!(info.state, TaskState::Success | TaskState::Error);
            if !has_ended && info.name.starts_with("CreateSnapshot") {
                unfinished.push(task.clone());
            }
        }
        Ok(unfinished)
    }

    /// Waits for a snapshot that is being made. How it ends does not matter here.
    ///
    /// # Errors
    ///
    /// [`Error::TaskTimedOut`], [`Error::Cancelled`], any failure of the calls that lasts.
    pub async fn wait_for_creation(
        &self,
        task: &TaskRef,
        limit: Duration,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        match self.wait_task(task, limit, &mut |_| {}, cancelled).await {
            Ok(_) | Err(Error::TaskFailed { .. } | Error::TaskVanished { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits for a task without looking at a signal: what it makes must be known.
    pub(in crate::vsphere) async fn finish(
        &self,
        task: &TaskRef,
        limit: Duration,
    ) -> Result<crate::vsphere::TaskInfo, Error> {
        self.wait_task(task, limit, &mut |_| {}, &|| false).await
    }
}

#[cfg(test)]
mod tests {
    use crate::vsphere::{Moref, SnapshotNode, SnapshotTree};

    fn node(id: &str, name: &str, description: &str, children: Vec<SnapshotNode>) -> SnapshotNode {
        SnapshotNode {
            snapshot: Moref::snapshot(id),
            name: name.to_owned(),
            description: description.to_owned(),
            created: None,
            is_quiesced: false,
            children,
        }
    }

    #[test]
    fn what_bears_our_description_is_ours_whatever_its_name() {
        let ours = node("s-2", "keep this!", "cbt-backup 01", vec![]);
        let tree = SnapshotTree {
            current: None,
            roots: vec![
                node("s-1", "cbt-backup", "of cbt-backup 01", vec![ours]),
                node("s-3", "cbt-backup", "cbt-backup 02", vec![]),
            ],
        };
        let found = |name| tree.described(name, "cbt-backup 01");
        assert_eq!(found(None), [Moref::snapshot("s-2")]);
        assert_eq!(found(Some("keep this!")), [Moref::snapshot("s-2")]);
        assert_eq!(found(Some("cbt-backup")), []);
    }
}
