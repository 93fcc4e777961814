//! Writes a stream-optimized disk to where nothing can be read or changed again, such as a socket.

use std::io::Write;
use std::path::PathBuf;

use crate::backing_file::io_error;
use crate::create::{GRAIN_SECTORS, Layout};
use crate::extent_name::{checked, extents};
use crate::header::{DIRECTORY_IN_FOOTER, ENTRIES_PER_TABLE, Header};
use crate::{CreateOptions, DiskKind, Error, SECTOR_BYTES, packed_grain};

/// Header and descriptor, before the first grain.
const OVERHEAD_SECTORS: u64 = 128;

/// What stands in a marker of something else than a grain.
#[derive(Clone, Copy)]
enum Marker {
    EndOfStream = 0,
    GrainTable = 1,
    GrainDirectory = 2,
    Footer = 3,
}

/// Writes a `streamOptimized` disk front to back: header, descriptor, compressed grains, their tables,
/// and at the end the directory and a footer that says where it is. That is what exporters write
/// ("Virtual Disk Format 5.0", Stream-Optimized Compressed Sparse Extents).
///
/// # Example
///
/// ```
/// use vmdk::{CreateOptions, StreamWriter};
///
/// let mut stream = StreamWriter::new(Vec::new(), "disk.vmdk", &CreateOptions::new(1000))?;
/// stream.write(256, &[7; 512])?;
/// let file = stream.finish()?;
/// assert!(file.len() < 100_000);
/// # Ok::<(), vmdk::Error>(())
/// ```
#[derive(Debug)]
pub struct StreamWriter<W> {
    out: W,
    name: String,
    header: Header,
    /// Sectors written so far.
    at_sector: u64,
    /// The first sector of the disk that may still be written.
    next_sector: u64,
    /// The grain that is being filled, and its number.
    grain: Vec<u8>,
    grain_number: u64,
    /// The table that is being filled.
    table: Vec<u32>,
    directory: Vec<u32>,
}

impl<W: Write> StreamWriter<W> {
    /// Begins a disk. The name is that of its file, which the descriptor inside has.
    ///
    /// # Errors
    ///
    /// - [`Error::Capacity`] if the size is zero or too large,
    /// - [`Error::Text`] if name or UUID cannot stand in a descriptor,
    /// - [`Error::Io`] if it cannot be written.
    pub fn new(out: W, name: &str, options: &CreateOptions) -> Result<Self, Error> {
        let kind = DiskKind::StreamOptimized;
        let mut descriptor = options.descriptor(kind)?;
        let path = PathBuf::from(checked(name)?);
        descriptor.extents = extents(&path, kind, options.capacity_sectors)?;
        let mut layout = Layout::new(options.capacity_sectors);
        layout.compressed = true;
        let mut header = layout.header(true);
        header.redundant_directory_sector = 0;
        header.directory_sector = DIRECTORY_IN_FOOTER;
        header.overhead_sectors = OVERHEAD_SECTORS;
        let directory = vec![0; header.tables() as usize];
        let mut start = header.to_bytes().to_vec();
        start.extend_from_slice(descriptor.to_text().as_bytes());
        if start.len() as u64 > (1 + header.descriptor_sectors) * SECTOR_BYTES {
            return Err(Error::Full { path });
        }
        start.resize((OVERHEAD_SECTORS * SECTOR_BYTES) as usize, 0);
        let mut stream = Self {
            out,
            name: name.to_owned(),
            grain: vec![0; header.grain_bytes()],
            header,
            at_sector: 0,
            next_sector: 0,
            grain_number: 0,
            table: vec![0; ENTRIES_PER_TABLE as usize],
            directory,
        };
        stream.put(&start)?;
        Ok(stream)
    }

    /// Writes sectors. They must come in order; what is left out reads as zeros.
    ///
    /// # Errors
    ///
    /// - [`Error::Unaligned`] if the data is no whole number of sectors,
    /// - [`Error::OutOfRange`] if it reaches past the end of the disk,
    /// - [`Error::WrittenOnce`] if it begins before what was written last,
    /// - [`Error::Full`] if the stream would reach 2 TiB,
    /// - [`Error::Io`] if it cannot be written.
    pub fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), Error> {
        let length_bytes = data.len();
        if !(length_bytes as u64).is_multiple_of(SECTOR_BYTES) {
            return Err(Error::Unaligned { length_bytes });
        }
        let sectors = length_bytes as u64 / SECTOR_BYTES;
        let capacity_sectors = self.header.capacity_sectors;
        let end_sector = sector.checked_add(sectors);
        let Some(end_sector) = end_sector.filter(|end| *end <= capacity_sectors) else {
            return Err(Error::OutOfRange {
                start_sector: sector,
                sectors,
                capacity_sectors,
            });
        };
        if sector < self.next_sector {
            let path = PathBuf::from(&self.name);
            return Err(Error::WrittenOnce { path, sector });
        }
        let mut rest = data;
        let mut at = sector;
        while !rest.is_empty() {
            self.begin_grain(at / GRAIN_SECTORS)?;
            let within = (at % GRAIN_SECTORS * SECTOR_BYTES) as usize;
            let length = rest.len().min(self.grain.len() - within);
            self.grain[within..within + length].copy_from_slice(&rest[..length]);
            rest = &rest[length..];
            at += length as u64 / SECTOR_BYTES;
        }
        self.next_sector = end_sector;
        Ok(())
    }

    /// Ends the disk: writes its tables and the footer, and gives back where it was written to.
    /// Without this the stream is no disk.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] and [`Error::Io`] as [`StreamWriter::write`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.end_grain()?;
        self.end_table(self.grain_number / u64::from(ENTRIES_PER_TABLE))?;
        let mut directory: Vec<u8> = bytes(&self.directory);
        directory.resize(directory.len().next_multiple_of(SECTOR_BYTES as usize), 0);
        self.put_marker(
            directory.len() as u64 / SECTOR_BYTES,
            Marker::GrainDirectory,
        )?;
        let footer = Header {
            directory_sector: self.at_sector,
            ..self.header.clone()
        };
        self.put(&directory)?;
        self.put_marker(1, Marker::Footer)?;
        self.put(&footer.to_bytes())?;
        self.put_marker(0, Marker::EndOfStream)?;
        let flushed = self.out.flush();
        flushed.map_err(|source| io_error("flush", self.name.as_ref(), source))?;
        Ok(self.out)
    }

    /// Makes a grain the one that is being filled.
    fn begin_grain(&mut self, number: u64) -> Result<(), Error> {
        if number == self.grain_number {
            return Ok(());
        }
        self.end_grain()?;
        let per_table = u64::from(ENTRIES_PER_TABLE);
        if number / per_table != self.grain_number / per_table {
            self.end_table(self.grain_number / per_table)?;
        }
        self.grain_number = number;
        Ok(())
    }

    /// Writes the grain that is being filled, unless it is zeros.
    fn end_grain(&mut self) -> Result<(), Error> {
        if self.grain.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let at = self.here()?;
        let packed = packed_grain::pack(self.grain_number * GRAIN_SECTORS, &self.grain);
        self.put(&packed)?;
        self.table[(self.grain_number % u64::from(ENTRIES_PER_TABLE)) as usize] = at;
        self.grain.fill(0);
        Ok(())
    }

    /// Writes the table that is being filled, unless it has no grain.
    fn end_table(&mut self, number: u64) -> Result<(), Error> {
        if self.table.iter().all(|&entry| entry == 0) {
            return Ok(());
        }
        let table = bytes(&self.table);
        self.put_marker(table.len() as u64 / SECTOR_BYTES, Marker::GrainTable)?;
        self.directory[number as usize] = self.here()?;
        self.put(&table)?;
        self.table.fill(0);
        Ok(())
    }

    /// Writes a marker: how many sectors follow, a size of zero, and of what kind they are.
    fn put_marker(&mut self, sectors: u64, marker: Marker) -> Result<(), Error> {
        let mut bytes = [0; SECTOR_BYTES as usize];
        bytes[..8].copy_from_slice(&sectors.to_le_bytes());
        bytes[12..16].copy_from_slice(&(marker as u32).to_le_bytes());
        self.put(&bytes)
    }

    /// Writes whole sectors.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.out.write_all(bytes);
        written.map_err(|source| io_error("write", self.name.as_ref(), source))?;
        self.at_sector += bytes.len() as u64 / SECTOR_BYTES;
        Ok(())
    }

    /// The sector that is written next, as tables have it.
    fn here(&self) -> Result<u32, Error> {
        u32::try_from(self.at_sector).map_err(|_| Error::Full {
            path: PathBuf::from(&self.name),
        })
    }
}

fn bytes(entries: &[u32]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}
