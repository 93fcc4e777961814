//! Requests that act, against the sample requests.

use super::authorization::{
    disable_operation, enable_operation, has_privileges_operation, read_entity_privileges,
};
use super::datastore_file::{TicketMethod, read_ticket, ticket_operation};
use super::envelope::read_answer;
use super::lifecycle::{
    Provisioning, answer_operation, create_disk_operation, make_directory_operation, named,
    register_operation,
};
use super::moref::Moref;
use super::operation::Operation;
use super::snapshot::{Quiesce, WindowsQuiesce, create_ex_operation, revert_operation};
use super::task::{TaskRef, cancel_operation};
use super::vm::change_tracking_operation;

macro_rules! request {
    ($name:literal) => {
        include_str!(concat!("testdata/requests/", $name, ".xml"))
    };
}

fn body(envelope: &str) -> &str {
    let (_, rest) = envelope.split_once("<soapenv:Body>").unwrap();
    rest.split_once("</soapenv:Body>").unwrap().0
}

#[track_caller]
fn same(operation: &Operation, sample: &str) {
    let envelope = operation.envelope("id").unwrap();
    let sent = std::str::from_utf8(&envelope).unwrap();
    assert_eq!(body(sent), body(sample));
}

#[test]
fn snapshots_and_tasks() {
    let vm = Moref::vm("vm-1021");
    let snapshot = Moref::snapshot("snapshot-2044");
    let windows = Quiesce::Windows(WindowsQuiesce::default());
    let description = "Temporary Snapshot for Backup";
    same(
        &create_ex_operation(&vm, "Backup", description, false, &windows),
        request!("34-create-snapshot-ex-windows"),
    );
    let limited = Quiesce::Limited {
        timeout_minutes: 15,
    };
    same(
        &create_ex_operation(&vm, "Backup", "", false, &limited),
        request!("35-create-snapshot-ex-plain"),
    );
    same(
        &revert_operation(&snapshot, true),
        request!("42-revert-to-snapshot"),
    );
    same(
        &cancel_operation(&TaskRef(Moref::new("Task", "task-5151"))),
        request!("66-cancel-task"),
    );
    same(
        &change_tracking_operation(&vm, false),
        request!("32-reconfig-disable-cbt"),
    );
}

#[test]
fn a_time_limit_is_brought_into_the_range_that_servers_take() {
    for (minutes, sent) in [(0, 5), (5, 5), (240, 240), (10_000, 240)] {
        let quiesce = Quiesce::Limited {
            timeout_minutes: minutes,
        };
        let vm = Moref::vm("vm-1");
        let operation = create_ex_operation(&vm, "n", "", false, &quiesce);
        let envelope = operation.envelope("id").unwrap();
        let text = std::str::from_utf8(&envelope).unwrap();
        assert!(
            text.contains(&format!("<timeout>{sent}</timeout>")),
            "{text}"
        );
    }
}

#[test]
fn privileges_and_disabled_methods() {
    let manager = Moref::new("AuthorizationManager", "AuthorizationManager");
    let vm = Moref::vm("vm-1021");
    let privileges = [
        "VirtualMachine.State.CreateSnapshot",
        "VirtualMachine.Provisioning.DiskRandomRead",
    ];
    same(
        &has_privileges_operation(
            &manager,
            std::slice::from_ref(&vm),
            "52b5395a-85c2-9902-7835-13a9b77e1fec",
            &privileges,
        ),
        request!("67-has-privilege-on-entities"),
    );
    let methods = ["RelocateVM_Task"];
    same(
        &disable_operation(&manager, &vm, &methods, "example-backup"),
        request!("52-disable-methods"),
    );
    same(
        &enable_operation(&manager, &vm, &methods, "example-backup"),
        request!("53-enable-methods"),
    );
    let body = include_bytes!("testdata/answers/c40-has-privilege-on-entities.xml");
    let answers = read_answer("HasPrivilegeOnEntities", body, read_entity_privileges).unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].entity, vm);
    assert_eq!(answers[0].privileges.len(), 2);
    let missing: Vec<&str> = answers[0].missing().collect();
    assert_eq!(missing, ["VirtualMachine.Provisioning.DiskRandomRead"]);
}

#[test]
fn registering_and_questions() {
    let folder = Moref::new("Folder", "group-v4");
    let pool = Moref::new("ResourcePool", "resgroup-9");
    let host = Moref::new("HostSystem", "host-16");
    let path = "[datastore1] app01/app01.vmx";
    same(
        &register_operation(&folder, path, Some("app01"), &pool, Some(&host)),
        request!("63-register-vm"),
    );
    let vm = Moref::vm("vm-1021");
    same(
        &Operation::new("PowerOnVM_Task", &vm),
        request!("49-power-on"),
    );
    same(
        &Operation::new("PowerOffVM_Task", &vm),
        request!("50-power-off"),
    );
    same(
        &Operation::new("UnregisterVM", &vm),
        request!("64-unregister-vm"),
    );
    same(&Operation::new("Destroy_Task", &vm), request!("65-destroy"));
    let answer = answer_operation(&vm, "q-1", "2");
    let envelope = answer.envelope("id").unwrap();
    let text = std::str::from_utf8(&envelope).unwrap();
    assert!(
        text.contains("<questionId>q-1</questionId><answerChoice>2</answerChoice>"),
        "{text}"
    );
}

#[test]
fn files_and_disks_of_datastores() {
    let files = Moref::new("FileManager", "FileManager");
    let disks = Moref::new("VirtualDiskManager", "virtualDiskManager");
    let datacenter = Moref::new("Datacenter", "datacenter-3");
    same(
        &make_directory_operation(&files, "[datastore1] restore-app01", Some(&datacenter)),
        request!("54-make-directory"),
    );
    let path = "[datastore1] restore-app01/app01.vmdk";
    same(
        &create_disk_operation(&disks, path, Some(&datacenter), Provisioning::Thin, 1 << 20),
        request!("55-create-virtual-disk"),
    );
    same(
        &named("DeleteVirtualDisk_Task", &disks, path, Some(&datacenter)),
        request!("59-delete-virtual-disk"),
    );
}

#[test]
fn a_ticket_is_asked_for_and_read() {
    let manager = Moref::new("SessionManager", "SessionManager");
    let url = "https://vcenter.example.test/folder/app01/app01.nvram?dcPath=DC0&dsName=datastore1";
    same(
        &ticket_operation(&manager, TicketMethod::Get, url),
        request!("51-acquire-generic-service-ticket"),
    );
    let body = include_bytes!("testdata/answers/c39-acquire-generic-service-ticket.xml");
    let (id, host, thumbprint) =
        read_answer("AcquireGenericServiceTicket", body, read_ticket).unwrap();
    assert!(id.expose().starts_with("52e4a1c3"));
    assert_eq!(host.as_deref(), Some("esx07.example.test"));
    assert!(thumbprint.unwrap().starts_with("2F:9A"));
}
