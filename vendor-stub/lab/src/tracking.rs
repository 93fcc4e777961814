//! Change tracking: the switch, and what a stun cycle does with it.

pub(crate) mod change_id;
pub(crate) mod keys;
pub(crate) mod map;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use vmdk::OpenOptions;

use crate::datastore_path::DatastorePath;
use crate::made::Made;
use crate::state::remove_if_there;
use crate::time::timestamp;
use crate::{Disk, Error, Lab, LinkTracking, PowerState, TrackingOverSnapshots, Vm};
use map::{MAX_SEQUENCE, Map};

/// Size of a tracking grain.
pub const GRAIN_BYTES: u64 = 64 * 1024;

/// The lowest hardware version that can track changes.
const LOWEST_HARDWARE_VERSION: u32 = 7;
/// Sequence number of a new map.
const FIRST_SEQUENCE: u32 = 1;

/// The grains a range of bytes touches.
pub(crate) fn grains_touched(offset_bytes: u64, length_bytes: u64) -> Range<u64> {
    offset_bytes / GRAIN_BYTES
        ..offset_bytes
            .saturating_add(length_bytes)
            .div_ceil(GRAIN_BYTES)
}

/// The grains of what is allocated, where a datastore gives space out by blocks.
pub(crate) fn grains_allocated(
    block_bytes: Option<u64>,
    (offset_bytes, length_bytes): (u64, u64),
    capacity_bytes: u64,
) -> Range<u64> {
    let block_bytes = block_bytes.unwrap_or(GRAIN_BYTES).max(1);
    let start = offset_bytes / block_bytes * block_bytes;
    let end = offset_bytes.saturating_add(length_bytes);
    let end = end.div_ceil(block_bytes).saturating_mul(block_bytes);
    grains_touched(start, end.min(capacity_bytes).saturating_sub(start))
}

/// Datastore path of the map that belongs to a descriptor.
pub(crate) fn ctk_of(file: &str) -> Result<String, Error> {
    let path = DatastorePath::parse(file)?;
    Ok(path
        .sibling(format!("{}-ctk.vmdk", path.stem()))
        .to_string())
}

/// Can changes of the disk be tracked? Only those of disks that take part in snapshots.
fn can_be_tracked(disk: &Disk) -> bool {
    disk.mode == "persistent" && !disk.raw_physical && !disk.shared_bus
}

impl Vm {
    /// Asks for change tracking on or off, at the next stun cycle.
    pub(crate) fn ask_for_tracking(&mut self, enabled: bool) -> Result<(), Error> {
        if enabled && !self.can_track() {
            return Err(Error::ChangeTrackingNotSupported {
                vm: self.moref.clone(),
            });
        }
        let tracking = &mut self.change_tracking;
        let differs = enabled != tracking.enabled || (enabled && tracking.by_keys);
        tracking.pending = differs.then_some(enabled);
        Ok(())
    }

    /// True for a VM whose changes can be tracked: the site can, and the hardware is not too old.
    pub fn can_track(&self) -> bool {
        self.change_tracking_supported && self.hardware_version >= LOWEST_HARDWARE_VERSION
    }

    /// Reads the VM's own key, as a power-on does: the manual way to switch tracking. What was asked
    /// for by the API since goes before it.
    fn obey_tracking_key(&mut self) {
        let Some(wanted) = self
            .tracking_key()
            .filter(|wanted| !wanted || self.can_track())
        else {
            return;
        };
        let tracking = &mut self.change_tracking;
        if tracking.pending.is_some() || wanted == tracking.enabled {
            return;
        }
        if wanted {
            tracking.enabled = true;
            tracking.by_keys = true;
        } else {
            tracking.pending = Some(false);
        }
    }
}

impl Lab {
    /// Asks for change tracking on or off. It takes effect at the next stun cycle: a snapshot
    /// made or removed, or a power-on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::ChangeTrackingNotSupported`] when it is
    /// asked to track and cannot.
    pub fn set_change_tracking(&self, vm: &str, enabled: bool) -> Result<(), Error> {
        self.update_vm(vm, |vm| vm.ask_for_tracking(enabled))
    }

    /// Sets the power state. Powering on is a stun cycle, and tracking whose map was lost starts
    /// again then, with another UUID.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::InUse`] when it is powered on while
    /// somebody has a disk of it open, [`Error::Disk`], [`Error::Io`].
    pub fn set_power_state(&self, vm: &str, state: PowerState) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let mut made = Made::default();
        let mut dropped = Vec::new();
        if state == PowerState::PoweredOn && vm.power_state != PowerState::PoweredOn {
            self.refuse_held(&vm)?;
            if vm.power_state == PowerState::PoweredOff {
                vm.obey_tracking_key();
            }
            self.restart_lost_tracking(&mut vm, &mut made)?;
            dropped = self.stun_cycle(&mut vm, &mut made)?;
        }
        if state == PowerState::PoweredOn && vm.power_state == PowerState::PoweredOff {
            vm.booted = Some(timestamp());
        }
        vm.power_state = state;
        self.store_vm(&lock, &vm)?;
        made.keep();
        if state == PowerState::PoweredOn {
            self.write_first_nvram(&vm)?;
        }
        dropped.iter().try_for_each(|path| remove_if_there(path))
    }

    /// Fails while somebody has the running link of a disk open.
    pub(crate) fn refuse_held(&self, vm: &Vm) -> Result<(), Error> {
        for link in vm.disks.iter().filter_map(Disk::top) {
            let path = self.path_of(&link.file)?;
            if self.try_merging(&path)?.is_none() {
                return Err(Error::InUse { path });
            }
        }
        Ok(())
    }

    /// Removes the maps of a VM, as a clean-up of HotAdd may do by mistake ("vSphere Web Services
    /// API" section 5.5). Queries then answer with a file fault, until a power cycle.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Io`].
    pub fn lose_tracking(&self, vm: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        self.forget_maps(&self.load_vm(vm)?)
    }

    /// Removes the maps of a VM.
    pub(crate) fn forget_maps(&self, vm: &Vm) -> Result<(), Error> {
        let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
        vm.disks
            .iter()
            .chain(frozen)
            .flat_map(|disk| &disk.chain)
            .filter_map(|link| link.tracking.as_ref())
            .try_for_each(|tracking| remove_if_there(&self.path_of(&tracking.ctk_file)?))
    }

    /// Starts the tracking of disks again whose map is gone.
    pub(crate) fn restart_lost_tracking(&self, vm: &mut Vm, made: &mut Made) -> Result<(), Error> {
        for disk in &mut vm.disks {
            let Some(link) = disk.chain.last_mut() else {
                continue;
            };
            if let Some(tracking) = &link.tracking
                && !self.path_of(&tracking.ctk_file)?.exists()
            {
                link.tracking = None;
                self.start_tracking(disk, made)?;
            }
        }
        Ok(())
    }

    /// Lets a pending switch take effect, of the VM or of a disk by its key; disks that came since are
    /// tracked from now on. Returns the maps to remove once the VM is stored.
    pub(crate) fn stun_cycle(&self, vm: &mut Vm, made: &mut Made) -> Result<Vec<PathBuf>, Error> {
        let mut dropped = Vec::new();
        let pending = vm.change_tracking.pending.take();
        let enabled = match pending {
            Some(enabled) => enabled,
            None if vm.change_tracking.enabled => true,
            None => return Ok(dropped),
        };
        if pending.is_some() {
            vm.drop_tracking_keys(enabled);
            vm.change_tracking.by_keys = false;
        }
        let wanted: Vec<bool> = vm
            .disks
            .iter()
            .map(|disk| enabled && vm.wants_tracked(disk))
            .collect();
        for (disk, wanted) in vm.disks.iter_mut().zip(wanted) {
            if wanted {
                self.start_tracking(disk, made)?;
            } else if let Some(tracking) =
                disk.chain.last_mut().and_then(|link| link.tracking.take())
            {
                dropped.push(self.path_of(&tracking.ctk_file)?);
            }
        }
        vm.change_tracking.enabled = enabled;
        Ok(dropped)
    }

    /// Makes the first map of a disk, filled with what is allocated at this moment.
    fn start_tracking(&self, disk: &mut Disk, made: &mut Made) -> Result<(), Error> {
        let site = self.load_site()?;
        let behaviour = site.behaviour.tracking_over_snapshots;
        let block_bytes = site.block_bytes(&disk.datastore);
        let over_snapshots = disk.chain.len() > 1;
        let (trackable, capacity_bytes) = (can_be_tracked(disk), disk.capacity_bytes);
        let Some(link) = disk
            .chain
            .last_mut()
            .filter(|link| trackable && link.tracking.is_none())
        else {
            return Ok(());
        };
        let uuid = change_id::new_uuid()?;
        let ctk_file = ctk_of(&link.file)?;
        let path = self.path_of(&ctk_file)?;
        made.add(&path);
        let map = Map::create(&path, capacity_bytes, &uuid)?;
        let descriptor = self.path_of(&link.file)?;
        if disk.provisioning.is_all_allocated() {
            map.mark(grains_touched(0, capacity_bytes), FIRST_SEQUENCE)?;
        }
        let runs = vmdk::Disk::open(&descriptor, OpenOptions::default())
            .and_then(|disk| disk.allocated(0, disk.capacity_sectors()))
            .map_err(Error::disk("map", &descriptor))?;
        for run in runs {
            let (start, length) = (
                run.start_sector * vmdk::SECTOR_BYTES,
                run.sectors * vmdk::SECTOR_BYTES,
            );
            let grains = grains_allocated(block_bytes, (start, length), capacity_bytes);
            map.mark(grains, FIRST_SEQUENCE)?;
        }
        link.tracking = Some(LinkTracking {
            uuid,
            sequence: FIRST_SEQUENCE,
            ctk_file,
            untracked_from_bytes: None,
            shifted: false,
            incomplete: over_snapshots && behaviour == TrackingOverSnapshots::Incomplete,
        });
        if over_snapshots && behaviour == TrackingOverSnapshots::FileFault {
            remove_if_there(&path)?;
        }
        Ok(())
    }

    /// The tracking of a child made over a link: the same map, the next sequence number.
    pub(crate) fn continue_tracking(
        &self,
        parent: &LinkTracking,
        child_file: &str,
        device_key: i32,
        made: &mut Made,
    ) -> Result<LinkTracking, Error> {
        if parent.sequence >= MAX_SEQUENCE {
            return Err(Error::SequenceExhausted { device_key });
        }
        let ctk_file = ctk_of(child_file)?;
        let (from, to) = (self.path_of(&parent.ctk_file)?, self.path_of(&ctk_file)?);
        // A map that was lost stays lost.
        if from.exists() {
            made.add(&to);
            fs::copy(&from, &to).map_err(Error::io("copy", from))?;
        }
        Ok(LinkTracking {
            uuid: parent.uuid.clone(),
            sequence: parent.sequence + 1,
            ctk_file,
            incomplete: parent.incomplete,
            untracked_from_bytes: parent.untracked_from_bytes,
            shifted: parent.shifted,
        })
    }

    /// Marks a range of a disk as written, if the disk is tracked.
    pub(crate) fn mark_written(
        &self,
        disk: &Disk,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<(), Error> {
        let Some(tracking) = disk.top().and_then(|link| link.tracking.as_ref()) else {
            return Ok(());
        };
        let path = self.path_of(&tracking.ctk_file)?;
        if !path.exists() {
            return Ok(());
        }
        let map = Map::open(&path, disk.capacity_bytes, &tracking.uuid)?;
        let end = offset_bytes.saturating_add(length_bytes);
        let end = end.min(tracking.untracked_from_bytes.unwrap_or(u64::MAX));
        let length_bytes = end.saturating_sub(offset_bytes);
        if length_bytes == 0 {
            return Ok(());
        }
        map.mark(
            grains_touched(offset_bytes, length_bytes),
            tracking.sequence,
        )
    }
}
