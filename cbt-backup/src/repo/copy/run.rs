//! The copy of several points, one after the other.

use std::collections::HashSet;

use tokio::runtime::Handle;

use super::catalog::{Catalog, identity, is_unfinished};
use super::options::{CopyMonitor, CopyOptions, CopyReport};
use super::point::Outcome;
use crate::repo::announce::Pin;
use crate::repo::error::Error;
use crate::repo::id::PointId;
use crate::repo::point::{Point, PointSummary};
use crate::repo::repository::Repository;

/// How often a point's copy is begun, when what it builds on is damaged.
const TRIES: usize = 4;

/// A copy at work.
pub(super) struct Run<'a> {
    pub(super) source: &'a Repository,
    pub(super) target: &'a Repository,
    pub(super) handle: &'a Handle,
    pub(super) options: &'a CopyOptions,
    pub(super) monitor: &'a dyn CopyMonitor,
}

impl Repository {
    /// Copies points to another repository, VM by VM, the oldest first. Points whose copy is there are
    /// passed over, and so are unfinished ones. The points are pinned meanwhile. Blocking.
    ///
    /// What cannot be read here is in the copy as unreadable, with a finding. What is damaged in the target goes into
    /// quarantine there, and is read from here again. A copy that ends early leaves
    /// the points that were done; of the one it was at, the next copy goes on from what was committed.
    ///
    /// # Errors
    /// `SameRepository`; `PointNotFound` for a point that is not here; `NotWritable`, `NeedsFeature` and
    /// those of a commit for the target; `SourceChanged`, `Stopped`, `Store`.
    pub fn copy(
        &self,
        target: &Self,
        handle: &Handle,
        wanted: &[PointId],
        options: &CopyOptions,
        monitor: &dyn CopyMonitor,
    ) -> Result<CopyReport, Error> {
        if self.config().id == target.config().id {
            return Err(Error::SameRepository {
                id: self.config().id,
            });
        }
        if !options.dry_run {
            target.config().check_writable()?;
        }
        let run = Run {
            source: self,
            target,
            handle,
            options,
            monitor,
        };
        let wanted: HashSet<PointId> = wanted.iter().copied().collect();
        let mut catalog = handle.block_on(Catalog::read(self, target))?;
        let pins = catalog.to_pin(&wanted);
        let pin = self.pin_and_look(&pins, &options.host, options.heartbeat(), handle);
        let (pin, _) = handle.block_on(pin)?;
        let outcome = run.all(&mut catalog, &wanted);
        handle.block_on(Pin::release(pin));
        outcome
    }
}

impl Run<'_> {
    /// All that is done while the points are pinned.
    fn all(&self, catalog: &mut Catalog, wanted: &HashSet<PointId>) -> Result<CopyReport, Error> {
        self.handle.block_on(catalog.read_source())?;
        let mut report = CopyReport::default();
        let unreadable = catalog.findings.iter();
        let unreadable =
            unreadable.filter(|finding| finding.point.is_some_and(|point| wanted.contains(&point)));
        report.findings.extend(unreadable.cloned());
        let named = report.findings.iter().filter_map(|finding| finding.point);
        let known: HashSet<PointId> = catalog.points.iter().map(Point::id).chain(named).collect();
        if let Some(gone) = wanted.difference(&known).min() {
            return Err(Error::PointNotFound {
                id: gone.to_string(),
            });
        }
        let mut points: Vec<Point> = catalog.points.clone();
        points.retain(|point| wanted.contains(&point.id()));
        // The sort is stable: of one VM the oldest comes first.
        points.sort_by(|a, b| a.name.vm.cmp(&b.name.vm));
        for point in &points {
            if is_unfinished(point) {
                report.unfinished.push(point.id());
            } else if catalog.copy_of(point).is_some() {
                report.there.push(point.id());
            } else if self.monitor.should_stop() {
                return Err(Error::Stopped);
            } else {
                self.monitor.point_begins(&PointSummary::from(point));
                self.one(catalog, point, &mut report)?;
            }
        }
        Ok(report)
    }

    /// Copies a point. When the point of the target that it builds on turns out to be damaged, the pack is put
    /// into quarantine there, and the copy begins again: it reads from the source what was in there.
    fn copy_past_damage(&self, catalog: &Catalog, point: &Point) -> Result<Outcome, Error> {
        for _ in 1..TRIES {
            let error = match self.copy_point(catalog, point) {
                Err(error) => error,
                done => return done,
            };
            // What is damaged in the source is no error: the copy has it as unreadable.
            let Some(pack) = error.damaged_pack() else {
                return Err(error);
            };
            self.handle.block_on(self.target.quarantine(vec![pack]))?;
            self.monitor.pack_damaged(pack, &error);
        }
        self.copy_point(catalog, point)
    }

    fn one(
        &self,
        catalog: &mut Catalog,
        point: &Point,
        report: &mut CopyReport,
    ) -> Result<(), Error> {
        let origin = identity(self.source, point);
        if self.options.dry_run {
            let (copied, findings) = self.measure(catalog, point)?;
            self.monitor.point_ends(&copied);
            report.copied.push(copied);
            report.findings.extend(findings);
            // It would be there, under an id that nobody knows yet.
            catalog.has_now(origin, point.id());
            return Ok(());
        }
        match self.copy_past_damage(catalog, point)? {
            Outcome::Copied(copied, findings) => {
                if let Some(copy) = copied.to {
                    catalog.has_now(origin, copy);
                }
                self.monitor.point_ends(&copied);
                report.copied.push(*copied);
                report.findings.extend(findings);
            }
            Outcome::There(copy) => {
                catalog.has_now(origin, copy);
                report.there.push(point.id());
            }
        }
        Ok(())
    }
}
