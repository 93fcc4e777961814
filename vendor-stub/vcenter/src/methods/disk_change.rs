//! What a specification says about a disk ("vSphere API reference", 2.7).

use std::collections::BTreeMap;

use lab::{Bus, Disk, DiskChange, DiskSpec, Provisioning};

use super::device_change::{integer, invalid_device};
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

/// Where a client wants a new disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Key of the controller.
    pub(super) controller_key: i32,
    /// What that controls.
    pub(super) bus: Bus,
    /// The unit there; `None` = any.
    pub(super) unit: Option<i32>,
}

/// A disk that is there already on a datastore: its file, its mode and where it goes.
pub(super) fn attached(
    world: &World<'_>,
    keys: &BTreeMap<i32, i32>,
    device: &DataObject,
    index: usize,
) -> Result<(String, String, Place), Fault> {
    let backing = backing(device, index)?;
    let place = place(device, keys, index)?;
    datastore(world, backing, index)?;
    let file = backing.get_text("fileName").unwrap_or_default().to_owned();
    Ok((file, disk_mode(backing), place))
}

/// A disk to make: what it is and where it goes.
pub(super) fn created(
    world: &World<'_>,
    keys: &BTreeMap<i32, i32>,
    device: &DataObject,
    index: usize,
) -> Result<(DiskSpec, Place), Fault> {
    let backing = backing(device, index)?;
    let place = place(device, keys, index)?;
    let spec = DiskSpec {
        capacity_bytes: capacity_bytes(device, index)?,
        datastore: datastore(world, backing, index)?,
        file: named_file(backing),
        mode: disk_mode(backing),
        bus: place.bus,
        provisioning: provisioning(backing),
        ..DiskSpec::default()
    };
    Ok((spec, place))
}

/// What differs between a disk and what a client wants of it.
pub(super) fn edits(
    disk: &Disk,
    device: &DataObject,
    index: usize,
) -> Result<Vec<DiskChange>, Fault> {
    for (name, found) in [
        ("controllerKey", disk.controller_key),
        ("unitNumber", disk.unit_number),
    ] {
        if device.get(name).is_some() && integer(device, name, index)? != found {
            return Err(Fault::not_supported(name));
        }
    }
    let shares = device.get("shares").and_then(Value::object);
    let level = shares.and_then(|shares| shares.get_text("level"));
    if level.is_some_and(|level| level != "normal") {
        return Err(Fault::not_supported("shares"));
    }
    let mut edits = Vec::new();
    if let Some(backing) = device.get("backing").and_then(Value::object) {
        let file = backing.get_text("fileName").unwrap_or_default();
        if !file.is_empty() && disk.top().is_none_or(|link| link.file != file) {
            return Err(Fault::not_supported("backing.fileName"));
        }
        let mode = disk_mode(backing);
        if mode != disk.mode {
            edits.push(DiskChange::SetMode {
                device_key: disk.device_key,
                mode,
            });
        }
    }
    let capacity_bytes = wanted_capacity_bytes(disk.capacity_bytes, device, index)?;
    if capacity_bytes != disk.capacity_bytes {
        edits.push(DiskChange::Grow {
            device_key: disk.device_key,
            capacity_bytes,
        });
    }
    Ok(edits)
}

/// The capacity an edit asks for. A client that knows kilobytes only sends the bytes back as it found
/// them; then the kilobytes are what it changed.
fn wanted_capacity_bytes(
    found_bytes: u64,
    device: &DataObject,
    index: usize,
) -> Result<u64, Fault> {
    let wanted = capacity_bytes(device, index)?;
    let kib: Option<u64> = device
        .get_text("capacityInKB")
        .and_then(|kib| kib.parse().ok());
    match kib.filter(|kib| *kib > 0 && *kib != found_bytes / 1024) {
        Some(kib) if wanted == found_bytes => kib
            .checked_mul(1024)
            .ok_or_else(|| invalid_device("capacityInKB", index)),
        _ => Ok(wanted),
    }
}

fn backing(device: &DataObject, index: usize) -> Result<&DataObject, Fault> {
    let backing = device.get("backing").and_then(Value::object);
    backing.ok_or_else(|| invalid_device("backing", index))
}

fn place(device: &DataObject, keys: &BTreeMap<i32, i32>, index: usize) -> Result<Place, Fault> {
    let controller = integer(device, "controllerKey", index)?;
    let controller_key = keys.get(&controller).copied().unwrap_or(controller);
    let bus =
        Bus::of_controller(controller_key).ok_or_else(|| invalid_device("controllerKey", index))?;
    let unit = device.get_text("unitNumber").map(str::parse::<i32>);
    let unit = unit
        .transpose()
        .map_err(|_| invalid_device("unitNumber", index))?;
    Ok(Place {
        controller_key,
        bus,
        unit: unit.filter(|unit| *unit >= 0),
    })
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
