//! Virtual machines.

use lab::{CHOICES, Disk, PowerState, Provisioning, Site, Vm};

use super::config::{Config, guest_full_name, int};
use super::custom_field;
use super::datastore::lies_on;
use super::disabled;
use super::entity::{entity, escape_name, status};
use super::guest;
use super::layout;
use super::network;
use super::snapshot;
use crate::schema::schema;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::{Wanted, World};

/// What of the load of a VM is told: nothing of it.
const STATS: [&str; 8] = [
    "overallCpuUsage",
    "overallCpuDemand",
    "guestMemoryUsage",
    "hostMemoryUsage",
    "privateMemory",
    "sharedMemory",
    "consumedOverheadMemory",
    "uptimeSeconds",
];

pub(super) fn properties(
    world: &World<'_>,
    id: &str,
    wanted: &Wanted,
) -> Result<Option<DataObject>, Fault> {
    match world.vm(id)? {
        Some(vm) => Ok(Some(virtual_machine(world, world.site()?, &vm, wanted))),
        None => Ok(None),
    }
}

fn virtual_machine(world: &World<'_>, site: &Site, vm: &Vm, wanted: &Wanted) -> DataObject {
    // Only for those who ask, for it looks at each file.
    let layout = wanted.has("layoutEx").then(|| layout::of_vm(world, vm));
    let layout = layout.flatten();
    let parent = Some(MoRef::new("Folder", vm.folder.clone()));
    let datastores = site
        .datastores
        .iter()
        .filter(|datastore| lies_on(vm, &datastore.name))
        .map(|datastore| &datastore.moref);
    let roots = vm
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.parent.is_none())
        .map(|snapshot| &snapshot.moref);
    entity(world, "VirtualMachine", &vm.moref, &vm.name, parent)
        .with("disabledMethod", Value::strings(disabled::methods(vm)))
        .part_if(wanted, "capability", || capability(vm))
        .part_if(wanted, "config", || Config(vm).info(site))
        .with(
            "resourcePool",
            Value::reference("ResourcePool", vm.pool.as_ref().unwrap_or(&site.pool.moref)),
        )
        .part_if(wanted, "runtime", || runtime(vm))
        .part_if(wanted, "guest", || guest::info(vm))
        .part_if(wanted, "summary", || summary(site, vm))
        .with_some("layoutEx", layout.map(Value::Object))
        .part_if(wanted, "storage", || usage(site, vm))
        .with("datastore", Value::references("Datastore", datastores))
        .with("network", network::of_vm(vm))
        .with_some("snapshot", snapshot::tree(vm).map(Value::Object))
        .with(
            "rootSnapshot",
            Value::references("VirtualMachineSnapshot", roots),
        )
        .with("guestHeartbeatStatus", status("gray"))
}

/// The devices besides disks and their controllers. What the schema does not know is not shown.
pub(super) fn other_devices(vm: &Vm) -> Vec<DataObject> {
    let kept = vm.other_devices.values();
    kept.filter_map(DataObject::from_json).collect()
}

/// A power state as vim25 spells it.
pub(super) fn power_state(state: PowerState) -> Value {
    Value::Enum("VirtualMachinePowerState", state.as_str().to_owned())
}

fn runtime(vm: &Vm) -> DataObject {
    DataObject::new("VirtualMachineRuntimeInfo")
        .with("host", Value::reference("HostSystem", &vm.host))
        .with(
            "connectionState",
            Value::Enum("VirtualMachineConnectionState", "connected".into()),
        )
        .with("powerState", power_state(vm.power_state))
        .with(
            "faultToleranceState",
            Value::Enum("VirtualMachineFaultToleranceState", "notConfigured".into()),
        )
        .flags(false, &["toolsInstallerMounted", "onlineStandby", "paused"])
        .with_some("bootTime", booted(vm).map(Value::time))
        .with("suspendInterval", Value::long(0))
        .with_some("question", question(vm).map(Value::Object))
        .with("numMksConnections", Value::int(0))
        .text("recordReplayState", "inactive")
        .with(
            "consolidationNeeded",
            Value::boolean(vm.consolidation_needed),
        )
        .with("snapshotInBackground", Value::boolean(false))
        .with_some(
            "cryptoState",
            vm.is_encrypted().then(|| Value::string("unlocked")),
        )
}

/// When a VM that is not off was powered on.
fn booted(vm: &Vm) -> Option<&str> {
    let is_off = vm.power_state == PowerState::PoweredOff;
    vm.booted.as_deref().filter(|_| !is_off)
}

/// What the VM asks, as long as nobody answered.
fn question(vm: &Vm) -> Option<DataObject> {
    let asked = vm.question.as_ref()?;
    if asked.answer.is_some() {
        return None;
    }
    let choices = CHOICES.map(|(key, text)| {
        DataObject::new("ElementDescription")
            .text("key", key)
            .text("label", text)
            .text("summary", text)
    });
    let choice = DataObject::new("ChoiceOption")
        .with("choiceInfo", Value::objects("ElementDescription", choices))
        .with("defaultIndex", Value::int(2));
    Some(
        DataObject::new("VirtualMachineQuestionInfo")
            .text("id", &asked.id)
            .text("text", &asked.text)
            .part("choice", choice),
    )
}

fn summary(site: &Site, vm: &Vm) -> DataObject {
    let config = DataObject::new("VirtualMachineConfigSummary")
        .text("name", escape_name(&vm.name))
        .with("template", Value::boolean(vm.is_template))
        .text("vmPathName", &vm.vmx_path)
        .with("memorySizeMB", Value::int(int(vm.memory_mib)))
        .with("numCpu", Value::int(int(vm.cpus)))
        .with("numEthernetCards", Value::int(cards(vm)))
        .with(
            "numVirtualDisks",
            Value::int(i32::try_from(vm.disks.len()).unwrap_or(i32::MAX)),
        )
        .text("uuid", &vm.bios_uuid)
        .text("instanceUuid", &vm.instance_uuid)
        .text("guestId", &vm.guest_id)
        .text("guestFullName", guest_full_name(&vm.guest_id))
        .text("annotation", &vm.annotation)
        .with("tpmPresent", Value::boolean(false))
        .text("hwVersion", format!("vmx-{:02}", vm.hardware_version));
    let stats = STATS.iter().fold(
        DataObject::new("VirtualMachineQuickStats").with("guestHeartbeatStatus", status("gray")),
        |stats, name| stats.with(name, Value::int(0)),
    );
    DataObject::new("VirtualMachineSummary")
        .with("vm", Value::reference("VirtualMachine", &vm.moref))
        .part("runtime", runtime(vm))
        .part("guest", guest::summary(vm))
        .part("config", config)
        .part("storage", storage(vm))
        .part("quickStats", stats)
        .with("customValue", custom_field::values(site, &vm.moref))
        .with("overallStatus", status("green"))
}

/// What its disks take, and what they may take when they are full.
fn storage(vm: &Vm) -> DataObject {
    space("VirtualMachineStorageSummary", vm.disks.iter())
        .with("timestamp", Value::time(&vm.change_version))
}

/// The same on each of its datastores.
fn usage(site: &Site, vm: &Vm) -> DataObject {
    let datastores = site.datastores.iter();
    let mine = datastores.filter(|datastore| lies_on(vm, &datastore.name));
    let usage = mine.map(|datastore| {
        let disks = vm.disks.iter();
        let here = disks.filter(|disk| disk.datastore == datastore.name);
        space("VirtualMachineUsageOnDatastore", here)
            .with("datastore", Value::reference("Datastore", &datastore.moref))
    });
    DataObject::new("VirtualMachineStorageInfo")
        .with(
            "perDatastoreUsage",
            Value::objects("VirtualMachineUsageOnDatastore", usage),
        )
        .with("timestamp", Value::time(&vm.change_version))
}

fn space<'a>(type_name: &'static str, disks: impl Iterator<Item = &'a Disk>) -> DataObject {
    let (thin_disks, thick_disks): (Vec<&Disk>, Vec<&Disk>) =
        disks.partition(|disk| disk.provisioning == Provisioning::Thin);
    let sum = |thin: bool| {
        let some = if thin { &thin_disks } else { &thick_disks };
        some.iter()
            .map(|disk| i128::from(disk.capacity_bytes))
            .sum::<i128>()
    };
    DataObject::new(type_name)
        .with("committed", Value::long(sum(false)))
        .with("uncommitted", Value::long(sum(true)))
        .with("unshared", Value::long(sum(false)))
}

/// How many network cards it has.
fn cards(vm: &Vm) -> i32 {
    let is_card = |device: &&DataObject| schema().is_a(&device.type_name, "VirtualEthernetCard");
    let count = other_devices(vm).iter().filter(is_card).count();
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn capability(vm: &Vm) -> DataObject {
    DataObject::new("VirtualMachineCapability")
        .flags(
            true,
            &[
                "snapshotOperationsSupported",
                "multipleSnapshotsSupported",
                "snapshotConfigSupported",
                "poweredOffSnapshotsSupported",
                "memorySnapshotsSupported",
                "revertToSnapshotSupported",
                "quiescedSnapshotsSupported",
                "lockSnapshotsSupported",
                "cpuFeatureMaskSupported",
                "s1AcpiManagementSupported",
                "swapPlacementSupported",
                "toolsSyncTimeSupported",
                "diskSharesSupported",
                "bootOptionsSupported",
                "multipleCoresPerSocketSupported",
            ],
        )
        .flags(
            false,
            &[
                "disableSnapshotsSupported",
                "consolePreferencesSupported",
                "settingScreenResolutionSupported",
                "toolsAutoUpdateSupported",
                "vmNpivWwnSupported",
                "npivWwnOnNonRdmVmSupported",
                "virtualMmuUsageSupported",
                "settingVideoRamSizeSupported",
                "recordReplaySupported",
            ],
        )
        .with("changeTrackingSupported", Value::boolean(vm.can_track()))
}
