//! The image, read by several threads as a backup reads a disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::Failure;

/// A read, as a backup makes it.
const READ_BLOCKS: u64 = 8;
/// The block size of the repository.
pub(crate) const BLOCK_BYTES: u64 = 1 << 18;

pub(crate) struct Disk {
    file: File,
    pub(crate) bytes: u64,
}

impl Disk {
    pub(crate) fn open(path: &str) -> Result<Self, Failure> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.bytes.div_ceil(BLOCK_BYTES)
    }

    /// Gives the blocks of `list` to `take`, by a thread for each processor. Neighbours are read at once.
    pub(crate) fn each<T: Send>(
        &self,
        list: &[u64],
        start: impl Fn() -> T + Sync,
        take: impl Fn(&mut T, u64, &[u8]) -> Result<(), Failure> + Sync,
    ) -> Result<Vec<T>, Failure> {
        let runs: Vec<&[u64]> = list
            .chunk_by(|a, b| a + 1 == *b)
            .flat_map(|run| run.chunks(READ_BLOCKS as usize))
            .collect();
        let next = AtomicUsize::new(0);
        let work = || -> Result<T, Failure> {
            let mut state = start();
            let mut buffer = vec![0; (READ_BLOCKS * BLOCK_BYTES) as usize];
            while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let from = run[0] * BLOCK_BYTES;
                let to = ((run[0] + run.len() as u64) * BLOCK_BYTES).min(self.bytes);
                let read = &mut buffer[..(to - from) as usize];
                self.file.read_exact_at(read, from)?;
                for (block, data) in run.iter().zip(read.chunks(BLOCK_BYTES as usize)) {
                    take(&mut state, *block, data)?;
                }
            }
            Ok(state)
        };
        let threads = thread::available_parallelism()?.get();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = workers.into_iter().map(|worker| match worker.join() {
                Ok(outcome) => outcome,
                Err(_) => Err("a thread panicked".into()),
            });
            joined.collect()
        })
    }

    /// One block.
    pub(crate) fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        Ok(self.file.read_exact_at(buffer, offset_bytes)?)
    }
}

/// As the repository looks for zeros.
pub(crate) fn is_zero(data: &[u8]) -> bool {
    data.first() == Some(&0) && data[1..] == data[..data.len() - 1]
}
