//! Disks of all kinds as the configuration shows them.

use lab::{Bus, DiskSpec, Lab, PowerState, Provisioning, VmSpec};

use crate::client::{Client, between};
use crate::rig::Rig;

fn disk() -> DiskSpec {
    DiskSpec {
        capacity_bytes: 1 << 20,
        ..DiskSpec::default()
    }
}

fn add(lab: &Lab, name: &str, disks: Vec<DiskSpec>) -> String {
    let spec = VmSpec {
        name: name.into(),
        disks,
        ..VmSpec::default()
    };
    lab.add_vm(spec).unwrap().moref
}

fn config(client: &mut Client, vm: &str) -> String {
    client.read(("VirtualMachine", vm), &["config"]).unwrap()
}

/// The element of the device with that key.
fn device<'a>(config: &'a str, type_name: &str, key: i32) -> &'a str {
    let start = format!("<device xsi:type=\"{type_name}\"><key>{key}</key>");
    between(config, &start, "<device xsi:type=")
}

#[test]
fn controllers_of_each_bus_list_their_disks() {
    let rig = Rig::new();
    let on = |bus| DiskSpec { bus, ..disk() };
    let disks = vec![on(Bus::Sata), on(Bus::Nvme), on(Bus::Ide), on(Bus::Scsi)];
    let vm = add(&rig.lab, "buses", disks);
    rig.lab.set_change_tracking(&vm, true).unwrap();
    rig.lab.migrate(&vm).unwrap();
    let config = config(&mut rig.client(), &vm);
    for (type_name, key, disk) in [
        ("VirtualAHCIController", 15000, 16000),
        ("VirtualNVMEController", 31000, 32000),
        ("VirtualIDEController", 200, 3000),
        ("ParaVirtualSCSIController", 1000, 2000),
    ] {
        let controller = device(&config, type_name, key);
        assert!(controller.contains("<busNumber>0</busNumber>"));
        assert!(controller.contains(&format!("<device>{disk}</device>")));
        let disk = device(&config, "VirtualDisk", disk);
        assert!(disk.contains(&format!("<controllerKey>{key}</controllerKey>")));
    }
    let pci = device(&config, "VirtualPCIController", 100);
    assert!(pci.contains("<device>1000</device><device>15000</device><device>31000</device>"));
    for place in ["sata0:0", "nvme0:0", "ide0:0", "scsi0:0"] {
        let key = format!("<key>{place}.ctkEnabled</key><value xsi:type=\"xsd:string\">TRUE<");
        assert!(config.contains(&key), "{place}");
    }
}

#[test]
fn encrypted_raw_and_thick_disks_have_their_backings() {
    let rig = Rig::new();
    let disks = vec![
        DiskSpec {
            encrypted: true,
            ..disk()
        },
        DiskSpec {
            raw_mapping: true,
            ..disk()
        },
        DiskSpec {
            raw_physical: true,
            ..disk()
        },
        DiskSpec {
            provisioning: Provisioning::EagerThick,
            ..disk()
        },
    ];
    let vm = add(&rig.lab, "kinds", disks);
    rig.lab.set_change_tracking(&vm, true).unwrap();
    let mut client = rig.client();
    let snapshot = client.snapshot(&vm);
    let config = client
        .read(("VirtualMachineSnapshot", &snapshot), &["config"])
        .unwrap();
    let key = "<keyId><keyId>";
    let disk = |key| device(&config, "VirtualDisk", key);
    assert!(disk(2000).contains(key) && disk(2000).contains("<id>kms-cluster-1</id>"));
    assert!(disk(2000).contains("<changeId>"));
    let raw = "xsi:type=\"VirtualDiskRawDiskMappingVer1BackingInfo\"";
    assert!(disk(2001).contains(raw) && disk(2002).contains(raw));
    assert!(disk(2001).contains("<compatibilityMode>virtualMode<"));
    assert!(disk(2001).contains("<changeId>"));
    assert!(disk(2002).contains("<compatibilityMode>physicalMode<"));
    assert!(!disk(2002).contains("<changeId>"));
    let thick = "<thinProvisioned>false</thinProvisioned><eagerlyScrub>true</eagerlyScrub>";
    assert!(disk(2003).contains(thick));
    let after_disks = config.rsplit_once("</hardware>").unwrap().1;
    assert!(after_disks.contains(key), "the home is encrypted, too");
    let state = client
        .read(("VirtualMachine", &vm), &["runtime.cryptoState"])
        .unwrap();
    assert!(state.contains(">unlocked<"));
}

#[test]
fn sixty_disks_on_four_controllers_and_one_of_three_tebibytes() {
    let rig = Rig::new();
    let mut disks = vec![disk(); 60];
    disks[59].capacity_bytes = 3 << 40;
    let vm = add(&rig.lab, "many", disks);
    let config = config(&mut rig.client(), &vm);
    assert_eq!(
        config.matches("<device xsi:type=\"VirtualDisk\">").count(),
        60
    );
    for number in 0..4 {
        let controller = device(&config, "ParaVirtualSCSIController", 1000 + number);
        assert_eq!(controller.matches("<device>").count(), 15);
        assert!(controller.contains(&format!("<busNumber>{number}</busNumber>")));
    }
    let last = config
        .rsplit_once("<device xsi:type=\"VirtualDisk\">")
        .unwrap()
        .1;
    assert!(last.contains(&format!("<capacityInBytes>{}<", 3_u64 << 40)));
}

const CARD: &str = "<device xsi:type=\"VirtualVmxnet3\"><key>-4000</key>\
    <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>VM Network</deviceName></backing>\
    <connectable><startConnected>true</startConnected><allowGuestControl>true</allowGuestControl>\
    <connected>false</connected></connectable><addressType>generated</addressType></device>";

fn change(operation: &str, device: &str) -> String {
    format!("<spec><deviceChange><operation>{operation}</operation>{device}</deviceChange></spec>")
}

#[test]
fn cards_and_drives_are_kept_connected_edited_and_taken_away() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let mut reconfigure = |operation: &str, device: &str| {
        let info = client.task("ReconfigVM_Task", vm, &change(operation, device));
        assert!(info.contains("<state>success</state>"), "{info}");
    };
    reconfigure("add", CARD);
    let drive = "<device xsi:type=\"VirtualCdrom\"><key>-1</key>\
        <backing xsi:type=\"VirtualCdromRemotePassthroughBackingInfo\"><deviceName></deviceName>\
        <exclusive>false</exclusive></backing><controllerKey>201</controllerKey><unitNumber>1</unitNumber></device>";
    let power = |state| rig.lab.set_power_state(&rig.vm, state).unwrap();
    power(PowerState::PoweredOff);
    reconfigure("add", drive);
    power(PowerState::PoweredOn);
    let mut client = rig.client();
    let shown = config(&mut client, &rig.vm);
    let card = device(&shown, "VirtualVmxnet3", 4000);
    for part in [
        "<label>Network adapter 1</label>",
        "<deviceName>VM Network</deviceName><network type=\"Network\">network-15</network>",
        "<connected>true</connected><status>ok</status>",
        "<controllerKey>100</controllerKey><unitNumber>7</unitNumber>",
        "<addressType>generated</addressType><macAddress>00:50:56:",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let drive = device(&shown, "VirtualCdrom", 3003);
    assert!(drive.contains("<controllerKey>201</controllerKey><unitNumber>1</unitNumber>"));
    let ide = device(&shown, "VirtualIDEController", 201);
    assert!(ide.contains("<device>3003</device>"), "{ide}");
    let network = client
        .read(("Network", "network-15"), &["vm", "summary.name"])
        .unwrap();
    assert!(network.contains(&rig.vm) && network.contains("VM Network"));
    let counted = client
        .read(vm, &["summary.config.numEthernetCards", "network"])
        .unwrap();
    assert!(
        counted.contains(">1<") && counted.contains("network-15"),
        "{counted}"
    );

    let edit = "<device xsi:type=\"VirtualVmxnet3\"><key>4000</key><addressType>manual</addressType>\
        <macAddress>00:50:56:01:02:03</macAddress></device>";
    client.task("ReconfigVM_Task", vm, &change("edit", edit));
    let shown = config(&mut client, &rig.vm);
    let card = device(&shown, "VirtualVmxnet3", 4000);
    assert!(card.contains("<macAddress>00:50:56:01:02:03</macAddress>"));
    assert!(
        card.contains("<deviceName>VM Network</deviceName>"),
        "{card}"
    );

    // They stay when the VM leaves the inventory and comes back.
    client.task("PowerOffVM_Task", vm, "");
    client.call("UnregisterVM", vm, "").unwrap();
    let back = rig
        .lab
        .register_vm("[datastore1] app01/app01.vmx", None, "group-v4")
        .unwrap()
        .moref;
    let shown = config(&mut client, &back);
    let card = device(&shown, "VirtualVmxnet3", 4000);
    assert!(card.contains("<connected>false</connected>"), "{card}");
    let remove = "<device xsi:type=\"VirtualVmxnet3\"><key>4000</key></device>";
    client.task(
        "ReconfigVM_Task",
        ("VirtualMachine", &back),
        &change("remove", remove),
    );
    assert!(!config(&mut client, &back).contains("VirtualVmxnet3"));
}

#[test]
fn devices_that_cannot_be_are_refused_by_their_index() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let elsewhere = CARD.replace("VM Network", "No Such Network");
    let nameless = CARD.replace("generated", "manual");
    let gone = "<device xsi:type=\"VirtualVmxnet3\"><key>4000</key></device>";
    for (operation, device) in [
        ("add", elsewhere.as_str()),
        ("add", nameless.as_str()),
        ("remove", gone),
        ("edit", gone),
    ] {
        let info = client.task("ReconfigVM_Task", vm, &change(operation, device));
        assert!(
            info.contains("<error><fault xsi:type=\"InvalidDeviceSpec\">"),
            "{operation} {device}: {info}"
        );
    }
    assert!(rig.lab.vm(&rig.vm).unwrap().other_devices.is_empty());
}

/// Drives and ports of every kind, with what is behind them, and who may connect them.
#[test]
fn ports_and_drives_say_what_is_behind_them() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    client.task("PowerOffVM_Task", vm, "");
    let mut add = |device: &str| {
        let info = client.task("ReconfigVM_Task", vm, &change("add", device));
        assert!(info.contains("<state>success</state>"), "{info}");
    };
    add("<device xsi:type=\"VirtualSerialPort\"><key>-1</key>\
         <backing xsi:type=\"VirtualSerialPortURIBackingInfo\"><serviceURI>telnet://:1</serviceURI>\
         <direction>server</direction></backing><yieldOnPoll>true</yieldOnPoll></device>");
    add("<device xsi:type=\"VirtualFloppy\"><key>-1</key>\
         <backing xsi:type=\"VirtualFloppyDeviceBackingInfo\"><deviceName>/dev/fd0</deviceName></backing></device>");
    add("<device xsi:type=\"VirtualPrecisionClock\"><key>-1</key>\
         <backing xsi:type=\"VirtualPrecisionClockSystemClockBackingInfo\"><protocol>ntp</protocol></backing></device>");
    add(CARD);
    let mut client = rig.client();
    let shown = config(&mut client, &rig.vm);
    for (kind, key, parts) in [
        (
            "VirtualSerialPort",
            9000,
            ["<summary>Remote telnet://:1<", "<controllerKey>400<"],
        ),
        (
            "VirtualFloppy",
            8000,
            ["<summary>/dev/fd0<", "<startConnected>true<"],
        ),
        (
            "VirtualPrecisionClock",
            19000,
            ["<label>Precision clock 1<", "<controllerKey>100<"],
        ),
        (
            "VirtualVmxnet3",
            4000,
            ["<summary>VM Network<", "<connected>false<"],
        ),
    ] {
        let found = device(&shown, kind, key);
        for part in parts {
            assert!(found.contains(part), "{part}: {found}");
        }
    }
    assert!(shown.contains("<bootRetryDelay>10000</bootRetryDelay>"));

    client.task("PowerOnVM_Task", vm, "");
    let mut connected = |wanted: Option<bool>| {
        if let Some(wanted) = wanted {
            let edit = format!(
                "<device xsi:type=\"VirtualVmxnet3\"><key>4000</key><connectable>\
                 <startConnected>true</startConnected><allowGuestControl>true</allowGuestControl>\
                 <connected>{wanted}</connected></connectable></device>"
            );
            client.task("ReconfigVM_Task", vm, &change("edit", &edit));
        }
        let shown = config(&mut client, &rig.vm);
        device(&shown, "VirtualVmxnet3", 4000).contains("<connected>true<")
    };
    assert!(connected(None), "it is when the VM is powered on");
    assert!(!connected(Some(false)));
    assert!(connected(Some(true)));
    let guest = client
        .read(vm, &["guest.net", "guest.toolsStatus", "runtime.bootTime"])
        .unwrap();
    for part in ["<network>VM Network<", ">198.18.", "toolsOk", "bootTime"] {
        assert!(guest.contains(part), "{part}: {guest}");
    }
}
