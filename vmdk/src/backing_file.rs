//! A file that holds data or tables, with errors that name it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use crate::{Error, SECTOR_BYTES, SectorRun, run};

/// Zeros written at once where holes cannot be punched.
const ZERO_BLOCK_BYTES: usize = 1 << 20;

/// An open file. Reads and writes are positioned, so threads can share it.
#[derive(Debug)]
pub(crate) struct BackingFile {
    file: File,
    path: PathBuf,
}

impl BackingFile {
    /// Opens a regular file. A pipe or a device is refused, and none of them is waited for.
    pub(crate) fn open(path: &Path, write: bool) -> Result<Self, Error> {
        let open = || {
            // The flag matters to pipes and devices alone: the open of a regular file is as it was.
            let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
            let options = &mut OpenOptions::new();
            options.read(true).write(write).custom_flags(nonblocking);
            let file = options.open(path)?;
            if file.metadata()?.is_file() {
                Ok(file)
            } else {
                Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is no regular file",
                ))
            }
        };
        Ok(Self {
            file: open().map_err(|source| io_error("open", path, source))?,
            path: path.to_owned(),
        })
    }

    /// Gives the file back for plain reading from its start.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Makes a new, empty file. It is an error if the file exists.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let options = &mut OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path);
        Ok(Self {
            file: file.map_err(|source| io_error("create", path, source))?,
            path: path.to_owned(),
        })
    }

    /// Cuts the file, or makes it longer with a hole.
    pub(crate) fn set_length(&self, length_bytes: u64) -> Result<(), Error> {
        let set = self.file.set_len(length_bytes);
        set.map_err(|source| io_error("set the length of", &self.path, source))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length_bytes(&self) -> Result<u64, Error> {
        match self.file.metadata() {
            Ok(metadata) => Ok(metadata.len()),
            Err(source) => Err(io_error("examine", &self.path, source)),
        }
    }

    /// Fills the buffer; the end of the file inside it is [`Error::Truncated`].
    pub(crate) fn read_at(&self, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Error> {
        match self.file.read_exact_at(buf, offset_bytes) {
            Ok(()) => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Truncated {
                path: self.path.clone(),
                needed_bytes: offset_bytes.saturating_add(buf.len() as u64),
            }),
            Err(source) => Err(io_error("read", &self.path, source)),
        }
    }

    pub(crate) fn write_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(data, offset_bytes);
        written.map_err(|source| io_error("write", &self.path, source))
    }

    /// Makes a range inside the file read as zeros, as a hole where the file system can.
    pub(crate) fn zero(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), Error> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, hole, offset_bytes, length_bytes) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(offset_bytes, length_bytes),
            Err(errno) => Err(io_error("punch a hole in", &self.path, errno.into())),
        }
    }

    pub(crate) fn write_zeros(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), Error> {
        let zeros = vec![
            0;
            ZERO_BLOCK_BYTES
                .min(usize::try_from(length_bytes).unwrap_or(ZERO_BLOCK_BYTES))
        ];
        let mut done_bytes = 0;
        while done_bytes < length_bytes {
            let step_bytes = (length_bytes - done_bytes).min(zeros.len() as u64);
            self.write_at(offset_bytes + done_bytes, &zeros[..step_bytes as usize])?;
            done_bytes += step_bytes;
        }
        Ok(())
    }

    /// The parts of a range that are no holes, rounded outwards to sectors of the file.
    pub(crate) fn data_runs(&self, range: SectorRun) -> Result<Vec<SectorRun>, Error> {
        let end_bytes = range.end_sector() * SECTOR_BYTES;
        let mut at_bytes = range.start_sector * SECTOR_BYTES;
        let mut runs = Vec::new();
        while at_bytes < end_bytes {
            let data_bytes = match seek(&self.file, SeekFrom::Data(at_bytes)) {
                Ok(data_bytes) if data_bytes < end_bytes => data_bytes,
                Ok(_) | Err(Errno::NXIO) => break,
                Err(errno) => return Err(io_error("look for data in", &self.path, errno.into())),
            };
            let hole_bytes = seek(&self.file, SeekFrom::Hole(data_bytes));
            let hole_bytes = hole_bytes
                .map_err(|errno| io_error("look for holes in", &self.path, errno.into()))?;
            // A hole that moved under us: the rest of the sector still counts as data.
            let stop_bytes = hole_bytes.clamp(data_bytes + 1, end_bytes);
            let start_sector = data_bytes / SECTOR_BYTES;
            let sectors = stop_bytes.div_ceil(SECTOR_BYTES) - start_sector;
            run::push(
                &mut runs,
                SectorRun {
                    start_sector,
                    sectors,
                },
            );
            at_bytes = stop_bytes;
        }
        Ok(runs)
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        let synced = self.file.sync_data();
        synced.map_err(|source| io_error("flush", &self.path, source))
    }

    pub(crate) fn corrupt(&self, reason: impl Into<String>) -> Error {
        Error::Corrupt {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_written_over_data_block_by_block() {
        let folder = tempfile::tempdir().unwrap();
        let length_bytes = 2 * ZERO_BLOCK_BYTES as u64 + 700;
        let file = BackingFile::create(&folder.path().join("f")).unwrap();
        let ones = vec![1; length_bytes as usize];
        file.write_at(0, &ones).unwrap();
        file.write_zeros(100, length_bytes - 200).unwrap();
        let mut found = vec![9; length_bytes as usize];
        file.read_at(0, &mut found).unwrap();
        let middle = 100..length_bytes as usize - 100;
        assert!(found[middle.clone()].iter().all(|&byte| byte == 0));
        assert!(
            found[..100]
                .iter()
                .chain(&found[middle.end..])
                .all(|&byte| byte == 1)
        );
    }

    #[test]
    fn data_runs_cover_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = BackingFile::create(&folder.path().join("f")).unwrap();
        file.set_length(1 << 20).unwrap();
        file.write_at(300_000, &[1; 4096]).unwrap();
        let whole = SectorRun {
            start_sector: 0,
            sectors: 2048,
        };
        let runs = file.data_runs(whole).unwrap();
        let covered = |sector| {
            runs.iter()
                .any(|r| r.start_sector <= sector && sector < r.end_sector())
        };
        assert!(covered(300_000 / 512) && covered(304_095 / 512));
    }
}
