//! `VirtualMachineConfigInfo`, of the running VM and as frozen in a snapshot.

use lab::{Disk, Site, Snapshot, Vm};

use super::datastore::{lies_on, volume_path};
use super::device::{devices, key_id};
use super::entity::escape_name;
use super::hardware::vm_allocation;
use crate::setting;
use crate::value::{DataObject, Value};

/// The parts of a configuration that a snapshot freezes.
pub(super) struct Config<'a> {
    vm: &'a Vm,
    name: &'a str,
    hardware_version: u32,
    change_version: &'a str,
    tracking: bool,
    /// What was asked for and waits for a stun cycle.
    pending: Option<bool>,
    annotation: &'a str,
    disks: &'a [Disk],
}

impl<'a> Config<'a> {
    /// The configuration now.
    pub(super) fn running(vm: &'a Vm) -> Self {
        Self {
            vm,
            name: &vm.name,
            hardware_version: vm.hardware_version,
            change_version: &vm.change_version,
            tracking: vm.change_tracking.enabled,
            pending: vm.change_tracking.pending,
            annotation: &vm.annotation,
            disks: &vm.disks,
        }
    }

    /// The configuration as of a snapshot.
    pub(super) fn frozen(vm: &'a Vm, snapshot: &'a Snapshot) -> Self {
        Self {
            vm,
            name: &snapshot.vm_name,
            hardware_version: snapshot.hardware_version,
            change_version: &snapshot.change_version,
            tracking: snapshot.change_tracking_enabled,
            pending: None,
            annotation: &snapshot.annotation,
            disks: &snapshot.disks,
        }
    }

    /// As a data object.
    pub(super) fn info(&self, site: &Site) -> DataObject {
        let vm = self.vm;
        let urls = site
            .datastores
            .iter()
            .filter(|datastore| lies_on(vm, &datastore.name))
            .map(|datastore| {
                DataObject::new("VirtualMachineConfigInfoDatastoreUrlPair")
                    .text("name", &datastore.name)
                    .text("url", volume_path(site, datastore))
            });
        let mut config = DataObject::new("VirtualMachineConfigInfo")
            .text("changeVersion", self.change_version)
            .with("modified", Value::time("1970-01-01T00:00:00Z"))
            .text("name", escape_name(self.name))
            .text("guestFullName", guest_full_name(&vm.guest_id))
            .text("version", format!("vmx-{:02}", self.hardware_version))
            .text("uuid", &vm.bios_uuid)
            .text("instanceUuid", &vm.instance_uuid)
            .with("npivTemporaryDisabled", Value::boolean(true))
            .text("locationId", &vm.bios_uuid)
            .with("template", Value::boolean(vm.is_template))
            .text("guestId", &vm.guest_id)
            .text("alternateGuestName", "")
            .text("annotation", self.annotation)
            .part("files", files(&vm.vmx_path))
            .part("flags", flags())
            .part("defaultPowerOps", power_operations())
            .part("hardware", self.hardware(site))
            .part(
                "cpuAllocation",
                vm_allocation(int(vm.cpus).saturating_mul(1000)),
            )
            .part(
                "memoryAllocation",
                vm_allocation(int(vm.memory_mib).saturating_mul(10)),
            )
            .with("extraConfig", self.extra_config(site))
            .with(
                "datastoreUrl",
                Value::objects("VirtualMachineConfigInfoDatastoreUrlPair", urls),
            )
            .text("swapPlacement", "inherit")
            .with("vAssertsEnabled", Value::boolean(false))
            .with("changeTrackingEnabled", Value::boolean(self.tracking))
            .text("firmware", "efi")
            .with("maxMksConnections", Value::int(40))
            .flags(
                false,
                &[
                    "memoryReservationLockedToMax",
                    "nestedHVEnabled",
                    "vPMCEnabled",
                ],
            )
            .with_some(
                "keyId",
                key_id(site, self.vm.is_encrypted()).map(Value::Object),
            )
            .text("migrateEncryption", "opportunistic");
        setting::show(vm, &mut config);
        config
    }

    fn hardware(&self, site: &Site) -> DataObject {
        let owner = self.vm.moref.trim_start_matches("vm-");
        DataObject::new("VirtualHardware")
            .with("numCPU", Value::int(int(self.vm.cpus)))
            .with("numCoresPerSocket", Value::int(1))
            .with("memoryMB", Value::int(int(self.vm.memory_mib)))
            .flags(false, &["virtualICH7MPresent", "virtualSMCPresent"])
            .with("device", devices(site, owner, self.vm, self.disks))
    }

    /// The switch for tracking shows here too ("vSphere Web Services API" 3.3).
    fn extra_config(&self, site: &Site) -> Value {
        let stem = file_stem(&self.vm.vmx_path);
        let mut options = vec![option("nvram", &format!("{stem}.nvram"))];
        let pending = self
            .pending
            .filter(|_| site.behaviour.tracking_keys_at_once);
        let tracking = pending.unwrap_or(self.tracking);
        let shown = self.vm.shown_extra_config(tracking, self.disks);
        options.extend(shown.iter().map(|(key, value)| option(key, value)));
        Value::objects("OptionValue", options)
    }
}

/// A count as vim25 carries it.
pub(super) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The guest's name for an id; ids this server does not know keep their text.
pub(super) fn guest_full_name(guest_id: &str) -> String {
    match guest_id {
        "rhel8_64Guest" => "Red Hat Enterprise Linux 8 (64-bit)".to_owned(),
        "ubuntu64Guest" => "Ubuntu Linux (64-bit)".to_owned(),
        "debian12_64Guest" => "Debian GNU/Linux 12 (64-bit)".to_owned(),
        "otherLinux64Guest" => "Other Linux (64-bit)".to_owned(),
        "otherGuest64" => "Other (64-bit)".to_owned(),
        "windows2019srv_64Guest" => "Microsoft Windows Server 2019 (64-bit)".to_owned(),
        other => other.to_owned(),
    }
}

fn option(key: &str, value: &str) -> DataObject {
    DataObject::new("OptionValue")
        .text("key", key)
        .text("value", value)
}

fn file_stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".vmx").unwrap_or(name)
}

fn files(vmx_path: &str) -> DataObject {
    let directory = match vmx_path.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/"),
        None => vmx_path.to_owned(),
    };
    DataObject::new("VirtualMachineFileInfo")
        .text("vmPathName", vmx_path)
        .text("snapshotDirectory", &directory)
        .text("suspendDirectory", &directory)
        .text("logDirectory", directory)
}

fn flags() -> DataObject {
    DataObject::new("VirtualMachineFlagInfo")
        .with("enableLogging", Value::boolean(true))
        .flags(
            false,
            &[
                "useToe",
                "runWithDebugInfo",
                "snapshotDisabled",
                "snapshotLocked",
            ],
        )
        .text("monitorType", "release")
        .text("htSharing", "any")
        .with("diskUuidEnabled", Value::boolean(true))
}

fn power_operations() -> DataObject {
    DataObject::new("VirtualMachineDefaultPowerOpInfo")
        .text("powerOffType", "soft")
        .text("suspendType", "hard")
        .text("resetType", "soft")
        .text("defaultPowerOffType", "soft")
        .text("defaultSuspendType", "hard")
        .text("defaultResetType", "soft")
        .text("standbyAction", "checkpoint")
}
