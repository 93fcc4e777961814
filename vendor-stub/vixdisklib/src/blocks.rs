//! Allocated blocks.

mod lie;

use lab::BlocksLie;
use vddk_sys::{self as sys, VixDiskLibBlock, VixDiskLibBlockList, VixDiskLibHandle, VixError};
use vmdk::SectorRun;

use crate::boundary;
use crate::disk;
use crate::error::Failure;
use crate::memory::{self, Kind};

/// Tells which chunks of a range hold data. Every violation of the rules of
/// "VDDK reference" 7.4 gives 3: start or length not a multiple of the chunk, a chunk under 128
/// sectors, more than 524288 chunks, an end past the capacity.
///
/// # Safety
///
/// `list` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_QueryAllocatedBlocks(
    handle: VixDiskLibHandle,
    start_sector: u64,
    sectors: u64,
    chunk_sectors: u64,
    list: *mut *mut VixDiskLibBlockList,
) -> VixError {
    boundary::noted("VixDiskLib_QueryAllocatedBlocks", |call| {
        call.note("handle", handle.addr());
        call.note("start_sector", start_sector);
        call.note("sectors", sectors);
        call.note("chunk_sectors", chunk_sectors);
        call.go()?;
        if list.is_null() {
            return Err(Failure::argument("blockList is null"));
        }
        let disk = disk::get(handle)?;
        call.note("path", disk.path.as_str());
        let capacity_sectors = disk.image.capacity_sectors;
        check(start_sector, sectors, chunk_sectors, capacity_sectors)?;
        let runs = disk
            .image
            .with(|disk| disk.allocated(start_sector, sectors))?;
        let range = SectorRun {
            start_sector,
            sectors,
        };
        let mut chunks = whole_chunks(&runs, &range, chunk_sectors);
        let ordered = call.ordered().blocks();
        if let Some(ordered) = ordered {
            chunks = lie::told(ordered, chunks, &range, chunk_sectors);
        }
        call.note("blocks", chunks.len());
        let object = match ordered {
            Some(BlocksLie::Null) => std::ptr::null_mut(),
            Some(BlocksLie::AbsurdCount) => give(&[], u32::MAX)?,
            _ => {
                let count = u32::try_from(chunks.len()).map_err(|_| no_memory())?;
                give(&chunks, count)?
            }
        };
        // SAFETY: not null, and the caller promises the rest.
        unsafe { list.write(object) };
        Ok(sys::VIX_OK)
    })
}

/// Frees a list of [`VixDiskLib_QueryAllocatedBlocks`]. Null is allowed; what is not such a list
/// gives 3.
///
/// # Safety
///
/// Nothing may use the list any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_FreeBlockList(list: *mut VixDiskLibBlockList) -> VixError {
    boundary::code("VixDiskLib_FreeBlockList", |_| {
        if memory::release(Kind::BlockList, list.cast()) || list.is_null() {
            Ok(sys::VIX_OK)
        } else {
            Err(Failure::argument("the list is not the library's"))
        }
    })
}

fn check(
    start_sector: u64,
    sectors: u64,
    chunk_sectors: u64,
    capacity_sectors: u64,
) -> Result<(), Failure> {
    let refused = |why: &str| {
        let range = format!("{sectors} sectors at {start_sector} by {chunk_sectors}");
        Err(Failure::argument(format!("{range}: {why}")))
    };
    if chunk_sectors < u64::from(sys::VIXDISKLIB_MIN_CHUNK_SIZE) {
        return refused("the chunk is under 128 sectors");
    }
    if !start_sector.is_multiple_of(chunk_sectors) || !sectors.is_multiple_of(chunk_sectors) {
        return refused("start and length must be whole chunks");
    }
    if sectors / chunk_sectors > u64::from(sys::VIXDISKLIB_MAX_CHUNK_NUMBER) {
        return refused("more than 524288 chunks");
    }
    match start_sector.checked_add(sectors) {
        Some(end) if end <= capacity_sectors => Ok(()),
        _ => refused("the end lies past the capacity"),
    }
}

/// Widens sorted runs to whole chunks inside the range and merges them.
fn whole_chunks(runs: &[SectorRun], range: &SectorRun, chunk_sectors: u64) -> Vec<SectorRun> {
    let range_end = range.start_sector + range.sectors;
    let mut chunks: Vec<SectorRun> = Vec::new();
    for run in runs {
        let start = run.start_sector.max(range.start_sector);
        let end = run.start_sector.saturating_add(run.sectors).min(range_end);
        if start >= end {
            continue;
        }
        let start_sector = start - start % chunk_sectors;
        let end = end.div_ceil(chunk_sectors) * chunk_sectors;
        match chunks.last_mut() {
            Some(last) if start_sector <= last.start_sector + last.sectors => {
                let last_end = (last.start_sector + last.sectors).max(end);
                last.sectors = last_end - last.start_sector;
            }
            _ => chunks.push(SectorRun {
                start_sector,
                sectors: end - start_sector,
            }),
        }
    }
    chunks
}

fn no_memory() -> Failure {
    Failure::new(sys::VIX_E_OUT_OF_MEMORY, "no memory for the blocks")
}

/// Gives a list out: 8 bytes and 16 for each block, at least the 24 of the structure. It says that
/// it holds `count` blocks.
fn give(chunks: &[SectorRun], count: u32) -> Result<*mut VixDiskLibBlockList, Failure> {
    let block_bytes = size_of::<VixDiskLibBlock>();
    let header_bytes = size_of::<VixDiskLibBlockList>() - block_bytes;
    let size_bytes = header_bytes + block_bytes * chunks.len().max(1);
    let object = memory::allocate(Kind::BlockList, size_bytes).cast::<VixDiskLibBlockList>();
    if object.is_null() {
        return Err(no_memory());
    }
    let header = VixDiskLibBlockList {
        numBlocks: count,
        blocks: [VixDiskLibBlock {
            offset: 0,
            length: 0,
        }],
    };
    // SAFETY: the memory has at least the size of the structure and is aligned to 8.
    unsafe { object.write(header) };
    // SAFETY: the object is ours and large enough; no reference is made.
    let first = unsafe { &raw mut (*object).blocks }.cast::<VixDiskLibBlock>();
    for (at, run) in chunks.iter().enumerate() {
        let block = VixDiskLibBlock {
            offset: run.start_sector,
            length: run.sectors,
        };
        // SAFETY: the memory has room for as many blocks as there are chunks.
        let place = unsafe { first.add(at) };
        // SAFETY: as above; blocks are aligned to 8 like the memory.
        unsafe { place.write(block) };
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start_sector: u64, sectors: u64) -> SectorRun {
        SectorRun {
            start_sector,
            sectors,
        }
    }

    #[test]
    fn runs_become_whole_chunks_inside_the_range() {
        let range = run(128, 384);
        let runs = [run(0, 130), run(300, 1), run(511, 100)];
        assert_eq!(
            whole_chunks(&runs, &range, 128),
            [run(128, 384)],
            "touching chunks are one run"
        );
        assert_eq!(whole_chunks(&[run(0, 128)], &range, 128), []);
        let apart = [run(128, 1), run(384, 1)];
        assert_eq!(
            whole_chunks(&apart, &range, 128),
            [run(128, 128), run(384, 128)]
        );
    }

    #[test]
    fn every_broken_rule_is_an_invalid_argument() {
        let refused = |start, sectors, chunk| check(start, sectors, chunk, 1 << 40).is_err();
        assert!(check(0, 128, 128, 128).is_ok());
        assert!(check(0, 0, 128, 128).is_ok());
        assert!(check(0, 256, 128, 255).is_err(), "past the end");
        assert!(refused(1, 128, 128) && refused(0, 129, 128), "not whole");
        assert!(refused(0, 64, 64) && refused(0, 0, 0), "small chunk");
        assert!(check(0, 524_288 * 128, 128, 1 << 40).is_ok());
        assert!(refused(0, 524_289 * 128, 128), "too many");
        assert!(refused(u64::MAX - 127, 128, 128), "overflow");
    }
}
