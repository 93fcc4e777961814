//! Makes a sparse extent with its descriptor inside.

use std::fs;
use std::path::Path;

use super::{CreateOptions, file_name};
use crate::backing_file::BackingFile;
use crate::header::{ENTRIES_PER_TABLE, Header};
use crate::link::write_embedded;
use crate::{
    CreateType, Descriptor, Disk, Error, Extent, ExtentAccess, ExtentKind, OpenOptions,
    SECTOR_BYTES,
};

/// Grains of 64 KiB, as all VMware products make them.
const GRAIN_SECTORS: u64 = 128;
const DESCRIPTOR_SECTOR: u64 = 1;
const DESCRIPTOR_SECTORS: u64 = 20;

/// Makes a sparse disk of one file. The disk is open for writing.
///
/// # Errors
///
/// - [`Error::Capacity`] if the size is zero or too large,
/// - [`Error::Text`] if the file name or UUID cannot stand in a descriptor,
/// - [`Error::Io`] if the file exists already or cannot be made. Nothing is left behind then.
pub fn create_monolithic_sparse(
    descriptor_path: &Path,
    options: &CreateOptions,
) -> Result<Disk, Error> {
    let descriptor = options.descriptor(CreateType::MonolithicSparse)?;
    create(descriptor_path, options.capacity_sectors, descriptor)
}

/// Makes the file for a descriptor that has no extents yet, and opens the disk for writing.
pub(super) fn create(
    path: &Path,
    capacity_sectors: u64,
    mut descriptor: Descriptor,
) -> Result<Disk, Error> {
    descriptor.extents.push(Extent {
        access: ExtentAccess::Rw,
        sectors: capacity_sectors,
        kind: ExtentKind::Sparse,
        file_name: Some(file_name(path)?.to_owned()),
        offset_sectors: 0,
    });
    let header = layout(capacity_sectors);
    let file = BackingFile::create(path, header.overhead_sectors * SECTOR_BYTES)?;
    let open = OpenOptions {
        write: true,
        single_link: false,
    };
    write_parts(&file, &header, &descriptor)
        .and_then(|()| Disk::open(path, open))
        .inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_file(path);
        })
}

/// Header, descriptor, then twice a directory with its tables, then grains on a grain border.
fn layout(capacity_sectors: u64) -> Header {
    let mut header = Header {
        capacity_sectors,
        grain_sectors: GRAIN_SECTORS,
        descriptor_sector: DESCRIPTOR_SECTOR,
        descriptor_sectors: DESCRIPTOR_SECTORS,
        entries_per_table: ENTRIES_PER_TABLE,
        redundant_directory_sector: DESCRIPTOR_SECTOR + DESCRIPTOR_SECTORS,
        directory_sector: 0,
        overhead_sectors: 0,
        zeroed_grains: true,
        compressed: false,
    };
    let tables_sectors = header.directory_sectors() + header.tables() * header.table_sectors();
    header.directory_sector = header.redundant_directory_sector + tables_sectors;
    let end_sector = header.directory_sector + tables_sectors;
    header.overhead_sectors = end_sector.next_multiple_of(GRAIN_SECTORS);
    header
}

/// Writes what is not zero. The tables themselves are empty and stay holes.
fn write_parts(file: &BackingFile, header: &Header, descriptor: &Descriptor) -> Result<(), Error> {
    for directory_sector in [header.redundant_directory_sector, header.directory_sector] {
        let first_table_sector = directory_sector + header.directory_sectors();
        let entries = (0..header.tables()).map(|table| {
            // The largest disk has its tables far below 2 TiB, so the sector fits.
            (first_table_sector + table * header.table_sectors()) as u32
        });
        let bytes: Vec<u8> = entries.flat_map(u32::to_le_bytes).collect();
        file.write_at(directory_sector * SECTOR_BYTES, &bytes)?;
    }
    let text = descriptor.to_text();
    write_embedded(file, DESCRIPTOR_SECTOR, DESCRIPTOR_SECTORS, &text)?;
    file.write_at(0, &header.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other() {
        let header = layout(204_800);
        assert_eq!(header.tables(), 4);
        assert_eq!(header.redundant_directory_sector, 21);
        assert_eq!(header.directory_sector, 21 + 1 + 4 * 4);
        assert_eq!(header.overhead_sectors, 128);
        let largest = layout(crate::MAX_CAPACITY_SECTORS);
        assert!(u32::try_from(largest.overhead_sectors).is_ok());
    }
}
