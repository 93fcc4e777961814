//! VMs that come back by their files, questions, templates, and many that are powered on at once.

use lab::{PowerState, Quiescing};

use crate::client::{Client, between};
use crate::rig::Rig;

const FOLDER: (&str, &str) = ("Folder", "group-v4");
const DATACENTER: (&str, &str) = ("Datacenter", "datacenter-3");
const NEW_VM: &str = "<result type=\"VirtualMachine\" xsi:type=\"ManagedObjectReference\">";

fn register(path: &str, as_template: bool) -> String {
    format!(
        "<path>{path}</path><asTemplate>{as_template}</asTemplate>\
         <pool type=\"ResourcePool\">resgroup-9</pool><host type=\"HostSystem\">host-16</host>"
    )
}

fn off_and_unregistered(rig: &Rig, client: &mut Client) {
    let vm = ("VirtualMachine", rig.vm.as_str());
    client.task("PowerOffVM_Task", vm, "");
    client.call("UnregisterVM", vm, "").unwrap();
}

#[test]
fn a_vm_is_registered_and_one_that_is_there_is_not() {
    let rig = Rig::new();
    let mut client = rig.client();
    off_and_unregistered(&rig, &mut client);
    let args = register("[datastore1] app01/app01.vmx", false);
    let info = client.task("RegisterVM_Task", FOLDER, &args);
    let vm = between(&info, NEW_VM, "<").to_owned();
    let shown = client
        .read(
            ("VirtualMachine", &vm),
            &["name", "config.files.vmPathName", "config.hardware.device"],
        )
        .unwrap();
    for part in ["app01", "[datastore1] app01/app01.vmx", "app01_1.vmdk"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let info = client.task("RegisterVM_Task", FOLDER, &args);
    assert!(info.contains("xsi:type=\"AlreadyExists\""), "{info}");
    let nothing = register("[datastore1] none/none.vmx", false);
    let info = client.task("RegisterVM_Task", FOLDER, &nothing);
    assert!(info.contains("xsi:type=\"FileNotFound\""), "{info}");
    let unknown = client
        .call(
            "RegisterVM_Task",
            FOLDER,
            &register("[none] a/a.vmx", false),
        )
        .unwrap_err();
    assert_eq!(unknown.type_name, "InvalidDatastore");
}

#[test]
fn a_template_has_no_power_and_no_snapshots() {
    let rig = Rig::new();
    let mut client = rig.client();
    off_and_unregistered(&rig, &mut client);
    let args = register("[datastore1] app01/app01.vmx", true);
    let info = client.task("RegisterVM_Task", FOLDER, &args);
    let id = between(&info, NEW_VM, "<").to_owned();
    let vm = ("VirtualMachine", id.as_str());
    let shown = client
        .read(vm, &["config.template", "summary.config.template"])
        .unwrap();
    assert_eq!(shown.matches(">true<").count(), 2, "{shown}");
    let snapshot = "<name>s</name><memory>false</memory><quiesce>false</quiesce>";
    for (method, args) in [("PowerOnVM_Task", ""), ("CreateSnapshot_Task", snapshot)] {
        let info = client.task(method, vm, args);
        assert!(info.contains("xsi:type=\"NotSupported\""), "{info}");
    }
}

#[test]
fn a_vm_that_was_copied_is_powered_on_when_its_question_is_answered() {
    let rig = Rig::new();
    let mut client = rig.client();
    off_and_unregistered(&rig, &mut client);
    let copy = "<sourceName>[datastore1] app01/app01.vmx</sourceName>\
        <sourceDatacenter type=\"Datacenter\">datacenter-3</sourceDatacenter>\
        <destinationName>[datastore1] app01/copy.vmx</destinationName>";
    client.task(
        "CopyDatastoreFile_Task",
        ("FileManager", "FileManager"),
        copy,
    );
    let args = register("[datastore1] app01/copy.vmx", false);
    let info = client.task("RegisterVM_Task", FOLDER, &args);
    let id = between(&info, NEW_VM, "<").to_owned();
    let vm = ("VirtualMachine", id.as_str());
    let uuid = client.read(vm, &["config.uuid"]).unwrap();

    let started = client.call("PowerOnVM_Task", vm, "").unwrap();
    let task = between(&started, "type=\"Task\">", "<").to_owned();
    let asked = loop {
        let shown = client.read(vm, &["runtime.question"]).unwrap();
        if shown.contains("<id>") {
            break shown;
        }
    };
    let question = between(&asked, "<id>", "<");
    assert!(asked.contains("<key>2</key>") && asked.contains("<defaultIndex>2</defaultIndex>"));
    let waiting = client.read(("Task", &task), &["info"]).unwrap();
    assert!(waiting.contains("<state>running</state>"), "{waiting}");
    let answer = |choice: &str| {
        format!("<questionId>{question}</questionId><answerChoice>{choice}</answerChoice>")
    };
    let wrong = client.call("AnswerVM", vm, &answer("7")).unwrap_err();
    assert_eq!(wrong.type_name, "InvalidArgument");
    client.call("AnswerVM", vm, &answer("2")).unwrap();
    while rig.lab.vm(&id).unwrap().power_state != PowerState::PoweredOn {
        std::thread::yield_now();
    }
    let shown = client
        .read(vm, &["runtime.question", "config.uuid"])
        .unwrap();
    assert!(!shown.contains("<id>") && shown != uuid, "{shown}");
}

#[test]
fn many_are_powered_on_at_once() {
    let rig = Rig::with(&["one", "two"], lab::SiteSpec::default(), 100);
    let mut client = rig.client();
    let vms = rig.lab.vms().unwrap();
    rig.lab
        .set_power_state(&vms[0].moref, PowerState::PoweredOff)
        .unwrap();
    let list = vms.iter().fold(String::new(), |list, vm| {
        list + "<vm type=\"VirtualMachine\">" + &vm.moref + "</vm>"
    });
    let info = client.task("PowerOnMultiVM_Task", DATACENTER, &list);
    assert!(info.contains("<state>success</state>"), "{info}");
    assert_eq!(info.matches("<attempted>").count(), 2, "{info}");
    while rig.lab.vm(&vms[0].moref).unwrap().power_state != PowerState::PoweredOn {
        std::thread::yield_now();
    }
    let nobody = "<vm type=\"VirtualMachine\">vm-1</vm>";
    let gone = client
        .call("PowerOnMultiVM_Task", DATACENTER, nobody)
        .unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
}

#[test]
fn a_guest_that_cannot_be_quiesced_fails_the_snapshot() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let args = "<name>s</name><memory>false</memory><quiesce>true</quiesce>";
    for (quiescing, fault) in [
        (Quiescing::ApplicationFails, "ApplicationQuiesceFault"),
        (Quiescing::FilesystemFails, "FilesystemQuiesceFault"),
    ] {
        rig.lab.set_quiescing(&rig.vm, quiescing).unwrap();
        let info = client.task("CreateSnapshot_Task", vm, args);
        assert!(info.contains(&format!("xsi:type=\"{fault}\"")), "{info}");
        assert!(rig.lab.vm(&rig.vm).unwrap().snapshots.is_empty());
    }
    rig.lab.set_quiescing(&rig.vm, Quiescing::NoTools).unwrap();
    let info = client.task("CreateSnapshot_Task", vm, args);
    assert!(info.contains("<state>success</state>"), "{info}");
    let shown = client
        .read(
            vm,
            &["guest.toolsRunningStatus", "snapshot.rootSnapshotList"],
        )
        .unwrap();
    assert!(shown.contains("guestToolsNotRunning"), "{shown}");
    assert!(shown.contains("<quiesced>false</quiesced>"), "{shown}");
}
