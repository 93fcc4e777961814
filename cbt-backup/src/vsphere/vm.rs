//! One virtual machine: what has to be known before a backup of it.

mod encryption;
mod guest;
mod name;
mod properties;
mod tracking_keys;

use std::fmt;

pub(super) use encryption::read_key_id;
pub use encryption::{CryptoKeyId, VmEncryption};
pub use guest::Guest;
pub(super) use name::{escape_name, unescape_name};
pub(super) use properties::VmProperties;
pub use tracking_keys::TrackingKeys;

use super::client::Client;
use super::device::{Controller, NetworkCard};
use super::disk::Disk;
use super::envelope::reference;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::snapshot::SnapshotTree;
use super::task::TaskRef;

/// Whether a VM runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerState {
    /// It runs.
    On,
    /// It does not.
    Off,
    /// Its memory is on disk.
    Suspended,
    /// A state this client does not know.
    Other(String),
    /// Nothing was said.
    #[default]
    Unknown,
}

impl PowerState {
    pub(super) fn from_text(text: String) -> Self {
        match text.as_str() {
            "poweredOn" => Self::On,
            "poweredOff" => Self::Off,
            "suspended" => Self::Suspended,
            _ => Self::Other(text),
        }
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Suspended => "suspended",
            Self::Other(text) => text,
            Self::Unknown => "unknown",
        })
    }
}

/// What the VM can do by its hardware and host; unset where the server does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capability {
    /// Snapshots can be made.
    pub snapshots: Option<bool>,
    /// The guest can be quiesced for one.
    pub quiesced_snapshots: Option<bool>,
    /// A suspended VM can have one of its disks alone.
    pub disk_only_snapshot_while_suspended: Option<bool>,
}

/// The product a VM belongs to. Agent VMs such as those of the cluster services are made anew
/// by their product: a backup of them is of no use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedBy {
    /// The extension, such as `com.vmware.vim.eam`.
    pub extension_key: String,
    /// What kind of VM it is to the extension, such as `cluster-agent`.
    pub kind: String,
}

/// One VM, read afresh. A VM that is not connected has no configuration: most is then unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vm {
    /// Its id at this server, for VDDK too.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is in the inventory, without its name, such as `DC0/vm/Prod`; names as the API
    /// escapes them. Shorter where the account may not look, empty inside a vApp.
    pub folder_path: String,
    /// The BIOS UUID; copies may share it.
    pub bios_uuid: Option<String>,
    /// The UUID that vCenter gave: the identity to remember.
    pub instance_uuid: Option<String>,
    /// The number in `vmx-19`.
    pub hardware_version: Option<u32>,
    /// Changes with every reconfiguration; good for comparing only.
    pub change_version: Option<String>,
    /// Whether it runs.
    pub power_state: PowerState,
    /// Only a `connected` VM can be backed up.
    pub connection_state: String,
    /// The host it is on.
    pub host: Option<Moref>,
    /// The resource pool it is in; a template has none.
    pub resource_pool: Option<Moref>,
    /// The vApp it is in, if any; it then has no folder of its own.
    pub parent_vapp: Option<Moref>,
    /// The datastores its files are on.
    pub datastores: Vec<Moref>,
    /// The product that made it, if one did.
    pub managed_by: Option<ManagedBy>,
    /// A template can't have a snapshot.
    pub is_template: bool,
    /// Its home is encrypted.
    pub is_encrypted: bool,
    /// By which key, and what else is needed to use it elsewhere.
    pub encryption: VmEncryption,
    /// It has a virtual TPM, whose content is in the NVRAM.
    pub has_virtual_tpm: bool,
    /// The file with its firmware's variables; one that was never on has none.
    pub nvram_path: Option<String>,
    /// `bios` or `efi`.
    pub firmware: Option<String>,
    /// The switch of change tracking, as configured.
    pub change_tracking_enabled: Option<bool>,
    /// Whether change tracking may be switched on; says nothing about single disks.
    pub change_tracking_supported: Option<bool>,
    /// What its extra settings say of change tracking, also of single disks.
    pub tracking_keys: TrackingKeys,
    /// What else it can do.
    pub capability: Capability,
    /// A removal of a snapshot left data unmerged.
    pub consolidation_needed: Option<bool>,
    /// A snapshot is being removed while it runs.
    pub snapshot_in_background: Option<bool>,
    /// A question that waits for an answer, and blocks the VM meanwhile.
    pub question: Option<String>,
    /// `notConfigured`, or how fault tolerance is doing.
    pub fault_tolerance_state: Option<String>,
    /// Its configuration file, as `[datastore] folder/file.vmx`.
    pub vmx_path: Option<String>,
    /// Its disk controllers, with disks or without.
    pub controllers: Vec<Controller>,
    /// Its disks now; change ids are those of a snapshot's configuration only.
    pub disks: Vec<Disk>,
    /// Its network cards, by their keys.
    pub network_cards: Vec<NetworkCard>,
    /// Its snapshots.
    pub snapshots: SnapshotTree,
    /// Methods that are refused now.
    pub disabled_methods: Vec<String>,
    /// Tasks of late.
    pub recent_tasks: Vec<TaskRef>,
    /// The system inside it.
    pub guest: Guest,
}

impl Vm {
    /// Its reference.
    pub fn moref(&self) -> Moref {
        Moref::vm(self.id.as_str())
    }

    /// True if its configuration can be read and a snapshot be made.
    pub fn is_connected(&self) -> bool {
        self.connection_state == "connected"
    }
}

/// What is read of a VM.
const PATHS: &[&str] = &[
    "name",
    "parent",
    "parentVApp",
    "resourcePool",
    "datastore",
    "config.uuid",
    "config.instanceUuid",
    "config.version",
    "config.changeVersion",
    "config.changeTrackingEnabled",
    "config.template",
    "config.files",
    "config.hardware.device",
    "config.extraConfig",
    "config.keyId",
    "config.managedBy",
    "config.firmware",
    "config.guestId",
    "config.guestFullName",
    "capability.changeTrackingSupported",
    "capability.snapshotOperationsSupported",
    "capability.quiescedSnapshotsSupported",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.consolidationNeeded",
    "runtime.snapshotInBackground",
    "runtime.cryptoState",
    "runtime.question",
    "runtime.faultToleranceState",
    "snapshot",
    "disabledMethod",
    "recentTask",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.guestFamily",
    "guest.hostName",
    "guest.ipAddress",
    "guest.guestState",
    "layoutEx",
];

impl Client {
    /// Reads one VM.
    ///
    /// # Errors
    ///
    /// A fault `ManagedObjectNotFound` if it is gone, `NoPermission` if a part can't be read;
    /// any failure of the calls.
    pub async fn vm(&self, vm: &Moref) -> Result<Vm, Error> {
        let mut read: VmProperties = self.properties(vm, PATHS).await?;
        let parent = read.parent.take();
        let mut read = read.into_vm().map_err(|source| Error::Xml {
            method: "RetrievePropertiesEx",
            source,
        })?;
        read.id.clone_from(&vm.id);
        if let Some(parent) = parent {
            read.folder_path = self.folder_path(parent).await?;
        }
        Ok(read)
    }

    /// Starts switching change tracking on or off. It takes effect with the next snapshot.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "ReconfigVM_Task")]
    pub async fn set_change_tracking(&self, vm: &Moref, on: bool) -> Result<TaskRef, Error> {
        let operation = change_tracking_operation(vm, on);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts merging what a removal of a snapshot left unmerged.
    ///
    /// # Errors
    ///
    /// Any failure of the call. The task fails while someone holds a disk of the chain.
    #[doc(alias = "ConsolidateVMDisks_Task")]
    pub async fn consolidate(&self, vm: &Moref) -> Result<TaskRef, Error> {
        let operation = Operation::new("ConsolidateVMDisks_Task", vm);
        self.write(&operation, reference).await.map(TaskRef)
    }
}

/// The call; fields left out stay as they are.
pub(super) fn change_tracking_operation(vm: &Moref, on: bool) -> Operation {
    Operation::new("ReconfigVM_Task", vm)
        .open("spec")
        .boolean("changeTrackingEnabled", on)
        .close("spec")
}

/// The number in `vmx-19`.
pub(super) fn hardware_version(text: &str) -> Option<u32> {
    text.strip_prefix("vmx-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::hardware_version;

    #[test]
    fn hardware_versions_are_numbers() {
        assert_eq!(hardware_version("vmx-07"), Some(7));
        assert_eq!(hardware_version("vmx-21"), Some(21));
        assert_eq!(hardware_version("vmx-"), None);
        assert_eq!(hardware_version("21"), None);
    }
}
