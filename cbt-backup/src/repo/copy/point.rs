//! One point on its way: a row of sessions of the target.

use super::catalog::{Catalog, identity, is_unfinished};
use super::ground::Grounds;
use super::losses::Losses;
use super::options::CopiedPoint;
use super::run::Run;
use crate::repo::error::Error;
use crate::repo::id::PointId;
use crate::repo::point::{Point, PointSummary};
use crate::repo::root::{Origin, PointEvent};
use crate::repo::roots::Roots;
use crate::repo::session::{Committed, NewFile, RootInfo, Session, SessionRow, SessionSpec};
use crate::repo::verify::Finding;

/// A point that is being copied.
pub(super) struct PointCopy<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) point: &'a Point,
    pub(super) grounds: Grounds,
    pub(super) row: SessionRow,
    pub(super) losses: Losses,
    pub(super) read_blocks: u64,
    pub(super) read_bytes: u64,
}

/// What became of it.
pub(super) enum Outcome {
    Copied(Box<CopiedPoint>, Vec<Finding>),
    /// Somebody else has copied it meanwhile.
    There(PointId),
}

impl Run<'_> {
    pub(super) fn copy_point(&self, catalog: &Catalog, point: &Point) -> Result<Outcome, Error> {
        let origin = identity(self.source, point);
        let spec = SessionSpec {
            vm: point.root.vm.clone(),
            host: self.options.host.clone(),
        };
        let session = self.handle.block_on(self.target.begin_copy(
            spec,
            origin,
            self.handle,
            self.options.session,
        ))?;
        if let Some(there) = self.there(&session, origin) {
            session.abandon();
            return Ok(Outcome::There(there));
        }
        let earlier = |parent: &&Point| parent.root.origin == Some(origin);
        let resumed = session.parents().iter().find(earlier).cloned();
        let grounds = Grounds::choose(&session, point, resumed, catalog.bases(point));
        let copy = PointCopy {
            run: self,
            catalog,
            point,
            grounds,
            row: SessionRow::new(session, self.options.interval),
            losses: Losses::default(),
            read_blocks: 0,
            read_bytes: 0,
        };
        copy.finish()
    }

    /// The point itself, or a whole copy of it, among the points that the session sees.
    fn there(&self, session: &Session, origin: Origin) -> Option<PointId> {
        let same =
            |parent: &&Point| !is_unfinished(parent) && identity(self.target, parent) == origin;
        session.parents().iter().find(same).map(Point::id)
    }
}

impl PointCopy<'_> {
    fn finish(mut self) -> Result<Outcome, Error> {
        match self.copy_all() {
            Ok(files) => self.commit(files),
            Err(error) => {
                let info = self.info(Vec::new());
                if let Ok(session) = self.row.into_session() {
                    session.end_unfinished(info);
                }
                Err(error)
            }
        }
    }

    /// The disks and files. Everything of the point is put when this returns.
    fn copy_all(&mut self) -> Result<Vec<NewFile>, Error> {
        let point = self.point;
        for (index, disk) in point.root.disks.iter().enumerate() {
            self.copy_disk(index, disk)?;
        }
        let mut files = Vec::new();
        for file in &point.root.files {
            match self.run.handle.block_on(self.run.source.file(file)) {
                Ok(content) => files.push(NewFile {
                    name: file.name.clone(),
                    content,
                }),
                Err(error) if error.is_damage() => self.losses.file(&file.name, &error),
                Err(error) => return Err(error),
            }
        }
        if !self.losses.is_empty() {
            self.refuse_if_moved()?;
        }
        Ok(files)
    }

    /// Without a pin a prune or a compaction of the source may be the reason why something is missing.
    fn refuse_if_moved(&self) -> Result<(), Error> {
        let roots = Roots::read(self.run.source, Some(&self.point.name.vm));
        let living = self.run.handle.block_on(roots)?.living();
        if living.contains(&self.point.name) {
            return Ok(());
        }
        Err(Error::SourceChanged {
            point: self.point.id(),
        })
    }

    fn commit(self, files: Vec<NewFile>) -> Result<Outcome, Error> {
        let info = self.info(files);
        let Committed { point, stats, .. } = self.row.into_session()?.commit(info)?;
        let copied = CopiedPoint {
            from: PointSummary::from(self.point),
            to: Some(point),
            base: self.grounds.base.as_ref().map(|(base, _)| base.id()),
            read_blocks: self.read_blocks,
            read_bytes: self.read_bytes,
            unreadable_bytes: self.losses.bytes(),
            stats,
        };
        let findings = self.losses.into_findings(self.point).collect();
        Ok(Outcome::Copied(Box::new(copied), findings))
    }

    /// What the copy's root says beside the disks: what the point's says, and where it is from.
    pub(super) fn info(&self, files: Vec<NewFile>) -> RootInfo {
        let root = &self.point.root;
        let mut events = root.events.clone();
        let repository = self.run.source.config().id;
        let text = format!("of point {} of repository {repository}", self.point.id());
        events.push(PointEvent {
            code: "copied".to_owned(),
            text,
        });
        if !self.losses.is_empty() {
            let bytes = self.losses.bytes();
            events.push(PointEvent {
                code: "unreadable".to_owned(),
                text: format!(
                    "{bytes} bytes of its disks, or files of it, could not be read there"
                ),
            });
        }
        RootInfo {
            kind: root.kind,
            snapshot_time: root.snapshot_time.clone(),
            snapshot_time_ms: root.snapshot_time_ms,
            zone: root.zone.clone(),
            consistency: root.consistency,
            parent: self.grounds.parent(),
            files,
            events,
            program: self.run.options.program.clone(),
        }
    }
}
