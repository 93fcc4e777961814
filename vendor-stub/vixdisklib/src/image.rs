//! The data of an open disk, and the rules for moving it.

use std::sync::{PoisonError, RwLock};

use vddk_sys as sys;

use crate::error::Failure;

/// Bytes in a sector of the interface.
pub(crate) const SECTOR_BYTES: u64 = 512;

/// An open chain of VMDK links.
#[derive(Debug)]
pub(crate) struct Image {
    disk: RwLock<vmdk::Disk>,
    /// Size of the disk.
    pub(crate) capacity_sectors: u64,
    read_only: bool,
    unbuffered: bool,
    out_of_reach: bool,
}

impl Image {
    /// Wraps an open disk. `unbuffered` demands aligned buffers.
    pub(crate) fn new(disk: vmdk::Disk, read_only: bool, unbuffered: bool) -> Self {
        Self {
            capacity_sectors: disk.capacity_sectors(),
            disk: RwLock::new(disk),
            read_only,
            unbuffered,
            out_of_reach: false,
        }
    }

    /// The transport does not reach the data, and does not know: they read as zeros, and writes
    /// fail with 7 ("VDDK API reference, 4.7").
    pub(crate) fn put_out_of_reach(&mut self) {
        self.out_of_reach = true;
    }

    /// Refuses what changes a disk that was opened for reading.
    ///
    /// # Errors
    ///
    /// 11.
    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        if self.read_only {
            let message = "the disk is open for reading only";
            return Err(Failure::new(sys::VIX_E_FILE_READ_ONLY, message));
        }
        Ok(())
    }

    /// Checks a request and gives the length of its buffer in bytes.
    ///
    /// # Errors
    ///
    /// 11 for a write to a disk opened for reading, 16007 beyond the end, 3 for a null buffer and
    /// for one that is not aligned although the disk is unbuffered.
    pub(crate) fn check(
        &self,
        start_sector: u64,
        sectors: u64,
        buffer: *const u8,
        write: bool,
    ) -> Result<usize, Failure> {
        if write {
            self.check_writable()?;
        }
        let end = start_sector.checked_add(sectors);
        if end.is_none_or(|end| end > self.capacity_sectors) {
            let capacity = self.capacity_sectors;
            let message =
                format!("{sectors} sectors at {start_sector} end past the capacity of {capacity}");
            return Err(Failure::new(sys::VIX_E_DISK_OUTOFRANGE, message));
        }
        if buffer.is_null() {
            return Err(Failure::argument("the buffer is null"));
        }
        if self.unbuffered && !buffer.addr().is_multiple_of(SECTOR_BYTES as usize) {
            return Err(Failure::argument("the buffer is not sector-aligned"));
        }
        let bytes = sectors.checked_mul(SECTOR_BYTES);
        bytes
            .and_then(|bytes| isize::try_from(bytes).ok())
            .map(isize::unsigned_abs)
            .ok_or_else(|| Failure::argument("the request is too large"))
    }

    /// Reads whole sectors.
    pub(crate) fn read(&self, start_sector: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        if self.out_of_reach {
            buffer.fill(0);
            return Ok(());
        }
        self.with(|disk| disk.read_at(start_sector, buffer))
    }

    /// Writes whole sectors.
    pub(crate) fn write(&self, start_sector: u64, data: &[u8]) -> Result<(), Failure> {
        if self.out_of_reach {
            let message = "the device does not take the write";
            return Err(Failure::new(sys::VIX_E_FILE_ERROR, message));
        }
        self.change(|disk| disk.write_at(start_sector, data))
    }

    /// Brings written data to the files.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        if self.read_only {
            return Ok(());
        }
        self.change(vmdk::Disk::flush)
    }

    /// Uses the disk for something that changes nothing.
    pub(crate) fn with<R>(
        &self,
        work: impl FnOnce(&vmdk::Disk) -> Result<R, vmdk::Error>,
    ) -> Result<R, Failure> {
        let disk = self.disk.read().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&disk)?)
    }

    /// Uses the disk inside the use of another.
    pub(crate) fn with_inner<R>(
        &self,
        work: impl FnOnce(&vmdk::Disk) -> Result<R, vmdk::Error>,
    ) -> Result<R, vmdk::Error> {
        let disk = self.disk.read().unwrap_or_else(PoisonError::into_inner);
        work(&disk)
    }

    /// Uses the disk for something that changes it.
    pub(crate) fn change<R>(
        &self,
        work: impl FnOnce(&mut vmdk::Disk) -> Result<R, vmdk::Error>,
    ) -> Result<R, Failure> {
        let mut disk = self.disk.write().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&mut disk)?)
    }
}
