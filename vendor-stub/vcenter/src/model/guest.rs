//! What the tools in a guest report.

use lab::{PowerState, Vm};

use super::config::guest_full_name;
use super::vm::other_devices;
use crate::schema::schema;
use crate::value::{DataObject, Value};

/// The version of the tools.
pub(super) const TOOLS_VERSION: i32 = 12_416;

/// `toolsRunningStatus`, `toolsStatus` and `guestState`.
fn states(vm: &Vm) -> [&'static str; 3] {
    match vm.power_state {
        PowerState::PoweredOn if vm.has_running_tools() => {
            ["guestToolsRunning", "toolsOk", "running"]
        }
        PowerState::PoweredOn => ["guestToolsNotRunning", "toolsNotRunning", "running"],
        _ => ["guestToolsNotRunning", "toolsNotRunning", "notRunning"],
    }
}

/// `guest` of a VM.
pub(super) fn info(vm: &Vm) -> DataObject {
    let [running, status, state] = states(vm);
    let is_up = state == "running" && running == "guestToolsRunning";
    let flag = |name: &'static str| (name, Value::boolean(is_up));
    let info = DataObject::new("GuestInfo")
        .text("toolsStatus", status)
        .text("toolsVersionStatus", "guestToolsCurrent")
        .text("toolsVersionStatus2", "guestToolsCurrent")
        .text("toolsRunningStatus", running)
        .text("toolsVersion", TOOLS_VERSION.to_string())
        .text("guestId", &vm.guest_id)
        .text("guestFamily", family(&vm.guest_id))
        .text("guestFullName", guest_full_name(&vm.guest_id))
        .with_some("hostName", host_name(vm).map(Value::string))
        .with_some("ipAddress", ip_address(vm).map(Value::string))
        .with("net", Value::objects("GuestNicInfo", cards(vm)))
        .text("guestState", state);
    [
        flag("guestOperationsReady"),
        flag("interactiveGuestOperationsReady"),
        flag("guestStateChangeSupported"),
    ]
    .into_iter()
    .fold(info, |info, (name, value)| info.with(name, value))
}

/// `summary.guest` of a VM.
pub(super) fn summary(vm: &Vm) -> DataObject {
    let [running, status, _] = states(vm);
    DataObject::new("VirtualMachineGuestSummary")
        .text("guestId", &vm.guest_id)
        .text("guestFullName", guest_full_name(&vm.guest_id))
        .with(
            "toolsStatus",
            Value::Enum("VirtualMachineToolsStatus", status.to_owned()),
        )
        .text("toolsVersionStatus", "guestToolsCurrent")
        .text("toolsVersionStatus2", "guestToolsCurrent")
        .text("toolsRunningStatus", running)
        .with_some("hostName", host_name(vm).map(Value::string))
        .with_some("ipAddress", ip_address(vm).map(Value::string))
}

fn family(guest_id: &str) -> &'static str {
    if guest_id.starts_with("windows") {
        "windowsGuest"
    } else {
        "linuxGuest"
    }
}

/// The name a running guest reports.
fn host_name(vm: &Vm) -> Option<String> {
    let plain = |character: char| match character {
        'a'..='z' | '0'..='9' => character,
        _ => '-',
    };
    let name: String = vm.name.to_lowercase().chars().map(plain).collect();
    vm.has_running_tools().then(|| format!("{name}.lab.test"))
}

/// The address a running guest reports, from a network kept for examples, by the VM's number.
fn ip_address(vm: &Vm) -> Option<String> {
    let number: u32 = vm.moref.rsplit('-').next()?.parse().ok()?;
    let (high, low) = (number / 254 % 256, number % 254 + 1);
    vm.has_running_tools()
        .then(|| format!("198.18.{high}.{low}"))
}

/// The network cards that a running guest reports; the first has the address that is told of the VM.
fn cards(vm: &Vm) -> Vec<DataObject> {
    let Some(address) = ip_address(vm) else {
        return Vec::new();
    };
    let last = address.rsplit('.').next().unwrap_or_default().to_owned();
    let others = (0..=255).map(|number| format!("198.19.{number}.{last}"));
    let devices = other_devices(vm).into_iter();
    let devices = devices.filter(|found| schema().is_a(&found.type_name, "VirtualEthernetCard"));
    let mut addresses = std::iter::once(address).chain(others);
    let card = |device: DataObject| {
        let mine: Vec<String> = addresses.next().into_iter().collect();
        let backing = device.get("backing").and_then(Value::object);
        let network = backing.and_then(|backing| backing.get_text("deviceName"));
        let listed = mine.iter().map(|address| {
            DataObject::new("NetIpConfigInfoIpAddress")
                .text("ipAddress", address)
                .with("prefixLength", Value::int(15))
                .text("state", "preferred")
        });
        let config = DataObject::new("NetIpConfigInfo").with(
            "ipAddress",
            Value::objects("NetIpConfigInfoIpAddress", listed),
        );
        let key = device.get_text("key").and_then(|key| key.parse().ok());
        DataObject::new("GuestNicInfo")
            .text("network", network.unwrap_or_default())
            .with("ipAddress", Value::strings(mine))
            .text(
                "macAddress",
                device.get_text("macAddress").unwrap_or_default(),
            )
            .with("connected", Value::boolean(true))
            .with("deviceConfigId", Value::int(key.unwrap_or(0)))
            .part("ipConfig", config)
    };
    devices.map(card).collect()
}
