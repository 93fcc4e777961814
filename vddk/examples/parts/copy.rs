//! Copies ranges of a disk into a raw image, with several reads in flight.

use std::{collections::VecDeque, error::Error, fs::File, os::unix::fs::FileExt as _};

use vddk::{Disk, Pending, SECTOR_BYTES, SectorBuf, SectorRange};

/// 1 MiB a read: NBD through vCenter takes 2 MiB at most.
const READ_SECTORS: u64 = 2048;

/// Reads that are begun before the oldest one is waited for.
const AHEAD: usize = 8;

/// Copies the ranges to their places in `image`. Returns how many bytes that were.
pub(crate) fn ranges(
    disk: &Disk,
    ranges: &[SectorRange],
    image: &File,
) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    let mut pending = VecDeque::new();
    for range in ranges {
        let mut at = range.start_sector;
        while at < range.end_sector() {
            let sectors = READ_SECTORS.min(range.end_sector() - at);
            if pending.len() == AHEAD {
                bytes += oldest(&mut pending, image)?;
            }
            let buffer = SectorBuf::new(sectors as usize)?;
            pending.push_back((at, disk.read(at, buffer)?));
            at += sectors;
        }
    }
    while !pending.is_empty() {
        bytes += oldest(&mut pending, image)?;
    }
    Ok(bytes)
}

/// Waits for the oldest read and writes what it brought.
fn oldest(pending: &mut VecDeque<(u64, Pending)>, image: &File) -> Result<u64, Box<dyn Error>> {
    let Some((sector, read)) = pending.pop_front() else {
        return Ok(0);
    };
    let buffer = read.wait()?;
    image.write_all_at(&buffer, sector * SECTOR_BYTES as u64)?;
    Ok(buffer.len() as u64)
}
