//! Virtual devices: the fixed controllers, those for disks, and disks.

use std::borrow::Cow;
use std::collections::BTreeSet;

use lab::{Bus, Disk, Link, PowerState, Provisioning, Site, Vm};

use super::vm::other_devices;
use crate::schema::{TypeRef, schema};
use crate::value::{DataObject, Value};

const PCI_KEY: i32 = 100;
const PS2_KEY: i32 = 300;
const SIO_KEY: i32 = 400;
const IDE_KEYS: [i32; 2] = [200, 201];

/// All devices of a VM, in the order vCenter lists them. `owner` is the number of the VM.
pub(super) fn devices(site: &Site, owner: &str, vm: &Vm, disks: &[Disk]) -> Value {
    let mut controllers: BTreeSet<i32> = disks.iter().map(|disk| disk.controller_key).collect();
    controllers.extend(vm.controllers());
    controllers.retain(|key| !IDE_KEYS.contains(key));

    let others = other_devices(vm);
    let mut devices: Vec<DataObject> = (0..)
        .zip(IDE_KEYS)
        .map(|(number, key)| {
            let label = format!("IDE {number}");
            let mine = on_controller(disks, key).chain(others_on(&others, key));
            controller("VirtualIDEController", key, &label, number, mine)
        })
        .collect();
    let on_pci = controllers.iter().copied();
    let on_pci = on_pci.chain(others_on(&others, PCI_KEY));
    devices.push(controller(
        "VirtualPS2Controller",
        PS2_KEY,
        "PS2 controller 0",
        0,
        [],
    ));
    devices.push(controller(
        "VirtualPCIController",
        PCI_KEY,
        "PCI controller 0",
        0,
        on_pci,
    ));
    devices.push(controller(
        "VirtualSIOController",
        SIO_KEY,
        "SIO controller 0",
        0,
        others_on(&others, SIO_KEY),
    ));
    devices.extend(
        controllers
            .iter()
            .map(|key| added_controller(*key, vm, disks, &others)),
    );
    devices.extend(disks.iter().map(|found| disk(site, owner, found)));
    devices.extend(others.iter().map(|found| connected(vm, found)));
    Value::objects("VirtualDevice", devices)
}

/// The keys of the disks on a controller.
fn on_controller(disks: &[Disk], key: i32) -> impl Iterator<Item = i32> {
    let mine = disks.iter().filter(move |disk| disk.controller_key == key);
    mine.map(|disk| disk.device_key)
}

/// The keys of the other devices on a controller.
fn others_on(others: &[DataObject], key: i32) -> impl Iterator<Item = i32> {
    let number = |device: &DataObject, name: &str| -> Option<i32> {
        device.get_text(name).and_then(|text| text.parse().ok())
    };
    let mine = others
        .iter()
        .filter(move |device| number(device, "controllerKey") == Some(key));
    mine.filter_map(move |device| number(device, "key"))
}

/// A device with its connection as it is now: devices of a VM that is off are not connected.
fn connected(vm: &Vm, device: &DataObject) -> DataObject {
    let mut device = device.clone();
    if let Some(mut connection) = device.get("connectable").and_then(Value::object).cloned() {
        let is_on = vm.power_state == PowerState::PoweredOn;
        // Until a client says otherwise of the running VM, it is as it began.
        let said = connection.get_text("status") == Some("ok");
        let name = if said { "connected" } else { "startConnected" };
        let connected = is_on && connection.get_flag(name);
        connection.set("connected", Value::boolean(connected));
        connection.set(
            "status",
            Value::string(if is_on { "ok" } else { "untried" }),
        );
        device.set("connectable", Value::Object(connection));
    }
    device
}

fn description(label: &str, summary: &str) -> DataObject {
    DataObject::new("Description")
        .text("label", label)
        .text("summary", summary)
}

fn controller(
    type_name: impl Into<Cow<'static, str>>,
    key: i32,
    label: &str,
    bus: i32,
    devices: impl IntoIterator<Item = i32>,
) -> DataObject {
    let devices = devices.into_iter().map(Value::int).collect();
    DataObject::new(type_name)
        .with("key", Value::int(key))
        .part("deviceInfo", description(label, label))
        .with("busNumber", Value::int(bus))
        .with("device", Value::Array(TypeRef::Simple("int"), devices))
}

/// A controller that a VM has for its disks.
fn added_controller(key: i32, vm: &Vm, disks: &[Disk], others: &[DataObject]) -> DataObject {
    let bus = Bus::of_controller(key).unwrap_or_default();
    let number = bus.number(key);
    let word = bus.word().to_uppercase();
    let found = vm.controller_types.get(&key).map(String::as_str);
    let type_name = found
        .and_then(|name| schema().intern(name))
        .unwrap_or(bus.controller_type());
    let label = format!("{word} controller {number}");
    let mut on_it = disks.iter().filter(|disk| disk.controller_key == key);
    let shared = on_it.any(|disk| disk.shared_bus);
    let mine = on_controller(disks, key).chain(others_on(others, key));
    let found = controller(type_name, key, &label, number, mine)
        .part("deviceInfo", description(&label, summary(type_name)))
        .with("controllerKey", Value::int(PCI_KEY))
        .with("unitNumber", Value::int(3 + number));
    if bus != Bus::Scsi {
        return found;
    }
    let sharing = if shared {
        "physicalSharing"
    } else {
        "noSharing"
    };
    found
        .with("hotAddRemove", Value::boolean(true))
        .with(
            "sharedBus",
            Value::Enum("VirtualSCSISharing", sharing.into()),
        )
        .with("scsiCtlrUnitNumber", Value::int(7))
}

fn summary(type_name: &str) -> &'static str {
    match type_name {
        "ParaVirtualSCSIController" => "VMware paravirtual SCSI",
        "VirtualLsiLogicController" => "LSI Logic",
        "VirtualLsiLogicSASController" => "LSI Logic SAS",
        "VirtualBusLogicController" => "BusLogic",
        "VirtualNVMEController" => "NVME controller",
        _ => "AHCI",
    }
}

/// The key of what is encrypted: one for the whole site.
pub(super) fn key_id(site: &Site, is_encrypted: bool) -> Option<DataObject> {
    let provider = DataObject::new("KeyProviderId").text("id", "kms-cluster-1");
    let key = DataObject::new("CryptoKeyId")
        .text("keyId", &site.instance_uuid)
        .part("providerId", provider);
    is_encrypted.then_some(key)
}

fn disk(site: &Site, owner: &str, found: &Disk) -> DataObject {
    let capacity_kib = found.capacity_bytes / 1024;
    let shares = DataObject::new("SharesInfo")
        .with("shares", Value::int(1000))
        .with("level", Value::Enum("SharesLevel", "normal".into()));
    DataObject::new("VirtualDisk")
        .with("key", Value::int(found.device_key))
        .part(
            "deviceInfo",
            description(&found.label, &format!("{} KB", grouped(capacity_kib))),
        )
        .with_some("backing", backing(site, found).map(Value::Object))
        .with("controllerKey", Value::int(found.controller_key))
        .with("unitNumber", Value::int(found.unit_number))
        .with("capacityInKB", Value::long(capacity_kib))
        .with("capacityInBytes", Value::long(found.capacity_bytes))
        .part("shares", shares)
        .text("diskObjectId", format!("{owner}-{}", found.device_key))
        .with("nativeUnmanagedLinkedClone", Value::boolean(false))
}

/// The backing of a disk: the last link, with the links below as nested parents. `None`
/// for a disk without a file.
fn backing(site: &Site, disk: &Disk) -> Option<DataObject> {
    let (top, below) = disk.chain.split_last()?;
    let mut parent: Option<DataObject> = None;
    for found in below {
        let inner = parent.map(Value::Object);
        parent = Some(link(site, disk, found).with_some("parent", inner));
    }
    let delta = (!below.is_empty()).then(|| Value::string("redoLogFormat"));
    let mut whole = link(site, disk, top)
        .with_some("changeId", disk.change_id.as_ref().map(Value::string))
        .with_some("parent", parent.map(Value::Object))
        .with_some("deltaDiskFormat", delta)
        .text("sharing", "sharingNone");
    if !disk.raw_mapping {
        whole = whole
            .flags(false, &["split", "writeThrough", "digestEnabled"])
            .with_some("keyId", key_id(site, disk.encrypted).map(Value::Object));
    }
    Some(whole)
}

fn link(site: &Site, disk: &Disk, found: &Link) -> DataObject {
    let datastore = site
        .datastore(&disk.datastore)
        .map(|datastore| Value::reference("Datastore", &datastore.moref));
    let type_name = if disk.raw_mapping {
        "VirtualDiskRawDiskMappingVer1BackingInfo"
    } else {
        "VirtualDiskFlatVer2BackingInfo"
    };
    let backing = DataObject::new(type_name)
        .text("fileName", &found.file)
        .with_some("datastore", datastore)
        .text("backingObjectId", "")
        .text("diskMode", &disk.mode)
        .text("uuid", &disk.disk_uuid)
        .text("contentId", &found.content_id);
    if disk.raw_mapping {
        let mode = if disk.raw_physical {
            "physicalMode"
        } else {
            "virtualMode"
        };
        let lun = disk.disk_uuid.replace('-', "").to_lowercase();
        return backing
            .text("lunUuid", &lun)
            .text("deviceName", format!("vml.{lun}"))
            .text("compatibilityMode", mode);
    }
    let thin = disk.provisioning == Provisioning::Thin;
    let eager = disk.provisioning == Provisioning::EagerThick;
    backing
        .with("thinProvisioned", Value::boolean(thin))
        .with("eagerlyScrub", Value::boolean(eager))
}

/// A number with thousands separators.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123_456), "123,456");
        assert_eq!(grouped(41_943_040), "41,943,040");
    }
}
