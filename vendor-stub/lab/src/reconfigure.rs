//! Changing the configuration of a VM.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::datastore_path::check_name;
use crate::made::Made;
use crate::provision::{check_mode, refuse_taken};
use crate::slot::Slot;
use crate::state::remove_if_there;
use crate::time::timestamp;
use crate::tracking::keys::key_of;
use crate::{Bus, Disk, DiskSpec, Error, Kind, Lab, Site, Vm};

/// A change of a disk.
#[derive(Clone, Debug)]
pub enum DiskChange {
    /// A new disk; the bus of the specification is that of the controller.
    Add {
        /// What to make.
        spec: DiskSpec,
        /// Key of its controller, which comes with it when there is none.
        controller_key: i32,
        /// Unit there; `None` = the first that is free.
        unit: Option<i32>,
    },
    /// A disk that exists on a datastore is attached.
    Attach {
        /// Datastore path of its descriptor.
        file: String,
        /// One of the modes of `VirtualDiskMode`.
        mode: String,
        /// Key of its controller, which comes with it when there is none.
        controller_key: i32,
        /// Unit there; `None` = the first that is free.
        unit: Option<i32>,
    },
    /// A disk becomes larger. Not while the VM has snapshots.
    Grow {
        /// Device key of the disk.
        device_key: i32,
        /// Its new capacity, a multiple of 512.
        capacity_bytes: u64,
    },
    /// A disk takes another part in snapshots. Not while the VM has snapshots.
    SetMode {
        /// Device key of the disk.
        device_key: i32,
        /// One of the modes of `VirtualDiskMode`.
        mode: String,
    },
    /// A disk is taken away. Its controller stays.
    Remove {
        /// Device key of the disk.
        device_key: i32,
        /// Are its files deleted?
        destroy: bool,
    },
}

/// A change of a VM. What is `None` or empty stays.
#[derive(Clone, Debug, Default)]
pub struct VmChange {
    /// Another name.
    pub name: Option<String>,
    /// Other notes.
    pub annotation: Option<String>,
    /// Another guest id.
    pub guest_id: Option<String>,
    /// Another BIOS UUID.
    pub bios_uuid: Option<String>,
    /// Another instance UUID. One that another VM has is not taken.
    pub instance_uuid: Option<String>,
    /// A newer hardware version, of a VM that is off.
    pub hardware_version: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Number of virtual CPUs.
    pub cpus: Option<u32>,
    /// Entries of `extraConfig`; an empty value takes one away.
    pub extra_config: BTreeMap<String, String>,
    /// Types of controllers that are added, by their key.
    pub controllers: BTreeMap<i32, String>,
    /// Keys of controllers that are taken away, once the disks are changed. None has a disk then.
    pub removed_controllers: BTreeSet<i32>,
    /// Settings besides those that have a place of their own, by their names in a specification, as
    /// the server keeps them; they take the place of those of the same name.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Devices besides disks and their controllers, by their key, as the server keeps them; `None`
    /// takes one away.
    pub other_devices: BTreeMap<i32, Option<serde_json::Value>>,
    /// Changes of disks, in order.
    pub disks: Vec<DiskChange>,
    /// Is change tracking asked for? It takes effect at the next stun cycle.
    pub change_tracking: Option<bool>,
}

impl Lab {
    /// Changes a VM, in all parts or in none.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, disk, file or datastore, [`Error::DuplicateName`],
    /// [`Error::AlreadyExists`] for a file that is there, [`Error::InvalidName`],
    /// [`Error::InvalidSpec`], [`Error::InUse`] for a disk that somebody has open,
    /// [`Error::Locked`] for one that a running VM has,
    /// [`Error::InvalidPowerState`] and [`Error::AlreadyUpgraded`] for a hardware version,
    /// [`Error::ChangeTrackingNotSupported`], [`Error::Disk`], [`Error::Io`].
    pub fn reconfigure(&self, vm: &str, mut change: VmChange) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let site = self.load_site()?;
        if let Some(name) = change.name.take()
            && name != vm.name
        {
            check_name(&name)?;
            refuse_taken(&self.names()?, &vm.folder, &name)?;
            vm.name = name;
        }
        if let Some(enabled) = change.change_tracking {
            vm.ask_for_tracking(enabled)?;
        }
        if let Some(version) = change.hardware_version
            && version != vm.hardware_version
        {
            vm.upgrade_hardware(version)?;
        }
        if let Some(uuid) = change.instance_uuid.take() {
            let mut vms = self.load_vms()?.into_iter();
            if !vms.any(|other| other.instance_uuid == uuid) {
                vm.instance_uuid = uuid;
            }
        }
        let disks = std::mem::take(&mut change.disks);
        let removed = std::mem::take(&mut change.removed_controllers);
        vm.take_settings(change);
        let (mut made, mut dropped) = (Made::default(), Vec::new());
        for disk in disks {
            dropped.extend(self.apply(&site, &mut vm, disk, &mut made)?);
        }
        vm.remove_controllers(&removed)?;
        vm.change_version = timestamp();
        self.store_vm(&lock, &vm)?;
        made.keep();
        self.write_vmx(&vm)?;
        dropped.iter().try_for_each(|path| remove_if_there(path))
    }

    /// Changes one disk. Returns the files to remove once the VM is stored.
    fn apply(
        &self,
        site: &Site,
        vm: &mut Vm,
        change: DiskChange,
        made: &mut Made,
    ) -> Result<Vec<PathBuf>, Error> {
        match change {
            DiskChange::Add {
                spec,
                controller_key,
                unit,
            } => {
                let slot = free_slot(vm, controller_key, unit)?;
                let disk = self.make_disk(site, vm, &slot, &spec, made)?;
                vm.disks.push(disk);
            }
            DiskChange::Attach {
                file,
                mode,
                controller_key,
                unit,
            } => {
                let slot = free_slot(vm, controller_key, unit)?;
                let disk = self.existing_disk(site, vm, &slot, (&file, &mode))?;
                vm.disks.push(disk);
            }
            DiskChange::Grow {
                device_key,
                capacity_bytes,
            } => self.grow_disk(&site.behaviour, vm, device_key, capacity_bytes, made)?,
            DiskChange::SetMode { device_key, mode } => vm.set_disk_mode(device_key, mode)?,
            DiskChange::Remove {
                device_key,
                destroy,
            } => {
                self.refuse_held(vm)?;
                let disk = take_disk(vm, device_key)?;
                vm.extra_config.remove(&key_of(&disk));
                vm.keep_controller(disk.controller_key);
                if destroy {
                    return self.files_of_disk(vm, &disk);
                }
            }
        }
        Ok(Vec::new())
    }

    /// The files of a disk that was taken away, without those that a snapshot needs.
    fn files_of_disk(&self, vm: &Vm, disk: &Disk) -> Result<Vec<PathBuf>, Error> {
        let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
        let needed: BTreeSet<&str> = frozen
            .flat_map(|disk| &disk.chain)
            .map(|link| link.file.as_str())
            .collect();
        let mut files = Vec::new();
        for link in &disk.chain {
            if !needed.contains(link.file.as_str()) {
                files.extend(self.files_of_link(&link.file)?);
            }
        }
        Ok(files)
    }
}

impl Vm {
    /// Takes over what has nothing to do with files.
    fn take_settings(&mut self, change: VmChange) {
        if let Some(annotation) = change.annotation {
            self.annotation = annotation;
        }
        if let Some(guest_id) = change.guest_id {
            self.guest_id = guest_id;
        }
        if let Some(bios_uuid) = change.bios_uuid {
            self.bios_uuid = bios_uuid;
        }
        self.memory_mib = change.memory_mib.unwrap_or(self.memory_mib);
        self.cpus = change.cpus.unwrap_or(self.cpus);
        for (key, value) in change.extra_config {
            if value.is_empty() {
                self.extra_config.remove(&key);
            } else {
                self.extra_config.insert(key, value);
            }
        }
        self.settings.extend(change.settings);
        self.controller_types.extend(change.controllers);
        for (key, device) in change.other_devices {
            match device {
                Some(device) => self.other_devices.insert(key, device),
                None => self.other_devices.remove(&key),
            };
        }
    }
}

/// What happens to controllers and modes.
impl Vm {
    /// Keeps a controller whose disks go.
    fn keep_controller(&mut self, key: i32) {
        if let Some(bus) = Bus::of_controller(key).filter(|bus| *bus != Bus::Ide) {
            let usual = || bus.controller_type().to_owned();
            self.controller_types.entry(key).or_insert_with(usual);
        }
    }

    /// Takes controllers away that have no disks.
    fn remove_controllers(&mut self, keys: &BTreeSet<i32>) -> Result<(), Error> {
        if let Some(disk) = self
            .disks
            .iter()
            .find(|disk| keys.contains(&disk.controller_key))
        {
            return Err(Error::InvalidSpec {
                what: "controllerKey",
                reason: format!("{} is on a controller that shall go", disk.label),
            });
        }
        self.controller_types.retain(|key, _| !keys.contains(key));
        let scsi = |number: &u8| Bus::Scsi.controller_key(i32::from(*number));
        self.scsi_controllers
            .retain(|number| !keys.contains(&scsi(number)));
        Ok(())
    }

    fn set_disk_mode(&mut self, key: i32, mode: String) -> Result<(), Error> {
        check_mode(&mode)?;
        if !self.snapshots.is_empty() {
            return Err(Error::InvalidSpec {
                what: "diskMode",
                reason: "the VM has snapshots".into(),
            });
        }
        let disk = self.disks.iter_mut().find(|disk| disk.device_key == key);
        disk.ok_or_else(|| Error::not_found(Kind::Disk, key.to_string()))?
            .mode = mode;
        Ok(())
    }
}

/// The slot a new disk goes to.
fn free_slot(vm: &Vm, controller_key: i32, unit: Option<i32>) -> Result<Slot, Error> {
    let refuse = |reason: &str| Error::InvalidSpec {
        what: "controllerKey",
        reason: reason.into(),
    };
    let bus = Bus::of_controller(controller_key).ok_or_else(|| refuse("no such controller"))?;
    let taken = |slot: &Slot| {
        let mut disks = vm.disks.iter();
        disks.any(|disk| {
            (disk.controller_key, disk.unit_number) == (slot.controller_key, slot.unit_number)
        })
    };
    Slot::all(bus)
        .filter(|slot| slot.controller_key == controller_key)
        .find(|slot| unit.is_none_or(|unit| unit == slot.unit_number) && !taken(slot))
        .ok_or_else(|| refuse("no such unit, or it is taken"))
}

fn take_disk(vm: &mut Vm, key: i32) -> Result<Disk, Error> {
    let position = vm.disks.iter().position(|disk| disk.device_key == key);
    let position = position.ok_or_else(|| Error::not_found(Kind::Disk, key.to_string()))?;
    Ok(vm.disks.remove(position))
}
