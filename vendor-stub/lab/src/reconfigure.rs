//! Changing the configuration of a VM, and taking a VM away.

use std::collections::BTreeMap;
use std::fs;

use crate::datastore_path::{DatastorePath, check_name};
use crate::made::Made;
use crate::slot::Slot;
use crate::state::remove_if_there;
use crate::tracking::map::Map;
use crate::{Bus, Disk, DiskSpec, Error, Kind, Lab, PowerState, Vm};

/// Where growing a disk went wrong on ESXi 4 and 5.
const GROWTH_BORDER_BYTES: u64 = 128 << 30;

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
    /// A disk becomes larger. Not while the VM has snapshots.
    Grow {
        /// Device key of the disk.
        device_key: i32,
        /// Its new capacity, a multiple of 512.
        capacity_bytes: u64,
    },
    /// A disk is taken away.
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
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Number of virtual CPUs.
    pub cpus: Option<u32>,
    /// Entries of `extraConfig`; an empty value takes one away.
    pub extra_config: BTreeMap<String, String>,
    /// Types of controllers that are added, by their key.
    pub controllers: BTreeMap<i32, String>,
    /// Changes of disks, in order.
    pub disks: Vec<DiskChange>,
}

impl Lab {
    /// Changes a VM. When a part fails, the parts before it stay undone in the configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, disk or datastore, [`Error::AlreadyExists`] for a name
    /// or a unit that is taken, [`Error::InvalidName`], [`Error::InvalidSpec`], [`Error::InUse`] for
    /// a disk that somebody has open, [`Error::Disk`], [`Error::Io`].
    pub fn reconfigure(&self, vm: &str, change: VmChange) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let site = self.load_site()?;
        if let Some(name) = change.name {
            check_name(&name)?;
            let all = self.load_vms()?;
            if all
                .iter()
                .any(|other| other.name == name && other.moref != vm.moref)
            {
                return Err(Error::AlreadyExists {
                    kind: Kind::Vm,
                    id: name,
                });
            }
            vm.name = name;
        }
        vm.annotation = change.annotation.unwrap_or(vm.annotation);
        vm.guest_id = change.guest_id.unwrap_or(vm.guest_id);
        vm.bios_uuid = change.bios_uuid.unwrap_or(vm.bios_uuid);
        vm.memory_mib = change.memory_mib.unwrap_or(vm.memory_mib);
        vm.cpus = change.cpus.unwrap_or(vm.cpus);
        for (key, value) in change.extra_config {
            if value.is_empty() {
                vm.extra_config.remove(&key);
            } else {
                vm.extra_config.insert(key, value);
            }
        }
        vm.controller_types.extend(change.controllers);
        let (mut made, mut dropped) = (Made::default(), Vec::new());
        for disk in change.disks {
            match disk {
                DiskChange::Add {
                    spec,
                    controller_key,
                    unit,
                } => {
                    let slot = free_slot(&vm, controller_key, unit)?;
                    let disk = self.make_next_disk(&site, &vm, &slot, &spec, &mut made)?;
                    vm.disks.push(disk);
                }
                DiskChange::Grow {
                    device_key,
                    capacity_bytes,
                } => self.grow_disk(&mut vm, device_key, capacity_bytes)?,
                DiskChange::Remove {
                    device_key,
                    destroy,
                } => {
                    self.refuse_held(&vm)?;
                    let disk = take_disk(&mut vm, device_key)?;
                    if destroy {
                        for link in &disk.chain {
                            dropped.extend(self.files_of_link(&link.file)?);
                        }
                    }
                }
            }
        }
        vm.change_version = jiff::Timestamp::now().to_string();
        self.store_vm(&lock, &vm)?;
        made.keep();
        dropped.iter().try_for_each(|path| remove_if_there(path))
    }

    fn grow_disk(&self, vm: &mut Vm, key: i32, capacity_bytes: u64) -> Result<(), Error> {
        let has_snapshots = !vm.snapshots.is_empty();
        let is_on = vm.power_state == PowerState::PoweredOn;
        let behaviour = self.load_site()?.behaviour;
        let disk = vm.disks.iter_mut().find(|disk| disk.device_key == key);
        let disk = disk.ok_or_else(|| Error::not_found(Kind::Disk, key.to_string()))?;
        let before = disk.capacity_bytes;
        let refuse = |reason: &str| {
            Err(Error::InvalidSpec {
                what: "capacityInBytes",
                reason: reason.into(),
            })
        };
        if capacity_bytes < before || !capacity_bytes.is_multiple_of(vmdk::SECTOR_BYTES) {
            return refuse("a disk only grows, by whole sectors");
        }
        if has_snapshots {
            return refuse("the VM has snapshots");
        }
        let Some(link) = disk.chain.last_mut() else {
            return Ok(());
        };
        let path = self.path_of(&link.file)?;
        let sectors = capacity_bytes / vmdk::SECTOR_BYTES;
        vmdk::grow(&path, sectors, true, &mut |_, _| {}).map_err(Error::disk("grow", path))?;
        disk.capacity_bytes = capacity_bytes;
        if let Some(tracking) = &mut link.tracking {
            let map = self.path_of(&tracking.ctk_file)?;
            let forget = is_on && behaviour.hot_growth_is_not_tracked;
            if map.exists() {
                let new = (!forget).then_some(tracking.sequence);
                Map::resize(&map, (before, capacity_bytes), &tracking.uuid, new)?;
            }
            if forget {
                tracking.untracked_from_bytes.get_or_insert(before);
            }
            tracking.shifted |= behaviour.growth_over_128_gib_shifts_areas
                && before / GROWTH_BORDER_BYTES != capacity_bytes / GROWTH_BORDER_BYTES;
        }
        Ok(())
    }

    /// Takes a VM out of the inventory; its files stay.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::InvalidPowerState`] unless it is off.
    pub fn unregister_vm(&self, vm: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let vm = self.load_vm(vm)?;
        if vm.power_state != PowerState::PoweredOff {
            return Err(vm.power_error(Some(PowerState::PoweredOff)));
        }
        let mut site = self.load_site()?;
        if site.custom_values.remove(&vm.moref).is_some() {
            self.store_site(&lock, &site)?;
        }
        remove_if_there(&self.vm_file(&vm.moref))
    }

    /// Deletes a VM with its folder and all its disks.
    ///
    /// # Errors
    ///
    /// As [`Lab::unregister_vm`]; [`Error::InUse`] while somebody has a disk open.
    pub fn destroy_vm(&self, vm: &str) -> Result<(), Error> {
        let found = self.vm(vm)?;
        self.refuse_held(&found)?;
        self.unregister_vm(vm)?;
        for disk in found.disks.iter().filter(|disk| disk.attached.is_none()) {
            for link in &disk.chain {
                for file in self.files_of_link(&link.file)? {
                    remove_if_there(&file)?;
                }
            }
        }
        let vmx = DatastorePath::parse(&found.vmx_path)?.under(self.root());
        let Some(folder) = vmx.parent().filter(|folder| folder.is_dir()) else {
            return Ok(());
        };
        fs::remove_dir_all(folder).map_err(Error::io("remove", folder))
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
