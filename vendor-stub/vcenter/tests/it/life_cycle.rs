//! VMs made, changed and taken away.

use crate::client::{Client, between};
use crate::rig::Rig;

const FOLDER: (&str, &str) = ("Folder", "group-v4");
const POOL: &str = "<pool type=\"ResourcePool\">resgroup-9</pool>";

fn disk(controller: i32, unit: i32, bytes: u64) -> String {
    format!(
        "<deviceChange><operation>add</operation><fileOperation>create</fileOperation>\
         <device xsi:type=\"VirtualDisk\"><key>-101</key>\
         <backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[datastore1]</fileName>\
         <diskMode>persistent</diskMode><thinProvisioned>true</thinProvisioned></backing>\
         <controllerKey>{controller}</controllerKey><unitNumber>{unit}</unitNumber>\
         <capacityInKB>0</capacityInKB><capacityInBytes>{bytes}</capacityInBytes></device></deviceChange>"
    )
}

fn done(client: &mut Client, method: &str, this: (&str, &str), args: &str) -> String {
    let info = client.task(method, this, args);
    assert!(info.contains("<state>success</state>"), "{info}");
    info
}

#[test]
fn a_vm_is_made_as_its_spec_says_and_destroyed() {
    let rig = Rig::new();
    let mut client = rig.client();
    let controller = "<deviceChange><operation>add</operation>\
        <device xsi:type=\"VirtualLsiLogicSASController\"><key>-1000</key><busNumber>2</busNumber>\
        <sharedBus>noSharing</sharedBus></device></deviceChange>";
    let config = format!(
        "<config><name>restored</name><version>vmx-15</version><guestId>rhel8_64Guest</guestId>\
         <annotation>again</annotation><files><vmPathName>[datastore1]</vmPathName></files>\
         <numCPUs>4</numCPUs><memoryMB>1024</memoryMB>{controller}{}\
         <extraConfig><key>restore.id</key><value xsi:type=\"xsd:string\">r-1</value></extraConfig></config>{POOL}",
        disk(-1000, 3, 1 << 20)
    );
    let info = done(&mut client, "CreateVM_Task", FOLDER, &config);
    let id = between(
        &info,
        "<result type=\"VirtualMachine\" xsi:type=\"ManagedObjectReference\">",
        "<",
    );
    let vm = ("VirtualMachine", id);
    let config_now = client.read(vm, &["config"]).unwrap();
    for part in [
        "<name>restored</name>",
        "<version>vmx-15</version>",
        "<annotation>again</annotation>",
        "<numCPU>4</numCPU>",
        "<memoryMB>1024</memoryMB>",
        "<device xsi:type=\"VirtualLsiLogicSASController\"><key>1002</key>",
        "<controllerKey>1002</controllerKey><unitNumber>3</unitNumber>",
        "<capacityInBytes>1048576</capacityInBytes>",
        "<key>restore.id</key><value xsi:type=\"xsd:string\">r-1</value>",
    ] {
        assert!(config_now.contains(part), "{part}");
    }
    let info = client.task("CreateVM_Task", FOLDER, &config);
    let taken = format!(
        "xsi:type=\"DuplicateName\"><name>restored</name><object type=\"VirtualMachine\">{id}<"
    );
    assert!(info.contains(&taken), "{info}");

    done(&mut client, "Destroy_Task", vm, "");
    let folder = rig.lab.root().join("datastores/datastore1/restored");
    assert!(!folder.exists());
    let gone = client.read(vm, &["name"]).unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
}

#[test]
fn a_vm_that_could_not_be_made_leaves_nothing() {
    let rig = Rig::new();
    let mut client = rig.client();
    let config = format!(
        "<config><name>bad</name>{}</config>{POOL}",
        disk(1000, 7, 1 << 20)
    );
    let info = client.task("CreateVM_Task", FOLDER, &config);
    assert!(info.contains("<state>error</state>"), "unit 7: {info}");
    assert_eq!(rig.lab.vms().unwrap().len(), 1);
    assert!(!rig.lab.root().join("datastores/datastore1/bad").exists());
}

#[test]
fn disks_come_on_absent_controllers_grow_and_go() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let spec = |inner: &str| format!("<spec>{inner}</spec>");
    let add = spec(&disk(1003, 0, 1 << 20));
    done(&mut client, "ReconfigVM_Task", vm, &add);
    let config = client.read(vm, &["config"]).unwrap();
    let implicit = "<device xsi:type=\"ParaVirtualSCSIController\"><key>1003</key>";
    assert!(config.contains(implicit), "{config}");
    let key = 2000 + 3 * 16;
    assert!(rig.lab.vm(&rig.vm).unwrap().disk(key).is_some());

    let grow = format!(
        "<spec><deviceChange><operation>edit</operation><device xsi:type=\"VirtualDisk\"><key>{key}</key>\
         <capacityInKB>0</capacityInKB><capacityInBytes>{}</capacityInBytes></device></deviceChange></spec>",
        3 << 20
    );
    done(&mut client, "ReconfigVM_Task", vm, &grow);
    let disk = rig.lab.vm(&rig.vm).unwrap().disk(key).unwrap().clone();
    assert_eq!(disk.capacity_bytes, 3 << 20);
    let remove = format!(
        "<spec><deviceChange><operation>remove</operation><fileOperation>destroy</fileOperation>\
         <device xsi:type=\"VirtualDisk\"><key>{key}</key><capacityInKB>0</capacityInKB></device>\
         </deviceChange></spec>"
    );
    done(&mut client, "ReconfigVM_Task", vm, &remove);
    assert!(rig.lab.vm(&rig.vm).unwrap().disk(key).is_none());
    let file = rig
        .lab
        .root()
        .join("datastores/datastore1/app01/app01_2.vmdk");
    assert!(!file.exists());

    let on = client.call("UnregisterVM", vm, "").unwrap_err();
    assert_eq!(on.type_name, "InvalidPowerState");
    done(&mut client, "PowerOffVM_Task", vm, "");
    client.call("UnregisterVM", vm, "").unwrap();
    assert!(rig.lab.vms().unwrap().is_empty());
    let vmx = rig.lab.root().join("datastores/datastore1/app01/app01.vmx");
    assert!(vmx.exists(), "files stay");
}

/// A new VM has its IDE channels anyway; a client may name them as if it added them.
#[test]
fn a_new_vm_has_disks_on_the_channel_that_its_spec_names() {
    let rig = Rig::new();
    let mut client = rig.client();
    let channel = |number: i32| {
        format!(
            "<deviceChange><operation>add</operation><device xsi:type=\"VirtualIDEController\">\
             <key>-200</key><busNumber>{number}</busNumber></device></deviceChange>"
        )
    };
    let config = |number: i32| {
        format!(
            "<config><name>ide{number}</name><files><vmPathName>[datastore1]</vmPathName></files>{}{}</config>{POOL}",
            channel(number),
            disk(-200, 0, 1 << 20)
        )
    };
    done(&mut client, "CreateVM_Task", FOLDER, &config(1));
    let vms = rig.lab.vms().unwrap();
    assert_eq!(vms[1].disks[0].controller_key, 201);
    let info = client.task("CreateVM_Task", FOLDER, &config(2));
    assert!(info.contains("xsi:type=\"InvalidDeviceSpec\""), "{info}");
}
