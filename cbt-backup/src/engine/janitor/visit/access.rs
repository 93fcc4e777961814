//! A VM that is kept from being moved, and by whom.

use super::{Round, Visit, is_kept};
use crate::{
    engine::{
        description::identity,
        error::{Error, chain},
        janitor::{Finding, FindingKind, Outcome, watch::Watch},
        undo,
    },
    repo::SessionId,
    vsphere::Vm,
};

impl Visit<'_> {
    /// Allows the VM to be moved again, where a dead run of ours may have forbidden it. True if it was
    /// allowed.
    pub(super) fn end_access(
        &self,
        vm: &Vm,
        watch: &Watch,
        round: &mut Round,
    ) -> Result<bool, Error> {
        if !round.is_kept_by_others(vm) {
            return Ok(false);
        }
        let suspects = dead_sessions(watch, round);
        let finding = |session: Option<SessionId>, outcome, reason: &str| Finding {
            session: session.map(|session| session.to_string()),
            ..Finding::new(FindingKind::Access, outcome, reason)
        };
        if self.only_looks() && !suspects.is_empty() {
            let reason = "the VM cannot be moved, perhaps because of a run that is dead";
            round
                .findings
                .push(finding(suspects.first().copied(), Outcome::Found, reason));
            return Ok(false);
        }
        // A run whose point is there may have died before it let go. It reads no more, so that ending its
        // access does no harm should it live.
        let finished = match self.repository {
            Some(repository) if !watch.is_alive => {
                let key = repository.vm_key(&self.subject.vcenter, &self.subject.vm);
                let newest = repository.newest_backup(&key);
                self.site.runtime.block_on(newest)?
            }
            _ => None,
        };
        for session in suspects.into_iter().chain(finished) {
            if self.only_looks() {
                break;
            }
            let ended = undo::end_access(self.site, self.moref, None, &identity(session));
            if let Err(error) = ended {
                tracing::warn!(%session, error = %chain(&error), "ending the access of a dead run failed");
            }
            if !is_kept(&self.look()?) {
                let reason = format!("run {session} had not let go; the VM may be moved again");
                self.warn("dead-run", reason.clone());
                round
                    .findings
                    .push(finding(Some(session), Outcome::Undone, &reason));
                return Ok(true);
            }
        }
        let reason = "the VM is kept from being moved, by a backup that runs or by another program as far as can be seen";
        round.findings.push(finding(None, Outcome::Alone, reason));
        Ok(false)
    }
}

/// The dead sessions that may keep the VM in place: those announced for it, and those of snapshots.
fn dead_sessions(watch: &Watch, round: &Round) -> Vec<SessionId> {
    if watch.is_alive {
        return Vec::new();
    }
    let mut dead = watch.sessions.clone();
    let of_snapshots = round.findings.iter().filter(|finding| {
        finding.kind == FindingKind::Snapshot && finding.outcome != Outcome::Alone
    });
    dead.extend(
        of_snapshots.filter_map(|finding| finding.session.as_ref()?.parse::<SessionId>().ok()),
    );
    dead.sort_unstable();
    dead.dedup();
    dead
}
