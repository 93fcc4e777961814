//! Putting vSphere back as it was: the tail of every run, and what a dead run left.

use vddk::Access;

use super::{
    error::Error,
    ledger::{Effect, Ledger},
    monitor::{Event, Monitor},
    site::Site,
};
use crate::vsphere::{Moref, SnapshotNode, SnapshotTree, TaskState};

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
        match undone.map_err(|error| error.to_string()).and_then(|()| {
            ledger
                .undone(&effect)
                .map_err(|error| format!("failed to write the ledger: {error}"))
        }) {
            Ok(()) => {}
            Err(error) => {
                clean = false;
                monitor.event(&Event::warning(
                    "left-behind",
                    left_behind(&effect, vm, &error),
                ));
            }
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
    match cleaned {
        Ok(report) if report.remaining > 0 => monitor.event(&Event::warning(
            "cleanup",
            format!(
                "VixDiskLib_Cleanup could not clean up {} VMs",
                report.remaining
            ),
        )),
        Ok(_) => {}
        Err(error) => monitor.event(&Event::warning(
            "cleanup",
            format!("VixDiskLib_Cleanup: {error}"),
        )),
    }
}

/// Removes every snapshot with this description. None is fine: the run died before it was made.
fn remove_snapshots(
    site: &Site,
    vm: &Moref,
    description: &str,
    monitor: &dyn Monitor,
) -> Result<(), Error> {
    wait_for_creations(site, vm)?;
    let state = site.ask(site.client.vm(vm))?;
    for snapshot in described(&state.snapshots, description) {
        monitor.step("remove snapshot");
        let task = site.ask(site.client.remove_snapshot(&snapshot))?;
        site.wait(&task)?;
    }
    let state = site.ask(site.client.vm(vm))?;
    if state.consolidation_needed == Some(true) {
        monitor.step("consolidate disks");
        let task = site.ask(site.client.consolidate(vm))?;
        site.wait(&task)?;
    }
    Ok(())
}

/// A snapshot may still be on its way: its task is waited for before the VM is called clean.
fn wait_for_creations(site: &Site, vm: &Moref) -> Result<(), Error> {
    let state = site.ask(site.client.vm(vm))?;
    for task in &state.recent_tasks {
        // A finished task may vanish between the two questions.
        let Ok(info) = site.ask(site.client.task(task)) else {
            continue;
        };
        let finished = matches!(info.state, TaskState::Success | TaskState::Error);
        if info.name.starts_with("CreateSnapshot") && !finished {
            // Its failure is no concern here: what counts is the tree afterwards.
            let _ = site.wait(task);
        }
    }
    Ok(())
}

fn end_access(
    site: &Site,
    vm: &Moref,
    access: Option<Access>,
    identity: &str,
) -> Result<(), Error> {
    match access {
        Some(access) => match access.close() {
            // A disk that was given up keeps the handle; the identity ends it all the same.
            Err(vddk::Error::Argument { .. }) => end_access(site, vm, None, identity),
            closed => Ok(closed?),
        },
        None => Ok(site
            .library
            .end_access(&site.connect_params(vm)?, identity)?),
    }
}

/// The snapshots in a tree that bear our name and this description.
pub fn described(tree: &SnapshotTree, description: &str) -> Vec<Moref> {
    every(tree)
        .into_iter()
        .filter(|node| node.name == SNAPSHOT_NAME && node.description == description)
        .map(|node| node.snapshot.clone())
        .collect()
}

/// Every snapshot of a tree.
pub fn every(tree: &SnapshotTree) -> Vec<&SnapshotNode> {
    let mut waiting: Vec<&SnapshotNode> = tree.roots.iter().rev().collect();
    let mut found = Vec::new();
    while let Some(node) = waiting.pop() {
        found.push(node);
        waiting.extend(node.children.iter().rev());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{described, every};
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
        assert_eq!(every(&tree).len(), 3);
    }
}
