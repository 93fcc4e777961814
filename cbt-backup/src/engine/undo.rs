//! Putting vSphere back as it was: the tail of every run, and what a dead run left.

use vddk::Access;

use super::{
    error::{Error, chain},
    ledger::{Effect, Ledger},
    monitor::{Event, Monitor},
    site::Site,
};
use crate::vsphere::{self, Moref, SnapshotTree, TaskState};

/// The method that PrepareForAccess disables.
const MOVE_METHOD: &str = "RelocateVM_Task";

/// The name of every snapshot we make.
pub const SNAPSHOT_NAME: &str = "cbt-backup";

/// Undoes what a ledger lists, the last effect first. What cannot be undone is told and stays in
/// the ledger for the next run; it does not keep the rest from being undone.
///
/// `access` is the handle of this very run, where it is its ledger; a dead run's access is ended by
/// its identity. `clean_up` calls VixDiskLib's own clean-up before a snapshot is removed, as the
/// guide wants it after HotAdd and after any failure.
///
/// Returns true when nothing is left.
pub fn unwind(
    site: &Site,
    vm: &Moref,
    mut ledger: Ledger,
    mut access: Option<Access>,
    clean_up: bool,
    monitor: &dyn Monitor,
) -> bool {
    let mut clean = true;
    if clean_up {
        clean_up_library(site, vm, monitor);
    }
    for effect in ledger.open_effects() {
        let undone = match &effect {
            Effect::Snapshot { description } => remove_snapshots(site, vm, description, monitor),
            Effect::Access { identity } => end_access(site, vm, access.take(), identity),
        };
        if let Err(error) = undone {
            clean = false;
            let message = left_behind(&effect, vm, &chain(&error));
            monitor.event(&Event::warning("left-behind", message));
        } else if let Err(error) = ledger.undone(&effect) {
            // Nothing is left; undoing it once more, in the next run, does no harm.
            monitor.event(&Event::warning(
                "ledger",
                format!("failed to write the run's ledger: {error}"),
            ));
        }
    }
    if let Err(error) = ledger.close() {
        monitor.event(&Event::warning(
            "ledger",
            format!("failed to remove the run's ledger: {error}"),
        ));
    }
    clean
}

fn left_behind(effect: &Effect, vm: &Moref, error: &str) -> String {
    match effect {
        Effect::Snapshot { description } => {
            format!(
                "the snapshot {description:?} of {} is left: {error}; the next run tries again",
                vm.id
            )
        }
        Effect::Access { identity } => {
            format!(
                "{} is still kept from being moved ({identity}): {error}; the next run tries again",
                vm.id
            )
        }
    }
}

fn clean_up_library(site: &Site, vm: &Moref, monitor: &dyn Monitor) {
    let cleaned = site
        .connect_params(vm)
        .and_then(|params| site.library.cleanup(&params));
    if let Some(warning) = clean_up_warning(cleaned) {
        monitor.event(&warning);
    }
}

/// What is to be told of the clean-up. VMs that are left are told with the error of a release that
/// fails then, and without one of a release that does not.
fn clean_up_warning(cleaned: Result<vddk::Cleanup, vddk::Error>) -> Option<Event> {
    let message = match cleaned {
        Ok(report) if report.remaining == 0 => return None,
        Ok(report) => format!("VixDiskLib_Cleanup left {} VMs", report.remaining),
        Err(error) => error.to_string(),
    };
    Some(Event::warning("cleanup", message))
}

/// Removes every snapshot with this description. None is fine: the run died before it was made.
fn remove_snapshots(
    site: &Site,
    vm: &Moref,
    description: &str,
    monitor: &dyn Monitor,
) -> Result<(), Error> {
    let waited = wait_for_creations(site, vm);
    let state = site.ask(site.client.vm(vm))?;
    let came = described(&state.snapshots, description);
    for snapshot in &came {
        monitor.step("remove snapshot");
        let task = site.ask(site.client.remove_snapshot(snapshot))?;
        site.wait(&task)?;
    }
    settled(waited, !came.is_empty())?;
    let state = site.ask(site.client.vm(vm))?;
    if state.consolidation_needed == Some(true) {
        monitor.step("consolidate disks");
        let task = site.ask(site.client.consolidate(vm))?;
        site.wait(&task)?;
    }
    Ok(())
}

/// A run makes one snapshot. Once it has come, a task that could not be looked at is another's; until
/// then nobody can say that none will come.
fn settled(waited: Result<(), Error>, came: bool) -> Result<(), Error> {
    if came { Ok(()) } else { waited }
}

/// A snapshot may still be on its way: its task is waited for before the VM is called clean.
///
/// A task that does not end, or cannot be looked at, is an error: then nobody can say that no
/// snapshot will come.
fn wait_for_creations(site: &Site, vm: &Moref) -> Result<(), Error> {
    let state = site.ask(site.client.vm(vm))?;
    for task in &state.recent_tasks {
        let info = match site.ask(site.client.task(task)) {
            Ok(info) => info,
            // It ended a while ago, and the server has forgotten it.
            Err(Error::Vsphere(error)) if error.fault_type() == Some("ManagedObjectNotFound") => {
                continue;
            }
            Err(error) => return Err(error),
        };
        let finished = matches!(info.state, TaskState::Success | TaskState::Error);
        if !info.name.starts_with("CreateSnapshot") || finished {
            continue;
        }
        match site.wait(task) {
            // Its failure is no concern here: what counts is the tree afterwards.
            Ok(_)
            | Err(vsphere::Error::TaskFailed { .. } | vsphere::Error::TaskVanished { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Allows the VM to be moved again. Where ending fails, the VM itself tells whether anything is left.
fn end_access(
    site: &Site,
    vm: &Moref,
    access: Option<Access>,
    identity: &str,
) -> Result<(), Error> {
    let by_identity = || -> Result<(), Error> {
        Ok(site
            .library
            .end_access(&site.connect_params(vm)?, identity)?)
    };
    let ended = match access.map(Access::close) {
        Some(Ok(())) => return Ok(()),
        // A disk that was given up keeps the handle; the identity ends it all the same.
        Some(Err(vddk::Error::Argument { .. })) | None => by_identity(),
        Some(Err(error)) => Err(error.into()),
    };
    let Err(error) = ended else { return Ok(()) };
    let state = site.ask(site.client.vm(vm))?;
    if state
        .disabled_methods
        .iter()
        .any(|method| method == MOVE_METHOD)
    {
        Err(error)
    } else {
        Ok(())
    }
}

/// The snapshots in a tree that bear our name and this description.
pub fn described(tree: &SnapshotTree, description: &str) -> Vec<Moref> {
    tree.iter()
        .filter(|node| node.name == SNAPSHOT_NAME && node.description == description)
        .map(|node| node.snapshot.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Error, clean_up_warning, described, settled};
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
    fn only_what_bears_our_name_and_description_is_ours() {
        let tree = SnapshotTree {
            current: None,
            roots: vec![
                node(
                    "s-1",
                    "before upgrade",
                    "cbt-backup 01",
                    vec![node("s-2", "cbt-backup", "cbt-backup 01", vec![])],
                ),
                node("s-3", "cbt-backup", "cbt-backup 02", vec![]),
            ],
        };
        assert_eq!(described(&tree, "cbt-backup 01"), [Moref::snapshot("s-2")]);
    }

    #[test]
    fn a_task_that_cannot_be_seen_matters_only_while_our_snapshot_has_not_come() {
        assert!(settled(Err(Error::Interrupted), true).is_ok());
        assert!(settled(Err(Error::Interrupted), false).is_err());
        assert!(settled(Ok(()), false).is_ok());
    }

    #[test]
    fn a_clean_up_that_leaves_vms_is_told_and_one_that_does_not_is_no_matter() {
        let counted = |remaining| {
            Ok(vddk::Cleanup {
                cleaned_up: 1,
                remaining,
            })
        };
        assert!(clean_up_warning(counted(0)).is_none());
        let warning = format!("{:?}", clean_up_warning(counted(2)));
        assert!(warning.contains("left 2 VMs"), "{warning}");
        let failed = Err(vddk::Error::Stuck {
            function: "VixDiskLib_Cleanup",
        });
        let warning = format!("{:?}", clean_up_warning(failed));
        assert!(warning.contains("VixDiskLib_Cleanup"), "{warning}");
    }
}
