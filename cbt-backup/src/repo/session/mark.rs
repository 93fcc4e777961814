//! What was found out about a point after it was made, written into its next generation.

use tokio::runtime::Handle;

use super::begin::{Session, Writing};
use super::spec::{SessionOptions, SessionSpec};
use crate::repo::announce::SessionKind;
use crate::repo::error::Error;
use crate::repo::id::PointId;
use crate::repo::name::RootName;
use crate::repo::repository::Repository;
use crate::repo::root::{Distrust, PointEvent, Root};
use crate::repo::roots::Roots;

/// What was found out about a point.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PointMark {
    /// Disks, by their device key, with what is not to be believed of them any more.
    pub distrust: Vec<(i32, Distrust)>,
    /// What people should know.
    pub events: Vec<PointEvent>,
}

impl Repository {
    /// Marks a point: its next generation has the same content, and says what is to be known of it. Every
    /// machine that opens the repository sees it. Blocking.
    ///
    /// # Errors
    /// `PointNotFound` when the point is not there, or was rewritten meanwhile; `NotWhole` when packs it needs are
    /// lost or condemned; those of reading it and of a commit.
    pub fn mark(
        &self,
        handle: &Handle,
        host: &str,
        point: PointId,
        mark: &PointMark,
        options: SessionOptions,
    ) -> Result<(), Error> {
        let name = handle.block_on(self.living_root(point))?;
        let generation = name.generation.checked_add(1).ok_or(Error::OutOfRange {
            what: "generation of a point",
            value: u64::from(u32::MAX),
        })?;
        let writing = Writing {
            // For everybody else it is what a compaction does.
            kind: SessionKind::Compaction,
            vm: name.vm.clone(),
            point,
            generation,
            spec: SessionSpec {
                host: host.to_owned(),
                ..SessionSpec::default()
            },
        };
        let session = handle.block_on(self.open_writer(writing, handle, options))?;
        let marked = session.marked(&name, mark);
        session.publish_or_abandon(marked).map(|_| ())
    }

    async fn living_root(&self, point: PointId) -> Result<RootName, Error> {
        let living = Roots::read(self, None).await?.living();
        let root = living.into_iter().find(|root| root.point == point);
        root.ok_or_else(|| Error::PointNotFound {
            id: point.to_string(),
        })
    }
}

impl Session {
    fn marked(&self, before: &RootName, mark: &PointMark) -> Result<(Root, RootName), Error> {
        let (old, usage) = self.handle.block_on(async {
            // The order is part of the protocol: announced, lists read, and now the root again.
            let name = self.repo.living_root(before.point).await?;
            if name != *before {
                return Err(Error::PointNotFound {
                    id: before.point.to_string(),
                });
            }
            self.read_whole(&name).await
        })?;
        let usage = self.write_usage(&usage)?;
        let name = RootName {
            generation: self.generation,
            session: self.id,
            ..old.name
        };
        let mut root = Root {
            session: self.id,
            generation: self.generation,
            usage,
            ..old.root
        };
        for (device_key, found) in &mark.distrust {
            let disks = root.disks.iter_mut();
            for disk in disks.filter(|disk| disk.identity.device_key == *device_key) {
                disk.distrust.add(found);
            }
        }
        root.events.extend_from_slice(&mark.events);
        Ok((root, name))
    }
}
