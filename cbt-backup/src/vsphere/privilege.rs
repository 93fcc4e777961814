//! The privileges of a backup and of a restore: the smallest role that will do.

/// Where a privilege is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrivilegeScope {
    /// On the virtual machine.
    Vm,
    /// On the root of vCenter.
    Root,
    /// On the datastores of its disks.
    Datastore,
    /// On the folder a restored VM comes into.
    Folder,
    /// On its resource pool.
    Pool,
    /// On its networks.
    Network,
}

impl PrivilegeScope {
    /// The word for tables and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Root => "root",
            Self::Datastore => "datastore",
            Self::Folder => "folder",
            Self::Pool => "resource pool",
            Self::Network => "network",
        }
    }
}

/// What a privilege is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivilegePurpose {
    /// A backup needs it.
    Backup,
    /// Reading disks by HotAdd needs it besides, on the proxy VM and on the datastores of the
    /// disks.
    HotAdd,
    /// A restore needs it besides.
    Restore,
}

/// One privilege of the role ("vSphere API reference, 6").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privilege {
    /// Its id, such as `VirtualMachine.State.CreateSnapshot`.
    pub id: &'static str,
    /// Where vCenter's own pages list it, in vSphere 8; other releases word some of them otherwise.
    pub ui_name: &'static str,
    /// Where it is needed.
    pub scope: PrivilegeScope,
    /// What for.
    pub purpose: PrivilegePurpose,
    /// Why.
    pub reason: &'static str,
    /// Only some VMs or ways want it, such as encrypted ones.
    is_optional: bool,
}

impl Privilege {
    /// Those of a purpose. A restore needs those of a backup too; those of HotAdd stand alone,
    /// since they are needed on other VMs.
    pub fn of(purpose: PrivilegePurpose) -> impl Iterator<Item = &'static Self> {
        PRIVILEGES.iter().filter(move |privilege| match purpose {
            PrivilegePurpose::Backup => privilege.purpose == PrivilegePurpose::Backup,
            PrivilegePurpose::HotAdd => OF_HOT_ADD.contains(&privilege.id),
            PrivilegePurpose::Restore => true,
        })
    }

    /// True if only some VMs or ways want it for that purpose.
    pub fn is_optional_for(&self, purpose: PrivilegePurpose) -> bool {
        let is_needed =
            purpose == PrivilegePurpose::Restore && NOT_OPTIONAL_TO_RESTORE.contains(&self.id);
        self.is_optional && !is_needed
    }
}

/// Those that HotAdd needs ("vSphere API reference, 6").
const OF_HOT_ADD: [&str; 7] = [
    "Datastore.AllocateSpace",
    "VirtualMachine.Config.AddNewDisk",
    "VirtualMachine.Config.AddExistingDisk",
    "VirtualMachine.Config.RemoveDisk",
    "VirtualMachine.Config.Resource",
    "VirtualMachine.Config.Settings",
    "Cryptographer.AddDisk",
];

/// A restore uploads the NVRAM file.
const NOT_OPTIONAL_TO_RESTORE: [&str; 2] = ["Datastore.Browse", "Datastore.FileManagement"];

const fn backup(
    scope: PrivilegeScope,
    id: &'static str,
    ui_name: &'static str,
    reason: &'static str,
) -> Privilege {
    Privilege {
        id,
        ui_name,
        scope,
        purpose: PrivilegePurpose::Backup,
        reason,
        is_optional: false,
    }
}

const fn restore(
    scope: PrivilegeScope,
    id: &'static str,
    ui_name: &'static str,
    reason: &'static str,
) -> Privilege {
    Privilege {
        purpose: PrivilegePurpose::Restore,
        ..backup(scope, id, ui_name, reason)
    }
}

const fn optional(privilege: Privilege) -> Privilege {
    Privilege {
        is_optional: true,
        ..privilege
    }
}

use PrivilegeScope::{Datastore, Folder, Network, Pool, Root, Vm};

#[rustfmt::skip]
const PRIVILEGES: &[Privilege] = &[
    backup(Vm, "VirtualMachine.State.CreateSnapshot", "Virtual machine > Snapshot management > Create snapshot", "make the snapshot"),
    backup(Vm, "VirtualMachine.State.RemoveSnapshot", "Virtual machine > Snapshot management > Remove snapshot", "remove it, merge disks"),
    backup(Vm, "VirtualMachine.Config.ChangeTracking", "Virtual machine > Change Configuration > Toggle disk change tracking", "switch change tracking"),
    backup(Vm, "VirtualMachine.Provisioning.DiskRandomRead", "Virtual machine > Provisioning > Allow read-only disk access", "ask for changed areas, read disks"),
    backup(Vm, "VirtualMachine.Provisioning.GetVmFiles", "Virtual machine > Provisioning > Allow virtual machine download", "VDDK reads the VM's files"),
    optional(backup(Vm, "VirtualMachine.Config.DiskLease", "Virtual machine > Change Configuration > Acquire disk lease", "asked for by some releases")),
    backup(Root, "Global.DisableMethods", "Global > Disable methods", "keep the VM from being moved"),
    backup(Root, "Global.EnableMethods", "Global > Enable methods", "let it be moved again"),
    optional(backup(Datastore, "Datastore.Browse", "Datastore > Browse datastore", "fetch the NVRAM file")),
    optional(backup(Datastore, "Datastore.FileManagement", "Datastore > Low level file operations", "fetch the NVRAM file")),
    optional(backup(Vm, "Cryptographer.Access", "Cryptographic operations > Direct Access", "encrypted disks")),
    restore(Folder, "VirtualMachine.Inventory.Create", "Virtual machine > Edit Inventory > Create new", "make the VM"),
    restore(Folder, "VirtualMachine.Inventory.Register", "Virtual machine > Edit Inventory > Register", "register the VM"),
    restore(Vm, "VirtualMachine.Inventory.Unregister", "Virtual machine > Edit Inventory > Unregister", "replace the VM"),
    restore(Vm, "VirtualMachine.Inventory.Delete", "Virtual machine > Edit Inventory > Remove", "remove one that is half made"),
    restore(Pool, "Resource.AssignVMToPool", "Resource > Assign virtual machine to resource pool", "make the VM"),
    restore(Datastore, "Datastore.AllocateSpace", "Datastore > Allocate space", "make its disks"),
    restore(Datastore, "Datastore.DeleteFile", "Datastore > Remove file", "clean up"),
    restore(Datastore, "Datastore.UpdateVirtualMachineFiles", "Datastore > Update virtual machine files", "make its files"),
    restore(Network, "Network.Assign", "Network > Assign network", "connect its network cards"),
    restore(Vm, "VirtualMachine.Config.AddNewDisk", "Virtual machine > Change Configuration > Add new disk", "make its disks"),
    restore(Vm, "VirtualMachine.Config.AddExistingDisk", "Virtual machine > Change Configuration > Add existing disk", "attach disks"),
    restore(Vm, "VirtualMachine.Config.RemoveDisk", "Virtual machine > Change Configuration > Remove disk", "replace disks"),
    restore(Vm, "VirtualMachine.Config.AddRemoveDevice", "Virtual machine > Change Configuration > Add or remove device", "its controllers and cards"),
    restore(Vm, "VirtualMachine.Config.EditDevice", "Virtual machine > Change Configuration > Modify device settings", "its devices"),
    optional(restore(Vm, "VirtualMachine.Config.RawDevice", "Virtual machine > Change Configuration > Configure Raw device", "raw devices")),
    optional(restore(Vm, "VirtualMachine.Config.HostUSBDevice", "Virtual machine > Change Configuration > Configure Host USB device", "USB devices of a host")),
    optional(restore(Vm, "VirtualMachine.Config.MksControl", "Virtual machine > Change Configuration > Display connection settings", "the limit of its consoles")),
    optional(restore(Vm, "VirtualMachine.Config.ManagedBy", "Virtual machine > Change Configuration > Configure managedBy", "VMs of an extension")),
    restore(Vm, "VirtualMachine.Config.Settings", "Virtual machine > Change Configuration > Change Settings", "its settings"),
    restore(Vm, "VirtualMachine.Config.AdvancedConfig", "Virtual machine > Change Configuration > Advanced configuration", "its extra settings"),
    restore(Vm, "VirtualMachine.Config.Resource", "Virtual machine > Change Configuration > Change resource", "its shares and limits"),
    restore(Vm, "VirtualMachine.Config.CPUCount", "Virtual machine > Change Configuration > Change CPU count", "its processors"),
    restore(Vm, "VirtualMachine.Config.Memory", "Virtual machine > Change Configuration > Change Memory", "its memory"),
    restore(Vm, "VirtualMachine.Config.Rename", "Virtual machine > Change Configuration > Rename", "its name"),
    restore(Vm, "VirtualMachine.Config.Annotation", "Virtual machine > Change Configuration > Set annotation", "its notes"),
    restore(Vm, "VirtualMachine.Config.SwapPlacement", "Virtual machine > Change Configuration > Change Swapfile placement", "where it swaps"),
    optional(restore(Vm, "VirtualMachine.Config.UpgradeVirtualHardware", "Virtual machine > Change Configuration > Upgrade virtual machine compatibility", "cbt enable --upgrade-hardware")),
    restore(Vm, "VirtualMachine.Interact.DeviceConnection", "Virtual machine > Interaction > Connect devices", "its devices' connections"),
    optional(restore(Vm, "VirtualMachine.Interact.SetCDMedia", "Virtual machine > Interaction > Configure CD media", "its CD drives")),
    optional(restore(Vm, "VirtualMachine.Interact.SetFloppyMedia", "Virtual machine > Interaction > Configure floppy media", "its floppy drives")),
    restore(Vm, "VirtualMachine.Interact.PowerOn", "Virtual machine > Interaction > Power on", "start it afterwards"),
    restore(Vm, "VirtualMachine.Interact.PowerOff", "Virtual machine > Interaction > Power off", "restore in place"),
    optional(restore(Vm, "VirtualMachine.Interact.AnswerQuestion", "Virtual machine > Interaction > Answer question", "the question whether it was copied")),
    restore(Vm, "VirtualMachine.Provisioning.DiskRandomAccess", "Virtual machine > Provisioning > Allow disk access", "write disks"),
    restore(Vm, "VirtualMachine.Provisioning.PutVmFiles", "Virtual machine > Provisioning > Allow virtual machine files upload", "write the VM's files"),
    restore(Vm, "VirtualMachine.State.RevertToSnapshot", "Virtual machine > Snapshot management > Revert to snapshot", "restore in place"),
    optional(restore(Folder, "Folder.Create", "Folder > Create folder", "make the target folder")),
    optional(restore(Vm, "Cryptographer.Encrypt", "Cryptographic operations > Encrypt", "encrypted VMs")),
    optional(restore(Vm, "Cryptographer.EncryptNew", "Cryptographic operations > Encrypt new", "encrypted VMs")),
    optional(restore(Vm, "Cryptographer.AddDisk", "Cryptographic operations > Add disk", "encrypted VMs")),
    optional(restore(Vm, "Cryptographer.Migrate", "Cryptographic operations > Migrate", "encrypted VMs")),
    optional(restore(Vm, "VApp.ApplicationConfig", "vApp > vApp application configuration", "VMs with vApp properties")),
    optional(restore(Folder, "Cryptographer.RegisterVM", "Cryptographic operations > Register VM", "encrypted VMs")),
    optional(restore(Root, "StorageProfile.View", "VM storage policies > View VM storage policies", "encrypted VMs")),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{PRIVILEGES, Privilege, PrivilegePurpose};

    #[test]
    fn each_id_stands_once_and_a_restore_needs_more_than_a_backup() {
        let ids: HashSet<&str> = PRIVILEGES.iter().map(|privilege| privilege.id).collect();
        assert_eq!(ids.len(), PRIVILEGES.len());
        let backup = Privilege::of(PrivilegePurpose::Backup).count();
        assert_eq!(backup, 11);
        assert_eq!(
            Privilege::of(PrivilegePurpose::Restore).count(),
            PRIVILEGES.len()
        );
        let hot_add = Privilege::of(PrivilegePurpose::HotAdd).count();
        assert_eq!(hot_add, super::OF_HOT_ADD.len());
        for privilege in PRIVILEGES {
            assert!(privilege.ui_name.contains(" > "), "{}", privilege.id);
        }
    }

    #[test]
    fn what_only_some_want_may_be_needed_by_a_restore() {
        let files = PRIVILEGES
            .iter()
            .find(|p| p.id == "Datastore.FileManagement");
        let files = files.unwrap();
        assert!(files.is_optional_for(PrivilegePurpose::Backup));
        assert!(!files.is_optional_for(PrivilegePurpose::Restore));
        let optional = |purpose| Privilege::of(purpose).any(|p| p.is_optional_for(purpose));
        assert!(optional(PrivilegePurpose::Restore) && optional(PrivilegePurpose::HotAdd));
    }
}
