//! Objects that no point needs, and that decide what counts all the same: key slots, tombstones,
//! fences, old generations.

use std::collections::HashMap;

use super::finding::{Finding, Severity};
use super::run::Verify;
use crate::repo::error::Error;
use crate::repo::id::PointId;
use crate::repo::key::KeySlotState;
use crate::repo::name::{CONFIG, ObjectName, RootName};
use crate::repo::point::Point;
use crate::repo::roots::Roots;

impl Verify<'_> {
    /// Looks at what decides which points count.
    pub(super) fn check_names(&mut self, roots: &Roots) -> Result<(), Error> {
        self.check_key_slots()?;
        self.check_tombstones(roots)?;
        self.check_old_generations(roots)?;
        for root in &roots.fenced {
            let what = "a sweep has fenced its session, so it does not count, and the next sweep \
                        removes it";
            self.tell_of_root(Severity::Warning, root, what.to_owned());
        }
        Ok(())
    }

    /// A slot is looked at when its holder needs it, which may be too late.
    fn check_key_slots(&mut self) -> Result<(), Error> {
        for slot in self.handle.block_on(self.repo.key_slots())? {
            let name = ObjectName::Key(slot.id).to_string();
            if slot
                .config
                .is_some_and(|saved| saved != *self.repo.config())
            {
                let what =
                    format!("it is not what {name} says it was: `key repair` writes it again");
                let finding = Finding::new(Severity::Error, CONFIG, what);
                self.report.findings.push(finding);
            }
            let (severity, what) = match slot.state {
                KeySlotState::Usable { .. } => continue,
                KeySlotState::Unknown => {
                    let what = "a later program made it, or it is damaged";
                    (Severity::Warning, what.to_owned())
                }
                KeySlotState::Damaged { why } => {
                    let what = format!(
                        "its secret may not open the repository: {why}; remove it with `cbt-backup key remove {}` and \
                         add the key again with `cbt-backup key add`",
                        slot.id
                    );
                    (Severity::Error, what)
                }
            };
            let finding = Finding::new(severity, &name, what);
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// A tombstone counts though nobody can read it, so one that is not whole may hide a point that
    /// nobody has dropped.
    fn check_tombstones(&mut self, roots: &Roots) -> Result<(), Error> {
        let mut dead: Vec<PointId> = roots.dead.iter().copied().collect();
        dead.sort_unstable();
        for point in dead {
            let Err(error) = self.handle.block_on(self.repo.read_tombstone(point)) else {
                continue;
            };
            if !error.is_damage() {
                return Err(error);
            }
            let hidden = roots.unfenced.iter().find(|root| root.point == point);
            let severity = match hidden {
                Some(_) => Severity::Error,
                None => Severity::Warning,
            };
            let name = ObjectName::Dead(point).to_string();
            let finding = Finding::new(severity, &name, format!("it counts all the same: {error}"));
            self.report.findings.push(match hidden {
                Some(root) => finding.of_root(root),
                None => Finding {
                    point: Some(point),
                    ..finding
                },
            });
        }
        Ok(())
    }

    /// A sweep keeps what old generations need, and so must be able to read them.
    fn check_old_generations(&mut self, roots: &Roots) -> Result<(), Error> {
        let living: HashMap<PointId, RootName> = roots
            .living()
            .into_iter()
            .map(|root| (root.point, root))
            .collect();
        for root in roots.unfenced.iter().filter(|root| !roots.is_dead(root)) {
            if living.get(&root.point) == Some(root) {
                continue;
            }
            let Some(point) = self.handle.block_on(self.root_if_there(root))? else {
                continue;
            };
            let error = match point {
                Err(error) => error,
                Ok(point) => match self.handle.block_on(self.repo.usage(&point.root.usage)) {
                    // A sweep may have removed the root meanwhile, and then its packs.
                    Err(error) if self.handle.block_on(self.root_if_there(root))?.is_some() => {
                        error
                    }
                    _ => continue,
                },
            };
            if !error.is_damage() {
                return Err(error);
            }
            let what = format!("a generation that is not needed any more cannot be read: {error}");
            self.tell_of_root(Severity::Warning, root, what);
        }
        Ok(())
    }

    /// A root, or what is wrong with it; `None` when it is gone.
    async fn root_if_there(&self, root: &RootName) -> Result<Option<Result<Point, Error>>, Error> {
        match self.repo.read_root(root).await {
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) if !error.is_damage() => Err(error),
            read => Ok(Some(read)),
        }
    }

    pub(super) fn tell_of_root(&mut self, severity: Severity, root: &RootName, what: String) {
        let finding = Finding::new(severity, &root.to_string(), what);
        self.report.findings.push(finding.of_root(root));
    }
}
