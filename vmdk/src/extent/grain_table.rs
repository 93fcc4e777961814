//! The two-level table of a sparse extent: a directory of tables, tables of grains.

use crate::backing_file::BackingFile;
use crate::header::Header;
use crate::{Error, SECTOR_BYTES};

/// Bytes of an entry in a directory or a table.
const ENTRY_BYTES: u64 = 4;
/// The table entry of a grain of zeros.
const ZEROED: u32 = 1;

/// What a table says of a grain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The extent does not hold the grain.
    Missing,
    /// The grain is zeros and has no place.
    Zeroed,
    /// The grain starts at this sector of the file.
    At(u32),
}

impl Entry {
    /// The entry as it stands in a table.
    fn value(self) -> u32 {
        match self {
            Self::Missing => 0,
            Self::Zeroed => ZEROED,
            Self::At(sector) => sector,
        }
    }
}

/// Access to the tables of an open extent. Nothing is cached: another process may write them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrainTable<'a> {
    pub(crate) file: &'a BackingFile,
    pub(crate) header: &'a Header,
}

impl GrainTable<'_> {
    /// The entries from a grain on: at least one, at most `limit`, none past the end of its table.
    pub(crate) fn entries(self, grain: u64, limit: u64) -> Result<Vec<Entry>, Error> {
        let per_table = u64::from(self.header.entries_per_table);
        let (table, first) = (grain / per_table, grain % per_table);
        let count = limit.clamp(1, per_table - first) as usize;
        let directory_sector = self.header.directory_sector;
        let Some(table_sector) = self.table_sector(directory_sector, table)? else {
            return Ok(vec![Entry::Missing; count]);
        };
        let mut bytes = vec![0; count * ENTRY_BYTES as usize];
        let offset_bytes = table_sector * SECTOR_BYTES + first * ENTRY_BYTES;
        self.file.read_at(offset_bytes, &mut bytes)?;
        let (values, _) = bytes.as_chunks();
        let values = values.iter().map(|&value| u32::from_le_bytes(value));
        values.map(|value| self.entry(value)).collect()
    }

    /// Enters a grain in both tables, the redundant one first.
    pub(crate) fn set(self, grain: u64, entry: Entry) -> Result<(), Error> {
        self.write_entries(grain, &entry.value().to_le_bytes())
    }

    /// Enters the grains of one table from a grain on, in both tables.
    pub(crate) fn set_all(self, grain: u64, entries: &[Entry]) -> Result<(), Error> {
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.value().to_le_bytes())
            .collect();
        self.write_entries(grain, &bytes)
    }

    /// Writes entries of one table, the redundant copy first.
    fn write_entries(self, grain: u64, bytes: &[u8]) -> Result<(), Error> {
        let per_table = u64::from(self.header.entries_per_table);
        let (table, index) = (grain / per_table, grain % per_table);
        let directories = [
            self.header.redundant_directory_sector,
            self.header.directory_sector,
        ];
        for directory_sector in directories.into_iter().filter(|&sector| sector != 0) {
            let table_sector = self.table_sector(directory_sector, table)?;
            let table_sector = table_sector.ok_or_else(|| Error::Unsupported {
                path: self.file.path().to_owned(),
                kind: "writing to a sparse extent without all its grain tables".to_owned(),
            })?;
            let offset_bytes = table_sector * SECTOR_BYTES + index * ENTRY_BYTES;
            self.file.write_at(offset_bytes, bytes)?;
        }
        Ok(())
    }

    fn table_sector(self, directory_sector: u64, table: u64) -> Result<Option<u64>, Error> {
        let mut bytes = [0; ENTRY_BYTES as usize];
        let offset_bytes = directory_sector * SECTOR_BYTES + table * ENTRY_BYTES;
        self.file.read_at(offset_bytes, &mut bytes)?;
        let table_sector = u64::from(u32::from_le_bytes(bytes));
        if table_sector == 0 {
            return Ok(None);
        }
        let end_bytes = (table_sector + self.header.table_sectors()) * SECTOR_BYTES;
        if end_bytes > self.file.length_bytes()?.next_multiple_of(SECTOR_BYTES) {
            return Err(self
                .file
                .corrupt(format!("grain table {table} is outside the file")));
        }
        Ok(Some(table_sector))
    }

    fn entry(self, value: u32) -> Result<Entry, Error> {
        match value {
            0 => Ok(Entry::Missing),
            ZEROED if self.header.zeroed_grains => Ok(Entry::Zeroed),
            sector if u64::from(sector) < self.header.overhead_sectors => Err(self.file.corrupt(
                format!("a grain is said to be at sector {sector}, among the tables"),
            )),
            sector => Ok(Entry::At(sector)),
        }
    }
}
