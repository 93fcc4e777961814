//! What cannot be changed of a VM that is not off.

use lab::{Bus, PowerState, Vm};

use super::power::power_fault;
use crate::schema::schema;
use crate::setting;
use crate::soap::Fault;
use crate::value::{DataObject, Value};

/// Settings that take a VM that is off, with what they are unless a client said otherwise.
const COLD: [(&str, &str); 8] = [
    ("memoryHotAddEnabled", "false"),
    ("cpuHotAddEnabled", "false"),
    ("cpuHotRemoveEnabled", "false"),
    ("nestedHVEnabled", "false"),
    ("vPMCEnabled", "false"),
    ("virtualICH7MPresent", "false"),
    ("virtualSMCPresent", "false"),
    ("firmware", "efi"),
];
/// Devices that come and go only while a VM is off.
const COLD_DEVICES: [&str; 10] = [
    "VirtualIDEController",
    "VirtualFloppy",
    "VirtualSerialPort",
    "VirtualParallelPort",
    "VirtualSoundCard",
    "VirtualTPM",
    "VirtualPrecisionClock",
    "VirtualWDT",
    "VirtualPCIPassthrough",
    "VirtualMachineVideoCard",
];

/// Refuses what a VM in its power state cannot take.
pub(super) fn check(vm: &Vm, spec: &DataObject) -> Result<(), Fault> {
    match vm.power_state {
        PowerState::PoweredOff => Ok(()),
        PowerState::Suspended => {
            let cold = ["numCPUs", "numCoresPerSocket", "memoryMB"];
            let changes = cold.iter().any(|name| is_other(vm, spec, name));
            if changes || !spec.get_items("deviceChange").is_empty() {
                return Err(off(vm));
            }
            settings(vm, spec)
        }
        PowerState::PoweredOn => {
            cpus(vm, spec)?;
            memory(vm, spec)?;
            settings(vm, spec)?;
            let changes = spec.get_items("deviceChange").iter();
            changes
                .filter_map(Value::object)
                .try_for_each(|change| device(vm, change))
        }
    }
}

fn off(vm: &Vm) -> Fault {
    power_fault(Some(PowerState::PoweredOff), vm.power_state)
}

fn number(object: &DataObject, name: &str) -> Option<i64> {
    object.get_text(name)?.parse().ok()
}

/// What a VM has of a number of the specification.
fn found(vm: &Vm, name: &str) -> i64 {
    match name {
        "numCPUs" => i64::from(vm.cpus),
        "memoryMB" => i64::from(vm.memory_mib),
        _ => setting::kept(vm, name)
            .and_then(|kept| kept.text()?.parse().ok())
            .unwrap_or(1),
    }
}

fn is_other(vm: &Vm, spec: &DataObject, name: &str) -> bool {
    number(spec, name).is_some_and(|wanted| wanted != found(vm, name))
}

fn is_on(vm: &Vm, setting: &str) -> bool {
    setting::kept(vm, setting).is_some_and(|kept| matches!(kept.text(), Some("true" | "1")))
}

fn cpus(vm: &Vm, spec: &DataObject) -> Result<(), Fault> {
    let wanted = number(spec, "numCPUs").unwrap_or(i64::from(vm.cpus));
    let is_allowed = match wanted.cmp(&i64::from(vm.cpus)) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Greater => is_on(vm, "cpuHotAddEnabled"),
        std::cmp::Ordering::Less => is_on(vm, "cpuHotRemoveEnabled"),
    };
    if is_allowed && !is_other(vm, spec, "numCoresPerSocket") {
        return Ok(());
    }
    let text = "CPU hot plug is not supported for this virtual machine.";
    Err(Fault::new("CpuHotPlugNotSupported", text))
}

fn memory(vm: &Vm, spec: &DataObject) -> Result<(), Fault> {
    let wanted = number(spec, "memoryMB").unwrap_or(i64::from(vm.memory_mib));
    let grows = wanted > i64::from(vm.memory_mib) && is_on(vm, "memoryHotAddEnabled");
    if grows || wanted == i64::from(vm.memory_mib) {
        return Ok(());
    }
    let text = "Memory hot plug is not supported for this virtual machine.";
    Err(Fault::new("MemoryHotPlugNotSupported", text))
}

fn settings(vm: &Vm, spec: &DataObject) -> Result<(), Fault> {
    let cold = COLD.iter().any(|(name, usual)| {
        let kept = setting::kept(vm, name);
        let found = kept.as_ref().and_then(Value::text).unwrap_or(usual);
        spec.get_text(name)
            .is_some_and(|wanted| wanted != found && !(wanted == "0" && found == "false"))
    });
    let other = |name: &str, found: &str| {
        let wanted = spec.get_text(name);
        wanted.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(found))
    };
    if cold || other("guestId", &vm.guest_id) || other("uuid", &vm.bios_uuid) {
        return Err(off(vm));
    }
    Ok(())
}

/// Disks of SCSI, SATA and NVMe and network cards come and go while a VM runs; what is on IDE does not.
fn device(vm: &Vm, change: &DataObject) -> Result<(), Fault> {
    let operation = change.get_text("operation").unwrap_or_default();
    let Some(device) = change.get("device").and_then(Value::object) else {
        return Ok(());
    };
    let key = number(device, "key").and_then(|key| i32::try_from(key).ok());
    let disk = key.and_then(|key| vm.disk(key));
    let kept = key.and_then(|key| vm.other_devices.get(&key));
    let kept = kept.and_then(DataObject::from_json);
    // What is there says more than what a client repeats of it.
    let (type_name, controller) = match (operation, disk, &kept) {
        ("add", ..) | (_, None, None) => (
            device.type_name.as_ref(),
            number(device, "controllerKey").and_then(|key| i32::try_from(key).ok()),
        ),
        (_, Some(disk), _) => ("VirtualDisk", Some(disk.controller_key)),
        (_, _, Some(kept)) => (
            kept.type_name.as_ref(),
            number(kept, "controllerKey").and_then(|key| i32::try_from(key).ok()),
        ),
    };
    let is_drive = ["VirtualDisk", "VirtualCdrom"].contains(&type_name);
    // A drive that names no controller goes to IDE.
    let on_ide = match controller {
        Some(controller) => Bus::of_controller(controller) == Some(Bus::Ide),
        None => type_name == "VirtualCdrom",
    };
    let is_cold = COLD_DEVICES
        .iter()
        .any(|cold| schema().is_a(type_name, cold))
        || (is_drive && on_ide);
    let grows = disk.is_some_and(|disk| {
        number(device, "capacityInBytes")
            .is_some_and(|bytes| u64::try_from(bytes) != Ok(disk.capacity_bytes))
    });
    match operation {
        "add" | "remove" if is_cold => Err(off(vm)),
        "edit" if on_ide && grows => Err(off(vm)),
        _ => Ok(()),
    }
}
