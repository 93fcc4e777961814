//! Growing disks, rightly and as some releases do.

use std::path::Path;

use crate::made::Made;
use crate::tracking::map::Map;
use crate::{Behaviour, Error, Kind, Lab, PowerState, Vm};

/// Where growing a disk went wrong on ESXi 4 and 5.
const GROWTH_BORDER_BYTES: u64 = 128 << 30;

impl Lab {
    /// Makes a disk of a VM larger.
    pub(crate) fn grow_disk(
        &self,
        behaviour: &Behaviour,
        vm: &mut Vm,
        key: i32,
        capacity_bytes: u64,
        made: &mut Made,
    ) -> Result<(), Error> {
        let has_snapshots = !vm.snapshots.is_empty();
        let is_on = vm.power_state == PowerState::PoweredOn;
        let disk = vm.disks.iter_mut().find(|disk| disk.device_key == key);
        let disk = disk.ok_or_else(|| Error::not_found(Kind::Disk, key.to_string()))?;
        let before = disk.capacity_bytes;
        check_growth(before, capacity_bytes)?;
        if has_snapshots {
            return refuse("the VM has snapshots");
        }
        if capacity_bytes == before {
            return Ok(());
        }
        let Some(link) = disk.chain.last_mut() else {
            return Ok(());
        };
        let path = self.path_of(&link.file)?;
        grow_files(&path, capacity_bytes, made)?;
        disk.capacity_bytes = capacity_bytes;
        if let Some(tracking) = &mut link.tracking {
            let map = self.path_of(&tracking.ctk_file)?;
            let forget = is_on && behaviour.hot_growth_is_not_tracked;
            if map.exists() {
                made.about_to_write(&map)?;
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
}

/// Refuses a capacity that a disk cannot grow to.
pub(crate) fn check_growth(before: u64, capacity_bytes: u64) -> Result<(), Error> {
    if capacity_bytes < before || !capacity_bytes.is_multiple_of(vmdk::SECTOR_BYTES) {
        return refuse("a disk only grows, by whole sectors");
    }
    Ok(())
}

/// Makes the files of a disk larger.
pub(crate) fn grow_files(path: &Path, capacity_bytes: u64, made: &mut Made) -> Result<(), Error> {
    made.about_to_write(path)?;
    let flat = path
        .to_str()
        .and_then(|text| text.strip_suffix(".vmdk"))
        .map(|stem| format!("{stem}-flat.vmdk"));
    if let Some(flat) = flat.filter(|flat| Path::new(flat).is_file()) {
        made.about_to_extend(flat)?;
    }
    let sectors = capacity_bytes / vmdk::SECTOR_BYTES;
    vmdk::grow(path, sectors, true, &mut |_, _| {}).map_err(Error::disk("grow", path))
}

fn refuse<T>(reason: &str) -> Result<T, Error> {
    Err(Error::InvalidSpec {
        what: "capacityInBytes",
        reason: reason.into(),
    })
}
