//! Requests that act, with the values of their samples.

use crate::vsphere::Moref;
use crate::vsphere::authorization::{
    disable_operation, enable_operation, has_privileges_operation,
};
use crate::vsphere::config_spec;
use crate::vsphere::datastore_file::{TicketMethod, ticket_operation};
use crate::vsphere::lifecycle::{
    Provisioning, create_disk_operation, make_directory_operation, named, register_operation,
};
use crate::vsphere::operation::Operation;
use crate::vsphere::search_index::{
    SearchTarget, UuidKind, by_file_operation, by_network_operation, by_path_operation,
    by_uuid_operation,
};
use crate::vsphere::snapshot::{Quiesce, WindowsQuiesce, create_ex_operation, revert_operation};
use crate::vsphere::task::{TaskRef, cancel_operation};

/// The request of each sample, by its number.
pub(super) fn rows() -> Vec<(&'static str, Operation)> {
    let mut rows = of_snapshots();
    rows.extend(of_vms());
    rows.extend(of_files());
    rows.extend(of_rights());
    rows.extend(of_searches());
    rows
}

fn vm() -> Moref {
    Moref::vm("vm-1021")
}

fn of_searches() -> Vec<(&'static str, Operation)> {
    let index = Moref::new("SearchIndex", "SearchIndex");
    let datacenter = Moref::new("Datacenter", "datacenter-3");
    let bios = "4220824e-c2eb-ed46-47db-8e5746f5bde4";
    let instance = "50201f05-b37c-db69-fda5-fb077e87af04";
    let by_uuid =
        |method, within, uuid, kind| by_uuid_operation(method, &index, within, uuid, kind);
    let by_network =
        |method, value| by_network_operation(method, &index, None, value, SearchTarget::Vms);
    vec![
        ("05", by_path_operation(&index, "DC0/vm/Prod/app01")),
        (
            "06",
            by_uuid("FindByUuid", None, instance, UuidKind::Instance),
        ),
        (
            "07",
            by_uuid("FindByUuid", Some(&datacenter), bios, UuidKind::Bios),
        ),
        ("08", by_uuid("FindAllByUuid", None, bios, UuidKind::Bios)),
        (
            "09",
            by_network("FindByDnsName", ("dnsName", "app01.example.test")),
        ),
        ("10", by_network("FindByIp", ("ip", "192.0.2.17"))),
        (
            "11",
            by_file_operation(&index, &datacenter, "[datastore1] app01/app01.vmx"),
        ),
    ]
}

fn of_snapshots() -> Vec<(&'static str, Operation)> {
    let snapshot = Moref::snapshot("snapshot-2044");
    let windows = Quiesce::Windows(WindowsQuiesce::default());
    let limited = Quiesce::Limited {
        timeout_minutes: 15,
    };
    let create =
        |description, quiesce| create_ex_operation(&vm(), "Backup", description, false, quiesce);
    let task = TaskRef(Moref::new("Task", "task-5151"));
    vec![
        ("34", create("Temporary Snapshot for Backup", &windows)),
        ("35", create("", &limited)),
        ("42", revert_operation(&snapshot, true)),
        ("66", cancel_operation(&task)),
    ]
}

fn of_vms() -> Vec<(&'static str, Operation)> {
    let folder = Moref::new("Folder", "group-v4");
    let pool = Moref::new("ResourcePool", "resgroup-9");
    let host = Moref::new("HostSystem", "host-16");
    let path = "[datastore1] app01/app01.vmx";
    vec![
        ("49", Operation::new("PowerOnVM_Task", &vm())),
        ("50", Operation::new("PowerOffVM_Task", &vm())),
        ("46", config_spec::tests::added_disk()),
        ("61", config_spec::tests::worked_example()),
        ("62", config_spec::tests::encrypted_vm()),
        (
            "63",
            register_operation(&folder, path, Some("app01"), &pool, Some(&host)),
        ),
        ("64", Operation::new("UnregisterVM", &vm())),
        ("65", Operation::new("Destroy_Task", &vm())),
    ]
}

fn of_files() -> Vec<(&'static str, Operation)> {
    let files = Moref::new("FileManager", "FileManager");
    let disks = Moref::new("VirtualDiskManager", "virtualDiskManager");
    let datacenter = Moref::new("Datacenter", "datacenter-3");
    let folder = "[datastore1] restore-app01";
    let path = "[datastore1] restore-app01/app01.vmdk";
    let sessions = Moref::new("SessionManager", "SessionManager");
    let url = "https://vcenter.example.test/folder/app01/app01.nvram?dcPath=DC0&dsName=datastore1";
    vec![
        ("51", ticket_operation(&sessions, TicketMethod::Get, url)),
        (
            "54",
            make_directory_operation(&files, folder, Some(&datacenter)),
        ),
        (
            "55",
            create_disk_operation(&disks, path, Some(&datacenter), Provisioning::Thin, 1 << 20),
        ),
        (
            "59",
            named("DeleteVirtualDisk_Task", &disks, path, Some(&datacenter)),
        ),
        (
            "60",
            named(
                "DeleteDatastoreFile_Task",
                &files,
                folder,
                Some(&datacenter),
            ),
        ),
    ]
}

fn of_rights() -> Vec<(&'static str, Operation)> {
    let manager = Moref::new("AuthorizationManager", "AuthorizationManager");
    let privileges = [
        "VirtualMachine.State.CreateSnapshot",
        "VirtualMachine.Provisioning.DiskRandomRead",
    ];
    let session = "52b5395a-85c2-9902-7835-13a9b77e1fec";
    let methods = ["RelocateVM_Task"];
    vec![
        (
            "52",
            disable_operation(&manager, &vm(), &methods, "example-backup"),
        ),
        (
            "53",
            enable_operation(&manager, &vm(), &methods, "example-backup"),
        ),
        (
            "67",
            has_privileges_operation(&manager, &[vm()], session, &privileges),
        ),
    ]
}
