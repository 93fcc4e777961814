//! `VirtualMachineConfigSpec` as a change of a VM of the lab ("vSphere API reference", 2.7 and 7.3).

use std::collections::BTreeMap;

use lab::{Bus, DiskChange, DiskSpec, Provisioning, Vm, VmChange};

use super::other_device::OtherDevices;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

/// The privileges the members of a spec need; others need `VirtualMachine.Config.Settings`.
const PRIVILEGES: [(&str, &str); 10] = [
    (
        "changeTrackingEnabled",
        "VirtualMachine.Config.ChangeTracking",
    ),
    ("name", "VirtualMachine.Config.Rename"),
    ("annotation", "VirtualMachine.Config.Annotation"),
    ("numCPUs", "VirtualMachine.Config.CPUCount"),
    ("memoryMB", "VirtualMachine.Config.Memory"),
    ("cpuAllocation", "VirtualMachine.Config.Resource"),
    ("memoryAllocation", "VirtualMachine.Config.Resource"),
    ("extraConfig", "VirtualMachine.Config.AdvancedConfig"),
    ("deviceChange", ""),
    ("changeVersion", ""),
];

/// What a caller needs for a spec, by its members and the operations on devices.
pub(super) fn privileges(spec: &DataObject) -> Vec<&'static str> {
    let mut needed = Vec::new();
    for (member, _) in spec.members() {
        let known = PRIVILEGES.iter().find(|(name, _)| *name == member);
        needed.push(known.map_or("VirtualMachine.Config.Settings", |(_, needed)| *needed));
    }
    for change in changes(spec) {
        let is_disk = device(change).is_some_and(|device| device.type_name == "VirtualDisk");
        let operation = change.get_text("operation").unwrap_or_default();
        let creates = change.get_text("fileOperation") == Some("create");
        needed.push(match (is_disk, operation) {
            (true, "add") if creates => "VirtualMachine.Config.AddNewDisk",
            (true, "add") => "VirtualMachine.Config.AddExistingDisk",
            (true, "remove") => "VirtualMachine.Config.RemoveDisk",
            (true, _) => "VirtualMachine.Config.DiskExtend",
            (false, "edit") => "VirtualMachine.Config.EditDevice",
            (false, _) => "VirtualMachine.Config.AddRemoveDevice",
        });
    }
    needed.retain(|privilege| !privilege.is_empty());
    needed
}

fn changes(spec: &DataObject) -> impl Iterator<Item = &DataObject> {
    let items = spec.get_items("deviceChange").iter();
    items.filter_map(Value::object)
}

fn device(change: &DataObject) -> Option<&DataObject> {
    change.get("device").and_then(Value::object)
}

/// The change a spec asks for, of a VM that exists or is to be made.
pub(super) fn change(
    world: &World<'_>,
    vm: Option<&Vm>,
    spec: &DataObject,
) -> Result<VmChange, Fault> {
    let text = |name: &str| spec.get_text(name).map(str::to_owned);
    let number = |name: &'static str| {
        let text = spec.get_text(name);
        let number = text.map(str::parse::<u32>).transpose();
        number.map_err(|_| Fault::invalid_argument(name))
    };
    let mut change = VmChange {
        name: text("name"),
        annotation: text("annotation"),
        guest_id: text("guestId"),
        bios_uuid: text("uuid"),
        memory_mib: number("memoryMB")?,
        cpus: number("numCPUs")?,
        change_tracking: spec
            .get("changeTrackingEnabled")
            .map(|_| spec.get_flag("changeTrackingEnabled")),
        ..VmChange::default()
    };
    for option in spec
        .get_items("extraConfig")
        .iter()
        .filter_map(Value::object)
    {
        let key = option.get_text("key").unwrap_or_default().to_owned();
        let value = option.get_text("value").unwrap_or_default().to_owned();
        change.extra_config.insert(key, value);
    }
    let mut others = OtherDevices::new(world, vm);
    // Keys the client gave to controllers that do not exist yet.
    let mut keys = BTreeMap::new();
    for (index, found) in changes(spec).enumerate() {
        let Some(device) = device(found) else {
            continue;
        };
        let operation = found.get_text("operation").unwrap_or_default();
        if let Some(bus) = controller_bus(&device.type_name) {
            if operation == "add" {
                let key = bus.controller_key(integer(device, "busNumber", index)?);
                if Bus::of_controller(key) != Some(bus) {
                    return Err(invalid_device("busNumber", index));
                }
                keys.insert(integer(device, "key", index)?, key);
                change.controllers.insert(key, device.type_name.to_string());
            }
        } else if device.type_name == "VirtualDisk" {
            let file_operation = found.get_text("fileOperation");
            let disk = disk_change(world, device, (operation, file_operation), &keys, index)?;
            change.disks.push(disk);
        } else {
            others.apply((operation, index), device, &keys)?;
        }
    }
    change.other_devices = others.changed;
    Ok(change)
}

fn controller_bus(type_name: &str) -> Option<Bus> {
    match type_name {
        "ParaVirtualSCSIController"
        | "VirtualLsiLogicController"
        | "VirtualLsiLogicSASController"
        | "VirtualBusLogicController" => Some(Bus::Scsi),
        "VirtualAHCIController" => Some(Bus::Sata),
        "VirtualNVMEController" => Some(Bus::Nvme),
        _ => None,
    }
}

fn disk_change(
    world: &World<'_>,
    device: &DataObject,
    (operation, file_operation): (&str, Option<&str>),
    keys: &BTreeMap<i32, i32>,
    index: usize,
) -> Result<DiskChange, Fault> {
    match (operation, file_operation) {
        ("remove", file_operation) => Ok(DiskChange::Remove {
            device_key: integer(device, "key", index)?,
            destroy: file_operation == Some("destroy"),
        }),
        ("edit", None) => Ok(DiskChange::Grow {
            device_key: integer(device, "key", index)?,
            capacity_bytes: capacity_bytes(device, index)?,
        }),
        ("add", None) => {
            let backing = backing(device, index)?;
            let (controller_key, _, unit) = slot(device, keys, index)?;
            datastore(world, backing, index)?;
            Ok(DiskChange::Attach {
                file: backing.get_text("fileName").unwrap_or_default().to_owned(),
                mode: disk_mode(backing),
                controller_key,
                unit,
            })
        }
        ("add", Some("create")) => {
            let backing = backing(device, index)?;
            let (controller_key, bus, unit) = slot(device, keys, index)?;
            Ok(DiskChange::Add {
                spec: DiskSpec {
                    capacity_bytes: capacity_bytes(device, index)?,
                    datastore: datastore(world, backing, index)?,
                    file: named_file(backing),
                    mode: disk_mode(backing),
                    bus,
                    provisioning: provisioning(backing),
                    ..DiskSpec::default()
                },
                controller_key,
                unit,
            })
        }
        _ => Err(Fault::not_supported("deviceChange.fileOperation")),
    }
}

fn backing(device: &DataObject, index: usize) -> Result<&DataObject, Fault> {
    let backing = device.get("backing").and_then(Value::object);
    backing.ok_or_else(|| invalid_device("backing", index))
}

/// Where a new disk goes: the key of the controller, its bus, and the unit where one is given.
fn slot(
    device: &DataObject,
    keys: &BTreeMap<i32, i32>,
    index: usize,
) -> Result<(i32, Bus, Option<i32>), Fault> {
    let controller = integer(device, "controllerKey", index)?;
    let controller_key = keys.get(&controller).copied().unwrap_or(controller);
    let bus =
        Bus::of_controller(controller_key).ok_or_else(|| invalid_device("controllerKey", index))?;
    let unit = device.get_text("unitNumber").map(str::parse::<i32>);
    let unit = unit
        .transpose()
        .map_err(|_| invalid_device("unitNumber", index))?;
    Ok((controller_key, bus, unit.filter(|unit| *unit >= 0)))
}

fn disk_mode(backing: &DataObject) -> String {
    let mode = backing.get_text("diskMode");
    mode.unwrap_or("persistent").to_owned()
}

/// The whole datastore path in a backing; `None` where the server chooses the file.
fn named_file(backing: &DataObject) -> Option<String> {
    let file = backing.get_text("fileName")?;
    file.strip_suffix(".vmdk").map(|_| file.to_owned())
}

fn provisioning(backing: &DataObject) -> Provisioning {
    if backing.get_flag("thinProvisioned") {
        Provisioning::Thin
    } else if backing.get_flag("eagerlyScrub") {
        Provisioning::EagerThick
    } else {
        Provisioning::LazyThick
    }
}

/// The datastore of `[name] path`; the server chooses the path.
fn datastore(
    world: &World<'_>,
    backing: &DataObject,
    index: usize,
) -> Result<Option<String>, Fault> {
    let file = backing.get_text("fileName").unwrap_or_default();
    if file.is_empty() {
        return Ok(None);
    }
    let name = file.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let name = name
        .ok_or_else(|| invalid_device("backing.fileName", index))?
        .0;
    match world.site()?.datastore(name) {
        Some(_) => Ok(Some(name.to_owned())),
        None => Err(invalid_device("backing.fileName", index)),
    }
}

fn integer(device: &DataObject, name: &'static str, index: usize) -> Result<i32, Fault> {
    let text = device.get_text(name);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid_device(name, index))
}

fn capacity_bytes(device: &DataObject, index: usize) -> Result<u64, Fault> {
    let number = |name: &str| {
        device
            .get_text(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    number("capacityInBytes")
        .or_else(|| number("capacityInKB").and_then(|kib| kib.checked_mul(1024)))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| invalid_device("capacityInBytes", index))
}

pub(super) fn invalid_device(property: &str, index: usize) -> Fault {
    let text = format!("Invalid configuration for device '{index}'.");
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    Fault::new("InvalidDeviceSpec", text)
        .with("property", Value::string(format!("device.{property}")))
        .with("deviceIndex", Value::int(index))
}
