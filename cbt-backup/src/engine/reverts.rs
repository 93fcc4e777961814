//! Whether the VM may have been taken back to a snapshot since the last point.

use jiff::Timestamp;

use super::{disk_run::DiskRun, error::chain, plan::BaseDisk};
use crate::vsphere::RevertHistory;

/// What is believed of a VM that has, or had, a snapshot of somebody else: a revert to it makes the last
/// point's change id void, and the id does not show that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevertPolicy {
    /// That it may have been reverted: its disks are read in full.
    #[default]
    Suspect,
    /// The server's history of tasks, where that reaches back. What is done at the host itself, past the
    /// vCenter, is not in it.
    History,
}

impl DiskRun<'_> {
    /// Why the base's change id may belong to a state that a revert threw away ("vSphere API reference",
    /// 5.5).
    ///
    /// The numbers of the ids grow again after a revert, so a later id can look as if it followed. A revert
    /// needs a snapshot that is older than the id: where none stood, none can have happened.
    pub(super) fn may_be_reverted(&self, base: &BaseDisk) -> Option<String> {
        match base.snapshots_before {
            Some(0) => return None,
            Some(_) => {}
            None => {
                return Some(
                    "the last point does not tell whether the VM could be reverted to before it"
                        .to_owned(),
                );
            }
        }
        let suspicion = "a snapshot stood when the last point was made, and the VM may have been reverted to it since";
        if self.options.reverts == RevertPolicy::Suspect {
            return Some(suspicion.to_owned());
        }
        let since = base
            .change_id_after_ms
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(since) = since else {
            return Some(format!(
                "{suspicion}: the last point does not tell its time"
            ));
        };
        match self
            .site
            .ask(self.site.client.reverts_since(self.vm, since))
        {
            Ok(RevertHistory::NoRevert) => None,
            Ok(RevertHistory::Reverted { when }) => {
                Some(format!("the VM was reverted to a snapshot at {when:.0}"))
            }
            Ok(RevertHistory::Unknown { why }) => Some(format!("{suspicion}: {why}")),
            Err(error) => Some(format!("{suspicion}: {}", chain(&error))),
        }
    }
}
