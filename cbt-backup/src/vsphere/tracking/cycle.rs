//! A stun cycle: the short stop in which a change of tracking takes effect.

use std::collections::BTreeMap;
use std::time::Duration;

use super::TrackingError;
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::snapshot::{Quiesce, SnapshotSpec};

/// The name of the short snapshots; the description is what makes each ours.
const NAME: &str = "cbt-backup";

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
        let description = format!("cbt-backup stun cycle {}", ulid::Ulid::generate());
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
            .remove_own_snapshots(vm, NAME, &spec.description, limit)
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
