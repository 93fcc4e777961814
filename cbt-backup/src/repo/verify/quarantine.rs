//! The quarantine: what is put into it, and what is lifted.
//!
//! A list under `sweep/q-…` makes writers read blocks again that are in its packs. To lift one that says nothing
//! true harms nobody: a session that has read it goes on without its packs, and one that begins later builds on
//! packs that were read and are sound. Lists of sweeps are never lifted: their packs may go at any moment.

use std::collections::HashSet;

use super::finding::{Finding, Severity, VerifyLevel};
use super::run::Verify;
use crate::repo::condemned::{Condemned, PackList};
use crate::repo::error::Error;
use crate::repo::id::PackId;

/// What the lists said, and what became of their packs.
#[derive(Default)]
pub(super) struct Quarantine {
    /// Lists that can be read, by name.
    lists: Vec<(String, Condemned)>,
    /// Lists that cannot, with what is wrong with them.
    unreadable: Vec<(String, String)>,
    /// Packs of the lists that were read whole and are sound.
    sound: HashSet<PackId>,
    /// Packs that no point needs and that are damaged, where an unreadable list may have named them.
    damaged: Vec<PackId>,
}

impl Quarantine {
    fn names(&self, pack: PackId) -> bool {
        self.lists.iter().any(|(_, list)| list.contains(pack))
    }

    /// Whether a pack is read though no point needs it: to tell whether a list is right. What a list said that
    /// nobody can read is known only when all packs were read.
    pub(super) fn wants(&self, pack: PackId) -> bool {
        !self.unreadable.is_empty() || self.names(pack)
    }

    /// A pack was read whole, and is sound or not.
    pub(super) fn note(&mut self, pack: PackId, is_sound: bool, is_needed: bool) {
        if is_sound && self.names(pack) {
            self.sound.insert(pack);
        }
        // What a point needs is in the damage of the verification.
        if !is_sound && !is_needed && !self.names(pack) {
            self.damaged.push(pack);
        }
    }
}

impl Verify<'_> {
    /// Reads a list of the quarantine. One that cannot be read stops every backup and prune.
    pub(super) fn read_quarantine(&mut self, name: String) -> Result<(), Error> {
        match self.handle.block_on(PackList::read(self.repo, &name)) {
            Ok(None) => {}
            Ok(Some(list)) => {
                let mut packs = Condemned::default();
                packs.add(list);
                self.quarantine.lists.push((name, packs));
            }
            Err(error) if error.is_damage() => {
                self.quarantine.unreadable.push((name, error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes down the damaged packs that are in no quarantine yet. A full verification then lifts the lists that
    /// say nothing true, or nothing at all.
    pub(super) fn settle_quarantine(&mut self, level: VerifyLevel) {
        let written = self.put_in_quarantine();
        let unreadable = std::mem::take(&mut self.quarantine.unreadable);
        for (name, what) in unreadable {
            // All packs that are there were read, and those that are damaged are in a list that can be read.
            if written && level == VerifyLevel::Full && self.lift(&name) {
                let what = format!("{what}; all packs were read, and it is lifted");
                let finding = Finding::new(Severity::Warning, &name, what);
                self.report.findings.push(finding);
            } else {
                let what = format!(
                    "{what}; no backup and no prune goes on before `verify --level full` has lifted it"
                );
                let finding = Finding::new(Severity::Error, &name, what);
                self.report.findings.push(finding);
            }
        }
        if level != VerifyLevel::Full {
            return;
        }
        let lists = std::mem::take(&mut self.quarantine.lists);
        for (name, list) in &lists {
            if self.is_wrong(list) {
                self.lift(name);
            }
        }
    }

    /// Tells whether all damaged packs are in a list.
    fn put_in_quarantine(&mut self) -> bool {
        let damaged = self.report.damaged_packs.iter();
        let damaged = damaged.chain(&self.quarantine.damaged).copied();
        let new: Vec<PackId> = damaged
            .filter(|pack| !self.quarantine.names(*pack))
            .collect();
        if !new.is_empty()
            && let Err(error) = self.handle.block_on(self.repo.quarantine(new))
        {
            let what = format!("the damaged packs could not be put in quarantine: {error}");
            let finding = Finding::new(Severity::Warning, "sweep", what);
            self.report.findings.push(finding);
            return false;
        }
        self.report.quarantined = !self.report.damaged_packs.is_empty();
        true
    }

    /// A list is wrong when each of its packs is sound, or is gone and needed by no point. One of which no pack is
    /// there is left to a sweep.
    fn is_wrong(&self, list: &Condemned) -> bool {
        let mut there = self.packs.keys().filter(|pack| list.contains(**pack));
        let mut damaged = self.damage.keys();
        there.clone().next().is_some()
            && there.all(|pack| self.quarantine.sound.contains(pack))
            && !damaged.any(|pack| list.contains(*pack))
    }

    /// Tells whether the list is gone.
    fn lift(&mut self, name: &str) -> bool {
        match self.handle.block_on(self.repo.store().delete(name)) {
            Ok(()) => {
                self.report.lifted_lists.push(name.to_owned());
                true
            }
            Err(Error::Missing { .. }) => true,
            Err(error) => {
                let what = format!("it says nothing true and could not be lifted: {error}");
                let finding = Finding::new(Severity::Warning, name, what);
                self.report.findings.push(finding);
                false
            }
        }
    }
}
