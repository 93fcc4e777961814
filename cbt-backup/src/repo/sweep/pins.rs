//! Announcements as a sweep sees them: who writes, and what readers pin.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use crate::repo::announce::{OpenSession, SessionKind};
use crate::repo::error::Error;
use crate::repo::id::{PointId, SessionId};
use crate::repo::name::{ObjectName, SMALL_LIMIT_BYTES};
use crate::repo::repository::Repository;
use crate::repo::sealed;

/// An announcement at one look.
#[derive(Clone, Debug)]
pub(in crate::repo) struct Announced {
    /// The bytes of the object: a live session changes them.
    pub(in crate::repo) bytes: Bytes,
    /// What it says; `None` when nobody can read it.
    pub(in crate::repo) says: Option<OpenSession>,
}

impl Announced {
    /// Whether it may commit a root. What cannot be read may.
    pub(super) fn may_write(&self) -> bool {
        let kind = self.says.as_ref().map(|says| says.kind);
        kind != Some(SessionKind::Reader)
    }
}

/// Points that readers pin.
#[derive(Clone, Default, Debug)]
pub(super) struct Pins {
    points: HashSet<PointId>,
    /// An announcement cannot be read, so every point may be pinned.
    all: bool,
}

impl Pins {
    pub(super) fn of(announced: &BTreeMap<SessionId, Announced>) -> Self {
        let mut pins = Self::default();
        for open in announced.values() {
            match &open.says {
                Some(says) => pins.points.extend(&says.pinned),
                None => pins.all = true,
            }
        }
        pins
    }

    pub(super) fn has(&self, point: PointId) -> bool {
        self.all || self.points.contains(&point)
    }
}

impl Repository {
    /// The sessions that are announced, by their names alone.
    pub(super) async fn announced_sessions(&self) -> Result<Vec<SessionId>, Error> {
        let names = self.store().list("open").await?;
        let sessions = names
            .iter()
            .filter_map(|(name, _)| match ObjectName::parse(name) {
                Some(ObjectName::Open(session)) => Some(session),
                _ => None,
            });
        Ok(sessions.collect())
    }

    /// What the announced sessions say now.
    pub(in crate::repo) async fn announcements(
        &self,
    ) -> Result<BTreeMap<SessionId, Announced>, Error> {
        let mut announced = BTreeMap::new();
        for session in self.announced_sessions().await? {
            if let Some(open) = self.announcement(session).await? {
                announced.insert(session, open);
            }
        }
        Ok(announced)
    }

    /// One announcement; `None` when it is gone.
    async fn announcement(&self, session: SessionId) -> Result<Option<Announced>, Error> {
        let name = ObjectName::Open(session).to_string();
        let bytes = match self.store().get(&name, SMALL_LIMIT_BYTES).await {
            Ok(bytes) => bytes,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(error) if error.is_damage() => Bytes::new(),
            Err(error) => return Err(error),
        };
        let plain = sealed::open(self.keys(), &name, &bytes, SMALL_LIMIT_BYTES);
        let says = plain
            .ok()
            .and_then(|plain| serde_json::from_slice(&plain).ok());
        if says.is_none() {
            tracing::warn!(%name, "an announcement cannot be read: it may pin any point");
        }
        Ok(Some(Announced { bytes, says }))
    }
}
