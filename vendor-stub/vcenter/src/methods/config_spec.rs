//! `VirtualMachineConfigSpec` as a change of a VM of the lab ("vSphere API reference", 2.7 and 7.3).

use lab::{Vm, VmChange};

use super::device_change::DeviceChanges;
use super::power::hardware_version;
use crate::schema::schema;
use crate::setting;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

/// The most CPUs a VM has.
const MOST_CPUS: i64 = 768;

/// The privileges the members of a spec need; others need `VirtualMachine.Config.Settings`.
const PRIVILEGES: [(&str, &str); 14] = [
    (
        "changeTrackingEnabled",
        "VirtualMachine.Config.ChangeTracking",
    ),
    ("name", "VirtualMachine.Config.Rename"),
    ("annotation", "VirtualMachine.Config.Annotation"),
    ("numCPUs", "VirtualMachine.Config.CPUCount"),
    ("numCoresPerSocket", "VirtualMachine.Config.CPUCount"),
    ("managedBy", "VirtualMachine.Config.ManagedBy"),
    ("swapPlacement", "VirtualMachine.Config.SwapPlacement"),
    ("version", "VirtualMachine.Config.UpgradeVirtualHardware"),
    ("memoryMB", "VirtualMachine.Config.Memory"),
    ("cpuAllocation", "VirtualMachine.Config.Resource"),
    ("memoryAllocation", "VirtualMachine.Config.Resource"),
    ("extraConfig", "VirtualMachine.Config.AdvancedConfig"),
    ("deviceChange", ""),
    ("changeVersion", ""),
];

/// What a caller needs for a spec of a VM, by its members and the operations on devices.
pub(super) fn privileges(vm: &Vm, spec: &DataObject) -> Vec<&'static str> {
    let mut needed = Vec::new();
    for (member, _) in spec.members() {
        let known = PRIVILEGES.iter().find(|(name, _)| *name == member);
        needed.push(known.map_or("VirtualMachine.Config.Settings", |(_, needed)| *needed));
    }
    for change in changes(spec) {
        let is_disk = device(change).is_some_and(|device| is_disk(vm, device));
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

/// Is it a disk, by its type or by the key of one that is there?
fn is_disk(vm: &Vm, device: &DataObject) -> bool {
    let key = device.get_text("key").and_then(|key| key.parse().ok());
    device.type_name == "VirtualDisk" || key.is_some_and(|key| vm.disk(key).is_some())
}

fn changes(spec: &DataObject) -> impl Iterator<Item = &DataObject> {
    let items = spec.get_items("deviceChange").iter();
    items.filter_map(Value::object)
}

fn device(change: &DataObject) -> Option<&DataObject> {
    change.get("device").and_then(Value::object)
}

/// Refuses what no VM can have.
fn check(spec: &DataObject, vm: Option<&Vm>) -> Result<(), Fault> {
    let number = |name: &str| {
        spec.get_text(name)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let is_guest = |id: &str| id.ends_with("Guest") || id.ends_with("Guest64");
    let cpus = number("numCPUs").or(vm.map(|vm| i64::from(vm.cpus)));
    let cores = number("numCoresPerSocket");
    let splits = |cores: i64| cores > 0 && cpus.is_none_or(|cpus| cpus % cores == 0);
    for (name, is_good) in [
        (
            "numCPUs",
            number("numCPUs").is_none_or(|cpus| (1..=MOST_CPUS).contains(&cpus)),
        ),
        (
            "memoryMB",
            number("memoryMB").is_none_or(|mib| mib > 0 && mib % 4 == 0),
        ),
        ("numCoresPerSocket", cores.is_none_or(splits)),
        ("guestId", spec.get_text("guestId").is_none_or(is_guest)),
        (
            "firmware",
            spec.get_text("firmware")
                .is_none_or(|word| matches!(word, "bios" | "efi")),
        ),
    ] {
        if !is_good {
            return Err(Fault::invalid_argument(&format!("configSpec.{name}")));
        }
    }
    Ok(())
}

/// Whether a spec with this fault is taken, and the task fails. Faults of a configuration do, and
/// those of the state of a VM; those of arguments are told at once.
pub(super) fn fails_in_task(fault: &Fault) -> bool {
    let mut families = ["VmConfigFault", "InvalidState"].iter();
    families.any(|family| schema().is_a(fault.type_name(), family))
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
    check(spec, vm)?;
    let mut change = VmChange {
        name: text("name"),
        annotation: text("annotation"),
        guest_id: text("guestId"),
        bios_uuid: text("uuid"),
        instance_uuid: text("instanceUuid").filter(|uuid| !uuid.is_empty()),
        hardware_version: text("version")
            .map(|text| hardware_version(&text))
            .transpose()?,
        settings: setting::taken(vm, spec),
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
    let mut devices = DeviceChanges::new(world, vm);
    for (index, found) in changes(spec).enumerate() {
        devices.apply(found, index)?;
    }
    devices.finish(&mut change)?;
    Ok(change)
}
