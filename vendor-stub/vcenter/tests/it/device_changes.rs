//! Changes of devices: done, or refused by name and place.

use lab::PowerState;

use crate::client::{Client, between};
use crate::rig::Rig;

/// The device elements of a configuration that are not deeper inside others.
fn devices(client: &mut Client, vm: &str) -> String {
    client
        .read(("VirtualMachine", vm), &["config.hardware.device"])
        .unwrap()
}

fn change(operation: &str, device: &str) -> String {
    format!("<spec><deviceChange><operation>{operation}</operation>{device}</deviceChange></spec>")
}

fn reconfigure(client: &mut Client, vm: &str, spec: &str) {
    let info = client.task("ReconfigVM_Task", ("VirtualMachine", vm), spec);
    assert!(info.contains("<state>success</state>"), "{spec}: {info}");
}

/// The fault a spec is refused with, its property and its index.
fn refused(client: &mut Client, vm: &str, spec: &str) -> (String, String) {
    let this = ("VirtualMachine", vm);
    let answer = client.call("ReconfigVM_Task", this, spec);
    // What is wrong with a device is told by the task, what is wrong with an argument at once.
    let body = match answer {
        Ok(answer) => {
            let info = client.finished(&answer);
            between(&info, "<error>", "</error>").to_owned()
        }
        Err(_) => client.fault_body("ReconfigVM_Task", this, spec),
    };
    let name = between(&body, "xsi:type=\"", "\"").to_owned();
    let property = ["<property>", "<invalidProperty>"]
        .iter()
        .find(|tag| body.contains(**tag))
        .map_or("", |tag| between(&body, tag, "<"));
    (name, property.to_owned())
}

const CARD: &str = "<device xsi:type=\"VirtualVmxnet3\"><key>-4000</key>\
    <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>VM Network</deviceName></backing></device>";

#[test]
fn a_device_without_type_is_what_its_key_says() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    reconfigure(&mut client, vm, &change("add", CARD));
    for key in [2001, 4000] {
        let bare = format!("<device><key>{key}</key></device>");
        reconfigure(&mut client, vm, &change("remove", &bare));
        let left = devices(&mut client, vm);
        assert!(!left.contains(&format!("<key>{key}</key>")), "{left}");
    }
    assert_eq!(rig.lab.vm(vm).unwrap().disks.len(), 1);
    for (operation, device, fault, property) in [
        (
            "remove",
            "<device><key>2001</key></device>",
            "InvalidDeviceSpec",
            "device.key",
        ),
        (
            "edit",
            "<device><key>100</key></device>",
            "InvalidDeviceSpec",
            "device.key",
        ),
        (
            "add",
            "<device><key>-1</key></device>",
            "InvalidDeviceSpec",
            "device.key",
        ),
        (
            "replace",
            "<device><key>2000</key></device>",
            "InvalidArgument",
            "operation",
        ),
        (
            "add",
            "<device xsi:type=\"VirtualIDEController\"><key>-1</key><busNumber>2</busNumber></device>",
            "InvalidDeviceSpec",
            "device.key",
        ),
        (
            "remove",
            "<device xsi:type=\"VirtualE1000\"><key>2000</key></device>",
            "InvalidDeviceSpec",
            "device.key",
        ),
    ] {
        let found = refused(&mut client, vm, &change(operation, device));
        assert_eq!(
            found,
            (fault.into(), property.into()),
            "{operation} {device}"
        );
    }
    let unknown = refused(
        &mut client,
        vm,
        &change(
            "add",
            "<device xsi:type=\"VirtualNosuch\"><key>-1</key></device>",
        ),
    );
    assert_eq!(unknown.0, "InvalidRequest");
    let no_operation = "<spec><deviceChange><device><key>2000</key></device></deviceChange></spec>";
    assert_eq!(refused(&mut client, vm, no_operation).1, "operation");
}

#[test]
fn file_operations_are_checked() {
    let rig = Rig::new();
    let mut client = rig.client();
    let with = |operation: &str, file: &str, device: &str| {
        format!(
            "<spec><deviceChange><operation>{operation}</operation>\
             <fileOperation>{file}</fileOperation>{device}</deviceChange></spec>"
        )
    };
    let disk =
        "<device xsi:type=\"VirtualDisk\"><key>2001</key><capacityInKB>0</capacityInKB></device>";
    for (operation, file, device, fault) in [
        ("remove", "create", disk, "InvalidDeviceSpec"),
        ("edit", "destroy", disk, "InvalidDeviceSpec"),
        ("remove", "shred", disk, "InvalidArgument"),
        ("add", "replace", disk, "NotSupported"),
        ("add", "create", CARD, "InvalidDeviceSpec"),
    ] {
        let found = refused(&mut client, &rig.vm, &with(operation, file, device));
        assert_eq!(found.0, fault, "{operation} {file}");
    }
    assert_eq!(rig.lab.vm(&rig.vm).unwrap().disks.len(), 2);
}

fn controller(key: i32, bus: i32, sharing: &str) -> String {
    format!(
        "<device xsi:type=\"VirtualLsiLogicSASController\"><key>{key}</key><busNumber>{bus}</busNumber>\
         <sharedBus>{sharing}</sharedBus></device>"
    )
}

#[test]
fn controllers_come_stay_and_go() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    let has = |client: &mut Client, key: i32| {
        devices(client, vm).contains(&format!("Controller\"><key>{key}</key>"))
    };
    // A number below zero leaves the choice to the server.
    reconfigure(
        &mut client,
        vm,
        &change("add", &controller(-1, -1, "noSharing")),
    );
    assert!(has(&mut client, 1001));
    let taken = refused(
        &mut client,
        vm,
        &change("add", &controller(-1, 0, "noSharing")),
    );
    assert_eq!(
        taken,
        ("InvalidDeviceSpec".into(), "device.busNumber".into())
    );
    let virtual_sharing = change("add", &controller(-1, 2, "virtualSharing"));
    assert_eq!(refused(&mut client, vm, &virtual_sharing).0, "NotSupported");
    let edited = change("edit", &controller(1001, 1, "physicalSharing"));
    assert_eq!(refused(&mut client, vm, &edited).0, "NotSupported");
    reconfigure(
        &mut client,
        vm,
        &change("edit", &controller(1001, 1, "noSharing")),
    );

    reconfigure(
        &mut client,
        vm,
        &change("remove", "<device><key>1001</key></device>"),
    );
    assert!(!has(&mut client, 1001));
    // The one with the disks goes after them only, and stays when they go.
    let first = "<device xsi:type=\"ParaVirtualSCSIController\"><key>1000</key><busNumber>0</busNumber>\
                 <sharedBus>noSharing</sharedBus></device>";
    let busy = refused(&mut client, vm, &change("remove", first));
    assert_eq!(busy, ("InvalidDeviceSpec".into(), "device.key".into()));
    let both: String = [2000, 2001]
        .map(|key| format!("<deviceChange><operation>remove</operation><device><key>{key}</key></device></deviceChange>"))
        .concat();
    reconfigure(&mut client, vm, &format!("<spec>{both}</spec>"));
    assert!(has(&mut client, 1000));
    reconfigure(&mut client, vm, &change("remove", first));
    assert!(!has(&mut client, 1000));
}

#[test]
fn a_disk_grows_by_kilobytes_though_its_bytes_are_sent_back() {
    let rig = Rig::new();
    let mut client = rig.client();
    let disk = |kib: u64, bytes: u64, more: &str| {
        let device = format!(
            "<device xsi:type=\"VirtualDisk\"><key>2001</key>{more}<capacityInKB>{kib}</capacityInKB>\
             <capacityInBytes>{bytes}</capacityInBytes></device>"
        );
        change("edit", &device)
    };
    let capacity = || {
        rig.lab
            .vm(&rig.vm)
            .unwrap()
            .disk(2001)
            .unwrap()
            .capacity_bytes
    };
    let mib = 1 << 20;
    reconfigure(&mut client, &rig.vm, &disk(9 << 10, 8 * mib, ""));
    assert_eq!(capacity(), 9 * mib);
    reconfigure(&mut client, &rig.vm, &disk(9 << 10, 10 * mib, ""));
    assert_eq!(capacity(), 10 * mib);

    let backing = |file: &str, mode: &str| {
        format!(
            "<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>{file}</fileName>\
             <diskMode>{mode}</diskMode></backing>"
        )
    };
    let file = "[datastore1] app01/app01_1.vmdk";
    let independent = backing(file, "independent_persistent");
    reconfigure(
        &mut client,
        &rig.vm,
        &disk(10 << 10, 10 * mib, &independent),
    );
    let disks = rig.lab.vm(&rig.vm).unwrap().disks;
    assert_eq!(disks[1].mode, "independent_persistent");
    assert_eq!(disks[1].capacity_bytes, 10 * mib);

    let elsewhere = backing("[datastore1] app01/app01.vmdk", "persistent");
    let moved = "<controllerKey>1000</controllerKey><unitNumber>3</unitNumber>";
    for more in [elsewhere.as_str(), moved] {
        let found = refused(&mut client, &rig.vm, &disk(10 << 10, 10 * mib, more));
        assert_eq!(found.0, "NotSupported", "{more}");
    }
}

fn disk(controller: i32, unit: &str) -> String {
    format!(
        "<deviceChange><operation>add</operation><fileOperation>create</fileOperation>\
         <device xsi:type=\"VirtualDisk\"><key>-1</key>\
         <backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[datastore1]</fileName>\
         <diskMode>persistent</diskMode></backing><controllerKey>{controller}</controllerKey>{unit}\
         <capacityInKB>1024</capacityInKB></device></deviceChange>"
    )
}

fn drive(controller: i32, unit: &str) -> String {
    format!(
        "<deviceChange><operation>add</operation><device xsi:type=\"VirtualCdrom\"><key>-2</key>\
         <backing xsi:type=\"VirtualCdromRemotePassthroughBackingInfo\"><deviceName></deviceName>\
         <exclusive>false</exclusive></backing><controllerKey>{controller}</controllerKey>{unit}\
         </device></deviceChange>"
    )
}

/// Units are of disks and drives alike, and of what comes in the same specification.
#[test]
fn a_unit_that_is_taken_is_refused_by_its_index() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    let unit = |unit: i32| format!("<unitNumber>{unit}</unitNumber>");
    client.task("PowerOffVM_Task", ("VirtualMachine", vm), "");
    reconfigure(
        &mut client,
        vm,
        &format!("<spec>{}</spec>", drive(200, &unit(1))),
    );
    for (changes, index) in [
        (disk(1000, &unit(0)), 0),
        (disk(1000, &unit(7)), 0),
        (disk(1000, &unit(16)), 0),
        (disk(1000, &unit(2)) + &disk(1000, &unit(2)), 1),
        (disk(1000, &unit(2)) + &disk(1000, &unit(1)), 1),
        (disk(200, &unit(1)), 0),
        (drive(200, &unit(1)), 0),
        (disk(201, &unit(0)) + &drive(201, &unit(0)), 1),
        (drive(201, "") + &drive(201, "") + &disk(201, ""), 2),
    ] {
        let this = ("VirtualMachine", vm);
        let spec = format!("<spec>{changes}</spec>");
        let info = client.task("ReconfigVM_Task", this, &spec);
        let fault = format!(
            "<error><fault xsi:type=\"InvalidDeviceSpec\"><property>device.unitNumber</property>\
             <deviceIndex>{index}</deviceIndex></fault>"
        );
        assert!(info.contains(&fault), "{changes}: {info}");
    }
    // What goes makes room, and what names no unit gets the first that is free.
    let gone = "<deviceChange><operation>remove</operation><device><key>2000</key></device></deviceChange>";
    let spec = format!("<spec>{gone}{}{}</spec>", disk(1000, ""), disk(200, ""));
    reconfigure(&mut client, vm, &spec);
    let found = rig.lab.vm(vm).unwrap().disks;
    let units: Vec<(i32, i32)> = found
        .iter()
        .map(|disk| (disk.controller_key, disk.unit_number))
        .collect();
    assert_eq!(units, [(1000, 1), (1000, 0), (200, 0)]);
}

const CONTROLLER: &str = "<device xsi:type=\"VirtualLsiLogicSASController\"><key>-1</key>\
    <busNumber>1</busNumber><sharedBus>noSharing</sharedBus></device>";

/// What comes and goes while a VM runs, and what does not.
#[test]
fn a_running_vm_takes_what_can_be_plugged_in() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    let power = |state| rig.lab.set_power_state(vm, state).unwrap();
    power(PowerState::PoweredOff);
    let both = disk(200, "<unitNumber>0</unitNumber>") + &drive(201, "");
    reconfigure(&mut client, vm, &format!("<spec>{both}</spec>"));
    power(PowerState::PoweredOn);
    for spec in [
        change("add", CARD),
        change("add", CONTROLLER),
        format!("<spec>{}</spec>", disk(1000, "")),
        change("remove", "<device><key>2001</key></device>"),
        "<spec><numCPUs>2</numCPUs><memoryMB>2048</memoryMB><nestedHVEnabled>false</nestedHVEnabled></spec>".into(),
    ] {
        reconfigure(&mut client, vm, &spec);
    }
    let floppy = "<device xsi:type=\"VirtualFloppy\"><key>-1</key>\
        <backing xsi:type=\"VirtualFloppyDeviceBackingInfo\"><deviceName>a</deviceName></backing></device>";
    let grown = "<device><key>3000</key><capacityInKB>2048</capacityInKB>\
        <capacityInBytes>2097152</capacityInBytes></device>"
        .replace("<device>", "<device xsi:type=\"VirtualDisk\">");
    let power_state = "InvalidPowerState";
    for (spec, fault) in [
        (
            format!("<spec>{}</spec>", disk(201, "<unitNumber>1</unitNumber>")),
            power_state,
        ),
        (
            change("remove", "<device><key>3000</key></device>"),
            power_state,
        ),
        (change("edit", &grown), power_state),
        (
            change("remove", "<device><key>3002</key></device>"),
            power_state,
        ),
        (format!("<spec>{}</spec>", drive(200, "")), power_state),
        (change("add", floppy), power_state),
        ("<spec><firmware>bios</firmware></spec>".into(), power_state),
        (
            "<spec><cpuHotAddEnabled>true</cpuHotAddEnabled></spec>".into(),
            power_state,
        ),
        (
            "<spec><guestId>rhel8_64Guest</guestId></spec>".into(),
            power_state,
        ),
        (
            "<spec><numCPUs>4</numCPUs></spec>".into(),
            "CpuHotPlugNotSupported",
        ),
        (
            "<spec><numCPUs>1</numCPUs></spec>".into(),
            "CpuHotPlugNotSupported",
        ),
        (
            "<spec><memoryMB>4096</memoryMB></spec>".into(),
            "MemoryHotPlugNotSupported",
        ),
    ] {
        assert_eq!(refused(&mut client, vm, &spec).0, fault, "{spec}");
    }
    power(PowerState::PoweredOff);
    let allow = "<spec><memoryHotAddEnabled>true</memoryHotAddEnabled>\
        <cpuHotAddEnabled>true</cpuHotAddEnabled></spec>";
    reconfigure(&mut client, vm, allow);
    power(PowerState::PoweredOn);
    let more = "<spec><numCPUs>4</numCPUs><memoryMB>4096</memoryMB></spec>";
    reconfigure(&mut client, vm, more);
    let fewer = refused(&mut client, vm, "<spec><numCPUs>2</numCPUs></spec>");
    assert_eq!(fewer.0, "CpuHotPlugNotSupported");
    let less = refused(&mut client, vm, "<spec><memoryMB>2048</memoryMB></spec>");
    assert_eq!(less.0, "MemoryHotPlugNotSupported");
    power(PowerState::Suspended);
    assert_eq!(
        refused(&mut client, vm, &change("add", CARD)).0,
        power_state
    );
    reconfigure(&mut client, vm, "<spec><annotation>x</annotation></spec>");
}
