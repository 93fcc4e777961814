//! Copies of VMs, templates, and names.

use lab::{PowerState, SiteSpec};

use crate::client::{Client, between};
use crate::rig::Rig;

const CARD: &str = "<spec><deviceChange><operation>add</operation>\
    <device xsi:type=\"VirtualVmxnet3\"><key>-4000</key>\
    <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>VM Network</deviceName></backing></device>\
    </deviceChange><firmware>bios</firmware></spec>";

fn clone_args(name: &str, location: &str, more: &str) -> String {
    format!(
        "<folder type=\"Folder\">group-v4</folder><name>{name}</name><spec><location>{location}</location>\
         <template>false</template>{more}</spec>"
    )
}

fn copy(client: &mut Client, vm: &str, args: &str) -> String {
    let info = client.task("CloneVM_Task", ("VirtualMachine", vm), args);
    assert!(info.contains("<state>success</state>"), "{info}");
    between(&info, "<result type=\"VirtualMachine\"", "/")
        .split('>')
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned()
}

fn config(client: &mut Client, vm: &str) -> String {
    client.read(("VirtualMachine", vm), &["config"]).unwrap()
}

#[test]
fn a_copy_has_the_same_content_and_an_identity_of_its_own() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let power = |state| rig.lab.set_power_state(&rig.vm, state).unwrap();
    power(PowerState::PoweredOff);
    client.task("ReconfigVM_Task", vm, CARD);
    power(PowerState::PoweredOn);
    rig.lab.set_change_tracking(&rig.vm, true).unwrap();
    rig.lab.guest_write(&rig.vm, 2000, 4096, &[1; 512]).unwrap();
    let snapshot = client.snapshot(&rig.vm);
    rig.lab.guest_write(&rig.vm, 2000, 4096, &[2; 512]).unwrap();

    let power = "<powerOn>true</powerOn>";
    let now = copy(&mut client, &rig.vm, &clone_args("now", "", power));
    let config_spec = "<config><numCPUs>1</numCPUs></config>";
    let from = format!(
        "{config_spec}<powerOn>false</powerOn><snapshot type=\"VirtualMachineSnapshot\">{snapshot}</snapshot>"
    );
    let then = copy(&mut client, &rig.vm, &clone_args("then", "", &from));
    let content = |moref: &str| {
        let vm = rig.lab.vm(moref).unwrap();
        assert_eq!(vm.disks.len(), 2);
        assert!(vm.disks.iter().all(|disk| disk.chain.len() == 1));
        let file = &vm.disk(2000).unwrap().top().unwrap().file;
        let path = rig.lab.resolve_disk(moref, None, file).unwrap();
        let disk = vmdk::Disk::open(&path, vmdk::OpenOptions::default()).unwrap();
        let mut data = [0; 512];
        disk.read_at(8, &mut data).unwrap();
        data[0]
    };
    assert_eq!((content(&now), content(&then)), (2, 1));

    let (old, new) = (config(&mut client, &rig.vm), config(&mut client, &now));
    assert!(new.contains("<name>now</name>") && new.contains("<firmware>bios</firmware>"));
    assert!(new.contains("<changeTrackingEnabled>false</changeTrackingEnabled>"));
    for tag in ["<uuid>", "<instanceUuid>", "<macAddress>"] {
        assert_ne!(between(&old, tag, "<"), between(&new, tag, "<"), "{tag}");
    }
    let state = |moref: &str| rig.lab.vm(moref).unwrap().power_state;
    assert_eq!(
        (state(&now), state(&then)),
        (PowerState::PoweredOn, PowerState::PoweredOff)
    );
    assert_eq!(rig.lab.vm(&then).unwrap().cpus, 1);
    assert!(config(&mut client, &then).contains("<numCPU>1</numCPU>"));
}

#[test]
fn what_a_copy_cannot_be_leaves_nothing() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let off = "<powerOn>false</powerOn>";
    let linked = "<diskMoveType>createNewChildDiskBacking</diskMoveType>";
    let refused = client.call("CloneVM_Task", vm, &clone_args("x", linked, off));
    assert_eq!(refused.unwrap_err().type_name, "NotSupported");
    let taken = client.task("CloneVM_Task", vm, &clone_args("app01", "", off));
    assert!(taken.contains("xsi:type=\"DuplicateName\""), "{taken}");
    let gone = format!("{off}<snapshot type=\"VirtualMachineSnapshot\">snapshot-9</snapshot>");
    let gone = client.task("CloneVM_Task", vm, &clone_args("x", "", &gone));
    assert!(
        gone.contains("xsi:type=\"ManagedObjectNotFound\""),
        "{gone}"
    );
    assert_eq!(rig.lab.vms().unwrap().len(), 1);
}

#[test]
fn a_vm_becomes_a_template_and_comes_back() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let is_template = |client: &mut Client| {
        let read = client.read(vm, &["config.template"]).unwrap();
        read.contains(">true<")
    };
    let runs = client.call("MarkAsTemplate", vm, "").unwrap_err();
    assert_eq!(runs.type_name, "InvalidPowerState");
    client.task("PowerOffVM_Task", vm, "");
    assert_eq!(client.call("MarkAsTemplate", vm, "").unwrap(), "");
    assert!(is_template(&mut client));
    let again = client.call("MarkAsTemplate", vm, "").unwrap_err();
    assert_eq!(again.type_name, "NotSupported");
    let info = client.task("PowerOnVM_Task", vm, "");
    assert!(info.contains("xsi:type=\"NotSupported\""), "{info}");
    let pool = "<pool type=\"ResourcePool\">resgroup-9</pool>";
    client.call("MarkAsVirtualMachine", vm, pool).unwrap();
    assert!(!is_template(&mut client));
    let no_template = client.call("MarkAsVirtualMachine", vm, pool).unwrap_err();
    assert_eq!(no_template.type_name, "NotSupported");
}

#[test]
fn names_are_given_once_in_a_folder() {
    let rig = Rig::with(&["app01", "app02"], SiteSpec::default(), 100);
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let name = |name: &str| format!("<newName>{name}</newName>");
    let info = client.task("Rename_Task", vm, &name("app02"));
    assert!(info.contains("xsi:type=\"DuplicateName\""), "{info}");
    client.task("Rename_Task", vm, &name("web &amp; app"));
    assert_eq!(rig.lab.vm(&rig.vm).unwrap().name, "web & app");
    let datastore = client.call("Rename_Task", ("Datastore", "datastore-17"), &name("x"));
    assert_eq!(datastore.unwrap_err().type_name, "NotSupported");
}

#[test]
fn clients_of_first_class_disks_are_told_that_there_are_no_methods() {
    let rig = Rig::new();
    let mut client = rig.client();
    let this = ("ServiceInstance", "ServiceInstance");
    let content = client.call("RetrieveServiceContent", this, "").unwrap();
    let manager =
        "<vStorageObjectManager type=\"VcenterVStorageObjectManager\">VStorageObjectManager<";
    assert!(content.contains(manager), "{content}");
    let this = ("VcenterVStorageObjectManager", "VStorageObjectManager");
    let args = "<datastore type=\"Datastore\">datastore-17</datastore>";
    let refused = client.call("ListVStorageObject", this, args).unwrap_err();
    assert_eq!(refused.type_name, "MethodNotFound");
}
