//! Every method of the API reference is there, and no other.

use crate::rig::Rig;

/// The methods of "vSphere API reference", 2.1, by what receives them.
const METHODS: [(&str, &str, &[&str]); 17] = [
    (
        "ServiceInstance",
        "ServiceInstance",
        &["RetrieveServiceContent", "CurrentTime"],
    ),
    (
        "SessionManager",
        "SessionManager",
        &[
            "LoginByToken",
            "SessionIsActive",
            "AcquireCloneTicket",
            "AcquireGenericServiceTicket",
        ],
    ),
    (
        "PropertyCollector",
        "propertyCollector",
        &[
            "RetrievePropertiesEx",
            "ContinueRetrievePropertiesEx",
            "CancelRetrievePropertiesEx",
            "RetrieveProperties",
            "CreatePropertyCollector",
            "CreateFilter",
            "CheckForUpdates",
            "WaitForUpdates",
            "WaitForUpdatesEx",
            "CancelWaitForUpdates",
            "DestroyPropertyCollector",
        ],
    ),
    ("PropertyFilter", "session[x]1", &["DestroyPropertyFilter"]),
    ("ViewManager", "ViewManager", &["CreateContainerView"]),
    ("ContainerView", "session[x]1", &["DestroyView"]),
    (
        "SearchIndex",
        "SearchIndex",
        &[
            "FindByInventoryPath",
            "FindByUuid",
            "FindAllByUuid",
            "FindByDnsName",
            "FindByIp",
            "FindByDatastorePath",
        ],
    ),
    (
        "VirtualMachine",
        "vm-1",
        &[
            "CreateSnapshot_Task",
            "CreateSnapshotEx_Task",
            "RemoveAllSnapshots_Task",
            "ConsolidateVMDisks_Task",
            "ReconfigVM_Task",
            "QueryChangedDiskAreas",
            "UnregisterVM",
            "Destroy_Task",
            "PowerOnVM_Task",
            "PowerOffVM_Task",
            "SuspendVM_Task",
            "UpgradeVM_Task",
            "AnswerVM",
            "MigrateVM_Task",
            "RelocateVM_Task",
            "ExportVm",
        ],
    ),
    (
        "VirtualMachineSnapshot",
        "snapshot-1",
        &[
            "RemoveSnapshot_Task",
            "RenameSnapshot",
            "RevertToSnapshot_Task",
            "ExportSnapshot",
        ],
    ),
    ("Folder", "group-v4", &["CreateVM_Task", "RegisterVM_Task"]),
    ("Datacenter", "datacenter-3", &["PowerOnMultiVM_Task"]),
    ("Task", "task-1", &["CancelTask"]),
    (
        "AuthorizationManager",
        "AuthorizationManager",
        &["HasPrivilegeOnEntities"],
    ),
    (
        "FileManager",
        "FileManager",
        &["MakeDirectory", "DeleteDatastoreFile_Task"],
    ),
    (
        "VirtualDiskManager",
        "virtualDiskManager",
        &[
            "CreateVirtualDisk_Task",
            "DeleteVirtualDisk_Task",
            "ExtendVirtualDisk_Task",
            "QueryVirtualDiskUuid",
        ],
    ),
    (
        "HostDatastoreBrowser",
        "datastoreBrowser-datastore-17",
        &["SearchDatastore_Task"],
    ),
    (
        "HttpNfcLease",
        "session[x]1",
        &[
            "HttpNfcLeaseProgress",
            "HttpNfcLeaseComplete",
            "HttpNfcLeaseAbort",
        ],
    ),
];

#[test]
fn every_method_of_the_reference_is_known_and_others_are_not() {
    let rig = Rig::new();
    for (type_name, id, methods) in METHODS {
        let mut client = rig.client();
        for method in methods {
            // Whatever comes of a call with a parameter that is none, it is not that.
            let none = "<version>none</version>";
            let fault = client.call(method, (type_name, id), none).unwrap_err();
            assert_ne!(fault.type_name, "MethodNotFound", "{method}");
        }
        for method in ["NoSuchMethod", "logout", "DisableMethods"] {
            let fault = client.call(method, (type_name, id), "").unwrap_err();
            assert_eq!(fault.type_name, "MethodNotFound", "{method}");
        }
    }
    // A method of another object is none of this one.
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    for method in ["CurrentTime", "Logout", "CancelTask"] {
        let fault = client.call(method, vm, "").unwrap_err();
        assert_eq!(fault.type_name, "MethodNotFound", "{method}");
    }
}
