//! A VM while it is read, property by property.

use std::collections::HashSet;

use super::{ManagedBy, PowerState, Vm, hardware_version, read_key_id, unescape_name};
use crate::vsphere::device::{Controller, Device, read_device};
use crate::vsphere::disk::Disk;
use crate::vsphere::moref::Moref;
use crate::vsphere::property::Properties;
use crate::vsphere::snapshot::read_tree;
use crate::vsphere::task::TaskRef;
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// A VM while it is read.
#[derive(Debug, Default)]
pub(in crate::vsphere) struct VmProperties {
    pub(in crate::vsphere) vm: Vm,
    pub(in crate::vsphere) parent: Option<Moref>,
    devices: Vec<Device>,
    /// By the settings, a file name without a folder.
    nvram_setting: Option<String>,
}

impl VmProperties {
    /// The VM, once every property is taken.
    pub(in crate::vsphere) fn into_vm(self) -> Result<Vm, XmlError> {
        let mut vm = self.vm;
        let mut controllers: Vec<Controller> = self
            .devices
            .iter()
            .filter_map(|device| device.controller.clone())
            .collect();
        vm.has_virtual_tpm = self.devices.iter().any(|device| device.is_tpm);
        let cards = self.devices.iter().filter_map(|device| device.card.clone());
        vm.network_cards = cards.collect();
        vm.network_cards.sort_by_key(|card| card.device_key);
        vm.disks = Disk::from_devices(self.devices)?;
        // Keyboards and buses have controllers too.
        let used: HashSet<i32> = vm
            .disks
            .iter()
            .filter_map(|disk| Some(disk.controller.as_ref()?.key))
            .collect();
        controllers
            .retain(|controller| controller.kind.is_known() || used.contains(&controller.key));
        vm.controllers = controllers;
        if vm.nvram_path.is_none() {
            vm.nvram_path = self
                .nvram_setting
                .and_then(|name| beside(vm.vmx_path.as_deref()?, &name));
        }
        Ok(vm)
    }

    /// Takes a member of `config`.
    fn take_config(&mut self, name: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        let vm = &mut self.vm;
        match name {
            "name" => vm.name = unescape_name(&r.text(value)?),
            "uuid" => vm.bios_uuid = Some(r.text(value)?),
            "instanceUuid" => vm.instance_uuid = Some(r.text(value)?),
            "version" => vm.hardware_version = hardware_version(&r.text(value)?),
            "changeVersion" => vm.change_version = Some(r.text(value)?),
            "changeTrackingEnabled" => vm.change_tracking_enabled = Some(r.boolean(value)?),
            "template" => vm.is_template = r.boolean(value)?,
            "files" => vm.vmx_path = read_member(r, value, "vmPathName")?,
            "hardware" => r.children(value, |r, tag| match tag.name.as_str() {
                "device" => self.take_device(r, tag),
                _ => Ok(()),
            })?,
            "hardware.device" => r.children(value, |r, tag| self.take_device(r, tag))?,
            "extraConfig" if value.xsi_type.as_deref() == Some("ArrayOfOptionValue") => {
                r.children(value, |r, tag| self.take_setting(r, tag))?;
            }
            "extraConfig" => self.take_setting(r, value)?,
            "keyId" => {
                vm.is_encrypted = true;
                vm.encryption.key = Some(read_key_id(r, value)?);
            }
            "managedBy" => vm.managed_by = Some(read_managed_by(r, value)?),
            "firmware" => vm.firmware = Some(r.text(value)?),
            "guestId" => vm.guest.configured_id = Some(r.text(value)?),
            "guestFullName" => vm.guest.configured_name = Some(r.text(value)?),
            _ => {}
        }
        Ok(())
    }

    /// Takes a member of `runtime`.
    fn take_runtime(
        &mut self,
        name: &str,
        r: &mut Reader<'_>,
        value: &Tag,
    ) -> Result<(), XmlError> {
        let vm = &mut self.vm;
        match name {
            "powerState" => vm.power_state = PowerState::from_text(r.text(value)?),
            "connectionState" => vm.connection_state = r.text(value)?,
            "host" => vm.host = Some(r.moref(value)?),
            "consolidationNeeded" => vm.consolidation_needed = Some(r.boolean(value)?),
            "snapshotInBackground" => vm.snapshot_in_background = Some(r.boolean(value)?),
            "cryptoState" => vm.encryption.state = Some(r.text(value)?),
            "question" => vm.question = read_member(r, value, "text")?,
            "faultToleranceState" => vm.fault_tolerance_state = Some(r.text(value)?),
            _ => {}
        }
        Ok(())
    }

    /// Takes a member of `capability`.
    fn take_capability(
        &mut self,
        name: &str,
        r: &mut Reader<'_>,
        value: &Tag,
    ) -> Result<(), XmlError> {
        let vm = &mut self.vm;
        let place = match name {
            "changeTrackingSupported" => &mut vm.change_tracking_supported,
            "snapshotOperationsSupported" => &mut vm.capability.snapshots,
            "quiescedSnapshotsSupported" => &mut vm.capability.quiesced_snapshots,
            "diskOnlySnapshotOnSuspendedVMSupported" => {
                &mut vm.capability.disk_only_snapshot_while_suspended
            }
            _ => return Ok(()),
        };
        *place = Some(r.boolean(value)?);
        Ok(())
    }

    fn take_device(&mut self, r: &mut Reader<'_>, tag: &Tag) -> Result<(), XmlError> {
        self.devices.push(read_device(r, tag)?);
        Ok(())
    }

    /// Keeps what is known of an extra setting, and forgets the others: some hold secrets.
    fn take_setting(&mut self, r: &mut Reader<'_>, tag: &Tag) -> Result<(), XmlError> {
        let (mut key, mut value) = (String::new(), String::new());
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "key" => key = r.text(tag)?,
                "value" => value = r.leaf(tag)?.unwrap_or_default(),
                _ => {}
            }
            Ok(())
        })?;
        self.vm.tracking_keys.note(&key, &value);
        match key.as_str() {
            "encryption.bundle" => self.vm.encryption.has_bundle = !value.is_empty(),
            "nvram" if !value.is_empty() => self.nvram_setting = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// Takes one file of `layoutEx`: only the one of type `nvram` counts.
    fn take_file(&mut self, r: &mut Reader<'_>, tag: &Tag) -> Result<(), XmlError> {
        let (mut name, mut kind) = (String::new(), String::new());
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "name" => name = r.text(tag)?,
                "type" => kind = r.text(tag)?,
                _ => {}
            }
            Ok(())
        })?;
        if kind == "nvram" && !name.is_empty() {
            self.vm.nvram_path = Some(name);
        }
        Ok(())
    }

    fn take_top(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        let vm = &mut self.vm;
        match path {
            "name" => vm.name = unescape_name(&r.text(value)?),
            "parent" => self.parent = Some(r.moref(value)?),
            "parentVApp" => vm.parent_vapp = Some(r.moref(value)?),
            "resourcePool" => vm.resource_pool = Some(r.moref(value)?),
            "datastore" => r.children(value, |r, tag| {
                vm.datastores.push(r.moref(tag)?);
                Ok(())
            })?,
            "snapshot" => vm.snapshots = read_tree(r, value)?,
            "disabledMethod" => r.children(value, |r, tag| {
                vm.disabled_methods.push(r.text(tag)?);
                Ok(())
            })?,
            "recentTask" => r.children(value, |r, tag| {
                vm.recent_tasks.push(TaskRef(r.moref(tag)?));
                Ok(())
            })?,
            "layoutEx" => r.children(value, |r, tag| match tag.name.as_str() {
                "file" => self.take_file(r, tag),
                _ => Ok(()),
            })?,
            "layoutEx.file" => r.children(value, |r, tag| self.take_file(r, tag))?,
            // A whole part, as the accessor of one property gives it.
            "config" | "runtime" | "capability" | "guest" => r.children(value, |r, tag| {
                self.take_below(path, tag.name.as_str(), r, tag)
            })?,
            _ => {}
        }
        Ok(())
    }

    fn take_below(
        &mut self,
        part: &str,
        name: &str,
        r: &mut Reader<'_>,
        value: &Tag,
    ) -> Result<(), XmlError> {
        match part {
            "config" => self.take_config(name, r, value),
            "runtime" => self.take_runtime(name, r, value),
            "capability" => self.take_capability(name, r, value),
            "guest" => self.vm.guest.take(name, r, value),
            _ => Ok(()),
        }
    }
}

impl Properties for VmProperties {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        match path.split_once('.') {
            Some((part @ ("config" | "runtime" | "capability" | "guest"), name)) => {
                self.take_below(part, name, r, value)
            }
            _ => self.take_top(path, r, value),
        }
    }
}

/// The text of one member of a structure.
fn read_member(r: &mut Reader<'_>, tag: &Tag, name: &str) -> Result<Option<String>, XmlError> {
    let mut text = None;
    r.children(tag, |r, tag| {
        if tag.name == name {
            text = Some(r.text(tag)?);
        }
        Ok(())
    })?;
    Ok(text)
}

fn read_managed_by(r: &mut Reader<'_>, tag: &Tag) -> Result<ManagedBy, XmlError> {
    let mut by = ManagedBy::default();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "extensionKey" => by.extension_key = r.text(tag)?,
            "type" => by.kind = r.text(tag)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(by)
}

/// The file `name` in the folder of `vmx_path`. A setting that is a path of another kind is
/// not understood.
fn beside(vmx_path: &str, name: &str) -> Option<String> {
    if name.starts_with('[') {
        return Some(name.to_owned());
    }
    if name.contains('/') {
        return None;
    }
    let folder = match vmx_path.rfind('/') {
        Some(end) => vmx_path.get(..=end)?,
        None => vmx_path.get(..vmx_path.find("] ")? + 2)?,
    };
    Some(format!("{folder}{name}"))
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn nvram_lies_beside_the_configuration() {
        let vmx = "[ds 1] app01/app01.vmx";
        let at = |name| beside(vmx, name);
        assert_eq!(at("app01.nvram").unwrap(), "[ds 1] app01/app01.nvram");
        assert_eq!(at("[other] x.nvram").unwrap(), "[other] x.nvram");
        assert_eq!(at("/vmfs/volumes/x/a.nvram"), None);
        assert_eq!(beside("[ds] a.vmx", "a.nvram").unwrap(), "[ds] a.nvram");
        assert_eq!(beside("odd", "a.nvram"), None);
    }
}
