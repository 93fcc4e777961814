//! Settings of a VM that the lab has no place of their own for: kept as a client gave them, and shown over
//! what the server says without them.

use std::collections::BTreeMap;

use lab::Vm;
use serde_json::Value as Json;

use crate::schema::schema;
use crate::value::{DataObject, Value};

const SPEC: &str = "VirtualMachineConfigSpec";
/// An order of one such device means: no order.
const NO_DEVICE: &str = "VirtualMachineBootOptionsBootableDevice";

/// Where `VirtualMachineConfigInfo` shows a setting.
enum Place {
    /// Under that name.
    Config(&'static str),
    /// Under its own name in `hardware`.
    Hardware,
}

use Place::{Config, Hardware};

/// The settings by their names in `VirtualMachineConfigSpec`.
const SETTINGS: [(&str, Place); 30] = [
    ("alternateGuestName", Config("alternateGuestName")),
    ("tools", Config("tools")),
    ("flags", Config("flags")),
    ("powerOpInfo", Config("defaultPowerOps")),
    ("rebootPowerOff", Config("rebootPowerOff")),
    ("numCoresPerSocket", Hardware),
    ("virtualICH7MPresent", Hardware),
    ("virtualSMCPresent", Hardware),
    ("memoryHotAddEnabled", Config("memoryHotAddEnabled")),
    ("cpuHotAddEnabled", Config("cpuHotAddEnabled")),
    ("cpuHotRemoveEnabled", Config("cpuHotRemoveEnabled")),
    ("cpuAllocation", Config("cpuAllocation")),
    ("memoryAllocation", Config("memoryAllocation")),
    ("latencySensitivity", Config("latencySensitivity")),
    ("cpuAffinity", Config("cpuAffinity")),
    ("memoryAffinity", Config("memoryAffinity")),
    ("swapPlacement", Config("swapPlacement")),
    ("bootOptions", Config("bootOptions")),
    ("vAssertsEnabled", Config("vAssertsEnabled")),
    ("firmware", Config("firmware")),
    ("maxMksConnections", Config("maxMksConnections")),
    ("guestAutoLockEnabled", Config("guestAutoLockEnabled")),
    ("managedBy", Config("managedBy")),
    (
        "memoryReservationLockedToMax",
        Config("memoryReservationLockedToMax"),
    ),
    ("nestedHVEnabled", Config("nestedHVEnabled")),
    ("vPMCEnabled", Config("vPMCEnabled")),
    ("messageBusTunnelEnabled", Config("messageBusTunnelEnabled")),
    ("migrateEncryption", Config("migrateEncryption")),
    (
        "scheduledHardwareUpgradeInfo",
        Config("scheduledHardwareUpgradeInfo"),
    ),
    ("ftEncryptionMode", Config("ftEncryptionMode")),
];

/// Is it such a setting?
pub(crate) fn is_one(name: &str) -> bool {
    SETTINGS.iter().any(|(known, _)| *known == name)
}

/// The settings of a specification, each as it is to be kept: what a client leaves out of a group stays.
pub(crate) fn taken(vm: Option<&Vm>, spec: &DataObject) -> BTreeMap<String, Json> {
    let wanted = spec.members().filter(|(name, _)| is_one(name));
    let merged = wanted.filter_map(|(name, value)| {
        let kept = vm.and_then(|vm| kept(vm, name));
        let mut value = over(kept.as_ref(), value);
        if let ("bootOptions", Value::Object(options)) = (name, &mut value) {
            forget_order(options);
        }
        Some((name.to_owned(), value.to_json()?))
    });
    merged.collect()
}

/// Puts the settings of a VM over its configuration.
pub(crate) fn show(vm: &Vm, config: &mut DataObject) {
    for (name, place) in &SETTINGS {
        let Some(value) = kept(vm, name) else {
            continue;
        };
        match place {
            Config(shown) => {
                let mut value = over(config.get(shown), &value);
                if let Some(each) = shares_of_normal(vm, shown) {
                    count_shares(&mut value, each);
                }
                config.set(shown, value);
            }
            Hardware => {
                if let Some(Value::Object(hardware)) = config.get("hardware") {
                    let mut hardware = hardware.clone();
                    hardware.set(name, value);
                    config.set("hardware", Value::Object(hardware));
                }
            }
        }
    }
}

/// The shares that the level `normal` stands for.
fn shares_of_normal(vm: &Vm, shown: &str) -> Option<i64> {
    match shown {
        "cpuAllocation" => Some(i64::from(vm.cpus) * 1000),
        "memoryAllocation" => Some(i64::from(vm.memory_mib) * 10),
        _ => None,
    }
}

/// Puts the number that a level stands for into an allocation; that of a client counts with `custom`
/// only.
fn count_shares(allocation: &mut Value, normal: i64) {
    let Value::Object(allocation) = allocation else {
        return;
    };
    let Some(mut shares) = allocation.get("shares").and_then(Value::object).cloned() else {
        return;
    };
    let count = match shares.get_text("level") {
        Some("low") => normal / 2,
        Some("normal") => normal,
        Some("high") => normal.saturating_mul(2),
        _ => return,
    };
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    shares.set("shares", Value::int(count));
    allocation.set("shares", Value::Object(shares));
}

/// A setting of a VM, as it was taken.
pub(crate) fn kept(vm: &Vm, name: &str) -> Option<Value> {
    Value::from_json(vm.settings.get(name)?, schema().member(SPEC, name)?)
}

/// A value over another: of groups the members that are set, else the whole.
fn over(below: Option<&Value>, value: &Value) -> Value {
    let (Some(Value::Object(below)), Value::Object(group)) = (below, value) else {
        return value.clone();
    };
    let mut merged = below.clone();
    for (name, value) in group.members() {
        merged.set(name, over(below.get(name), value));
    }
    Value::Object(merged)
}

fn forget_order(options: &mut DataObject) {
    let is_none = |device: &Value| {
        let device = device.object();
        device.is_some_and(|device| device.type_name == NO_DEVICE)
    };
    if matches!(options.get_items("bootOrder"), [only] if is_none(only)) {
        let nothing = Value::objects(NO_DEVICE, []);
        options.set("bootOrder", nothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_the_type_that_it_is_shown_with() {
        for (name, place) in &SETTINGS {
            let taken = schema().member(SPEC, name).unwrap();
            let shown = match place {
                Config(shown) => schema().member("VirtualMachineConfigInfo", shown),
                Hardware => schema().member("VirtualHardware", name),
            };
            assert_eq!(shown.unwrap().declared, taken.declared, "{name}");
        }
    }
}
