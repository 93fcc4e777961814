//! The changes of devices in a `VirtualMachineConfigSpec` ("vSphere API reference", 2.7 and 7.4). A change
//! that cannot be done is refused by its place; none is passed over.

use std::collections::{BTreeMap, BTreeSet};

use lab::{Bus, DiskChange, Vm, VmChange};

use super::disk_change::{attached, created, edits};
use super::other_device::OtherDevices;
use crate::schema::schema;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

/// What is done to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Edit,
    Remove,
}

impl Operation {
    fn of(change: &DataObject) -> Result<Self, Fault> {
        match change.get_text("operation") {
            Some("add") => Ok(Self::Add),
            Some("edit") => Ok(Self::Edit),
            Some("remove") => Ok(Self::Remove),
            _ => Err(Fault::invalid_argument("operation")),
        }
    }
}

/// What a device is.
enum Kind {
    Disk,
    Controller(Bus),
    /// One of the two IDE channels that a VM comes with.
    Channel,
    Other,
}

/// The changes of one specification, one after the other.
pub(super) struct DeviceChanges<'a> {
    world: &'a World<'a>,
    vm: Option<&'a Vm>,
    /// Keys the client gave to controllers that do not exist yet, and those they get.
    keys: BTreeMap<i32, i32>,
    /// Controllers that are added, with their types.
    added: BTreeMap<i32, String>,
    /// Those of them that share their bus.
    shared: BTreeSet<i32>,
    /// Controllers that are taken away, with the places of their changes.
    removed: BTreeMap<i32, usize>,
    disks: Vec<DiskChange>,
    others: OtherDevices<'a>,
}

impl<'a> DeviceChanges<'a> {
    /// Of a VM that exists; `None` = it is new.
    pub(super) fn new(world: &'a World<'a>, vm: Option<&'a Vm>) -> Self {
        Self {
            world,
            vm,
            keys: BTreeMap::new(),
            added: BTreeMap::new(),
            shared: BTreeSet::new(),
            removed: BTreeMap::new(),
            disks: Vec::new(),
            others: OtherDevices::new(world, vm),
        }
    }

    /// Takes a `VirtualDeviceConfigSpec` over.
    pub(super) fn apply(&mut self, change: &DataObject, index: usize) -> Result<(), Fault> {
        let operation = Operation::of(change)?;
        let device = change.get("device").and_then(Value::object);
        let device = device.ok_or_else(|| invalid_change("device", index))?;
        let file = change.get_text("fileOperation");
        if !matches!(file, None | Some("create" | "destroy" | "replace")) {
            return Err(Fault::invalid_argument("fileOperation"));
        }
        let kind = self.kind(operation, device, index)?;
        if file.is_some() && !matches!(kind, Kind::Disk) {
            return Err(invalid_change("fileOperation", index));
        }
        match kind {
            Kind::Disk => self.disk((operation, file), device, index),
            Kind::Controller(bus) => self.controller((operation, bus), device, index),
            Kind::Channel => self.channel(device, index),
            Kind::Other => {
                let (vm, disks) = (self.vm, &self.disks);
                let plugs = Plugs {
                    keys: &self.keys,
                    disks: &|controller| units_of_disks(vm, disks, controller),
                };
                self.others.apply((operation, index), device, &plugs)
            }
        }
    }

    /// The unit that a disk gets: the one that is asked for, or the first that is free.
    fn unit(
        &self,
        (controller, bus): (i32, Bus),
        wanted: Option<i32>,
        index: usize,
    ) -> Result<i32, Fault> {
        let mut taken = units_of_disks(self.vm, &self.disks, controller);
        taken.extend(self.others.units_on(controller));
        let mut free = bus.units().filter(|unit| !taken.contains(unit));
        free.find(|free| wanted.is_none_or(|wanted| wanted == *free))
            .ok_or_else(|| invalid_device("unitNumber", index))
    }

    /// What the changes are together.
    pub(super) fn finish(self, change: &mut VmChange) -> Result<(), Fault> {
        for (key, index) in &self.removed {
            let disks = units_of_disks(self.vm, &self.disks, *key);
            if !disks.is_empty() || !self.others.units_on(*key).is_empty() {
                return Err(invalid_device("key", *index));
            }
        }
        change.controllers = self.added;
        change.removed_controllers = self.removed.into_keys().collect();
        change.disks = self.disks;
        change.other_devices = self.others.changed;
        Ok(())
    }

    /// A device of a base type, as one without `xsi:type` is, is what its key says.
    fn kind(&self, operation: Operation, device: &DataObject, index: usize) -> Result<Kind, Fault> {
        let name = device.type_name.as_ref();
        if name == "VirtualDisk" {
            return Ok(Kind::Disk);
        }
        if let Some(bus) = controller_bus(name) {
            return Ok(Kind::Controller(bus));
        }
        if operation == Operation::Add {
            let is_channel = name == "VirtualIDEController" && self.vm.is_none();
            return Ok(if is_channel {
                Kind::Channel
            } else {
                Kind::Other
            });
        }
        let key = integer(device, "key", index)?;
        let is_a = |actual: &str| schema().is_a(actual, name);
        if self.vm.is_some_and(|vm| vm.disk(key).is_some()) && is_a("VirtualDisk") {
            return Ok(Kind::Disk);
        }
        let bus = Bus::of_controller(key).filter(|_| self.has_controller(key));
        Ok(match bus.filter(|bus| is_a(bus.controller_type())) {
            Some(bus) => Kind::Controller(bus),
            None => Kind::Other,
        })
    }

    fn has_controller(&self, key: i32) -> bool {
        let is_there = self.vm.is_some_and(|vm| vm.controllers().contains(&key));
        (is_there && !self.removed.contains_key(&key)) || self.added.contains_key(&key)
    }

    fn controller(
        &mut self,
        (operation, bus): (Operation, Bus),
        device: &DataObject,
        index: usize,
    ) -> Result<(), Fault> {
        let key = integer(device, "key", index)?;
        if operation == Operation::Add {
            let real = self.new_controller(bus, device, index)?;
            self.keys.insert(key, real);
            self.added.insert(real, device.type_name.to_string());
            return Ok(());
        }
        if !self.has_controller(key) || Bus::of_controller(key) != Some(bus) {
            return Err(invalid_device("key", index));
        }
        if operation == Operation::Remove {
            self.removed.insert(key, index);
            return Ok(());
        }
        let number = device.get_text("busNumber").map(str::parse);
        if number.is_some_and(|number| number != Ok(bus.number(key))) {
            return Err(invalid_device("busNumber", index));
        }
        let sharing = device.get_text("sharedBus");
        if bus == Bus::Scsi && sharing.is_some_and(|sharing| sharing != self.sharing(key)) {
            return Err(Fault::not_supported("sharedBus"));
        }
        Ok(())
    }

    /// A new VM has its IDE channels anyway; here it is told which of them has a key of the client's.
    fn channel(&mut self, device: &DataObject, index: usize) -> Result<(), Fault> {
        let key = integer(device, "key", index)?;
        let number = integer(device, "busNumber", index)?;
        let first_free = || {
            let free = |number: &i32| {
                let channel = Bus::Ide.controller_key(*number);
                !self.keys.values().any(|taken| *taken == channel)
            };
            (0..2).find(free)
        };
        let number = match number {
            0 | 1 => Some(number),
            number if number < 0 => first_free(),
            _ => None,
        };
        let number = number.ok_or_else(|| invalid_device("busNumber", index))?;
        self.keys.insert(key, Bus::Ide.controller_key(number));
        Ok(())
    }

    /// The key of a controller that is added; a number below zero leaves the choice to the server.
    fn new_controller(
        &mut self,
        bus: Bus,
        device: &DataObject,
        index: usize,
    ) -> Result<i32, Fault> {
        let wanted = integer(device, "busNumber", index)?;
        let mut keys = (0..4).map(|number| bus.controller_key(number));
        let key = if wanted < 0 {
            keys.find(|key| !self.has_controller(*key))
        } else {
            keys.find(|key| bus.number(*key) == wanted && !self.has_controller(*key))
        };
        let key = key.ok_or_else(|| invalid_device("busNumber", index))?;
        match device.get_text("sharedBus") {
            _ if bus != Bus::Scsi => {}
            None | Some("noSharing") => {}
            Some("physicalSharing") => drop(self.shared.insert(key)),
            Some(_) => return Err(Fault::not_supported("sharedBus")),
        }
        Ok(key)
    }

    fn sharing(&self, controller: i32) -> &'static str {
        if self.is_shared(controller) {
            "physicalSharing"
        } else {
            "noSharing"
        }
    }

    fn is_shared(&self, controller: i32) -> bool {
        let mut disks = self.vm.iter().flat_map(|vm| &vm.disks);
        self.shared.contains(&controller)
            || disks.any(|disk| disk.controller_key == controller && disk.shared_bus)
    }

    fn disk(
        &mut self,
        (operation, file): (Operation, Option<&str>),
        device: &DataObject,
        index: usize,
    ) -> Result<(), Fault> {
        match (operation, file) {
            (Operation::Remove, None | Some("destroy")) => {
                let key = self.existing_disk(device, index)?.device_key;
                self.disks.push(DiskChange::Remove {
                    device_key: key,
                    destroy: file.is_some(),
                });
            }
            (Operation::Edit, None) => {
                let disk = self.existing_disk(device, index)?;
                let edits = edits(disk, device, index)?;
                self.disks.extend(edits);
            }
            (Operation::Add, None) => {
                let (file, mode, place) = attached(self.world, &self.keys, device, index)?;
                let unit = self.unit((place.controller_key, place.bus), place.unit, index)?;
                self.disks.push(DiskChange::Attach {
                    file,
                    mode,
                    controller_key: place.controller_key,
                    unit: Some(unit),
                });
            }
            (Operation::Add, Some("create")) => {
                let (mut spec, place) = created(self.world, &self.keys, device, index)?;
                let unit = self.unit((place.controller_key, place.bus), place.unit, index)?;
                spec.shared_bus = self.is_shared(place.controller_key);
                self.disks.push(DiskChange::Add {
                    spec,
                    controller_key: place.controller_key,
                    unit: Some(unit),
                });
            }
            (Operation::Add, Some("replace")) => {
                return Err(Fault::not_supported("deviceChange.fileOperation"));
            }
            _ => return Err(invalid_change("fileOperation", index)),
        }
        Ok(())
    }

    fn existing_disk(&self, device: &DataObject, index: usize) -> Result<&'a lab::Disk, Fault> {
        let key = integer(device, "key", index)?;
        let gone = self
            .disks
            .iter()
            .filter_map(removed_disk)
            .any(|gone| gone == key);
        let disk = self.vm.and_then(|vm| vm.disk(key)).filter(|_| !gone);
        disk.ok_or_else(|| invalid_device("key", index))
    }
}

/// What the devices besides disks must know of the rest of a specification.
pub(super) struct Plugs<'a> {
    /// The keys of new controllers by the client's keys.
    pub(super) keys: &'a BTreeMap<i32, i32>,
    /// The units of a controller that disks have.
    pub(super) disks: &'a dyn Fn(i32) -> BTreeSet<i32>,
}

/// The units of a controller that disks have, when the changes so far are done.
fn units_of_disks(vm: Option<&Vm>, changes: &[DiskChange], controller: i32) -> BTreeSet<i32> {
    let gone: BTreeSet<i32> = changes.iter().filter_map(removed_disk).collect();
    let kept = vm.into_iter().flat_map(|vm| &vm.disks);
    let kept = kept.filter(|disk| !gone.contains(&disk.device_key));
    let kept = kept.map(|disk| (disk.controller_key, Some(disk.unit_number)));
    let comes = |change: &DiskChange| match change {
        DiskChange::Add {
            controller_key,
            unit,
            ..
        }
        | DiskChange::Attach {
            controller_key,
            unit,
            ..
        } => Some((*controller_key, *unit)),
        _ => None,
    };
    kept.chain(changes.iter().filter_map(comes))
        .filter(|(key, _)| *key == controller)
        .filter_map(|(_, unit)| unit)
        .collect()
}

fn removed_disk(change: &DiskChange) -> Option<i32> {
    match change {
        DiskChange::Remove { device_key, .. } => Some(*device_key),
        _ => None,
    }
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

/// A number that a device must have.
pub(super) fn integer(device: &DataObject, name: &'static str, index: usize) -> Result<i32, Fault> {
    let text = device.get_text(name);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid_device(name, index))
}

/// The device of a change is wrong, in a property of it.
pub(super) fn invalid_device(property: &str, index: usize) -> Fault {
    invalid_change(&format!("device.{property}"), index)
}

/// A change is wrong, in a property of it.
pub(super) fn invalid_change(property: &str, index: usize) -> Fault {
    let text = format!("Invalid configuration for device '{index}'.");
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    Fault::new("InvalidDeviceSpec", text)
        .with("property", Value::string(property))
        .with("deviceIndex", Value::int(index))
}
