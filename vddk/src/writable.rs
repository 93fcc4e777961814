//! A disk that is open for writing.

use std::ops::Deref;

use crate::{Disk, Error, Pending, SectorBuf};

/// A disk opened for writing: everything that a [`Disk`] does, and writes.
///
/// Requests in flight at once are not ordered. Wait for a write before the same sectors are written
/// or read again.
#[derive(Debug)]
pub struct WritableDisk {
    disk: Disk,
}

impl WritableDisk {
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk }
    }

    pub(crate) fn into_disk(self) -> Disk {
        self.disk
    }

    /// Begins to write the buffer's sectors from `start_sector` on.
    ///
    /// Blocks while as many requests wait as may be in flight. A failure comes from
    /// [`Pending::wait`], and again from the next [`WritableDisk::flush`] or
    /// [`WritableDisk::close`]: a write that nobody waited for is not forgotten. A failed write may
    /// be half done; write the whole range again.
    ///
    /// # Errors
    /// [`Error::Argument`] for a range that leaves the disk, [`Error::Poisoned`] after a request
    /// that never completed.
    #[doc(alias = "VixDiskLib_WriteAsync")]
    #[doc(alias = "VixDiskLib_Write")]
    pub fn write(&self, start_sector: u64, buffer: SectorBuf) -> Result<Pending, Error> {
        self.disk.write(start_sector, buffer)
    }

    /// Waits for everything in flight and brings it to the disk (`VixDiskLib_Wait`,
    /// `VixDiskLib_Flush`).
    ///
    /// # Errors
    /// [`Error::Call`] of the first write that failed since the last flush, or of the flush itself;
    /// [`Error::Poisoned`].
    #[doc(alias = "VixDiskLib_Flush")]
    #[doc(alias = "VixDiskLib_Wait")]
    pub fn flush(&self) -> Result<(), Error> {
        self.disk.flush()
    }

    /// Flushes what was written and closes the disk (`VixDiskLib_Close`).
    ///
    /// # Errors
    /// As [`WritableDisk::flush`] and [`Disk::close`]. After writes any of them means that data may
    /// be lost.
    #[doc(alias = "VixDiskLib_Close")]
    pub fn close(self) -> Result<(), Error> {
        self.disk.close()
    }
}

impl Deref for WritableDisk {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.disk
    }
}

#[cfg(test)]
mod tests {
    use super::WritableDisk;
    static_assertions::assert_impl_all!(WritableDisk: Send);
    static_assertions::assert_not_impl_any!(WritableDisk: Sync);
}
