//! Which sessions are at work: what the announcements say at two moments.

use std::collections::BTreeMap;

use super::announce::{OpenSession, SessionKind};
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

/// A VM whose backups are looked for.
#[derive(Clone, Debug)]
pub struct WatchedVm {
    vm: VmKey,
    instance: VmKey,
}

impl WatchedVm {
    /// True for a backup of this VM, whatever server it is reached by.
    fn is_backed_up_by(&self, says: &OpenSession) -> bool {
        says.kind == SessionKind::Backup
            && (says.vm.as_ref() == Some(&self.vm)
                || says.instance.as_ref() == Some(&self.instance))
    }
}

impl Repository {
    /// The VM of this UUID at a server. A run that reaches it by another server, such as its host and not
    /// the vCenter, is one of the same VM.
    pub fn watched_vm(&self, vcenter_instance_uuid: &str, vm_instance_uuid: &str) -> WatchedVm {
        WatchedVm {
            vm: self.vm_key(vcenter_instance_uuid, vm_instance_uuid),
            instance: self.instance_key(vm_instance_uuid),
        }
    }

    /// How announcements name a VM at whatever server. No server has an empty name.
    pub(super) fn instance_key(&self, vm_instance_uuid: &str) -> VmKey {
        self.vm_key("", vm_instance_uuid)
    }

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
    pub fn backups_of(&self, vm: &WatchedVm) -> Vec<SessionId> {
        let says = |open: &Announced| {
            let says = open.says.as_ref();
            says.is_some_and(|says| vm.is_backed_up_by(says))
        };
        let backups = self.announced.iter().filter(|(_, open)| says(open));
        backups.map(|(session, _)| *session).collect()
    }

    /// True when since `earlier` some backup of the VM has begun, ended, or shown that it lives. A long run
    /// changes its session now and then, so that any of them may be the run that is asked for.
    pub fn shows_life(&self, earlier: &Self, vm: &WatchedVm) -> bool {
        let moved = self.announced.iter().filter(|(session, open)| {
            let before = earlier.announced.get(session);
            before.is_none_or(|before| before.bytes != open.bytes)
        });
        let gone = earlier.announced.iter();
        let gone = gone.filter(|(session, _)| !self.announced.contains_key(session));
        moved.chain(gone).any(|(_, open)| match &open.says {
            Some(says) => vm.is_backed_up_by(says),
            None => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn key(byte: u8) -> VmKey {
        VmKey::from_hash([byte; 8])
    }

    #[test]
    fn a_backup_of_the_same_vm_by_another_server_is_life() {
        let watched = WatchedVm {
            vm: key(1),
            instance: key(9),
        };
        let look = |(vm, instance): (u8, Option<u8>), counter| {
            let mut says = OpenSession::new(SessionId::generate(), SessionKind::Backup, "host");
            says.session = "01M7ZXX7E97VN6WBPD062G5X6G".parse().unwrap();
            says.vm = Some(key(vm));
            says.instance = instance.map(key);
            says.counter = counter;
            let bytes = Bytes::from(serde_json::to_vec(&says).unwrap());
            let announced = Announced {
                bytes,
                says: Some(says.clone()),
            };
            Look {
                announced: BTreeMap::from([(says.session, announced)]),
            }
        };
        // Of an earlier program, by this server; by another one; another VM.
        for (who, is_ours) in [
            ((1, None), true),
            ((2, Some(9)), true),
            ((2, Some(8)), false),
        ] {
            let (before, after) = (look(who, 1), look(who, 2));
            assert_eq!(after.shows_life(&before, &watched), is_ours, "{who:?}");
            assert!(!after.shows_life(&after, &watched), "{who:?}");
            assert_eq!(after.backups_of(&watched).len(), usize::from(is_ours));
        }
    }
}
