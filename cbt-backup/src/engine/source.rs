//! Where a backup reads from.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use vddk::{Disk, Pending, SECTOR_BYTES, SectorBuf, TransportFallback};

/// Most entries taken of a disk database; there are some twenty.
const MAX_DATABASE_KEYS: usize = 256;

/// A read that is wanted. The buffer says how much.
#[derive(Debug)]
pub struct ReadRequest {
    /// The first 512-byte sector.
    pub start_sector: u64,
    /// Where the data goes; it comes back in [`ReadDone`].
    pub buffer: SectorBuf,
}

/// A read that is done.
#[derive(Debug)]
pub struct ReadDone {
    /// The first 512-byte sector.
    pub start_sector: u64,
    /// The data.
    pub buffer: SectorBuf,
}

/// An open disk of a snapshot.
///
/// Requests and buffers travel by value, so that the disk may as well live in another process.
pub trait DiskSource: Send {
    /// The disk's size in bytes.
    fn capacity_bytes(&self) -> u64;

    /// How its data really comes here, in VDDK's word.
    fn transport(&self) -> String;

    /// The allocated areas in bytes, sorted; the rest reads as zeros. Nothing may be in flight.
    ///
    /// # Errors
    /// When the source cannot tell: then everything must be read.
    fn allocated(&mut self) -> Result<Vec<Range<u64>>, vddk::Error>;

    /// Keys and values of the disk database. Nothing may be in flight.
    ///
    /// # Errors
    /// When the source does not tell.
    fn database(&mut self) -> Result<BTreeMap<String, String>, vddk::Error>;

    /// Begins a read; may wait while too many are in flight.
    ///
    /// # Errors
    /// When the request is refused.
    fn submit(&mut self, request: ReadRequest) -> Result<(), vddk::Error>;

    /// Waits for the oldest read in flight; `None` when there is none.
    ///
    /// # Errors
    /// When the read failed.
    fn next(&mut self) -> Option<Result<ReadDone, vddk::Error>>;

    /// Closes the disk.
    ///
    /// # Errors
    /// When closing failed.
    fn close(self: Box<Self>) -> Result<(), vddk::Error>;
}

/// A disk opened through VixDiskLib.
#[derive(Debug)]
pub struct VddkSource {
    disk: Disk,
    in_flight: VecDeque<(u64, Pending)>,
}

impl VddkSource {
    /// Takes an open disk over.
    pub fn new(disk: Disk) -> Self {
        Self {
            disk,
            in_flight: VecDeque::new(),
        }
    }

    /// Whether it came by another transport than the one wanted most.
    pub fn transport_fallback(&self) -> Option<TransportFallback> {
        self.disk.transport_fallback()
    }
}

impl DiskSource for VddkSource {
    fn capacity_bytes(&self) -> u64 {
        self.disk
            .info()
            .capacity_sectors
            .saturating_mul(SECTOR_BYTES as u64)
    }

    fn transport(&self) -> String {
        self.disk.transport_mode().to_string()
    }

    fn allocated(&mut self) -> Result<Vec<Range<u64>>, vddk::Error> {
        let sector = SECTOR_BYTES as u64;
        let map = self.disk.allocated_blocks()?;
        Ok(map
            .ranges()
            .iter()
            .map(|run| run.start_sector * sector..run.end_sector() * sector)
            .collect())
    }

    fn database(&mut self) -> Result<BTreeMap<String, String>, vddk::Error> {
        let mut keys = self.disk.metadata_keys()?;
        keys.truncate(MAX_DATABASE_KEYS);
        let mut database = BTreeMap::new();
        for key in keys {
            if let Some(value) = self.disk.metadata(&key)? {
                database.insert(key, value);
            }
        }
        Ok(database)
    }

    fn submit(&mut self, request: ReadRequest) -> Result<(), vddk::Error> {
        let pending = self.disk.read(request.start_sector, request.buffer)?;
        self.in_flight.push_back((request.start_sector, pending));
        Ok(())
    }

    fn next(&mut self) -> Option<Result<ReadDone, vddk::Error>> {
        let (start_sector, pending) = self.in_flight.pop_front()?;
        Some(pending.wait().map(|buffer| ReadDone {
            start_sector,
            buffer,
        }))
    }

    fn close(mut self: Box<Self>) -> Result<(), vddk::Error> {
        self.in_flight.clear();
        self.disk.close()
    }
}
