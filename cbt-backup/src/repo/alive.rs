//! Which sessions are at work: what the announcements say at two moments.

use std::collections::BTreeMap;

use super::announce::SessionKind;
use super::error::Error;
use super::id::{SessionId, VmKey};
use super::repository::Repository;
use super::root::PointKind;
use super::roots::Roots;
use super::sweep::Announced;

/// So many roots are read for the newest point.
const NEWEST: usize = 8;

/// What was announced at one moment. A session is alive when its announcement changes between two
/// looks that are further apart than its heart-beats; no clock is compared.
#[derive(Clone, Debug)]
pub struct Look {
    announced: BTreeMap<SessionId, Announced>,
}

impl Repository {
    /// Looks at what is announced now.
    ///
    /// # Errors
    /// `Store`. An announcement that cannot be read counts as one of any VM.
    pub async fn look(&self) -> Result<Look, Error> {
        Ok(Look {
            announced: self.announcements().await?,
        })
    }

    /// The session that made the newest point of the VM, if that is among the newest few roots. Partial
    /// points do not count: their run may go on.
    ///
    /// # Errors
    /// `Store`. A root that cannot be read is passed over.
    pub async fn newest_backup(&self, vm: &VmKey) -> Result<Option<SessionId>, Error> {
        let mut roots = Roots::read(self, Some(vm)).await?.living();
        // A root that was written anew has another session.
        roots.retain(|root| root.generation == 0);
        roots.sort();
        for root in roots.iter().rev().take(NEWEST) {
            match self.read_root(root).await {
                Ok(point) if point.root.kind != PointKind::Partial => {
                    return Ok(Some(root.session));
                }
                Err(error @ (Error::Store { .. } | Error::AccessDenied { .. })) => {
                    return Err(error);
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }
}

impl Look {
    /// True when this session was announced.
    pub fn has(&self, session: SessionId) -> bool {
        self.announced.contains_key(&session)
    }

    /// The backups of the VM that were announced.
    pub fn backups_of(&self, vm: &VmKey) -> Vec<SessionId> {
        let says = |open: &Announced| {
            let says = open.says.as_ref();
            says.is_some_and(|says| {
                says.kind == SessionKind::Backup && says.vm.as_ref() == Some(vm)
            })
        };
        let backups = self.announced.iter().filter(|(_, open)| says(open));
        backups.map(|(session, _)| *session).collect()
    }

    /// True when since `earlier` some backup of the VM has begun, ended, or shown that it lives. A long run
    /// changes its session now and then, so that any of them may be the run that is asked for.
    pub fn shows_life(&self, earlier: &Self, vm: &VmKey) -> bool {
        let moved = self.announced.iter().filter(|(session, open)| {
            let before = earlier.announced.get(session);
            before.is_none_or(|before| before.bytes != open.bytes)
        });
        let gone = earlier.announced.iter();
        let gone = gone.filter(|(session, _)| !self.announced.contains_key(session));
        moved.chain(gone).any(|(_, open)| match &open.says {
            Some(says) => says.kind == SessionKind::Backup && says.vm.as_ref() == Some(vm),
            None => true,
        })
    }
}
