//! The largest disk a VM can have, with little on it, but all over it: what it takes of memory.

use lab::{DiskSpec, VmSpec};

use super::bed::{Bed, DISK, folder_in_memory};
use crate::bench::process::Measured;
use crate::workspace::Build;

pub(super) const FULL: &str = "62 TiB, full";
pub(super) const INCREMENT: &str = "62 TiB, spots all over it changed";

const NAME: &str = "largest";
const CAPACITY_BYTES: u64 = 62 << 40;
/// So often something is written before the full, and again before the increment.
const SPOTS: u64 = 16 * 1024;
const SPOT_BYTES: u64 = 4096;
/// A spot is a page of the disk, and pages of the maps of changes, in the files of the lab; then the repository and what
/// is restored.
const ROOM_BYTES: u64 = 4 << 30;

/// A full and an increment, in files in memory: no file of a usual file system is so long. `None`, said aloud, where
/// there is too little of it.
pub(super) fn back_up(build: &Build) -> anyhow::Result<Option<[Measured; 2]>> {
    let Some(folder) = folder_in_memory(ROOM_BYTES, "the disk of 62 TiB")? else {
        return Ok(None);
    };
    let bed = Bed::of(folder.path(), build, |lab| {
        let disk = DiskSpec {
            capacity_bytes: CAPACITY_BYTES,
            ..DiskSpec::default()
        };
        lab.add_vm(VmSpec {
            name: NAME.to_owned(),
            disks: vec![disk],
            ..VmSpec::default()
        })?;
        Ok(())
    })?;
    let vms = bed.stage.lab.vms()?;
    let write = |turn| {
        for (offset_bytes, data) in spots(turn) {
            let lab = &bed.stage.lab;
            lab.guest_write(&vms[0].moref, DISK, offset_bytes, &data)?;
        }
        anyhow::Ok(())
    };
    let repository = bed.repository("repository")?;
    write(0)?;
    let full = bed.back_up(&repository, NAME)?;
    write(1)?;
    let increment = bed.back_up(&repository, NAME)?;
    bed.refuse_other(&repository, NAME, spots(0).chain(spots(1)))?;
    Ok(Some([full, increment]))
}

/// Places all over the disk, others in each turn, and what is written there.
fn spots(turn: u8) -> impl Iterator<Item = (u64, Vec<u8>)> {
    let stride = CAPACITY_BYTES / SPOTS;
    (0..SPOTS).map(move |spot| {
        // An odd factor: somewhere else in each stride, and in each turn.
        let within = (2 * spot + u64::from(turn)).wrapping_mul(0x9E37_79B9_7F4A_7C15) % stride;
        let offset_bytes = spot * stride + within / SPOT_BYTES * SPOT_BYTES;
        let data = (offset_bytes / SPOT_BYTES + 1).to_le_bytes();
        (offset_bytes, data.repeat(SPOT_BYTES as usize / data.len()))
    })
}
