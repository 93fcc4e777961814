//! Virtual devices: the fixed controllers, SCSI controllers and disks.

use std::collections::BTreeSet;

use lab::{Disk, Link, Site};

use crate::schema::TypeRef;
use crate::value::{DataObject, Value};

const PCI_KEY: i32 = 100;
const FIRST_SCSI_KEY: i32 = 1000;

/// All devices of a VM, in the order vCenter lists them. `owner` is the number of the VM.
pub(super) fn devices(site: &Site, owner: &str, disks: &[Disk]) -> Value {
    let scsi: BTreeSet<i32> = disks.iter().map(|disk| disk.controller_key).collect();
    let mut devices = vec![
        controller("VirtualIDEController", 200, "IDE 0", 0, []),
        controller("VirtualIDEController", 201, "IDE 1", 1, []),
        controller("VirtualPS2Controller", 300, "PS2 controller 0", 0, []),
        controller(
            "VirtualPCIController",
            PCI_KEY,
            "PCI controller 0",
            0,
            scsi.iter().copied(),
        ),
        controller("VirtualSIOController", 400, "SIO controller 0", 0, []),
    ];
    devices.extend(scsi.iter().map(|key| scsi_controller(*key, disks)));
    devices.extend(disks.iter().map(|found| disk(site, owner, found)));
    Value::objects("VirtualDevice", devices)
}

/// The bus of a SCSI controller.
pub(super) fn bus_number(controller_key: i32) -> i32 {
    controller_key - FIRST_SCSI_KEY
}

fn description(label: &str, summary: &str) -> DataObject {
    DataObject::new("Description")
        .text("label", label)
        .text("summary", summary)
}

fn controller(
    type_name: &'static str,
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

fn scsi_controller(key: i32, disks: &[Disk]) -> DataObject {
    let bus = bus_number(key);
    let label = format!("SCSI controller {bus}");
    let mine = disks
        .iter()
        .filter(|disk| disk.controller_key == key)
        .map(|disk| disk.device_key);
    controller("ParaVirtualSCSIController", key, &label, bus, mine)
        .part("deviceInfo", description(&label, "VMware paravirtual SCSI"))
        .with("controllerKey", Value::int(PCI_KEY))
        .with("unitNumber", Value::int(3 + bus))
        .with("hotAddRemove", Value::boolean(true))
        .with(
            "sharedBus",
            Value::Enum("VirtualSCSISharing", "noSharing".into()),
        )
        .with("scsiCtlrUnitNumber", Value::int(7))
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
    Some(
        link(site, disk, top)
            .flags(false, &["split", "writeThrough", "digestEnabled"])
            .with_some("changeId", disk.change_id.as_ref().map(Value::string))
            .with_some("parent", parent.map(Value::Object))
            .with_some("deltaDiskFormat", delta)
            .text("sharing", "sharingNone"),
    )
}

fn link(site: &Site, disk: &Disk, found: &Link) -> DataObject {
    let datastore = site
        .datastore(&disk.datastore)
        .map(|datastore| Value::reference("Datastore", &datastore.moref));
    DataObject::new("VirtualDiskFlatVer2BackingInfo")
        .text("fileName", &found.file)
        .with_some("datastore", datastore)
        .text("backingObjectId", "")
        .text("diskMode", &disk.mode)
        .with("thinProvisioned", Value::boolean(true))
        .text("uuid", &disk.disk_uuid)
        .text("contentId", &found.content_id)
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
