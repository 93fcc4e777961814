//! One point on its way: a row of sessions of the target.

use std::collections::HashSet;

use jiff::Timestamp;

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
            tags: point.root.tags.clone(),
            ..SessionSpec::default()
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
        let mut parents = session.parents().to_vec();
        parents.retain(|parent| session.may_build_upon(parent));
        let grounds = Grounds::choose(&parents, point, origin, catalog.bases(point));
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

    /// A whole copy that somebody else has committed since the run began. Two that commit at the same
    /// moment do not see each other: then there are two copies, which hurts nobody. So an answer that cannot
    /// be had is no reason to stop either.
    fn copied_meanwhile(&self, session: &Session, point: &Point) -> Option<PointId> {
        let origin = identity(self.source, point);
        // The last session of a row may have seen it.
        if let Some(there) = self.there(session, origin) {
            return Some(there);
        }
        let known: HashSet<PointId> = session.parents().iter().map(Point::id).collect();
        let vm = &point.root.vm;
        let vm = (&vm.vcenter_instance_uuid, &vm.instance_uuid);
        let vm = self.target.vm_key(vm.0, vm.1);
        self.handle.block_on(async {
            let roots = Roots::read(self.target, Some(&vm)).await.ok()?.living();
            for name in roots.iter().filter(|root| !known.contains(&root.point)) {
                let Ok(new) = self.target.read_root(name).await else {
                    continue;
                };
                if !is_unfinished(&new) && identity(self.target, &new) == origin {
                    return Some(new.id());
                }
            }
            None
        })
    }

    /// Ends without a point, and drops what was committed on the way: copy `there` is whole. What stays is
    /// dropped by retention.
    fn forget_unfinished(&self, session: Session, there: PointId) {
        let own = session.origin();
        let unfinished = |parent: &&Point| is_unfinished(parent) && parent.root.origin == own;
        let unfinished = session.parents().iter().filter(unfinished);
        let unfinished: Vec<_> = unfinished.map(Point::id).collect();
        session.abandon();
        let why = format!("point {there} is whole");
        let now_ms = Timestamp::now().as_millisecond();
        for point in unfinished {
            let dropped = self
                .target
                .drop_point(point, &self.options.host, &why, now_ms);
            if let Err(error) = self.handle.block_on(dropped) {
                tracing::warn!(%point, %error, "a partial point stays");
            }
        }
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
        let session = self.row.into_session()?;
        if let Some(there) = self.run.copied_meanwhile(&session, self.point) {
            self.run.forget_unfinished(session, there);
            return Ok(Outcome::There(there));
        }
        let Committed { point, stats, .. } = session.commit(info)?;
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
