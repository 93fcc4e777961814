//! One virtual machine: what has to be known before a backup of it.

use std::fmt;

use super::client::Client;
use super::device::{Device, read_device};
use super::disk::Disk;
use super::envelope::reference;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::property::Properties;
use super::snapshot::{SnapshotTree, read_tree};
use super::task::TaskRef;
use super::xml::{Reader, Tag, XmlError};

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
    /// A template can't have a snapshot.
    pub is_template: bool,
    /// Its home is encrypted.
    pub is_encrypted: bool,
    /// The switch of change tracking, as configured.
    pub change_tracking_enabled: Option<bool>,
    /// Whether change tracking may be switched on; says nothing about single disks.
    pub change_tracking_supported: Option<bool>,
    /// A removal of a snapshot left data unmerged.
    pub consolidation_needed: Option<bool>,
    /// Its configuration file, as `[datastore] folder/file.vmx`.
    pub vmx_path: Option<String>,
    /// Its disks now; change ids are those of a snapshot's configuration only.
    pub disks: Vec<Disk>,
    /// Its snapshots.
    pub snapshots: SnapshotTree,
    /// Methods that are refused now.
    pub disabled_methods: Vec<String>,
    /// Tasks of late.
    pub recent_tasks: Vec<TaskRef>,
    /// Such as `guestToolsRunning`, which quiescing wants.
    pub tools_running_status: Option<String>,
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
    "config.uuid",
    "config.instanceUuid",
    "config.version",
    "config.changeVersion",
    "config.changeTrackingEnabled",
    "config.template",
    "config.files",
    "config.hardware.device",
    "config.keyId",
    "capability.changeTrackingSupported",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.consolidationNeeded",
    "snapshot",
    "disabledMethod",
    "recentTask",
    "guest.toolsRunningStatus",
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
        read.vm.id.clone_from(&vm.id);
        let devices = std::mem::take(&mut read.devices);
        read.vm.disks = Disk::from_devices(devices).map_err(|source| Error::Xml {
            method: "RetrievePropertiesEx",
            source,
        })?;
        if let Some(parent) = read.parent {
            read.vm.folder_path = self.folder_path(parent).await?;
        }
        Ok(read.vm)
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

/// A VM while it is read.
#[derive(Debug, Default)]
pub(super) struct VmProperties {
    pub(super) vm: Vm,
    pub(super) parent: Option<Moref>,
    pub(super) devices: Vec<Device>,
}

impl Properties for VmProperties {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        let vm = &mut self.vm;
        match path {
            "name" => vm.name = unescape_name(&r.text(value)?),
            "parent" => self.parent = Some(r.moref(value)?),
            "config.uuid" => vm.bios_uuid = Some(r.text(value)?),
            "config.instanceUuid" => vm.instance_uuid = Some(r.text(value)?),
            "config.version" => vm.hardware_version = hardware_version(&r.text(value)?),
            "config.changeVersion" => vm.change_version = Some(r.text(value)?),
            "config.changeTrackingEnabled" => vm.change_tracking_enabled = Some(r.boolean(value)?),
            "config.template" => vm.is_template = r.boolean(value)?,
            "config.files" => vm.vmx_path = read_vmx_path(r, value)?,
            "config.hardware.device" => r.children(value, |r, tag| {
                self.devices.push(read_device(r, tag)?);
                Ok(())
            })?,
            "config.keyId" => vm.is_encrypted = true,
            "capability.changeTrackingSupported" => {
                vm.change_tracking_supported = Some(r.boolean(value)?);
            }
            "runtime.powerState" => vm.power_state = PowerState::from_text(r.text(value)?),
            "runtime.connectionState" => vm.connection_state = r.text(value)?,
            "runtime.host" => vm.host = Some(r.moref(value)?),
            "runtime.consolidationNeeded" => vm.consolidation_needed = Some(r.boolean(value)?),
            "snapshot" => vm.snapshots = read_tree(r, value)?,
            "disabledMethod" => r.children(value, |r, tag| {
                vm.disabled_methods.push(r.text(tag)?);
                Ok(())
            })?,
            "recentTask" => r.children(value, |r, tag| {
                vm.recent_tasks.push(TaskRef(r.moref(tag)?));
                Ok(())
            })?,
            "guest.toolsRunningStatus" => vm.tools_running_status = Some(r.text(value)?),
            _ => {}
        }
        Ok(())
    }
}

fn read_vmx_path(r: &mut Reader<'_>, tag: &Tag) -> Result<Option<String>, XmlError> {
    let mut path = None;
    r.children(tag, |r, tag| {
        if tag.name == "vmPathName" {
            path = Some(r.text(tag)?);
        }
        Ok(())
    })?;
    Ok(path)
}

/// The number in `vmx-19`.
pub(super) fn hardware_version(text: &str) -> Option<u32> {
    text.strip_prefix("vmx-")?.parse().ok()
}

/// Undoes what the API does to `/`, `\` and `%` in names of the inventory.
pub(super) fn unescape_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let code = after.get(..2).map(str::to_ascii_lowercase);
        let (c, used) = match code.as_deref() {
            Some("2f") => ('/', 2),
            Some("5c") => ('\\', 2),
            Some("25") => ('%', 2),
            _ => ('%', 0),
        };
        plain.push(c);
        rest = after.get(used..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::{hardware_version, unescape_name};

    #[test]
    fn names_are_unescaped_once() {
        for (sent, plain) in [
            ("app01", "app01"),
            ("a%2fb%5cc%25d", "a/b\\c%d"),
            ("%252f", "%2f"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%é", "%é"),
            ("%2F", "/"),
        ] {
            assert_eq!(unescape_name(sent), plain);
        }
    }

    #[test]
    fn hardware_versions_are_numbers() {
        assert_eq!(hardware_version("vmx-07"), Some(7));
        assert_eq!(hardware_version("vmx-21"), Some(21));
        assert_eq!(hardware_version("vmx-"), None);
        assert_eq!(hardware_version("21"), None);
    }
}
