//! Out of the bin: a new point with the content of one that was dropped.

use tokio::runtime::Handle;

use super::begin::{Session, Writing};
use super::spec::{Committed, SessionOptions, SessionSpec};
use crate::repo::announce::SessionKind;
use crate::repo::error::Error;
use crate::repo::id::PointId;
use crate::repo::name::RootName;
use crate::repo::repository::Repository;
use crate::repo::root::{PointEvent, Root};
use crate::repo::roots::Roots;

impl Repository {
    /// Makes a new point with the content of one that was dropped. That one stays in the bin. Blocking.
    ///
    /// # Errors
    /// `PointNotFound` when no root of a dropped point is there, `NotWhole` when a sweep has taken
    /// or condemned some of its data, those of reading it, and those of a commit.
    pub fn undelete(
        &self,
        handle: &Handle,
        dropped: PointId,
        host: &str,
        options: SessionOptions,
    ) -> Result<Committed, Error> {
        // The announcement names the VM, so the root is looked for once before and once after it.
        let vm = handle.block_on(self.dropped_root(dropped))?.vm;
        let writing = Writing {
            kind: SessionKind::Undelete,
            vm,
            point: PointId::generate(),
            generation: 0,
            spec: SessionSpec {
                host: host.to_owned(),
                ..SessionSpec::default()
            },
        };
        let session = handle.block_on(self.open_writer(writing, handle, options))?;
        let root = session.bring_back(dropped);
        session.publish_or_abandon(root)
    }

    async fn dropped_root(&self, dropped: PointId) -> Result<RootName, Error> {
        let deleted = Roots::read(self, None).await?.deleted();
        let root = deleted.into_iter().find(|root| root.point == dropped);
        root.ok_or_else(|| Error::PointNotFound {
            id: dropped.to_string(),
        })
    }
}

impl Session {
    fn bring_back(&self, dropped: PointId) -> Result<(Root, RootName), Error> {
        let (old, usage) = self.handle.block_on(async {
            let name = self.repo.dropped_root(dropped).await?;
            self.read_whole(&name).await
        })?;
        let usage = self.write_usage(&usage)?;
        let name = RootName {
            vm: old.name.vm,
            point: self.point,
            generation: self.generation,
            session: self.id,
        };
        let mut root = Root {
            point: self.point,
            session: self.id,
            generation: self.generation,
            parent: Some(dropped),
            usage,
            ..old.root
        };
        root.events.push(PointEvent {
            code: "undeleted".to_owned(),
            text: format!("made from point {dropped}, which had been dropped"),
        });
        Ok((root, name))
    }
}
