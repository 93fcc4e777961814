//! Specs made from saved configurations, word by word.

use super::{ConfigSpec, Network, SpecEncryption, SpecOptions};
use crate::vsphere::device::{Controller, ControllerKind, NetworkCard, SharedBus};
use crate::vsphere::disk::{Backing, Disk};
use crate::vsphere::envelope::read_answer;
use crate::vsphere::lifecycle::{create_vm_operation, reconfigure_operation};
use crate::vsphere::moref::Moref;
use crate::vsphere::operation::Operation;
use crate::vsphere::property::{Page, read_page};
use crate::vsphere::snapshot::SnapshotProperties;
use crate::vsphere::vm::Vm;

fn options() -> SpecOptions {
    SpecOptions {
        datastore: "datastore1".to_owned(),
        ..SpecOptions::default()
    }
}

/// The call that makes the VM.
fn create(spec: &ConfigSpec) -> Operation {
    let folder = Moref::new("Folder", "group-v4");
    let pool = Moref::new("ResourcePool", "resgroup-9");
    let host = Moref::new("HostSystem", "host-16");
    create_vm_operation(&folder, spec, &pool, Some(&host))
}

/// What is sent by a call.
fn body(operation: &Operation) -> String {
    let envelope = operation.envelope("id").unwrap();
    let text = std::str::from_utf8(&envelope).unwrap();
    let (_, rest) = text.split_once("<soapenv:Body>").unwrap();
    rest.split_once("</soapenv:Body>").unwrap().0.to_owned()
}

fn sent(spec: &ConfigSpec) -> String {
    body(&create(spec))
}

fn config(inside: &str, devices: &str) -> String {
    format!(
        "<val xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><name>app01</name><version>vmx-19</version>{inside}<hardware><numCPU>2</numCPU><memoryMB>4096</memoryMB>{devices}</hardware></val>"
    )
}

fn made(inside: &str, devices: &str, options: &SpecOptions) -> ConfigSpec {
    ConfigSpec::from_config(config(inside, devices).as_bytes(), options).unwrap()
}

fn disk(key: u32, controller: u32, unit: u32, datastore: &str) -> String {
    format!(
        "<device xsi:type=\"VirtualDisk\"><key>{key}</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[{datastore}] a/a-000001.vmdk</fileName><backingObjectId></backingObjectId><diskMode>persistent</diskMode><thinProvisioned>true</thinProvisioned><uuid>u</uuid><changeId>52/1</changeId></backing><controllerKey>{controller}</controllerKey><unitNumber>{unit}</unitNumber><capacityInKB>16</capacityInKB><capacityInBytes>16384</capacityInBytes></device>"
    )
}

fn scsi(key: u32, bus: u32) -> String {
    format!(
        "<device xsi:type=\"ParaVirtualSCSIController\"><key>{key}</key><controllerKey>100</controllerKey><busNumber>{bus}</busNumber><sharedBus>noSharing</sharedBus></device>"
    )
}

/// The call of sample 61, from a configuration with much that must not be sent.
pub(in crate::vsphere) fn worked_example() -> Operation {
    let inside = "<uuid>drop</uuid><instanceUuid>drop</instanceUuid><locationId>drop</locationId><guestId>rhel8_64Guest</guestId><alternateGuestName></alternateGuestName><annotation>restored</annotation><flags><diskUuidEnabled>true</diskUuidEnabled></flags><changeTrackingEnabled>true</changeTrackingEnabled><bootOptions><efiSecureBootEnabled>true</efiSecureBootEnabled><bootOrder xsi:type=\"VirtualMachineBootOptionsBootableDiskDevice\"><deviceKey>2000</deviceKey></bootOrder></bootOptions><extraConfig><key>nvram</key><value xsi:type=\"xsd:string\">a.nvram</value></extraConfig><extraConfig><key>example.restore.id</key><value xsi:type=\"xsd:string\">r-1</value></extraConfig><firmware>efi</firmware>";
    let inside = inside.replace("<firmware>", "<template>false</template><firmware>");
    let devices = format!(
        "<numCoresPerSocket>1</numCoresPerSocket><device xsi:type=\"VirtualIDEController\"><key>200</key><busNumber>0</busNumber></device>{}{}<device xsi:type=\"VirtualVmxnet3\"><key>4000</key><backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>VM Network</deviceName><network type=\"Network\">network-7</network></backing><connectable><startConnected>true</startConnected><allowGuestControl>true</allowGuestControl><connected>true</connected></connectable><controllerKey>100</controllerKey><unitNumber>7</unitNumber><addressType>assigned</addressType><macAddress>00:50:56:00:00:01</macAddress></device>",
        scsi(1000, 0),
        disk(2000, 1000, 0, "datastore1")
            .replace("<capacityInKB>16<", "<capacityInKB>16777216<")
            .replace("16384", "17179869184")
    );
    let spec = made(
        &inside,
        &devices,
        &SpecOptions {
            name: Some("app01-restored".to_owned()),
            ..options()
        },
    );
    assert!(spec.left_out.is_empty() && spec.later.is_empty());
    create(&spec)
}

#[test]
fn a_sample_of_a_snapshot_is_made_new_without_what_was_its_own() {
    let body = include_bytes!("../testdata/answers/c19-snapshot-config-with-change-ids.xml");
    let page: Page<SnapshotProperties> =
        read_answer("RetrievePropertiesEx", body, read_page).unwrap();
    let saved = page.objects[0].properties.config.as_ref().unwrap();
    let spec = ConfigSpec::from_config(&saved.raw_xml, &options()).unwrap();
    let sent = sent(&spec);
    for own in [
        "changeId",
        "ctkEnabled",
        "-000001",
        "contentId",
        "6000C29",
        "locationId",
        "nvram",
        "changeTrackingEnabled",
        "instanceUuid",
        "datastore-17",
        "snapshotDirectory",
    ] {
        assert!(!sent.contains(own), "{own} is in {sent}");
    }
    assert_eq!(sent.matches("xsi:type=\"VirtualDisk\"").count(), 2);
    assert!(sent.contains("<powerOpInfo><powerOffType>soft</powerOffType>"));
    assert_eq!(
        spec.left_out,
        ["Hard disk 3: a raw device in physical mode"]
    );
}

#[test]
fn controllers_come_by_bus_and_disks_by_controller_and_unit() {
    let devices = [
        disk(2033, 1003, 1, "datastore1"),
        scsi(1003, 3),
        disk(2001, 1000, 1, "datastore1"),
        disk(2000, 1000, 0, "datastore1"),
        scsi(1000, 0),
        disk(3000, 200, 0, "datastore1"),
    ]
    .concat();
    let sent = sent(&made("", &devices, &options()));
    let keys: Vec<&str> = sent
        .split("<device xsi:type=\"")
        .skip(1)
        .map(|device| {
            let (_, rest) = device.split_once("<key>").unwrap();
            rest.split_once('<').unwrap().0
        })
        .collect();
    assert_eq!(keys, ["-1000", "-1003", "-3000", "-2000", "-2001", "-2033"]);
    // What hangs on a controller that the server makes names it by its real key.
    assert!(sent.contains("<controllerKey>200</controllerKey><unitNumber>0<"));
    assert!(sent.contains("<busNumber>3</busNumber>"));
}

#[test]
fn the_unit_of_the_controller_itself_is_refused() {
    let devices = [scsi(1000, 0), disk(2007, 1000, 7, "datastore1")].concat();
    let error = ConfigSpec::from_config(config("", &devices).as_bytes(), &options()).unwrap_err();
    assert!(error.to_string().contains("unit"), "{error}");
}

#[test]
fn disks_of_other_datastores_come_later_one_by_one() {
    let devices = [
        scsi(1000, 0),
        disk(2000, 1000, 0, "old home"),
        disk(2001, 1000, 1, "old data"),
    ]
    .concat();
    let mut options = options();
    let datastores = &mut options.datastores;
    datastores.insert("old data".to_owned(), "data".to_owned());
    let spec = made("", &devices, &options);
    assert_eq!(sent(&spec).matches("VirtualDisk\"").count(), 1);
    assert_eq!(spec.later.len(), 1);
    let later = &spec.later[0];
    // The server gives controllers keys of its own; the temporary ones are good for one call.
    let mut controllers = [controller(1000, 1), controller(1016, 0)];
    let sent = body(&reconfigure_operation(
        &Moref::vm("vm-1"),
        &later.spec(&controllers).unwrap(),
    ));
    assert!(sent.contains("<fileName>[data]</fileName>"), "{sent}");
    assert!(
        sent.contains("<controllerKey>1016</controllerKey><unitNumber>1<"),
        "{sent}"
    );
    controllers[1].bus_number = 2;
    let error = later.spec(&controllers).unwrap_err();
    assert!(error.to_string().contains("of bus 0"), "{error}");
}

fn controller(key: i32, bus_number: i32) -> Controller {
    Controller {
        key,
        kind: ControllerKind::ParaVirtualScsi,
        bus_number,
        shared_bus: SharedBus::No,
    }
}

/// The call of sample 46: a disk on another datastore than the VM.
pub(in crate::vsphere) fn added_disk() -> Operation {
    let disk = disk(101, 1000, 5, "datastore1")
        .replace("<capacityInKB>16<", "<capacityInKB>1048576<")
        .replace("16384", "1073741824");
    let mut options = SpecOptions {
        datastore: "home".to_owned(),
        ..SpecOptions::default()
    };
    let datastores = &mut options.datastores;
    datastores.insert("datastore1".to_owned(), "datastore1".to_owned());
    let spec = made("", &[scsi(1000, 0), disk].concat(), &options);
    let later = spec.later[0].spec(&[controller(1000, 0)]).unwrap();
    reconfigure_operation(&Moref::vm("vm-1021"), &later)
}

const KEY: &str = "<keyId><keyId>f1c0a2d4-0b8e-4a6f-9d3b-5e7c1a2b3c4d</keyId><providerId><id>kms-cluster-1</id></providerId></keyId>";

fn encrypted(encryption: SpecEncryption) -> ConfigSpec {
    let inside = format!(
        "<guestId>windows2019srv_64Guest</guestId><extraConfig><key>encryption.bundle</key><value xsi:type=\"xsd:string\">vmware:key/list/(pair/(fqid/...))</value></extraConfig><firmware>efi</firmware>{KEY}"
    );
    let disk = disk(2000, 1000, 0, "datastore1")
        .replace("</backing>", &format!("{KEY}</backing>"))
        .replace("<capacityInKB>16<", "<capacityInKB>16777216<")
        .replace("16384", "17179869184");
    let options = SpecOptions {
        name: Some("app01-enc".to_owned()),
        encryption,
        ..options()
    };
    made(&inside, &[scsi(1000, 0), disk].concat(), &options)
}

const POLICY: &str = "4d5f673c-536f-11e6-beb8-9e71128cae77";

/// The call of sample 62: an encrypted VM made again with its old keys.
pub(in crate::vsphere) fn encrypted_vm() -> Operation {
    let spec = encrypted(SpecEncryption::OldKeys {
        policy_id: Some(POLICY.to_owned()),
    });
    assert!(spec.left_out.is_empty(), "{spec:?}");
    let folder = Moref::new("Folder", "group-v4");
    let pool = Moref::new("ResourcePool", "resgroup-9");
    create_vm_operation(&folder, &spec, &pool, None)
}

#[test]
fn what_becomes_of_encryption_is_told() {
    let plain = encrypted(SpecEncryption::None);
    let sent_plain = sent(&plain);
    for word in ["crypto", "profile", "bundle", "f1c0a2d4"] {
        assert!(!sent_plain.contains(word), "{word} is in {sent_plain}");
    }
    assert_eq!(
        plain.left_out,
        [
            "VirtualDisk: its encryption",
            "the encryption of the VM's home",
            "encryption.bundle, without which NVRAM and virtual TPM can't be read"
        ]
    );
    let new_keys = encrypted(SpecEncryption::NewKeys {
        policy_id: POLICY.to_owned(),
    });
    let sent_new = sent(&new_keys);
    assert!(!sent_new.contains("crypto") && !sent_new.contains("bundle"));
    assert_eq!(sent_new.matches(POLICY).count(), 2, "{sent_new}");
    assert_eq!(
        new_keys.left_out,
        ["encryption.bundle, without which NVRAM and virtual TPM can't be read"]
    );
    assert!(!format!("{new_keys:?}").contains("fqid"));
    let old_keys = SpecEncryption::OldKeys { policy_id: None };
    let config = config(KEY, "");
    let options = SpecOptions {
        encryption: old_keys,
        ..options()
    };
    let bundle_lost = ConfigSpec::from_config(config.as_bytes(), &options).unwrap();
    assert!(bundle_lost.left_out[0].contains("not in the configuration"));
}

#[test]
fn networks_are_found_by_name_drives_come_disconnected_and_the_rest_is_told() {
    let devices = "<device xsi:type=\"VirtualE1000e\"><key>4000</key><backing xsi:type=\"VirtualEthernetCardDistributedVirtualPortBackingInfo\"><port><switchUuid>s-1</switchUuid><portgroupKey>dvportgroup-1</portgroupKey></port></backing><addressType>assigned</addressType><macAddress>00:50:56:00:00:01</macAddress></device><device xsi:type=\"VirtualCdrom\"><key>16000</key><backing xsi:type=\"VirtualCdromIsoBackingInfo\"><fileName>[iso] gone.iso</fileName></backing><controllerKey>200</controllerKey><unitNumber>0</unitNumber></device><device xsi:type=\"VirtualPCIPassthrough\"><key>13000</key><deviceInfo><label>PCI device 0</label></deviceInfo></device>";
    let mut options = SpecOptions {
        keep_mac: true,
        ..options()
    };
    let lan = Network::Standard {
        name: "LAN".to_owned(),
    };
    let networks = &mut options.networks;
    networks.insert("dvportgroup-1".to_owned(), lan);
    let spec = made("", devices, &options);
    let sent = sent(&spec);
    assert!(sent.contains("<deviceName>LAN</deviceName>"), "{sent}");
    assert!(sent.contains("<addressType>assigned</addressType><macAddress>00:50:56:00:00:01<"));
    assert!(sent.contains("VirtualCdromRemotePassthroughBackingInfo"));
    assert!(!sent.contains("gone.iso"));
    assert_eq!(spec.left_out, ["PCI device 0 (VirtualPCIPassthrough)"]);
    let own = made("", devices, &self::options());
    let sent = self::sent(&own);
    assert!(sent.contains("<switchUuid>s-1</switchUuid><portgroupKey>dvportgroup-1<"));
    assert!(!sent.contains("macAddress"));
}

#[test]
fn settings_of_newer_servers_are_sent_where_somebody_chose_them() {
    let usual = "<migrateEncryption>opportunistic</migrateEncryption><sgxInfo><epcSize>0</epcSize></sgxInfo><ftEncryptionMode>ftEncryptionOpportunistic</ftEncryptionMode><sevEnabled>false</sevEnabled><numaInfo><coresPerNumaNode>1</coresPerNumaNode><autoCoresPerNumaNode>true</autoCoresPerNumaNode><vnumaOnCpuHotaddExposed>false</vnumaOnCpuHotaddExposed></numaInfo><pmemFailoverEnabled>false</pmemFailoverEnabled><scheduledHardwareUpgradeInfo><upgradePolicy>never</upgradePolicy></scheduledHardwareUpgradeInfo>";
    let spec = made(usual, "", &options());
    let sent_usual = sent(&spec);
    for name in ["migrate", "sgx", "ftEnc", "sev", "uma", "pmem", "scheduled"] {
        assert!(!sent_usual.contains(name), "{name} is in {sent_usual}");
    }
    assert!(spec.left_out.is_empty(), "{:?}", spec.left_out);
    let chosen = "<migrateEncryption>required</migrateEncryption><sgxInfo><epcSize>64</epcSize><flcMode>unlocked</flcMode></sgxInfo><ftEncryptionMode>ftEncryptionRequired</ftEncryptionMode><sevEnabled>true</sevEnabled><numaInfo><coresPerNumaNode>4</coresPerNumaNode><autoCoresPerNumaNode>false</autoCoresPerNumaNode><vnumaOnCpuHotaddExposed>true</vnumaOnCpuHotaddExposed></numaInfo><pmemFailoverEnabled>true</pmemFailoverEnabled>";
    let board = "<motherboardLayout>acpiHostBridges</motherboardLayout>";
    let spec = made(chosen, board, &options());
    let wanted = "<migrateEncryption>required</migrateEncryption><sgxInfo><epcSize>64</epcSize><flcMode>unlocked</flcMode></sgxInfo><ftEncryptionMode>ftEncryptionRequired</ftEncryptionMode><sevEnabled>true</sevEnabled><virtualNuma><coresPerNumaNode>4</coresPerNumaNode><exposeVnumaOnCpuHotadd>true</exposeVnumaOnCpuHotadd></virtualNuma><motherboardLayout>acpiHostBridges</motherboardLayout><pmemFailoverEnabled>true</pmemFailoverEnabled>";
    let sent = sent(&spec);
    assert!(sent.contains(wanted), "{sent}");
    assert!(spec.left_out.is_empty(), "{:?}", spec.left_out);
}

#[test]
fn no_setting_goes_without_a_word() {
    let inside = "<cpuAffinity><affinitySet>3</affinitySet></cpuAffinity><memoryAffinity><affinitySet>1</affinitySet></memoryAffinity><cpuFeatureMask><level>1</level></cpuFeatureMask><cpuFeatureMask><level>2</level></cpuFeatureMask><scheduledHardwareUpgradeInfo><upgradePolicy>always</upgradePolicy></scheduledHardwareUpgradeInfo><ofTomorrow>x</ofTomorrow><alsoOfTomorrow></alsoOfTomorrow>";
    assert_eq!(
        made(inside, "", &options()).left_out,
        [
            "the processors it was bound to",
            "the memory nodes it was bound to",
            "the masks of processor features",
            "the upgrade of its hardware that was planned",
            "the setting ofTomorrow, which is not known here",
        ]
    );
    let raw = disk(2000, 1000, 0, "datastore1")
        .replace("DiskFlatVer2", "DiskRawDiskMappingVer1")
        .replace(
            "<diskMode>",
            "<compatibilityMode>virtualMode</compatibilityMode><diskMode>",
        );
    let spec = made("", &[scsi(1000, 0), raw].concat(), &options());
    assert_eq!(
        spec.left_out,
        ["VirtualDisk: it was a raw device in virtual mode, and becomes a flat disk"]
    );
    assert!(sent(&spec).contains("VirtualDiskFlatVer2BackingInfo"));
}

#[test]
fn a_virtual_tpm_comes_back_with_its_keys_or_is_told() {
    let tpm = "<device xsi:type=\"VirtualTPM\"><key>11000</key><deviceInfo><label>Virtual TPM</label></deviceInfo><controllerKey>100</controllerKey><endorsementKeyCertificateSigningRequest>Q1NS</endorsementKeyCertificateSigningRequest><endorsementKeyCertificate>Q0VSVA==</endorsementKeyCertificate></device>";
    let inside = format!(
        "<firmware>efi</firmware>{KEY}<extraConfig><key>encryption.bundle</key><value xsi:type=\"xsd:string\">b</value></extraConfig>"
    );
    let keyed = SpecOptions {
        encryption: SpecEncryption::OldKeys { policy_id: None },
        ..options()
    };
    let spec = made(&inside, tpm, &keyed);
    assert!(spec.left_out.is_empty(), "{:?}", spec.left_out);
    let sent_keyed = sent(&spec);
    assert!(
        sent_keyed.contains("<device xsi:type=\"VirtualTPM\"><key>-11000</key><endorsementKeyCertificateSigningRequest>Q1NS</endorsementKeyCertificateSigningRequest><endorsementKeyCertificate>Q0VSVA==</endorsementKeyCertificate></device>"),
        "{sent_keyed}"
    );
    let spec = made(&inside, tpm, &options());
    assert!(!sent(&spec).contains("VirtualTPM"));
    assert_eq!(
        spec.left_out[0],
        "Virtual TPM: what it holds is sealed with the keys of the old VM"
    );
}

#[test]
fn the_boot_order_is_set_last_by_the_keys_of_the_new_vm() {
    let entry = |kind: &str, key: u32| {
        format!(
            "<bootOrder xsi:type=\"VirtualMachineBootOptionsBootable{kind}Device\"><deviceKey>{key}</deviceKey></bootOrder>"
        )
    };
    let inside = format!(
        "<bootOptions><bootDelay>5</bootDelay>{}<bootOrder xsi:type=\"VirtualMachineBootOptionsBootableCdromDevice\"/>{}{}{}</bootOptions>",
        entry("Ethernet", 4001),
        entry("Disk", 2017),
        entry("Disk", 2000),
        entry("Disk", 9)
    );
    let card = |key: u32| format!("<device xsi:type=\"VirtualVmxnet3\"><key>{key}</key></device>");
    let devices = [
        scsi(1000, 0),
        scsi(1001, 1),
        disk(2000, 1000, 0, "datastore1"),
        disk(2017, 1001, 1, "datastore1"),
        card(4000),
        card(4001),
    ]
    .concat();
    let spec = made(&inside, &devices, &options());
    assert!(sent(&spec).contains("<bootOptions><bootDelay>5</bootDelay></bootOptions>"));
    let order = spec.boot_order.unwrap();
    // The new VM, whose server gave other keys, and without the first disk.
    let device = |controller: Controller, key: i32| Disk {
        device_key: key,
        label: String::new(),
        controller: Some(controller),
        unit: Some(1),
        capacity_bytes: 0,
        backing: Backing::default(),
    };
    let card = |device_key: i32| NetworkCard {
        device_key,
        label: String::new(),
        kind: "VirtualVmxnet3".to_owned(),
        mac_address: None,
    };
    let vm = Vm {
        disks: vec![device(controller(1016, 1), 2045)],
        network_cards: vec![card(4007), card(4009)],
        ..Vm::default()
    };
    let change = order.spec(&vm).unwrap();
    assert_eq!(
        change.left_out,
        [
            "boot order: the disk at unit 0 of ParaVirtualSCSIController 0",
            "boot order: a device of key 9"
        ]
    );
    let sent = body(&reconfigure_operation(&Moref::vm("vm-1"), &change));
    let wanted = "<bootOptions><bootOrder xsi:type=\"VirtualMachineBootOptionsBootableEthernetDevice\"><deviceKey>4009</deviceKey></bootOrder><bootOrder xsi:type=\"VirtualMachineBootOptionsBootableCdromDevice\"></bootOrder><bootOrder xsi:type=\"VirtualMachineBootOptionsBootableDiskDevice\"><deviceKey>2045</deviceKey></bootOrder></bootOptions>";
    assert!(
        sent.replace("Device\"/>", "Device\"></bootOrder>")
            .contains(wanted),
        "{sent}"
    );
    assert!(
        order.spec(&Vm::default()).is_some(),
        "the CD drive has no key"
    );
    assert_eq!(made("", &devices, &options()).boot_order, None);
}

#[test]
fn what_is_no_configuration_is_an_error() {
    for bad in ["", "<val/>", "<val><name>a", "<val><hardware/></val>"] {
        assert!(
            ConfigSpec::from_config(bad.as_bytes(), &options()).is_err(),
            "{bad}"
        );
    }
    assert!(ConfigSpec::from_config(&[0xff], &options()).is_err());
}
