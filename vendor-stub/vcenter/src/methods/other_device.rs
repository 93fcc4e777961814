//! Devices besides disks and their controllers: network cards, drives, and what else a client adds.
//! The lab keeps them as they are.

use std::collections::{BTreeMap, BTreeSet};

use lab::{Bus, PowerState, Vm};
use serde_json::Value as Json;

use super::device_change::{Operation, Plugs, invalid_device};
use crate::schema::schema;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// Keys of PCI, of the I/O controller and of the IDE channels.
const PCI: i32 = 100;
const SIO: i32 = 400;
const IDE: [i32; 2] = [200, 201];
/// The first keys of devices by their types, and their labels.
const KINDS: [(&str, i32, &str); 12] = [
    ("VirtualEthernetCard", 4000, "Network adapter"),
    ("VirtualCdrom", 3000, "CD/DVD drive"),
    ("VirtualFloppy", 8000, "Floppy drive"),
    ("VirtualSerialPort", 9000, "Serial port"),
    ("VirtualParallelPort", 10000, "Parallel port"),
    ("VirtualPCIPassthrough", 13000, "PCI device"),
    ("VirtualSoundCard", 5000, "Sound card"),
    ("VirtualPrecisionClock", 19000, "Precision clock"),
    ("VirtualTPM", 11000, "Virtual TPM"),
    ("VirtualUSBController", 7000, "USB controller"),
    ("VirtualUSBXHCIController", 14000, "USB xHCI controller"),
    ("VirtualDevice", 20000, "Device"),
];

/// Those of them on the I/O controller.
const ON_SIO: [i32; 3] = [8000, 9000, 10000];
/// Devices that are connected and disconnected.
const CONNECTABLE: [&str; 5] = [
    "VirtualEthernetCard",
    "VirtualCdrom",
    "VirtualFloppy",
    "VirtualSerialPort",
    "VirtualParallelPort",
];

/// Types that only others derive from, and controllers that are there once and for all.
const BASES: [&str; 9] = [
    "VirtualDevice",
    "VirtualController",
    "VirtualSCSIController",
    "VirtualSATAController",
    "VirtualEthernetCard",
    "VirtualIDEController",
    "VirtualPS2Controller",
    "VirtualPCIController",
    "VirtualSIOController",
];

/// The devices of one specification, one after the other. `None` = the VM is new.
pub(super) struct OtherDevices<'a> {
    world: &'a World<'a>,
    vm: Option<&'a Vm>,
    /// What is changed so far, by key. No value = taken away.
    pub(super) changed: BTreeMap<i32, Option<Json>>,
}

impl<'a> OtherDevices<'a> {
    pub(super) fn new(world: &'a World<'a>, vm: Option<&'a Vm>) -> Self {
        Self {
            world,
            vm,
            changed: BTreeMap::new(),
        }
    }

    /// Takes one operation over.
    pub(super) fn apply(
        &mut self,
        (operation, index): (Operation, usize),
        device: &DataObject,
        plugs: &Plugs<'_>,
    ) -> Result<(), Fault> {
        let wanted = || {
            let key = device.get_text("key").and_then(|text| text.parse().ok());
            key.ok_or_else(|| invalid_device("key", index))
        };
        match operation {
            Operation::Add => self.add(device, plugs, index),
            Operation::Remove => {
                let key: i32 = wanted()?;
                let existing = self.existing(key, index)?;
                if !schema().is_a(&existing.type_name, &device.type_name) {
                    return Err(invalid_device("key", index));
                }
                self.changed.insert(key, None);
                Ok(())
            }
            Operation::Edit => {
                let key: i32 = wanted()?;
                let mut edited = self.existing(key, index)?;
                if !schema().is_a(&edited.type_name, &device.type_name) {
                    return Err(invalid_device("key", index));
                }
                for (name, value) in device.members() {
                    if !matches!(name, "key" | "deviceInfo") {
                        edited.set(name, value.clone());
                    }
                }
                self.note_connection(&mut edited);
                self.settle(&mut edited, index)?;
                self.changed.insert(key, Some(edited.to_json()));
                Ok(())
            }
        }
    }

    /// The units of a controller that other devices have, when the changes so far are done.
    pub(super) fn units_on(&self, controller: i32) -> BTreeSet<i32> {
        let kept = self.vm.map(|vm| &vm.other_devices);
        let kept = kept.into_iter().flatten();
        let kept = kept.filter(|(key, _)| !self.changed.contains_key(key));
        let changed = self.changed.values().flatten();
        let all = kept.map(|(_, device)| device).chain(changed);
        all.filter_map(|device| {
            let device = DataObject::from_json(device)?;
            let number = |name: &str| device.get_text(name)?.parse::<i32>().ok();
            (number("controllerKey") == Some(controller)).then(|| number("unitNumber").unwrap_or(0))
        })
        .collect()
    }

    fn add(&mut self, device: &DataObject, plugs: &Plugs<'_>, index: usize) -> Result<(), Fault> {
        // What is no kind of its own, and the controllers that each VM has, cannot be added.
        let is_base = BASES.contains(&device.type_name.as_ref());
        let mut kinds = KINDS.iter().filter(|_| !is_base);
        let (_, first, label) = kinds
            .find(|(base, ..)| schema().is_a(&device.type_name, base))
            .ok_or_else(|| invalid_device("key", index))?;
        let mut made = device.clone();
        let given = |name: &str| {
            device
                .get_text(name)
                .and_then(|text| text.parse::<i32>().ok())
        };
        let controller =
            given("controllerKey").map(|key| plugs.keys.get(&key).copied().unwrap_or(key));
        let key = match controller {
            Some(controller) if *first == 3000 => {
                let unit = given("unitNumber").filter(|unit| *unit >= 0);
                let (key, unit) = self.drive((controller, unit), plugs, index)?;
                made.set("controllerKey", Value::int(controller));
                made.set("unitNumber", Value::int(unit));
                key
            }
            None if *first == 3000 => {
                let place = IDE.into_iter().find_map(|controller| {
                    let (key, unit) = self.drive((controller, None), plugs, index).ok()?;
                    Some((controller, key, unit))
                });
                let (controller, key, unit) =
                    place.ok_or_else(|| invalid_device("controllerKey", index))?;
                made.set("controllerKey", Value::int(controller));
                made.set("unitNumber", Value::int(unit));
                key
            }
            _ => {
                let key = self.free_key(*first);
                let (controller, first_unit) = if ON_SIO.contains(first) {
                    (SIO, 0)
                } else {
                    (PCI, 7)
                };
                made.set("controllerKey", Value::int(controller));
                made.set("unitNumber", Value::int(first_unit + key % 1000));
                key
            }
        };
        made.set("key", Value::int(key));
        let number = self.count(*first) + 1;
        let description = DataObject::new("Description")
            .text("label", format!("{label} {number}"))
            .text("summary", *label);
        made.set("deviceInfo", Value::Object(description));
        if CONNECTABLE
            .iter()
            .any(|base| schema().is_a(&made.type_name, base))
        {
            connect(&mut made);
        }
        self.settle(&mut made, index)?;
        self.changed.insert(key, Some(made.to_json()));
        Ok(())
    }

    /// Checks what a device is connected to, and fills in what the server gives.
    pub(super) fn settle(&self, device: &mut DataObject, index: usize) -> Result<(), Fault> {
        summarise(device);
        if !schema().is_a(&device.type_name, "VirtualEthernetCard") {
            return Ok(());
        }
        let wrong = || invalid_device("backing", index);
        let mut backing = device.get("backing").and_then(Value::object).cloned();
        let backing = backing.as_mut().ok_or_else(wrong)?;
        // The lab has no distributed switches.
        let name = backing
            .get_text("deviceName")
            .unwrap_or_default()
            .to_owned();
        let site = self.world.site()?;
        let network = site.networks.iter().find(|network| network.name == name);
        let network = MoRef::new("Network", &network.ok_or_else(wrong)?.moref);
        self.world.demand(&network, "Network.Assign")?;
        backing.set("network", Value::Reference(network));
        device.set("backing", Value::Object(backing.clone()));
        let address = device.get_text("macAddress").unwrap_or_default();
        if address.is_empty() {
            if device.get_text("addressType") == Some("manual") {
                return Err(invalid_device("macAddress", index));
            }
            let key = device.get_text("key").and_then(|key| key.parse().ok());
            device.set("macAddress", Value::string(self.address(key.unwrap_or(0))));
        }
        if device.get_text("addressType").is_none() {
            device.set("addressType", Value::string("assigned"));
        }
        Ok(())
    }

    /// Marks what a client says of the connection of a device as said of a running VM, or not.
    fn note_connection(&self, device: &mut DataObject) {
        let is_on = self
            .vm
            .is_some_and(|vm| vm.power_state == PowerState::PoweredOn);
        if let Some(mut connection) = device.get("connectable").and_then(Value::object).cloned() {
            let status = if is_on { "ok" } else { "untried" };
            connection.set("status", Value::string(status));
            device.set("connectable", Value::Object(connection));
        }
    }

    /// An address from the range that a vCenter gives out, by the numbers of VM and device.
    fn address(&self, key: i32) -> String {
        let site = self.world.site().ok();
        let number = match self.vm {
            Some(vm) => vm.moref.trim_start_matches("vm-").parse().unwrap_or(0),
            None => site.map_or(0, lab::Site::next_vm_number),
        };
        let [_, high, middle, low] = u32::to_be_bytes(number * 16 + key.unsigned_abs() % 16);
        format!(
            "00:50:56:{:02x}:{middle:02x}:{low:02x}",
            0x80 | (high & 0x3f)
        )
    }

    /// The device of that key, as it is or as this specification made it.
    fn existing(&self, key: i32, index: usize) -> Result<DataObject, Fault> {
        let kept = self.vm.and_then(|vm| vm.other_devices.get(&key));
        let found = match self.changed.get(&key) {
            Some(changed) => changed.as_ref(),
            None => kept,
        };
        found
            .and_then(DataObject::from_json)
            .ok_or_else(|| invalid_device("key", index))
    }

    fn is_taken(&self, key: i32) -> bool {
        match self.changed.get(&key) {
            Some(changed) => changed.is_some(),
            None => self
                .vm
                .is_some_and(|vm| vm.other_devices.contains_key(&key) || vm.disk(key).is_some()),
        }
    }

    fn free_key(&self, first: i32) -> i32 {
        let mut keys = first..first + 1000;
        keys.find(|key| !self.is_taken(*key)).unwrap_or(first)
    }

    fn count(&self, first: i32) -> usize {
        let keys = first..first + 1000;
        keys.filter(|key| self.is_taken(*key)).count()
    }

    /// Key and unit of a drive on an IDE or a SATA controller.
    fn drive(
        &self,
        (controller, unit): (i32, Option<i32>),
        plugs: &Plugs<'_>,
        index: usize,
    ) -> Result<(i32, i32), Fault> {
        let bus = Bus::of_controller(controller);
        let (first, bus) = match bus {
            Some(bus @ Bus::Ide) => (3000, bus),
            Some(bus @ Bus::Sata) => (16_000, bus),
            _ => return Err(invalid_device("controllerKey", index)),
        };
        let mut taken = (plugs.disks)(controller);
        taken.extend(self.units_on(controller));
        let mut free = bus.units().filter(|unit| !taken.contains(unit));
        let unit = free.find(|free| unit.is_none_or(|unit| unit == *free));
        let unit = unit.ok_or_else(|| invalid_device("unitNumber", index))?;
        let units = i32::try_from(bus.units().count()).unwrap_or(i32::MAX);
        Ok((first + bus.number(controller) * units + unit, unit))
    }
}

/// How a device is connected unless a client says otherwise. That of a new one counts when the VM is
/// powered on.
fn connect(device: &mut DataObject) {
    let given = device.get("connectable").and_then(Value::object).cloned();
    let connection = given.unwrap_or_else(|| {
        DataObject::new("VirtualDeviceConnectInfo")
            .flags(true, &["startConnected", "allowGuestControl"])
            .with("connected", Value::boolean(false))
    });
    let connection = connection.with("status", Value::string("untried"));
    device.set("connectable", Value::Object(connection));
}

/// Says in a device's description what is behind it.
fn summarise(device: &mut DataObject) {
    let Some(backing) = device.get("backing").and_then(Value::object) else {
        return;
    };
    let text = |name: &str| backing.get_text(name).filter(|text| !text.is_empty());
    let kind = backing.type_name.as_ref();
    let summary = match kind {
        "VirtualCdromIsoBackingInfo" => text("fileName").map(|file| format!("ISO {file}")),
        "VirtualFloppyImageBackingInfo" => text("fileName").map(|file| format!("Image {file}")),
        "VirtualSerialPortURIBackingInfo" => text("serviceURI").map(|uri| format!("Remote {uri}")),
        _ if text("fileName").is_some() => text("fileName").map(|file| format!("File {file}")),
        _ if kind.contains("Remote") => {
            Some(format!("Remote {}", text("deviceName").unwrap_or("device")))
        }
        _ => text("deviceName").map(str::to_owned),
    };
    let old = device.get("deviceInfo").and_then(Value::object).cloned();
    if let Some((old, summary)) = old.zip(summary) {
        let new = old.with("summary", Value::string(summary));
        device.set("deviceInfo", Value::Object(new));
    }
}
