//! Whether a backup of a VM is at work on some machine, by the repository alone.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use crate::{
    engine::{error::Error, monitor::Monitor, pause::pause_until, site::Site},
    repo::{Look, Repository, SessionId, WatchedVm},
};

/// What was seen of the backups of one VM.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// One of them has begun or moved between the two looks. Without a second look: none.
    pub is_alive: bool,
    /// Those that were announced.
    pub sessions: Vec<SessionId>,
}

impl Watch {
    /// True when this session was announced.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains(&session)
    }

    /// What one look shows.
    pub(super) fn begin(
        site: &Site,
        repository: &Repository,
        vm: &WatchedVm,
    ) -> Result<(Self, Look), Error> {
        let look = site.runtime.block_on(repository.look())?;
        let seen = Self {
            is_alive: false,
            sessions: look.backups_of(vm),
        };
        Ok((seen, look))
    }

    /// Looks a second time after `interval`. Also a session that is not announced is watched for: a
    /// long run changes its session now and then, and is for a moment in neither.
    pub(super) fn go_on(
        mut self,
        before: &Look,
        (site, repository, vm): (&Site, &Repository, &WatchedVm),
        interval: Duration,
        monitor: &dyn Monitor,
        cancel: &AtomicBool,
    ) -> Result<Self, Error> {
        monitor.step("watch the repository for a run that lives");
        pause_until(Instant::now() + interval, cancel)?;
        let now = site.runtime.block_on(repository.look())?;
        self.is_alive = now.shows_life(before, vm);
        self.sessions.extend(now.backups_of(vm));
        Ok(self)
    }
}
