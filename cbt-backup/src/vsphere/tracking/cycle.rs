//! A stun cycle: the short stop in which a change of tracking takes effect.

use std::collections::BTreeMap;
use std::time::Duration;

use super::TrackingError;
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::snapshot::{Quiesce, SnapshotNode, SnapshotSpec, Unmerged};
use crate::vsphere::vm::Vm;

/// The name of the short snapshots; the description is what makes each ours.
const NAME: &str = "cbt-backup";
/// How a description begins; a number that is given once follows.
const DESCRIPTION: &str = "cbt-backup stun cycle ";

impl Client {
    /// Makes and removes a snapshot, and gives the change ids it had, by device key. The snapshot
    /// is removed on every path, also where making it failed or its answer got lost.
    ///
    /// # Errors
    ///
    /// [`TrackingError::CycleLeft`] if it could not be removed; what kept it from being made.
    pub async fn stun_cycle(
        &self,
        vm: &Moref,
        limit: Duration,
    ) -> Result<BTreeMap<i32, String>, TrackingError> {
        let description = format!("{DESCRIPTION}{}", ulid::Ulid::generate());
        let spec = SnapshotSpec {
            name: NAME.to_owned(),
            description,
            quiesce: Quiesce::None,
        };
        let made = self.make_snapshot(vm, &spec, limit).await;
        let read = match &made {
            Ok(snapshot) => self.change_ids(snapshot).await,
            Err(_) => Ok(BTreeMap::new()),
        };
        let removed = self
            .remove_own_snapshots(vm, Some(NAME), &spec.description, Unmerged::Nothing, limit)
            .await;
        match (made, removed) {
            (Ok(_), Err(source)) => Err(TrackingError::CycleLeft {
                description: spec.description,
                source: Box::new(source),
            }),
            // A refusal made nothing; after anything else, nobody knows.
            (Err(error), Err(source)) if error.fault().is_none() => {
                tracing::error!(%error, "making the snapshot of a stun cycle failed");
                Err(TrackingError::CycleLeft {
                    description: spec.description,
                    source: Box::new(source),
                })
            }
            (Err(error), _) => Err(error.into()),
            (Ok(_), Ok(_)) => Ok(read?),
        }
    }

    /// Removes the snapshots of stun cycles that nobody ended, as after a kill, and gives how many there
    /// were. Nobody needs such a snapshot, whoever made it. One of a cycle that is under way elsewhere may be
    /// among them: that cycle has had its effect.
    ///
    /// # Errors
    ///
    /// Any failure of the calls that lasts; then something may be left.
    pub async fn remove_left_cycles(&self, vm: &Vm, limit: Duration) -> Result<usize, Error> {
        let mut count = 0;
        for node in vm.left_cycles() {
            count += self
                .remove_own_snapshots(
                    &vm.moref(),
                    Some(NAME),
                    &node.description,
                    Unmerged::Nothing,
                    limit,
                )
                .await?;
        }
        Ok(count)
    }

    /// The change ids of a snapshot, by device key.
    pub(super) async fn change_ids(
        &self,
        snapshot: &Moref,
    ) -> Result<BTreeMap<i32, String>, Error> {
        let config = self.snapshot_config(snapshot).await?;
        let disks = config.disks.into_iter();
        Ok(disks
            .filter_map(|disk| Some((disk.device_key, disk.backing.change_id?)))
            .collect())
    }
}

impl Vm {
    /// The snapshots of stun cycles.
    pub fn left_cycles(&self) -> Vec<&SnapshotNode> {
        let ours = self.snapshots.iter().filter(|node| node.name == NAME);
        ours.filter(|node| is_of_a_cycle(&node.description))
            .collect()
    }
}

/// True for the description of a stun cycle's snapshot.
fn is_of_a_cycle(description: &str) -> bool {
    description
        .strip_prefix(DESCRIPTION)
        .is_some_and(|number| number.parse::<ulid::Ulid>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_of_a_cycle;

    #[test]
    fn only_a_number_given_once_makes_it_ours() {
        assert!(is_of_a_cycle(
            "cbt-backup stun cycle 01M7Z96G0000000000000000AB"
        ));
        for other in [
            "cbt-backup stun cycle ",
            "cbt-backup stun cycle of mine",
            "cbt-backup 01M7Z96G0000000000000000AB",
            "a cbt-backup stun cycle 01M7Z96G0000000000000000AB",
        ] {
            assert!(!is_of_a_cycle(other), "{other}");
        }
    }
}
