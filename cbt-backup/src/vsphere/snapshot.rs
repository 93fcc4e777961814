//! Snapshots: making and removing them, the tree they form, the VM as they froze it.

mod config;
mod own;
mod quiesce;
mod tree;

pub use config::SnapshotConfig;
pub(super) use config::SnapshotProperties;
pub use own::{SnapshotSpec, Unmerged};
pub use quiesce::{Quiesce, VssBackupType, VssContext, WindowsQuiesce};
pub(super) use tree::read_tree;
pub use tree::{SnapshotNode, SnapshotTree};

use super::client::Client;
use super::envelope::reference;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::task::TaskRef;

impl Client {
    /// Starts making a snapshot. The finished task's result is its reference.
    ///
    /// `memory` is false for every backup; `quiesce` wants running VMware Tools in the guest.
    ///
    /// # Errors
    ///
    /// Any failure of the call. After one of the transport the snapshot may exist all the same.
    #[doc(alias = "CreateSnapshot_Task")]
    pub async fn create_snapshot(
        &self,
        vm: &Moref,
        name: &str,
        description: &str,
        memory: bool,
        quiesce: bool,
    ) -> Result<TaskRef, Error> {
        let operation = create_operation(vm, name, description, memory, quiesce);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts making a snapshot, and says in detail how the guest is brought to rest.
    ///
    /// # Errors
    ///
    /// Any failure of the call. After one of the transport the snapshot may exist all the same.
    #[doc(alias = "CreateSnapshotEx_Task")]
    pub async fn create_snapshot_ex(
        &self,
        vm: &Moref,
        name: &str,
        description: &str,
        memory: bool,
        quiesce: &Quiesce,
    ) -> Result<TaskRef, Error> {
        let operation = create_ex_operation(vm, name, description, memory, quiesce);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts taking the VM back to a snapshot. What was written since is lost; landmarks of
    /// change tracking made since are void. `suppress_power_on` leaves a VM off that was on when
    /// the snapshot was made.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "RevertToSnapshot_Task")]
    pub async fn revert_to_snapshot(
        &self,
        snapshot: &Moref,
        suppress_power_on: bool,
    ) -> Result<TaskRef, Error> {
        let operation = revert_operation(snapshot, suppress_power_on);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts removing one snapshot, not its children, and merging its data.
    ///
    /// # Errors
    ///
    /// Any failure of the call; a fault `ManagedObjectNotFound` if it is already gone.
    #[doc(alias = "RemoveSnapshot_Task")]
    pub async fn remove_snapshot(&self, snapshot: &Moref) -> Result<TaskRef, Error> {
        let operation = remove_operation(snapshot);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Reads the VM's configuration as the snapshot froze it: disks with their change ids.
    ///
    /// # Errors
    ///
    /// A fault `ManagedObjectNotFound` if the snapshot is gone; any failure of the call.
    pub async fn snapshot_config(&self, snapshot: &Moref) -> Result<SnapshotConfig, Error> {
        let read: SnapshotProperties = self.properties(snapshot, &["config"]).await?;
        read.config.ok_or_else(|| Error::BadAnswer {
            method: "RetrievePropertiesEx",
            what: format!("{snapshot} has no config"),
        })
    }
}

/// The call; the order of its parameters is the schema's.
pub(super) fn create_operation(
    vm: &Moref,
    name: &str,
    description: &str,
    memory: bool,
    quiesce: bool,
) -> Operation {
    Operation::new("CreateSnapshot_Task", vm)
        .text("name", name)
        .text("description", description)
        .boolean("memory", memory)
        .boolean("quiesce", quiesce)
}

/// The call; the order of its parameters is the schema's.
pub(super) fn create_ex_operation(
    vm: &Moref,
    name: &str,
    description: &str,
    memory: bool,
    quiesce: &Quiesce,
) -> Operation {
    let operation = Operation::new("CreateSnapshotEx_Task", vm).text("name", name);
    let operation = match description {
        "" => operation,
        description => operation.text("description", description),
    };
    quiesce.write(operation.boolean("memory", memory))
}

/// The call; the order of its parameters is the schema's.
pub(super) fn revert_operation(snapshot: &Moref, suppress_power_on: bool) -> Operation {
    Operation::new("RevertToSnapshot_Task", snapshot).boolean("suppressPowerOn", suppress_power_on)
}

/// The call; the order of its parameters is the schema's.
pub(super) fn remove_operation(snapshot: &Moref) -> Operation {
    Operation::new("RemoveSnapshot_Task", snapshot)
        .boolean("removeChildren", false)
        .boolean("consolidate", true)
}
