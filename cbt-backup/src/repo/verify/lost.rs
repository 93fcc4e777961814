//! Roots that are lost. A root names everything else, so nothing that is left points at it: what
//! tells of it are the packs that no root needs.

use jiff::Timestamp;

use super::finding::{Finding, Severity};
use super::run::Verify;
use crate::repo::error::Error;
use crate::repo::id::{PackId, SessionId};
use crate::repo::lost_root::{LostRecord, LostRoot};
use crate::repo::name::{ObjectName, RootName};
use crate::repo::repository::Repository;
use crate::repo::roots::Roots;

impl Verify<'_> {
    /// Looks for packs of points whose root is gone, though no sweep has removed it.
    pub(super) fn check_lost_roots(&mut self) -> Result<(), Error> {
        let needed = |pack: PackId| self.needed.contains(&pack);
        let find = LostRoot::find(self.repo, &self.packs, needed);
        for root in self.handle.block_on(find)? {
            let what = format!(
                "the root of the point that session {} made is lost",
                root.session
            );
            self.tell_lost(&root, Severity::Error, &what);
        }
        for session in std::mem::take(&mut self.missed) {
            if let Some(root) = self.handle.block_on(may_be_lost(self.repo, session))? {
                let what = format!(
                    "session {session} died before it wrote the root of its point, or that is lost"
                );
                self.tell_lost(&root, Severity::Warning, &what);
            }
        }
        Ok(())
    }

    fn tell_lost(&mut self, root: &LostRoot, severity: Severity, what: &str) {
        let (packs, bytes) = root.own;
        let begun = Timestamp::from_millisecond(root.session.made_ms()).unwrap_or_default();
        let vm = root.vm.as_deref().unwrap_or("a VM that is not known");
        let what = format!(
            "{what}, of {vm}, begun at {begun:.0}; {packs} of its packs are there, {bytes} bytes, and a prune holds them \
             for a time"
        );
        let name = format!("pack/{}", root.session);
        self.report
            .findings
            .push(Finding::new(severity, &name, what));
    }

    /// Takes down whose root was missed. A record that cannot be read holds packs that nobody needs.
    pub(super) fn check_lost_record(&mut self, session: SessionId) -> Result<(), Error> {
        match self.handle.block_on(LostRecord::read(self.repo, session)) {
            Err(error) if error.is_damage() => {
                let name = ObjectName::Lost(session).to_string();
                let finding = Finding::new(Severity::Warning, &name, error.to_string());
                self.report.findings.push(finding);
                Ok(())
            }
            read => {
                self.missed.extend(read?.map(|record| record.session));
                Ok(())
            }
        }
    }
}

/// What an announced session needs that has a table and neither a root nor a final fence.
async fn may_be_lost(repo: &Repository, session: SessionId) -> Result<Option<LostRoot>, Error> {
    if !repo.announcements().await?.contains_key(&session) {
        return Ok(None);
    }
    let roots = Roots::read(repo, None).await?;
    let roots: Vec<RootName> = roots.unfenced.into_iter().chain(roots.fenced).collect();
    let ended = roots.iter().any(|root| root.session == session)
        || repo.fenced_sessions().await?.contains(&session);
    if ended {
        return Ok(None);
    }
    LostRoot::of_announced(repo, session, &roots).await
}
