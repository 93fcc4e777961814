//! An extent that is kept as it is.

use std::path::Path;

use crate::backing_file::BackingFile;
use crate::{Error, SECTOR_BYTES, SectorRun};

/// A range of a file that holds every sector of the extent.
#[derive(Debug)]
pub(crate) struct FlatExtent {
    file: BackingFile,
    offset_sectors: u64,
}

impl FlatExtent {
    pub(crate) fn open(
        path: &Path,
        offset_sectors: u64,
        sectors: u64,
        write: bool,
    ) -> Result<Self, Error> {
        let file = BackingFile::open(path, write)?;
        let end_bytes = offset_sectors
            .checked_add(sectors)
            .and_then(|end| end.checked_mul(SECTOR_BYTES));
        let needed_bytes = end_bytes.unwrap_or(u64::MAX);
        if file.length_bytes()? < needed_bytes {
            let path = path.to_owned();
            return Err(Error::Truncated { path, needed_bytes });
        }
        Ok(Self {
            file,
            offset_sectors,
        })
    }

    fn offset_bytes(&self, sector: u64) -> u64 {
        (self.offset_sectors + sector) * SECTOR_BYTES
    }

    pub(super) fn read(&self, sector: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.file.read_at(self.offset_bytes(sector), buf)
    }

    pub(super) fn write(&self, sector: u64, data: &[u8]) -> Result<(), Error> {
        self.file.write_at(self.offset_bytes(sector), data)
    }

    pub(super) fn unmap(&self, range: SectorRun) -> Result<(), Error> {
        let offset_bytes = self.offset_bytes(range.start_sector);
        self.file.zero(offset_bytes, range.sectors * SECTOR_BYTES)
    }

    pub(super) fn held(&self, range: SectorRun) -> Result<Vec<SectorRun>, Error> {
        let mut runs = self.file.data_runs(SectorRun {
            start_sector: self.offset_sectors + range.start_sector,
            sectors: range.sectors,
        })?;
        for run in &mut runs {
            run.start_sector -= self.offset_sectors;
        }
        Ok(runs)
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync()
    }
}
