//! Which areas of a disk are allocated.

use std::fmt;

use vddk_sys::{
    Function, Symbols, VIXDISKLIB_MAX_CHUNK_NUMBER, VIXDISKLIB_MIN_CHUNK_SIZE, VixDiskLibBlock,
    VixDiskLibBlockList, VixDiskLibHandleStruct,
};

use crate::{
    Disk, Error, SectorRange,
    control::{Raw, check},
};

const CHUNK_SECTORS: u64 = VIXDISKLIB_MIN_CHUNK_SIZE as u64;

/// The largest question: 32 GiB.
const QUERY_SECTORS: u64 = CHUNK_SECTORS * VIXDISKLIB_MAX_CHUNK_NUMBER as u64;

/// The allocated areas of a disk: sorted, merged, inside the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocatedMap {
    ranges: Vec<SectorRange>,
    assumed: Option<Assumed>,
}

/// Why the library's answer would not be true of a disk: it is not asked then, and all of the disk
/// counts as allocated (VDDK API reference, 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assumed {
    /// A single link was opened: its holes are the parent's data and no zeros.
    SingleLink,
    /// Something was written since the disk was opened: the answer may be older than that.
    Written,
    /// The disk lies in files of this machine, of which the answer may be wrong.
    LocalFile,
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SingleLink => "holes of a single link are not zeros",
            Self::Written => "the disk was written to since it was opened",
            Self::LocalFile => "the answer for local files cannot be trusted",
        })
    }
}

impl AllocatedMap {
    /// The areas. What lies between them is unallocated and reads as zeros.
    pub fn ranges(&self) -> &[SectorRange] {
        &self.ranges
    }

    /// Sectors in all areas together.
    pub fn sectors(&self) -> u64 {
        self.ranges.iter().map(|range| range.sectors).sum()
    }

    /// Why the library was not asked and all of the disk is called allocated; `None` where it was.
    pub fn assumed(&self) -> Option<Assumed> {
        self.assumed
    }

    fn push(&mut self, range: SectorRange) {
        match self.ranges.last_mut() {
            Some(last) if last.end_sector() == range.start_sector => last.sectors += range.sectors,
            _ => self.ranges.push(range),
        }
    }
}

/// Asks in pieces of 32 GiB, each a control-thread job of its own so that opens are not held up.
pub(crate) fn query(disk: &Disk) -> Result<AllocatedMap, Error> {
    let capacity_sectors = disk.info().capacity_sectors;
    let mut map = AllocatedMap {
        ranges: Vec::new(),
        assumed: disk.assumed_allocated(),
    };
    let askable = match map.assumed {
        Some(_) => 0,
        None => capacity_sectors / CHUNK_SECTORS * CHUNK_SECTORS,
    };
    let idle = disk.idle()?;
    let mut at = 0;
    while at < askable {
        let question = SectorRange {
            start_sector: at,
            sectors: QUERY_SECTORS.min(askable - at),
        };
        let runs = idle.run(
            "VixDiskLib_QueryAllocatedBlocks",
            move |symbols, handle, path| ask(symbols, handle, path, question),
        )??;
        for run in runs {
            map.push(run);
        }
        at += question.sectors;
    }
    if askable < capacity_sectors {
        map.push(SectorRange {
            start_sector: askable,
            sectors: capacity_sectors - askable,
        });
    }
    Ok(map)
}

/// The library's list, freed when dropped.
struct Owned<'a> {
    symbols: &'a Symbols,
    list: *mut VixDiskLibBlockList,
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the list came from QueryAllocatedBlocks and is freed once. `ask` has made sure
        // that the function is there; its code says nothing (VDDK API reference, 1.7).
        let _ = unsafe { self.symbols.VixDiskLib_FreeBlockList(self.list) };
    }
}

/// One question. The answer is checked before anything of it is used.
fn ask(
    symbols: &Symbols,
    handle: Raw<VixDiskLibHandleStruct>,
    path: &str,
    question: SectorRange,
) -> Result<Vec<SectorRange>, Error> {
    if !symbols.has(Function::VixDiskLib_FreeBlockList) {
        return Err(Function::VixDiskLib_FreeBlockList.missing().into());
    }
    let mut list = std::ptr::null_mut();
    // SAFETY: the handle is open and idle (its worker was drained and leaves the
    // handle alone); the library stores a list in `list` on success.
    let result = unsafe {
        symbols.VixDiskLib_QueryAllocatedBlocks(
            handle.0,
            question.start_sector,
            question.sectors,
            CHUNK_SECTORS,
            &raw mut list,
        )
    }?;
    check(
        symbols,
        "VixDiskLib_QueryAllocatedBlocks",
        Some(path),
        None,
        result,
    )?;
    if list.is_null() {
        return Ok(Vec::new());
    }
    let owned = Owned { symbols, list };
    // SAFETY: the list is valid until `owned` is dropped.
    let count = unsafe { (*owned.list).numBlocks };
    if u64::from(count) > question.sectors / CHUNK_SECTORS {
        return Err(unusable(
            path,
            &format!(
                "{count} runs in {} chunks",
                question.sectors / CHUNK_SECTORS
            ),
        ));
    }
    // SAFETY: the structure ends in an array that is really `numBlocks` long.
    let first: *const VixDiskLibBlock = unsafe { (&raw const (*owned.list).blocks).cast() };
    let mut runs = Vec::with_capacity(count as usize);
    let mut free_from = question.start_sector;
    for index in 0..count as usize {
        // SAFETY: `index` is below the number of blocks behind `first`.
        let block = unsafe { first.wrapping_add(index).read() };
        let run = SectorRange {
            start_sector: block.offset,
            sectors: block.length,
        };
        let ordered = run.start_sector >= free_from && run.sectors > 0;
        let end = run
            .start_sector
            .checked_add(run.sectors)
            .filter(|end| *end <= question.end_sector());
        match end {
            Some(end) if ordered => free_from = end,
            _ => {
                return Err(unusable(
                    path,
                    &format!("a run {run:?} out of order or outside {question:?}"),
                ));
            }
        }
        runs.push(run);
    }
    Ok(runs)
}

fn unusable(path: &str, what: &str) -> Error {
    Error::UnusableAnswer {
        function: "VixDiskLib_QueryAllocatedBlocks",
        what: format!("for {path} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{AllocatedMap, SectorRange};

    #[test]
    fn touching_areas_become_one() {
        let mut map = AllocatedMap {
            ranges: Vec::new(),
            assumed: None,
        };
        for (start_sector, sectors) in [(0, 128), (128, 128), (512, 128), (640, 7)] {
            map.push(SectorRange {
                start_sector,
                sectors,
            });
        }
        assert_eq!(map.ranges().len(), 2);
        assert_eq!(map.sectors(), 256 + 135);
    }
}
