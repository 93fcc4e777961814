//! The buffers of a disk: free, in flight, or with the workers.

use crossbeam_channel::{Receiver, Sender, bounded};
use vddk::{SECTOR_BYTES, SectorBuf};

use crate::engine::error::Error;

/// A fixed number of buffers. They are made as they are needed.
#[derive(Debug)]
pub(super) struct Buffers {
    most: usize,
    made: usize,
    sectors: usize,
    /// Those that the workers have.
    lent: usize,
    give_back: Sender<SectorBuf>,
    back: Receiver<SectorBuf>,
}

impl Buffers {
    pub(super) fn new(most: usize, bytes: u64) -> Self {
        let (give_back, back) = bounded(most);
        Self {
            most,
            made: 0,
            sectors: bytes as usize / SECTOR_BYTES,
            lent: 0,
            give_back,
            back,
        }
    }

    /// A free buffer; waits for one of the workers' where there is none.
    ///
    /// # Errors
    /// When there is no memory for a new one.
    pub(super) fn take(&mut self) -> Result<SectorBuf, Error> {
        if let Ok(buffer) = self.back.try_recv() {
            self.lent -= 1;
            return Ok(buffer);
        }
        if self.made < self.most {
            self.made += 1;
            return Ok(SectorBuf::new(self.sectors)?);
        }
        let buffer = self.back.recv().map_err(|_| vddk::Error::ThreadEnded)?;
        self.lent -= 1;
        Ok(buffer)
    }

    /// Where the workers give back the buffer that they are about to get.
    pub(super) fn lend(&mut self) -> Sender<SectorBuf> {
        self.lent += 1;
        self.give_back.clone()
    }

    /// Waits until the workers have none. Each comes back, whatever becomes of its worker.
    pub(super) fn wait_for_all(&mut self) {
        while self.lent > 0 && self.back.recv().is_ok() {
            self.lent -= 1;
        }
    }
}
