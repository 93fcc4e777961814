//! Copying a VM, and turning it into a template and back.

use std::collections::BTreeMap;

use crate::{Disk, DiskChange, DiskSpec, Error, Kind, Lab, PowerState, Vm, VmChange, VmSpec};

/// A copy to make of a VM. The rest is as in the VM.
#[derive(Clone, Debug, Default)]
pub struct CloneSpec {
    /// Its name.
    pub name: String,
    /// Its inventory folder, as in a [`VmSpec`]; `None` = the VM folder itself.
    pub folder: Option<String>,
    /// Its datastore; `None` = that of the VM's .vmx file, and of each disk its own.
    pub datastore: Option<String>,
    /// The snapshot whose disks are copied; `None` = the VM as it is now.
    pub snapshot: Option<String>,
    /// Its devices besides disks and their controllers, by their key, as the server keeps them.
    pub other_devices: BTreeMap<i32, serde_json::Value>,
}

impl Lab {
    /// Makes a copy of a VM, which is off: other UUIDs, disks of its own without links below them,
    /// no snapshots, no change tracking. Disks that HotAdd attached are left out.
    ///
    /// # Errors
    ///
    /// As [`Lab::add_vm`] and [`Lab::reconfigure`]; [`Error::NotFound`] without such a VM or
    /// snapshot. Nothing of the copy is left then.
    pub fn clone_vm(&self, vm: &str, spec: CloneSpec) -> Result<Vm, Error> {
        let source = self.vm(vm)?;
        let disks = source.disks_of(spec.snapshot.as_deref())?.to_vec();
        let home = match &spec.datastore {
            Some(name) => format!("[{name}]"),
            None => source.vmx_path.split_inclusive(']').take(1).collect(),
        };
        let copy = self.add_vm(VmSpec {
            name: spec.name,
            home: Some(home),
            powered_on: false,
            hardware_version: source.hardware_version,
            folder: spec.folder,
            change_tracking_supported: source.change_tracking_supported,
            annotation: source.annotation.clone(),
            ..VmSpec::default()
        })?;
        let is_own = |key: &String| key.ends_with("ctkEnabled") || key == "nvram";
        let mut change = VmChange {
            guest_id: Some(source.guest_id.clone()),
            memory_mib: Some(source.memory_mib),
            cpus: Some(source.cpus),
            settings: source.settings.clone(),
            controllers: source.controller_types.clone(),
            extra_config: source.extra_config.clone(),
            other_devices: some(spec.other_devices),
            ..VmChange::default()
        };
        change.extra_config.retain(|key, _| !is_own(key));
        let mine = disks.iter().filter(|disk| disk.attached.is_none());
        let done = mine
            .map(|disk| self.copied(disk, spec.datastore.as_deref()))
            .collect::<Result<Vec<_>, _>>()
            .and_then(|disks| {
                change.disks = disks;
                self.reconfigure(&copy.moref, change)
            });
        if let Err(error) = done {
            self.destroy_vm(&copy.moref)?;
            return Err(error);
        }
        self.vm(&copy.moref)
    }

    /// A disk of the same content in the same place.
    fn copied(&self, disk: &Disk, datastore: Option<&str>) -> Result<DiskChange, Error> {
        let top = disk
            .top()
            .ok_or_else(|| Error::not_found(Kind::Disk, disk.device_key.to_string()))?;
        Ok(DiskChange::Add {
            spec: DiskSpec {
                capacity_bytes: disk.capacity_bytes,
                image: Some(self.path_of(&top.file)?),
                datastore: Some(datastore.unwrap_or(&disk.datastore).to_owned()),
                file: None,
                mode: disk.mode.clone(),
                bus: disk.bus(),
                controller: None,
                encrypted: disk.encrypted,
                raw_mapping: disk.raw_mapping,
                raw_physical: disk.raw_physical,
                shared_bus: disk.shared_bus,
                provisioning: disk.provisioning,
            },
            controller_key: disk.controller_key,
            unit: Some(disk.unit_number),
        })
    }

    /// Turns a VM that is off into a template, or a template into a VM.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::InvalidPowerState`] unless it is off,
    /// [`Error::Template`] for one that is a template already, [`Error::Io`].
    pub fn set_template(&self, vm: &str, is_template: bool) -> Result<(), Error> {
        self.update_vm(vm, |vm| {
            if is_template {
                vm.refuse_template()?;
            }
            if vm.power_state != PowerState::PoweredOff {
                return Err(vm.power_error(Some(PowerState::PoweredOff)));
            }
            vm.is_template = is_template;
            Ok(())
        })
    }
}

fn some(devices: BTreeMap<i32, serde_json::Value>) -> BTreeMap<i32, Option<serde_json::Value>> {
    devices
        .into_iter()
        .map(|(key, device)| (key, Some(device)))
        .collect()
}
