//! What this machine knows to be left: dead runs by their ledgers, and stun cycles.

use super::{Round, Visit, is_kept};
use crate::{
    engine::{
        error::{Error, chain},
        janitor::{Finding, FindingKind, Outcome},
        ledger::{Effect, Ledger},
        patience::Patience,
        undo::{self, CleanUp, own_name},
    },
    vsphere::Vm,
};

impl Visit<'_> {
    /// Undoes what the ledgers of this state folder name. True if there was one.
    pub(super) fn undo_runs(&self, vm: &Vm, round: &mut Round) -> Result<bool, Error> {
        let folder = self.options.state_dir.join("ledger");
        let state = |source| Error::State {
            path: self.options.state_dir.clone(),
            source,
        };
        let left = Ledger::left_behind(&folder, self.subject).map_err(state)?;
        for path in left.unreadable {
            let what = "cannot be read; if a run of another VM died, look for its snapshot";
            self.warn("ledger", format!("{} {what}", path.display()));
        }
        let any = !left.ledgers.is_empty();
        for dead in left.ledgers {
            let session = dead.session().to_owned();
            let effects = dead.open_effects();
            let visible = visible(vm, &effects);
            let (outcome, reason) = if self.only_looks() {
                // A ledger alone is nothing in vSphere.
                let outcome = if visible.is_empty() {
                    Outcome::Alone
                } else {
                    Outcome::Found
                };
                (
                    outcome,
                    format!("run {session} died and left {}", listed(&visible)),
                )
            } else {
                self.warn(
                    "dead-run",
                    format!("run {session} died and is cleaned up now"),
                );
                let patience = Patience::default();
                let unwound = undo::unwind(
                    self.site,
                    self.moref,
                    dead,
                    None,
                    CleanUp::Surely,
                    patience,
                    self.monitor,
                );
                if unwound.is_clean {
                    let reason = format!("run {session} died; undone: {}", listed(&visible));
                    (Outcome::Undone, reason)
                } else {
                    let reason = format!("what run {session} left could not be undone");
                    (Outcome::Left, reason)
                }
            };
            if outcome != Outcome::Undone {
                round.by_ledger.extend(effects);
            }
            round.findings.push(Finding {
                session: Some(session),
                ..Finding::new(FindingKind::Run, outcome, reason)
            });
        }
        Ok(any)
    }

    /// Removes the snapshots of stun cycles that died: beside them tracking would not be switched on.
    /// True if one went.
    pub(super) fn remove_cycles(&self, vm: &Vm, round: &mut Round) -> bool {
        let left = vm.left_cycles();
        if left.is_empty() {
            return false;
        }
        let finding = |outcome, reason| Finding::new(FindingKind::Cycle, outcome, reason);
        if self.only_looks() {
            let reason = "the snapshot of a stun cycle that was cut short";
            round.findings.extend(left.iter().map(|node| Finding {
                description: Some(node.description.clone()),
                created: node.created,
                ..finding(Outcome::Found, reason.to_owned())
            }));
            return false;
        }
        let client = &self.site.client;
        let removing = client.remove_left_cycles(vm, self.site.task_time_out);
        match self.site.runtime.block_on(removing) {
            Ok(count) => {
                let reason =
                    format!("{count} snapshots of stun cycles that were cut short are removed");
                self.warn("left-cycle", reason.clone());
                round.findings.push(finding(Outcome::Undone, reason));
                true
            }
            Err(error) => {
                let reason = format!("the snapshot of a stun cycle is left: {}", chain(&error));
                self.warn("left-behind", format!("{reason}; the next run tries again"));
                round.findings.push(finding(Outcome::Left, reason));
                false
            }
        }
    }
}

/// What of a ledger shows at the VM.
fn visible(vm: &Vm, effects: &[Effect]) -> Vec<&'static str> {
    let shows = |effect: &Effect| match effect {
        Effect::Snapshot { description, .. } => {
            let there = vm.snapshots.described(own_name(description), description);
            (!there.is_empty()).then_some("a snapshot")
        }
        Effect::Access { .. } => is_kept(vm).then_some("that the VM cannot be moved"),
    };
    effects.iter().filter_map(shows).collect()
}

fn listed(parts: &[&str]) -> String {
    if parts.is_empty() {
        "nothing in vSphere".to_owned()
    } else {
        parts.join(", ")
    }
}
