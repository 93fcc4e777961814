//! The configuration of a VM as a snapshot keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Snapshot, Vm};

/// What a snapshot keeps of a configuration besides what it names itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenConfig {
    /// `config.guestId`.
    pub guest_id: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of virtual CPUs.
    pub cpus: u32,
    /// As in [`Vm`].
    pub scsi_controllers: Vec<u8>,
    /// As in [`Vm`].
    pub controller_types: BTreeMap<i32, String>,
    /// As in [`Vm`].
    pub extra_config: BTreeMap<String, String>,
    /// As in [`Vm`].
    pub settings: BTreeMap<String, serde_json::Value>,
    /// As in [`Vm`].
    pub other_devices: BTreeMap<i32, serde_json::Value>,
}

impl FrozenConfig {
    /// That of a VM as it is now.
    pub(crate) fn of(vm: &Vm) -> Self {
        Self {
            guest_id: vm.guest_id.clone(),
            memory_mib: vm.memory_mib,
            cpus: vm.cpus,
            scsi_controllers: vm.scsi_controllers.clone(),
            controller_types: vm.controller_types.clone(),
            extra_config: vm.extra_config.clone(),
            settings: vm.settings.clone(),
            other_devices: vm.other_devices.clone(),
        }
    }

    fn put_into(self, vm: &mut Vm) {
        vm.guest_id = self.guest_id;
        vm.memory_mib = self.memory_mib;
        vm.cpus = self.cpus;
        vm.scsi_controllers = self.scsi_controllers;
        vm.controller_types = self.controller_types;
        vm.extra_config = self.extra_config;
        vm.settings = self.settings;
        vm.other_devices = self.other_devices;
    }
}

impl Snapshot {
    /// Puts the configuration of the snapshot into its VM, without disks and power.
    pub(crate) fn put_config_into(&self, vm: &mut Vm) {
        vm.name.clone_from(&self.vm_name);
        vm.annotation.clone_from(&self.annotation);
        vm.hardware_version = self.hardware_version;
        vm.change_tracking.enabled = self.change_tracking_enabled;
        if let Some(config) = self.config.clone() {
            config.put_into(vm);
        }
    }

    /// The VM as of the snapshot.
    pub fn vm_then(&self, vm: &Vm) -> Vm {
        let mut then = vm.clone();
        self.put_config_into(&mut then);
        then.change_version.clone_from(&self.change_version);
        then.change_tracking.pending = None;
        then.disks.clone_from(&self.disks);
        then
    }
}
