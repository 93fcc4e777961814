//! Settings of a VM: kept, shown, merged, refused.

use crate::client::{Client, between};
use crate::rig::Rig;

fn reconfigure(client: &mut Client, vm: &str, spec: &str) {
    let spec = format!("<spec>{spec}</spec>");
    let info = client.task("ReconfigVM_Task", ("VirtualMachine", vm), &spec);
    assert!(info.contains("<state>success</state>"), "{spec}: {info}");
}

fn read(client: &mut Client, vm: &str, path: &str) -> String {
    let answer = client.read(("VirtualMachine", vm), &[path]).unwrap();
    if !answer.contains("<propSet>") {
        return String::new();
    }
    let value = between(&answer, "<val ", "</val>");
    value.split_once('>').unwrap().1.to_owned()
}

/// Everything that govc, a restore or a boot order changes.
const SPEC: &str = "<alternateGuestName>other</alternateGuestName>\
    <tools><toolsUpgradePolicy>manual</toolsUpgradePolicy></tools>\
    <flags><enableLogging>false</enableLogging><vbsEnabled>true</vbsEnabled></flags>\
    <powerOpInfo><powerOffType>hard</powerOffType></powerOpInfo>\
    <numCPUs>4</numCPUs><numCoresPerSocket>2</numCoresPerSocket>\
    <memoryHotAddEnabled>true</memoryHotAddEnabled><cpuHotAddEnabled>true</cpuHotAddEnabled>\
    <cpuAllocation><shares><shares>9000</shares><level>custom</level></shares></cpuAllocation>\
    <memoryAllocation><limit>100</limit></memoryAllocation>\
    <bootOptions><bootDelay>500</bootDelay>\
    <bootOrder xsi:type=\"VirtualMachineBootOptionsBootableDiskDevice\"><deviceKey>2001</deviceKey></bootOrder>\
    <bootOrder xsi:type=\"VirtualMachineBootOptionsBootableCdromDevice\"></bootOrder></bootOptions>\
    <firmware>bios</firmware><nestedHVEnabled>true</nestedHVEnabled>";

#[test]
fn settings_are_kept_and_what_is_left_out_stays() {
    let rig = Rig::new();
    rig.lab
        .set_power_state(&rig.vm, lab::PowerState::PoweredOff)
        .unwrap();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    reconfigure(&mut client, vm, SPEC);
    for (path, value) in [
        ("config.alternateGuestName", "other"),
        ("config.tools.toolsUpgradePolicy", "manual"),
        ("config.flags.enableLogging", "false"),
        ("config.flags.vbsEnabled", "true"),
        ("config.flags.diskUuidEnabled", "true"),
        ("config.defaultPowerOps.powerOffType", "hard"),
        ("config.defaultPowerOps.suspendType", "hard"),
        ("config.hardware.numCPU", "4"),
        ("config.hardware.numCoresPerSocket", "2"),
        ("config.memoryHotAddEnabled", "true"),
        ("config.cpuHotAddEnabled", "true"),
        ("config.cpuAllocation.shares.shares", "9000"),
        ("config.cpuAllocation.limit", "-1"),
        ("config.memoryAllocation.limit", "100"),
        ("config.memoryAllocation.shares.level", "normal"),
        ("config.bootOptions.bootDelay", "500"),
        ("config.firmware", "bios"),
        ("config.nestedHVEnabled", "true"),
    ] {
        assert_eq!(read(&mut client, vm, path), value, "{path}");
    }
    let order = read(&mut client, vm, "config.bootOptions");
    let disk = "<bootOrder xsi:type=\"VirtualMachineBootOptionsBootableDiskDevice\">\
                <deviceKey>2001</deviceKey></bootOrder>";
    assert!(
        order.contains(disk) && order.contains("BootableCdromDevice"),
        "{order}"
    );

    // A part of a group, and the end of the order.
    let none = "<bootOptions><bootRetryEnabled>true</bootRetryEnabled><bootOrder></bootOrder></bootOptions>";
    reconfigure(&mut client, vm, none);
    let options = read(&mut client, vm, "config.bootOptions");
    assert_eq!(
        options,
        "<bootDelay>500</bootDelay><enterBIOSSetup>false</enterBIOSSetup>\
         <efiSecureBootEnabled>false</efiSecureBootEnabled><bootRetryEnabled>true</bootRetryEnabled>\
         <bootRetryDelay>10000</bootRetryDelay><networkBootProtocol>ipv4</networkBootProtocol>"
    );

    // A level has its own number.
    let high =
        "<cpuAllocation><shares><shares>7</shares><level>high</level></shares></cpuAllocation>";
    reconfigure(&mut client, vm, high);
    assert_eq!(
        read(&mut client, vm, "config.cpuAllocation.shares.shares"),
        "8000"
    );

    // They outlive the inventory.
    client.task("PowerOffVM_Task", ("VirtualMachine", vm), "");
    client
        .call("UnregisterVM", ("VirtualMachine", vm), "")
        .unwrap();
    let path = "[datastore1] app01/app01.vmx";
    let back = rig.lab.register_vm(path, None, "group-v4").unwrap().moref;
    assert_eq!(read(&mut client, &back, "config.firmware"), "bios");
    assert_eq!(
        read(&mut client, &back, "config.memoryAllocation.limit"),
        "100"
    );
}

#[test]
fn hardware_versions_and_instance_uuids() {
    let rig = Rig::with(&["app01", "app02"], lab::SiteSpec::default(), 100);
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    reconfigure(&mut client, &rig.vm, "<version>vmx-19</version>");
    let info = client.task(
        "ReconfigVM_Task",
        vm,
        "<spec><version>vmx-20</version></spec>",
    );
    assert!(info.contains("xsi:type=\"InvalidPowerState\""), "{info}");
    client.task("PowerOffVM_Task", vm, "");
    reconfigure(&mut client, &rig.vm, "<version>vmx-20</version>");
    assert_eq!(read(&mut client, &rig.vm, "config.version"), "vmx-20");
    let info = client.task(
        "ReconfigVM_Task",
        vm,
        "<spec><version>vmx-13</version></spec>",
    );
    assert!(info.contains("xsi:type=\"AlreadyUpgraded\""), "{info}");

    let taken = rig.lab.vms().unwrap()[1].instance_uuid.clone();
    let mine = read(&mut client, &rig.vm, "config.instanceUuid");
    reconfigure(
        &mut client,
        &rig.vm,
        &format!("<instanceUuid>{taken}</instanceUuid>"),
    );
    assert_eq!(read(&mut client, &rig.vm, "config.instanceUuid"), mine);
    let free = "50010203-0405-0607-0809-0a0b0c0d0e0f";
    reconfigure(
        &mut client,
        &rig.vm,
        &format!("<instanceUuid>{free}</instanceUuid>"),
    );
    assert_eq!(read(&mut client, &rig.vm, "config.instanceUuid"), free);
}

#[test]
fn what_no_vm_can_have_is_refused_by_name() {
    let rig = Rig::new();
    let mut client = rig.client();
    for (spec, property) in [
        ("<numCPUs>0</numCPUs>", "configSpec.numCPUs"),
        (
            "<numCPUs>4</numCPUs><numCoresPerSocket>3</numCoresPerSocket>",
            "configSpec.numCoresPerSocket",
        ),
        ("<memoryMB>1023</memoryMB>", "configSpec.memoryMB"),
        ("<guestId>nosuch</guestId>", "configSpec.guestId"),
        ("<firmware>uboot</firmware>", "configSpec.firmware"),
    ] {
        let spec = format!("<spec>{spec}</spec>");
        let vm = ("VirtualMachine", rig.vm.as_str());
        let body = client.fault_body("ReconfigVM_Task", vm, &spec);
        assert!(body.contains("xsi:type=\"InvalidArgument\""), "{spec}");
        assert_eq!(between(&body, "<invalidProperty>", "<"), property);
    }
}

#[test]
fn a_snapshot_keeps_the_configuration_and_a_revert_brings_it_back() {
    let rig = Rig::new();
    rig.lab
        .set_power_state(&rig.vm, lab::PowerState::PoweredOff)
        .unwrap();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    let note = |value: &str| {
        format!(
            "<extraConfig><key>note</key><value xsi:type=\"xsd:string\">{value}</value></extraConfig>"
        )
    };
    reconfigure(
        &mut client,
        vm,
        &format!("{}<firmware>bios</firmware>", note("then")),
    );
    let snapshot = client.snapshot(vm);
    let card = "<deviceChange><operation>add</operation><device xsi:type=\"VirtualVmxnet3\"><key>-1</key>\
        <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>VM Network</deviceName>\
        </backing></device></deviceChange>";
    let later = format!(
        "<numCPUs>8</numCPUs>{card}{}<firmware>efi</firmware>",
        note("now")
    );
    reconfigure(&mut client, vm, &later);
    let frozen = ("VirtualMachineSnapshot", snapshot.as_str());
    let then = client.read(frozen, &["config"]).unwrap();
    let now = client.read(("VirtualMachine", vm), &["config"]).unwrap();
    let is_then = |config: &str| {
        let parts = ["<numCPU>2<", ">then<", "<firmware>bios<"];
        let has_card = config.contains("Vmxnet3");
        assert_ne!(parts.iter().all(|part| config.contains(part)), has_card);
        !has_card
    };
    assert!(is_then(&then) && !is_then(&now));
    client.task("RevertToSnapshot_Task", frozen, "");
    let back = client.read(("VirtualMachine", vm), &["config"]).unwrap();
    assert!(is_then(&back));
}
