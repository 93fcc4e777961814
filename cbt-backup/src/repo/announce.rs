//! Announcements of running sessions, and their heart-beat. Format: repository-format.md section 9.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::config::FORMAT;
use super::error::Error;
use super::id::{PointId, SessionId, VmKey};
use super::name::{ObjectName, SMALL_LIMIT_BYTES};
use super::repository::Repository;

/// Most points in one announcement, so that it stays far below its limit of 64 KiB.
const MAX_PINNED: usize = 1000;

/// What a session does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// Makes a point.
    Backup,
    /// Takes a point out of the bin.
    Undelete,
    /// Moves what a point needs into new packs.
    Compaction,
    /// Reads points, which must not be pruned meanwhile.
    Reader,
}

/// What a running session says about itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// Format number.
    pub format: u32,
    /// The session.
    pub session: SessionId,
    /// What it does.
    pub kind: SessionKind,
    /// The VM it works for.
    pub vm: Option<VmKey>,
    /// The same VM, whatever server it is reached by. Earlier programs do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<VmKey>,
    /// The point it makes.
    pub point: Option<PointId>,
    /// Points that must not be pruned meanwhile.
    #[serde(default)]
    pub pinned: Vec<PointId>,
    /// The machine it runs on.
    #[serde(default)]
    pub host: String,
    /// Its process id there.
    #[serde(default)]
    pub process: u32,
    /// Rises with every heart-beat. A session is alive when this moves between two looks.
    pub counter: u64,
}

impl OpenSession {
    pub(crate) fn new(session: SessionId, kind: SessionKind, host: &str) -> Self {
        Self {
            format: FORMAT,
            session,
            kind,
            vm: None,
            instance: None,
            point: None,
            pinned: Vec::new(),
            host: host.to_owned(),
            process: std::process::id(),
            counter: 0,
        }
    }
}

/// An announcement that is kept moving until it is closed or dropped.
#[derive(Debug)]
pub(crate) struct Announcement {
    repo: Repository,
    name: String,
    stop: watch::Sender<bool>,
    beat: JoinHandle<()>,
}

impl Announcement {
    /// Writes the announcement, then writes it again every `interval`.
    pub(crate) async fn start(
        repo: &Repository,
        open: OpenSession,
        interval: Duration,
        handle: &Handle,
    ) -> Result<Self, Error> {
        let name = ObjectName::Open(open.session).to_string();
        let put = repo
            .store()
            .put_sealed(repo.keys(), &name, &open, SMALL_LIMIT_BYTES);
        put.await?;
        let (stop, stopped) = watch::channel(false);
        let beat = handle.spawn(beat(repo.clone(), name.clone(), open, interval, stopped));
        Ok(Self {
            repo: repo.clone(),
            name,
            stop,
            beat,
        })
    }

    /// Stops the heart-beat, waits until its last write is over, and deletes the announcement.
    pub(crate) async fn close(self) -> Result<(), Error> {
        let name = self.name.clone();
        let repo = self.repo.clone();
        self.leave().await;
        match repo.store().delete(&name).await {
            // A sweep has seen the root and took the announcement away.
            Err(Error::Missing { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Stops the heart-beat and leaves the announcement to a sweep.
    pub(crate) async fn leave(self) {
        // The task may have ended already, then nobody listens and nothing is left to stop.
        let _ = self.stop.send(true);
        if let Err(error) = self.beat.await {
            tracing::warn!(%error, "the heart-beat ended badly");
        }
    }
}

/// Ends when told to, and also when the announcement is dropped.
async fn beat(
    repo: Repository,
    name: String,
    mut open: OpenSession,
    interval: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(interval) => {}
        }
        open.counter += 1;
        let put = repo
            .store()
            .put_sealed(repo.keys(), &name, &open, SMALL_LIMIT_BYTES);
        if let Err(error) = put.await {
            tracing::warn!(%name, %error, "the heart-beat could not be written");
        }
    }
}

/// Keeps points from being pruned while they are read.
#[derive(Debug)]
pub struct Pin(Vec<Announcement>);

impl Pin {
    /// Ends the pin.
    ///
    /// # Errors
    /// `Store`; the announcement then stays until a sweep removes it.
    pub async fn close(self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for announcement in self.0 {
            outcome = outcome.and(announcement.close().await);
        }
        outcome
    }

    /// Ends a pin, if there is one, as well as it can.
    pub(crate) async fn release(pin: Option<Self>) {
        if let Some(pin) = pin
            && let Err(error) = pin.close().await
        {
            tracing::warn!(%error, "an announcement stays until the next prune");
        }
    }
}

impl Repository {
    /// Announces that `points` are being read. A store that takes no announcement is no error:
    /// the reader goes on unpinned, with a warning.
    ///
    /// # Errors
    /// `PointNotFound` when a point is dead by now; `Store`.
    pub async fn pin(
        &self,
        points: &[PointId],
        host: &str,
        interval: Duration,
        handle: &Handle,
    ) -> Result<Option<Pin>, Error> {
        let (pin, dead) = self.pin_and_look(points, host, interval, handle).await?;
        match points.iter().find(|point| dead.contains(point)) {
            None => Ok(pin),
            Some(point) => {
                Pin::release(pin).await;
                Err(Error::PointNotFound {
                    id: point.to_string(),
                })
            }
        }
    }

    /// As [`Repository::pin`], and tells which points are dead. The tombstones are read after
    /// the announcement: the order is part of the protocol.
    pub(crate) async fn pin_and_look(
        &self,
        points: &[PointId],
        host: &str,
        interval: Duration,
        handle: &Handle,
    ) -> Result<(Option<Pin>, HashSet<PointId>), Error> {
        let pin = self.announce_reader(points, host, interval, handle).await;
        match self.dead_points().await {
            Ok(dead) => Ok((pin, dead)),
            Err(error) => {
                Pin::release(pin).await;
                Err(error)
            }
        }
    }

    /// Announces that `points` are being read; whether they live has to be looked for after that. `None`, with a
    /// warning, when the store does not take it.
    pub(crate) async fn announce_reader(
        &self,
        points: &[PointId],
        host: &str,
        interval: Duration,
        handle: &Handle,
    ) -> Option<Pin> {
        let mut pin = Pin(Vec::new());
        for pinned in points.chunks(MAX_PINNED) {
            let mut open = OpenSession::new(SessionId::generate(), SessionKind::Reader, host);
            open.pinned = pinned.to_vec();
            match Announcement::start(self, open, interval, handle).await {
                Ok(announcement) => pin.0.push(announcement),
                Err(error) => {
                    tracing::warn!(%error, "reading without a pin: a prune may remove the points");
                    Pin::release(Some(pin)).await;
                    return None;
                }
            }
        }
        Some(pin)
    }

    /// The sessions that are announced. Look twice: those whose counter moved are alive.
    ///
    /// # Errors
    /// `Store`. An announcement that cannot be read is left out with a warning.
    pub async fn open_sessions(&self) -> Result<Vec<OpenSession>, Error> {
        let mut sessions = Vec::new();
        for (name, _) in self.store().list("open").await? {
            let read = self
                .store()
                .get_sealed(self.keys(), &name, SMALL_LIMIT_BYTES)
                .await;
            match read {
                Ok(open) => sessions.push(open),
                Err(Error::Missing { .. }) => {}
                Err(error) if error.is_damage() => {
                    tracing::warn!(%name, %error, "an announcement cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sessions)
    }
}
