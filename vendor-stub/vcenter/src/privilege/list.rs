//! The privileges that exist: those that this server asks for, and those of a backup and a restore
//! ("vSphere API reference", 6).

/// Names of privileges by their groups.
const GROUPS: [(&str, &[&str]); 17] = [
    ("Authorization", &["ModifyPermissions", "ModifyRoles"]),
    (
        "Cryptographer",
        &[
            "Access",
            "AddDisk",
            "Encrypt",
            "EncryptNew",
            "Migrate",
            "RegisterVM",
        ],
    ),
    ("Datacenter", &["Create", "Delete", "Move", "Rename"]),
    (
        "Datastore",
        &[
            "AllocateSpace",
            "Browse",
            "Config",
            "DeleteFile",
            "FileManagement",
            "Move",
            "UpdateVirtualMachineFiles",
        ],
    ),
    ("Folder", &["Create", "Delete", "Move", "Rename"]),
    (
        "Global",
        &[
            "DisableMethods",
            "EnableMethods",
            "ManageCustomFields",
            "SetCustomField",
        ],
    ),
    ("Network", &["Assign"]),
    (
        "Resource",
        &[
            "AssignVMToPool",
            "ColdMigrate",
            "CreatePool",
            "DeletePool",
            "EditPool",
            "HotMigrate",
            "MovePool",
            "RenamePool",
        ],
    ),
    ("Sessions", &["TerminateSession", "ValidateSession"]),
    ("StorageProfile", &["View"]),
    ("System", &["Anonymous", "Read", "View"]),
    ("VApp", &["ApplicationConfig", "Export"]),
    (
        "VirtualMachine.Config",
        &[
            "AddExistingDisk",
            "AddNewDisk",
            "AddRemoveDevice",
            "AdvancedConfig",
            "Annotation",
            "CPUCount",
            "ChangeTracking",
            "DiskExtend",
            "DiskLease",
            "EditDevice",
            "HostUSBDevice",
            "ManagedBy",
            "Memory",
            "MksControl",
            "RawDevice",
            "RemoveDisk",
            "Rename",
            "Resource",
            "Settings",
            "SwapPlacement",
            "UpgradeVirtualHardware",
        ],
    ),
    (
        "VirtualMachine.Interact",
        &[
            "AnswerQuestion",
            "DeviceConnection",
            "PowerOff",
            "PowerOn",
            "Reset",
            "SetCDMedia",
            "SetFloppyMedia",
            "Suspend",
            "ToolsInstall",
        ],
    ),
    (
        "VirtualMachine.Inventory",
        &[
            "Create",
            "CreateFromExisting",
            "Delete",
            "Move",
            "Register",
            "Unregister",
        ],
    ),
    (
        "VirtualMachine.Provisioning",
        &[
            "Clone",
            "DiskRandomAccess",
            "DiskRandomRead",
            "GetVmFiles",
            "MarkAsTemplate",
            "MarkAsVM",
            "PromoteDisks",
            "PutVmFiles",
        ],
    ),
    (
        "VirtualMachine.State",
        &[
            "CreateSnapshot",
            "RemoveSnapshot",
            "RenameSnapshot",
            "RevertToSnapshot",
        ],
    ),
];

/// Those that are needed on what is above the object that is made, moved or taken away.
const ON_PARENT: [&str; 12] = [
    "Datacenter.Create",
    "Datacenter.Delete",
    "Datacenter.Move",
    "Folder.Create",
    "Folder.Delete",
    "Folder.Move",
    "Resource.CreatePool",
    "Resource.DeletePool",
    "Resource.MovePool",
    "VirtualMachine.Inventory.Create",
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Register",
];

/// A privilege.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Such as `VirtualMachine.State.CreateSnapshot`.
    pub(crate) id: String,
    /// Its last word.
    pub(crate) name: &'static str,
    /// What stands before that.
    pub(crate) group: &'static str,
    /// Is it needed on what is above?
    pub(crate) on_parent: bool,
}

/// All privileges, ordered by their groups.
pub(crate) fn known() -> impl Iterator<Item = Known> {
    GROUPS.iter().flat_map(|(group, names)| {
        names.iter().map(move |name| {
            let id = format!("{group}.{name}");
            Known {
                on_parent: ON_PARENT.contains(&id.as_str()),
                id,
                name,
                group,
            }
        })
    })
}

/// Whether there is such a privilege.
pub(crate) fn exists(id: &str) -> bool {
    known().any(|privilege| privilege.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::schema;

    #[test]
    fn what_methods_ask_for_exists_and_each_stands_once() {
        let asked = schema().privileges().filter(|id| *id != "-");
        for id in asked.chain(ON_PARENT) {
            assert!(exists(id), "{id}");
        }
        let mut ids: Vec<String> = known().map(|privilege| privilege.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(!exists("VirtualMachine.State"));
    }
}
