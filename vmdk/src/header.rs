//! The first sector of a sparse extent ("Virtual Disk Format 5.0", Hosted Sparse Extents).

use crate::backing_file::BackingFile;
use crate::{Error, MAX_CAPACITY_SECTORS, SECTOR_BYTES};

/// Length of the header in the file.
pub(crate) const HEADER_BYTES: usize = SECTOR_BYTES as usize;
/// The first bytes of a hosted sparse extent.
pub(crate) const MAGIC: [u8; 4] = *b"KDMV";
/// Table entries a grain table has in every extent VMware makes.
pub(crate) const ENTRIES_PER_TABLE: u32 = 512;

/// Where the byte for an unclean end stands.
pub(crate) const UNCLEAN_AT: usize = 72;
const NEWLINE_TEST: [u8; 4] = *b"\n \r\n";
const FLAG_NEWLINE_TEST: u32 = 1;
const FLAG_REDUNDANT_TABLES: u32 = 1 << 1;
const FLAG_ZEROED_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
const FLAG_MARKERS: u32 = 1 << 17;
const COMPRESSION_DEFLATE: u16 = 1;
/// The directory offset that says: see the footer.
pub(crate) const DIRECTORY_IN_FOOTER: u64 = u64::MAX;
/// Grain tables of 64 TiB in grains of 4 KiB; the limit bounds a walk over all of them. Virtual Disk
/// Format 5.0 wants grains larger than that.
const TABLES_LIMIT: u64 = 1 << 25;
/// Grains are 64 KiB in practice; the limit bounds a buffer.
const GRAIN_SECTORS_LIMIT: u64 = 1 << 15;

/// Where the parts of a sparse extent are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the format"
)]
pub(crate) struct Header {
    pub(crate) capacity_sectors: u64,
    pub(crate) grain_sectors: u64,
    pub(crate) descriptor_sector: u64,
    pub(crate) descriptor_sectors: u64,
    pub(crate) entries_per_table: u32,
    /// Zero where there is no second directory.
    pub(crate) redundant_directory_sector: u64,
    pub(crate) directory_sector: u64,
    /// Everything before this sector is header, descriptor or tables.
    pub(crate) overhead_sectors: u64,
    /// Table entries of 1 mean a grain of zeros.
    pub(crate) zeroed_grains: bool,
    /// Grains are compressed and carry markers.
    pub(crate) compressed: bool,
    /// The directory is behind the grains, so that no grain can be added.
    pub(crate) footer: bool,
    /// Whoever wrote the extent last did not close it.
    pub(crate) unclean: bool,
}

impl Header {
    /// Reads the header of a file, or its footer where the header says so, and checks it.
    pub(crate) fn read(file: &BackingFile) -> Result<Self, Error> {
        let header = Self::parse(file, &sector_at(file, 0)?)?;
        let header = if header.directory_sector == DIRECTORY_IN_FOOTER {
            // The descriptor is in front in any case.
            Self {
                descriptor_sector: header.descriptor_sector,
                descriptor_sectors: header.descriptor_sectors,
                footer: true,
                ..Self::read_footer(file)?
            }
        } else {
            header
        };
        header.check(file)?;
        Ok(header)
    }

    /// The footer is the last sector but one; the end-of-stream marker follows it.
    fn read_footer(file: &BackingFile) -> Result<Self, Error> {
        let footer_sector = (file.length_bytes()? / SECTOR_BYTES)
            .checked_sub(2)
            .ok_or_else(|| file.corrupt("there is no room for the footer"))?;
        let footer = Self::parse(file, &sector_at(file, footer_sector)?)?;
        if footer.directory_sector == DIRECTORY_IN_FOOTER {
            return Err(file.corrupt("the footer has no grain directory"));
        }
        Ok(footer)
    }

    fn parse(file: &BackingFile, bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        if bytes[..4] != MAGIC {
            return Err(file.corrupt("the header of a sparse extent is missing"));
        }
        let unsupported = |kind: String| Error::Unsupported {
            path: file.path().to_owned(),
            kind,
        };
        let version = u32_at(bytes, 4);
        if !(1..=3).contains(&version) {
            return Err(unsupported(format!("sparse extent version {version}")));
        }
        let flags = u32_at(bytes, 8);
        if flags & FLAG_NEWLINE_TEST != 0 && bytes[73..77] != NEWLINE_TEST {
            return Err(file.corrupt("its line ends were converted on the way"));
        }
        let compressed = flags & FLAG_COMPRESSED != 0;
        let algorithm = u16::from_le_bytes([bytes[77], bytes[78]]);
        if compressed && (flags & FLAG_MARKERS == 0 || algorithm != COMPRESSION_DEFLATE) {
            return Err(unsupported(format!("compression {algorithm}")));
        }
        let redundant = flags & FLAG_REDUNDANT_TABLES != 0;
        Ok(Self {
            capacity_sectors: u64_at(bytes, 12),
            grain_sectors: u64_at(bytes, 20),
            descriptor_sector: u64_at(bytes, 28),
            descriptor_sectors: u64_at(bytes, 36),
            entries_per_table: u32_at(bytes, 44),
            redundant_directory_sector: if redundant { u64_at(bytes, 48) } else { 0 },
            directory_sector: u64_at(bytes, 56),
            overhead_sectors: u64_at(bytes, 64),
            zeroed_grains: flags & FLAG_ZEROED_GRAINS != 0,
            compressed,
            footer: false,
            unclean: bytes[UNCLEAN_AT] != 0,
        })
    }

    fn check(&self, file: &BackingFile) -> Result<(), Error> {
        if self.capacity_sectors > MAX_CAPACITY_SECTORS {
            let capacity_sectors = self.capacity_sectors;
            return Err(file.corrupt(format!("it claims {capacity_sectors} sectors")));
        }
        let grain_sectors = self.grain_sectors;
        if !grain_sectors.is_power_of_two() || grain_sectors > GRAIN_SECTORS_LIMIT {
            return Err(file.corrupt(format!("it claims grains of {grain_sectors} sectors")));
        }
        let entries = self.entries_per_table;
        if !(1..=ENTRIES_PER_TABLE).contains(&entries) {
            return Err(file.corrupt(format!("it claims grain tables of {entries} entries")));
        }
        let tables = self.tables();
        if tables > TABLES_LIMIT {
            return Err(file.corrupt(format!("it claims {tables} grain tables")));
        }
        let file_sectors = file.length_bytes()?.div_ceil(SECTOR_BYTES);
        let redundant_end = self
            .redundant_directory_sector
            .checked_add(self.directory_sectors());
        let directory_end = self.directory_sector.checked_add(self.directory_sectors());
        let inside = |end: Option<u64>| end.is_some_and(|end| end <= file_sectors);
        if self.directory_sector == 0 || !inside(directory_end) || !inside(redundant_end) {
            return Err(file.corrupt("a grain directory is outside the file"));
        }
        Ok(())
    }

    /// The header as it stands in the file, with its directory in front.
    pub(crate) fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut flags = FLAG_NEWLINE_TEST;
        if self.redundant_directory_sector != 0 {
            flags |= FLAG_REDUNDANT_TABLES;
        }
        if self.zeroed_grains {
            flags |= FLAG_ZEROED_GRAINS;
        }
        if self.compressed {
            flags |= FLAG_COMPRESSED | FLAG_MARKERS;
        }
        // Version 2 is the first that knows zeroed grains, version 3 is that of streams.
        let version: u32 = match (self.compressed, self.zeroed_grains) {
            (true, _) => 3,
            (false, true) => 2,
            (false, false) => 1,
        };
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        bytes[8..12].copy_from_slice(&flags.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.capacity_sectors.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.grain_sectors.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.descriptor_sector.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.descriptor_sectors.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.entries_per_table.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.redundant_directory_sector.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.directory_sector.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.overhead_sectors.to_le_bytes());
        bytes[UNCLEAN_AT] = u8::from(self.unclean);
        bytes[73..77].copy_from_slice(&NEWLINE_TEST);
        if self.compressed {
            bytes[77..79].copy_from_slice(&COMPRESSION_DEFLATE.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn grain_bytes(&self) -> usize {
        (self.grain_sectors * SECTOR_BYTES) as usize
    }

    /// Grain tables the extent needs for its capacity.
    pub(crate) fn tables(&self) -> u64 {
        let grains = self.capacity_sectors.div_ceil(self.grain_sectors);
        grains.div_ceil(u64::from(self.entries_per_table))
    }

    /// Length of a grain directory.
    pub(crate) fn directory_sectors(&self) -> u64 {
        (self.tables() * 4).div_ceil(SECTOR_BYTES)
    }

    /// Length of a grain table.
    pub(crate) fn table_sectors(&self) -> u64 {
        (u64::from(self.entries_per_table) * 4).div_ceil(SECTOR_BYTES)
    }
}

fn sector_at(file: &BackingFile, sector: u64) -> Result<[u8; HEADER_BYTES], Error> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(sector * SECTOR_BYTES, &mut bytes)?;
    Ok(bytes)
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            capacity_sectors: 1000,
            grain_sectors: 128,
            descriptor_sector: 1,
            descriptor_sectors: 20,
            entries_per_table: 512,
            redundant_directory_sector: 21,
            directory_sector: 26,
            overhead_sectors: 128,
            zeroed_grains: true,
            compressed: false,
            footer: false,
            unclean: false,
        }
    }

    /// Reads a header back from a file of 64 KiB after changing bytes of it.
    fn read_changed(changes: &[(usize, &[u8])]) -> Result<Header, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = BackingFile::create(&folder.path().join("x.vmdk")).unwrap();
        file.set_length(1 << 16).unwrap();
        let mut bytes = header().to_bytes();
        for (at, new) in changes {
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
        file.write_at(0, &bytes).unwrap();
        Header::read(&file)
    }

    #[test]
    fn fields_stand_where_the_note_says() {
        let bytes = header().to_bytes();
        assert_eq!(bytes[..8], *b"KDMV\x02\0\0\0");
        assert_eq!(bytes[8], 0b111);
        assert_eq!(bytes[12..14], 1000_u16.to_le_bytes());
        assert_eq!((bytes[20], bytes[28], bytes[36]), (128, 1, 20));
        assert_eq!(bytes[44..46], 512_u16.to_le_bytes());
        assert_eq!((bytes[48], bytes[56], bytes[64]), (21, 26, 128));
        assert_eq!(bytes[72..79], *b"\0\n \r\n\0\0");
        assert_eq!(read_changed(&[]).unwrap(), header());
    }

    #[test]
    fn impossible_headers_are_refused() {
        for (at, new) in [
            (0, b"COWD".as_slice()),
            (4, &[4]),
            (12, &[0xff; 8]),
            (20, &[0; 8]),
            (20, &[127]),
            (20, &[0, 0, 1]),
            (44, &[0; 4]),
            (44, &[1, 2]),
            (48, &[0xfe; 8]),
            (56, &[0; 8]),
            (56, &[0xff, 0xff]),
            (56, &[0xff; 8]),
            (73, b"\r\n"),
            (10, &[1]),
        ] {
            let found = read_changed(&[(at, new)]);
            assert!(found.is_err(), "byte {at}: {found:?}");
        }
    }
}
