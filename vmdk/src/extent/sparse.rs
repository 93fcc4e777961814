//! An extent kept in grains, each entered in a table once it is written.

mod packed;

use std::path::Path;

use super::Fill;
use super::grain_table::{Entry, GrainTable};
use crate::backing_file::BackingFile;
use crate::header::Header;
use crate::{Error, SECTOR_BYTES, SectorRun, run};

/// A hosted sparse extent, plain or compressed.
#[derive(Debug)]
pub(crate) struct SparseExtent {
    file: BackingFile,
    header: Header,
    sectors: u64,
}

/// The part of a range that lies in one grain.
#[derive(Clone, Copy, Debug)]
struct GrainPart {
    grain: u64,
    entry: Entry,
    /// First sector, counted in the extent.
    sector: u64,
    sectors: u64,
}

impl SparseExtent {
    pub(crate) fn open(path: &Path, sectors: u64, write: bool) -> Result<Self, Error> {
        let file = BackingFile::open(path, write)?;
        let header = Header::read(&file)?;
        if sectors > header.capacity_sectors {
            let capacity_sectors = header.capacity_sectors;
            return Err(file.corrupt(format!(
                "it holds {capacity_sectors} sectors, its descriptor says {sectors}"
            )));
        }
        Ok(Self {
            file,
            header,
            sectors,
        })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Whether grains can be added: not where the directory is behind them.
    pub(super) fn takes_data(&self) -> bool {
        !self.header.footer
    }

    /// The entries from a grain on: at least one, at most `limit`, none past the end of its table.
    pub(crate) fn entries(&self, grain: u64, limit: u64) -> Result<Vec<Entry>, Error> {
        self.table().entries(grain, limit)
    }

    /// Reads a grain that the extent holds at a place, with zeros behind the end of the extent.
    pub(crate) fn read_grain(&self, grain: u64, entry: Entry, buf: &mut [u8]) -> Result<(), Error> {
        let used_bytes = (self.used_sectors(grain) * SECTOR_BYTES) as usize;
        let (used, rest) = buf.split_at_mut(used_bytes);
        rest.fill(0);
        match entry {
            Entry::At(at) if self.header.compressed => {
                let (whole, _) = self.inflate(grain, at)?;
                used.copy_from_slice(&whole[..used_bytes]);
                Ok(())
            }
            Entry::At(at) => self.file.read_at(u64::from(at) * SECTOR_BYTES, used),
            Entry::Missing | Entry::Zeroed => {
                used.fill(0);
                Ok(())
            }
        }
    }

    pub(super) fn read(
        &self,
        sector: u64,
        buf: &mut [u8],
        missing: &mut Vec<SectorRun>,
    ) -> Result<(), Error> {
        let range = SectorRun {
            start_sector: sector,
            sectors: buf.len() as u64 / SECTOR_BYTES,
        };
        self.walk(range, &mut |part| {
            let start_bytes = ((part.sector - sector) * SECTOR_BYTES) as usize;
            let length_bytes = (part.sectors * SECTOR_BYTES) as usize;
            let buf = &mut buf[start_bytes..start_bytes + length_bytes];
            match part.entry {
                Entry::Missing => run::push(missing, part.run()),
                Entry::Zeroed => buf.fill(0),
                Entry::At(at) if self.header.compressed => {
                    let (grain, _) = self.inflate(part.grain, at)?;
                    let within_bytes = self.within_bytes(part);
                    buf.copy_from_slice(&grain[within_bytes..within_bytes + buf.len()]);
                }
                Entry::At(at) => self.file.read_at(self.data_bytes(part, at), buf)?,
            }
            Ok(())
        })
    }

    pub(super) fn write(&self, sector: u64, data: &[u8], fill: &mut Fill<'_>) -> Result<(), Error> {
        let range = SectorRun {
            start_sector: sector,
            sectors: data.len() as u64 / SECTOR_BYTES,
        };
        self.walk(range, &mut |part| {
            let start_bytes = ((part.sector - sector) * SECTOR_BYTES) as usize;
            let length_bytes = (part.sectors * SECTOR_BYTES) as usize;
            self.write_part(part, &data[start_bytes..start_bytes + length_bytes], fill)
        })
    }

    pub(super) fn unmap(
        &self,
        range: SectorRun,
        covers_parent: bool,
        fill: &mut Fill<'_>,
    ) -> Result<(), Error> {
        self.walk(range, &mut |part| {
            if part.entry == Entry::Zeroed || (part.entry == Entry::Missing && !covers_parent) {
                Ok(())
            } else if self.is_whole(part) && self.header.zeroed_grains {
                self.table().set(part.grain, Entry::Zeroed)
            } else {
                let zeros = vec![0; (part.sectors * SECTOR_BYTES) as usize];
                self.write_part(part, &zeros, fill)
            }
        })
    }

    pub(super) fn held(&self, range: SectorRun) -> Result<Vec<SectorRun>, Error> {
        let mut runs = Vec::new();
        self.walk(range, &mut |part| {
            if part.entry != Entry::Missing {
                run::push(&mut runs, part.run());
            }
            Ok(())
        })?;
        Ok(runs)
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync()
    }

    fn table(&self) -> GrainTable<'_> {
        GrainTable {
            file: &self.file,
            header: &self.header,
        }
    }

    /// Visits the parts of a range, grain by grain.
    fn walk(
        &self,
        range: SectorRun,
        visit: &mut dyn FnMut(GrainPart) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let grain_sectors = self.header.grain_sectors;
        let end_grain = range.end_sector().div_ceil(grain_sectors);
        let mut grain = range.start_sector / grain_sectors;
        while grain < end_grain {
            let entries = self.table().entries(grain, end_grain - grain)?;
            for entry in entries {
                let sector = range.start_sector.max(grain * grain_sectors);
                let end_sector = range.end_sector().min((grain + 1) * grain_sectors);
                visit(GrainPart {
                    grain,
                    entry,
                    sector,
                    sectors: end_sector - sector,
                })?;
                grain += 1;
            }
        }
        Ok(())
    }

    /// Sectors of a grain that are inside the extent. The last grain may be short.
    fn used_sectors(&self, grain: u64) -> u64 {
        let start_sector = grain * self.header.grain_sectors;
        self.header.grain_sectors.min(self.sectors - start_sector)
    }

    fn is_whole(&self, part: GrainPart) -> bool {
        part.sectors == self.used_sectors(part.grain)
    }

    /// Where the data of a part is, for a grain at a sector of the file.
    fn data_bytes(&self, part: GrainPart, at: u32) -> u64 {
        (u64::from(at) + part.sector % self.header.grain_sectors) * SECTOR_BYTES
    }

    /// Where a part begins in its grain.
    fn within_bytes(&self, part: GrainPart) -> usize {
        (part.sector % self.header.grain_sectors * SECTOR_BYTES) as usize
    }

    fn write_part(&self, part: GrainPart, data: &[u8], fill: &mut Fill<'_>) -> Result<(), Error> {
        if self.header.compressed {
            return self.write_packed(part, data, fill);
        }
        if let Entry::At(at) = part.entry {
            let end_bytes = u64::from(at) * SECTOR_BYTES + self.header.grain_bytes() as u64;
            if end_bytes > self.file.length_bytes()? {
                let grain = part.grain;
                return Err(self
                    .file
                    .corrupt(format!("grain {grain} is outside the file")));
            }
            return self.file.write_at(self.data_bytes(part, at), data);
        }
        let bytes = self.whole_grain(part, data, fill)?;
        // The grain is complete in the file before a table shows it.
        let at = self.append(&bytes)?;
        self.table().set(part.grain, Entry::At(at))
    }

    /// Puts a grain at the end of the file and returns its sector.
    fn append(&self, grain: &[u8]) -> Result<u32, Error> {
        let overhead_bytes = self.header.overhead_sectors.saturating_mul(SECTOR_BYTES);
        let end_bytes = self.file.length_bytes()?.max(overhead_bytes);
        let full = || Error::Full {
            path: self.file.path().to_owned(),
        };
        let offset_bytes = end_bytes
            .checked_next_multiple_of(grain.len() as u64)
            .ok_or_else(full)?;
        let sector = u32::try_from(offset_bytes / SECTOR_BYTES).map_err(|_| full())?;
        self.file.write_at(offset_bytes, grain)?;
        Ok(sector)
    }

    /// A grain that is not held, with new data in it and what lies under it around.
    fn whole_grain(
        &self,
        part: GrainPart,
        data: &[u8],
        fill: &mut Fill<'_>,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.header.grain_bytes()];
        if part.entry == Entry::Missing && !self.is_whole(part) {
            let used_bytes = (self.used_sectors(part.grain) * SECTOR_BYTES) as usize;
            let start_sector = part.grain * self.header.grain_sectors;
            fill(start_sector, &mut bytes[..used_bytes])?;
        }
        let within_bytes = self.within_bytes(part);
        bytes[within_bytes..within_bytes + data.len()].copy_from_slice(data);
        Ok(bytes)
    }
}

impl GrainPart {
    fn run(self) -> SectorRun {
        SectorRun {
            start_sector: self.sector,
            sectors: self.sectors,
        }
    }
}
