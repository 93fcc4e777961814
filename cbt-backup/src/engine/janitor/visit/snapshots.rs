//! Snapshots with our name that no ledger here names.

use super::{Round, Visit};
use crate::{
    engine::{
        error::{Error, chain},
        janitor::{
            Finding, FindingKind, JanitorMode, Outcome,
            proof::{self, Owner},
            watch::Watch,
        },
        patience::Patience,
        undo::{self, CleanUp},
    },
    vsphere::{SnapshotNode, Unmerged, Vm},
};

impl Visit<'_> {
    /// Removes the snapshots that are proven to be ours and dead. True if one went.
    pub(super) fn remove_snapshots(
        &self,
        vm: &Vm,
        watch: &Watch,
        round: &mut Round,
    ) -> Result<bool, Error> {
        let nodes = round.named_as_ours(vm);
        if nodes.is_empty() {
            return Ok(false);
        }
        let now = self.site.ask(self.site.client.current_time())?;
        let mut any = false;
        for node in nodes {
            let owner = match self.repository {
                Some(ours) => proof::owner(&node.description, ours.config().id, watch),
                None => Owner::Unseen,
            };
            let (outcome, reason) = self.settle(node, &owner);
            any |= outcome == Outcome::Undone;
            round.findings.push(Finding {
                session: match owner {
                    Owner::Dead(session) | Owner::Alive(session) => Some(session.to_string()),
                    Owner::Elsewhere(_) | Owner::Unproven(_) | Owner::Unseen => None,
                },
                description: Some(node.description.clone()),
                created: node.created,
                age: node.created.map(|created| now.duration_since(created)),
                ..Finding::new(FindingKind::Snapshot, outcome, reason)
            });
        }
        Ok(any)
    }

    /// Removes one snapshot, or says why not.
    fn settle(&self, node: &SnapshotNode, owner: &Owner) -> (Outcome, String) {
        let stays = |outcome, why: String| {
            let message = format!(
                "a snapshot {:?} is there ({}); it is left alone: {why}",
                node.name, node.description
            );
            self.warn("other-snapshot", message);
            (outcome, why)
        };
        match (owner, self.options.mode) {
            (Owner::Alive(_), _) => stays(
                Outcome::Alone,
                "a backup of this VM shows life in the repository".to_owned(),
            ),
            (Owner::Elsewhere(id), _) => stays(
                Outcome::Alone,
                format!("it is of repository {id}; its own janitor knows more"),
            ),
            (Owner::Unseen, _) => stays(
                Outcome::Unproven,
                "no ledger here names it, and the repository, which may prove it, cannot be opened"
                    .to_owned(),
            ),
            (Owner::Unproven(why), JanitorMode::Report | JanitorMode::Clean) => {
                stays(Outcome::Unproven, (*why).to_owned())
            }
            (Owner::Dead(session), JanitorMode::Report) => {
                (Outcome::Found, format!("of run {session}, which is dead"))
            }
            (Owner::Dead(session), JanitorMode::Clean | JanitorMode::Adopt) => {
                self.remove(node, format!("of run {session}, which is dead"))
            }
            (Owner::Unproven(why), JanitorMode::Adopt) => {
                self.remove(node, format!("adopted, though {why}"))
            }
        }
    }

    fn remove(&self, node: &SnapshotNode, why: String) -> (Outcome, String) {
        self.warn(
            "dead-run",
            format!("the snapshot {:?} is removed now: {why}", node.description),
        );
        undo::clean_up_library(
            self.site,
            self.moref,
            CleanUp::Surely,
            Patience::default(),
            self.monitor,
        );
        let removed = undo::remove_snapshots(
            self.site,
            self.moref,
            &node.description,
            Unmerged::Nothing,
            self.monitor,
        );
        match removed {
            Ok(()) => (Outcome::Undone, why),
            Err(error) => {
                let reason = format!(
                    "the snapshot {:?} is left: {}",
                    node.description,
                    chain(&error)
                );
                self.warn("left-behind", format!("{reason}; the next run tries again"));
                (Outcome::Left, reason)
            }
        }
    }
}
