//! The file of a sparse extent: header, descriptor and tables, no grain yet.

use std::path::Path;

use crate::backing_file::BackingFile;
use crate::header::{ENTRIES_PER_TABLE, Header};
use crate::link::write_embedded;
use crate::new_files::NewFiles;
use crate::{Descriptor, Error, SECTOR_BYTES};

/// Grains of 64 KiB, as all VMware products make them.
pub(crate) const GRAIN_SECTORS: u64 = 128;
const DESCRIPTOR_SECTOR: u64 = 1;
const DESCRIPTOR_SECTORS: u64 = 20;

/// What decides how the front of a sparse extent is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) capacity_sectors: u64,
    pub(crate) grain_sectors: u64,
    pub(crate) entries_per_table: u32,
    pub(crate) compressed: bool,
}

impl Layout {
    /// The layout all VMware products use.
    pub(crate) fn new(capacity_sectors: u64) -> Self {
        Self {
            capacity_sectors,
            grain_sectors: GRAIN_SECTORS,
            entries_per_table: ENTRIES_PER_TABLE,
            compressed: false,
        }
    }

    /// Header, descriptor, then twice a directory with its tables, then grains on a grain border.
    pub(crate) fn header(&self, embedded: bool) -> Header {
        let descriptor_sectors = if embedded { DESCRIPTOR_SECTORS } else { 0 };
        let mut header = Header {
            capacity_sectors: self.capacity_sectors,
            grain_sectors: self.grain_sectors,
            descriptor_sector: if embedded { DESCRIPTOR_SECTOR } else { 0 },
            descriptor_sectors,
            entries_per_table: self.entries_per_table,
            redundant_directory_sector: DESCRIPTOR_SECTOR + descriptor_sectors,
            directory_sector: 0,
            overhead_sectors: 0,
            zeroed_grains: !self.compressed,
            compressed: self.compressed,
            footer: false,
            unclean: false,
        };
        let tables_sectors = header.directory_sectors() + header.tables() * header.table_sectors();
        header.directory_sector = header.redundant_directory_sector + tables_sectors;
        let end_sector = header.directory_sector + tables_sectors;
        header.overhead_sectors = end_sector.next_multiple_of(self.grain_sectors);
        header
    }
}

/// Makes the file of an extent, with its descriptor inside where there is one.
pub(crate) fn add_sparse_file(
    new: &mut NewFiles,
    path: &Path,
    layout: &Layout,
    descriptor: Option<&Descriptor>,
) -> Result<(), Error> {
    let header = layout.header(descriptor.is_some());
    if u32::try_from(header.overhead_sectors).is_err() {
        let path = path.to_owned();
        return Err(Error::Full { path });
    }
    let file = new.create(path, header.overhead_sectors * SECTOR_BYTES)?;
    write_directories(&file, &header)?;
    if let Some(descriptor) = descriptor {
        let text = descriptor.to_text();
        write_embedded(&file, DESCRIPTOR_SECTOR, DESCRIPTOR_SECTORS, &text)?;
    }
    file.write_at(0, &header.to_bytes())
}

/// Writes both directories. The tables are empty and stay holes.
fn write_directories(file: &BackingFile, header: &Header) -> Result<(), Error> {
    for directory_sector in [header.redundant_directory_sector, header.directory_sector] {
        let first_table_sector = directory_sector + header.directory_sectors();
        let entries = (0..header.tables()).map(|table| {
            // The tables end before the overhead does, and that was found to fit.
            (first_table_sector + table * header.table_sectors()) as u32
        });
        let bytes: Vec<u8> = entries.flat_map(u32::to_le_bytes).collect();
        file.write_at(directory_sector * SECTOR_BYTES, &bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other() {
        let header = Layout::new(204_800).header(true);
        assert_eq!(header.tables(), 4);
        assert_eq!(header.redundant_directory_sector, 21);
        assert_eq!(header.directory_sector, 21 + 1 + 4 * 4);
        assert_eq!(header.overhead_sectors, 128);
        let apart = Layout::new(204_800).header(false);
        assert_eq!(apart.redundant_directory_sector, 1);
        assert_eq!((apart.descriptor_sector, apart.descriptor_sectors), (0, 0));
        let largest = Layout::new(crate::MAX_CAPACITY_SECTORS).header(true);
        assert!(u32::try_from(largest.overhead_sectors).is_ok());
    }
}
