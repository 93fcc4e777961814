//! A janitor's visit to one VM, whose lock the caller holds.

mod access;
mod runs;
mod snapshots;

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Finding, FindingKind, JanitorMode, JanitorOptions, Outcome, proof, watch::Watch};
use crate::{
    engine::{
        description::Description,
        error::{Error, chain},
        ledger::{Effect, Subject},
        monitor::{Event, Monitor},
        site::Site,
        undo::{MOVE_METHOD, SNAPSHOT_NAME},
    },
    repo::Repository,
    vsphere::{self, Moref, SnapshotNode, Vm},
};

/// A visit to one VM. The caller holds the VM's lock: no run of this state folder works on it.
pub(in crate::engine) struct Visit<'a> {
    pub(in crate::engine) site: &'a Site,
    /// Without it only the ledgers prove anything.
    pub(in crate::engine) repository: Option<&'a Repository>,
    pub(in crate::engine) moref: &'a Moref,
    pub(in crate::engine) subject: &'a Subject,
    pub(in crate::engine) options: &'a JanitorOptions,
    pub(in crate::engine) monitor: &'a dyn Monitor,
    pub(in crate::engine) cancel: &'a AtomicBool,
}

/// The VM after a visit.
pub(in crate::engine) struct Tidied {
    /// As it is now.
    pub(in crate::engine) vm: Vm,
    /// What was found.
    pub(in crate::engine) findings: Vec<Finding>,
}

/// What a visit has found so far.
#[derive(Default)]
struct Round {
    findings: Vec<Finding>,
    /// What ledgers name and is still there: it needs no other proof.
    by_ledger: Vec<Effect>,
}

impl Visit<'_> {
    /// Waits for what is under way, undoes by ledger and by description, and looks who keeps the VM in
    /// place. What is undone is told to the monitor, and so is what is not.
    ///
    /// # Errors
    /// When the VM, the repository or the state folder cannot be looked at; a signal.
    pub(in crate::engine) fn tidy(&self) -> Result<Tidied, Error> {
        let mut round = Round::default();
        let mut vm = self.look()?;
        if self.wait_for_snapshots(&vm, &mut round)? {
            vm = self.look()?;
        }
        if self.undo_runs(&vm, &mut round)? {
            vm = self.look()?;
        }
        if self.remove_cycles(&vm, &mut round) {
            vm = self.look()?;
        }
        let watch = self.watch(&vm, &round)?;
        if self.remove_snapshots(&vm, &watch, &mut round)? {
            vm = self.look()?;
        }
        if self.end_access(&vm, &watch, &mut round)? {
            vm = self.look()?;
        }
        if vm.consolidation_needed == Some(true) {
            let reason =
                "its disks need consolidation, and nothing shows that a run of ours is the cause";
            round.findings.push(Finding::new(
                FindingKind::Consolidation,
                Outcome::Alone,
                reason,
            ));
        }
        Ok(Tidied {
            vm,
            findings: round.findings,
        })
    }

    fn look(&self) -> Result<Vm, Error> {
        self.site.ask(self.site.client.vm(self.moref))
    }

    fn only_looks(&self) -> bool {
        self.options.mode == JanitorMode::Report
    }

    fn warn(&self, kind: &str, message: String) {
        self.monitor.event(&Event::warning(kind, message));
    }

    /// Waits for snapshots that are being made: the run that wanted one may be dead by now, and what
    /// comes later would not be seen. True if there was one.
    fn wait_for_snapshots(&self, vm: &Vm, round: &mut Round) -> Result<bool, Error> {
        let (client, runtime) = (&self.site.client, &self.site.runtime);
        let tasks = match runtime.block_on(client.unfinished_creations(&vm.recent_tasks)) {
            Ok(tasks) => tasks,
            // One that is not for our eyes.
            Err(error) if error.fault().is_some() => {
                let what = "whether a snapshot is being made could not be seen";
                self.snapshot_may_come(Outcome::Alone, what, &error, round);
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        for task in &tasks {
            self.monitor.step("wait for a snapshot that is being made");
            let limit = self.site.task_time_out;
            let cancelled = || self.cancel.load(Ordering::Relaxed);
            match runtime.block_on(client.wait_for_creation(task, limit, &cancelled)) {
                Ok(()) => {}
                Err(vsphere::Error::Cancelled { .. }) => return Err(Error::Interrupted),
                Err(error) => {
                    let what = "a snapshot is still being made";
                    self.snapshot_may_come(Outcome::Left, what, &error, round);
                }
            }
        }
        Ok(!tasks.is_empty())
    }

    fn snapshot_may_come(
        &self,
        outcome: Outcome,
        what: &str,
        error: &vsphere::Error,
        round: &mut Round,
    ) {
        let reason = format!("{what}: {}", chain(error));
        self.warn("snapshot-task", reason.clone());
        let finding = Finding::new(FindingKind::SnapshotTask, outcome, reason);
        round.findings.push(finding);
    }

    /// Looks at the repository's announcements, and watches them where something depends on whether they
    /// move.
    fn watch(&self, vm: &Vm, round: &Round) -> Result<Watch, Error> {
        let Some(repository) = self.repository else {
            return Ok(Watch::default());
        };
        let ours = repository.config().id;
        let vm_here = repository.watched_vm(&self.subject.vcenter, &self.subject.vm);
        let asks_for_owner = round
            .named_as_ours(vm)
            .iter()
            .any(|node| proof::is_for_watching(&node.description, ours));
        if !asks_for_owner && !round.is_kept_by_others(vm) {
            return Ok(Watch::default());
        }
        let (watch, first) = Watch::begin(self.site, repository, &vm_here)?;
        if !asks_for_owner && watch.sessions.is_empty() {
            return Ok(watch);
        }
        watch.go_on(
            &first,
            (self.site, repository, &vm_here),
            self.options.look_interval,
            self.monitor,
            self.cancel,
        )
    }
}

impl Round {
    /// The snapshots with our name or a description as ours have, except those of stun cycles, and those that a ledger names.
    fn named_as_ours<'v>(&self, vm: &'v Vm) -> Vec<&'v SnapshotNode> {
        let cycles = vm.left_cycles();
        let by_ledger = |node: &SnapshotNode| {
            self.by_ledger.iter().any(|effect| {
                matches!(effect, Effect::Snapshot { description, .. } if *description == node.description)
            })
        };
        let is_described = |node: &SnapshotNode| node.description.parse::<Description>().is_ok();
        let ours = vm
            .snapshots
            .iter()
            .filter(|node| node.name == SNAPSHOT_NAME || is_described(node));
        ours.filter(|node| !by_ledger(node))
            .filter(|node| !cycles.iter().any(|cycle| cycle.snapshot == node.snapshot))
            .collect()
    }

    /// True where the VM cannot be moved, and no ledger says why.
    fn is_kept_by_others(&self, vm: &Vm) -> bool {
        let by_ledger = self
            .by_ledger
            .iter()
            .any(|effect| matches!(effect, Effect::Access { .. }));
        is_kept(vm) && !by_ledger
    }
}

fn is_kept(vm: &Vm) -> bool {
    vm.disabled_methods.iter().any(|name| name == MOVE_METHOD)
}
