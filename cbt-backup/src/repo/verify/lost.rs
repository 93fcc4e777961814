//! Roots that are lost. A root names everything else, so nothing that is left points at it: what
//! tells of it are the packs that no root needs.

use jiff::Timestamp;

use super::finding::{Finding, Severity};
use super::run::Verify;
use crate::repo::error::Error;
use crate::repo::id::{PackId, SessionId};
use crate::repo::lost_root::{LostRecord, LostRoot};
use crate::repo::name::ObjectName;

impl Verify<'_> {
    /// Looks for packs of points whose root is gone, though no sweep has removed it.
    pub(super) fn check_lost_roots(&mut self) -> Result<(), Error> {
        let needed = |pack: PackId| self.needed.contains(&pack);
        let find = LostRoot::find(self.repo, &self.packs, needed);
        for root in self.handle.block_on(find)? {
            let (packs, bytes) = root.own(&self.packs);
            let begun = Timestamp::from_millisecond(root.session.made_ms()).unwrap_or_default();
            let vm = root.vm.as_deref().unwrap_or("a VM that is not known");
            let what = format!(
                "the root of the point that session {} made is lost, of {vm}, begun at {begun:.0}; {packs} of its packs are \
                 there, {bytes} bytes, and a prune holds them for a time",
                root.session
            );
            let name = format!("pack/{}", root.session);
            let finding = Finding::new(Severity::Error, &name, what);
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// A record that cannot be read holds packs that nobody needs.
    pub(super) fn check_lost_record(&mut self, session: SessionId) -> Result<(), Error> {
        match self.handle.block_on(LostRecord::read(self.repo, session)) {
            Err(error) if error.is_damage() => {
                let name = ObjectName::Lost(session).to_string();
                let finding = Finding::new(Severity::Warning, &name, error.to_string());
                self.report.findings.push(finding);
                Ok(())
            }
            read => read.map(|_| ()),
        }
    }
}
