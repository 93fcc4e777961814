//! `VirtualMachineConfigInfo`, of the running VM and as frozen in a snapshot.

use lab::{Site, Vm};

use super::datastore::{lies_on, volume_path};
use super::device::{devices, key_id};
use super::entity::escape_name;
use super::guest::TOOLS_VERSION;
use super::hardware::vm_allocation;
use crate::setting;
use crate::value::{DataObject, Value};

/// The configuration of a VM, as it is or as it was.
pub(super) struct Config<'a>(pub(super) &'a Vm);

impl Config<'_> {
    /// As a data object.
    pub(super) fn info(&self, site: &Site) -> DataObject {
        let vm = self.0;
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
            .text("changeVersion", &vm.change_version)
            .with("modified", Value::time("1970-01-01T00:00:00Z"))
            .text("name", escape_name(&vm.name))
            .text("guestFullName", guest_full_name(&vm.guest_id))
            .text("version", format!("vmx-{:02}", vm.hardware_version))
            .text("uuid", &vm.bios_uuid)
            .text("instanceUuid", &vm.instance_uuid)
            .with("npivTemporaryDisabled", Value::boolean(true))
            .text("locationId", &vm.bios_uuid)
            .with("template", Value::boolean(vm.is_template))
            .text("guestId", &vm.guest_id)
            .text("alternateGuestName", "")
            .text("annotation", &vm.annotation)
            .part("files", files(&vm.vmx_path))
            .part("flags", flags())
            .part("tools", tools())
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
            .part("bootOptions", boot_options())
            .with("vAssertsEnabled", Value::boolean(false))
            .with(
                "changeTrackingEnabled",
                Value::boolean(vm.change_tracking.enabled),
            )
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
                key_id(site, self.0.is_encrypted()).map(Value::Object),
            )
            .text("migrateEncryption", "opportunistic");
        setting::show(vm, &mut config);
        config
    }

    fn hardware(&self, site: &Site) -> DataObject {
        let owner = self.0.moref.trim_start_matches("vm-");
        DataObject::new("VirtualHardware")
            .with("numCPU", Value::int(int(self.0.cpus)))
            .with("numCoresPerSocket", Value::int(1))
            .with("memoryMB", Value::int(int(self.0.memory_mib)))
            .flags(false, &["virtualICH7MPresent", "virtualSMCPresent"])
            .with("device", devices(site, owner, self.0, &self.0.disks))
    }

    /// The switch for tracking shows here too ("vSphere Web Services API" 3.3).
    fn extra_config(&self, site: &Site) -> Value {
        let stem = file_stem(&self.0.vmx_path);
        let mut options = vec![option("nvram", &format!("{stem}.nvram"))];
        let tracking = &self.0.change_tracking;
        let at_once = site.behaviour.tracking_keys_at_once;
        let pending = tracking.pending.filter(|_| at_once);
        let tracking = pending.unwrap_or(tracking.enabled);
        let shown = self.0.shown_extra_config(tracking, &self.0.disks);
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

fn tools() -> DataObject {
    DataObject::new("ToolsConfigInfo")
        .with("toolsVersion", Value::int(TOOLS_VERSION))
        .flags(
            true,
            &[
                "afterPowerOn",
                "afterResume",
                "beforeGuestStandby",
                "beforeGuestShutdown",
                "syncTimeWithHostAllowed",
            ],
        )
        .text("toolsUpgradePolicy", "manual")
        .with("syncTimeWithHost", Value::boolean(false))
}

fn boot_options() -> DataObject {
    DataObject::new("VirtualMachineBootOptions")
        .with("bootDelay", Value::long(0))
        .flags(
            false,
            &["enterBIOSSetup", "efiSecureBootEnabled", "bootRetryEnabled"],
        )
        .with("bootRetryDelay", Value::long(10_000))
        .text("networkBootProtocol", "ipv4")
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
