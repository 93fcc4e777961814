//! What a disk must hold, kept in a plain file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::scale::MIB;

/// A copy of an image that gets every write the disk gets.
#[derive(Debug)]
pub(super) struct Shadow {
    file: File,
}

impl Shadow {
    /// Copies an image to a new file.
    ///
    /// # Errors
    ///
    /// When one cannot be read or the other written.
    pub(super) fn copy(image: &Path, path: &Path, capacity_bytes: u64) -> io::Result<Self> {
        copy_sparse(image, path, capacity_bytes)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file })
    }

    /// Reads a range.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub(super) fn read(&self, offset_bytes: u64, length_bytes: u64) -> io::Result<Vec<u8>> {
        let mut data = vec![0; length_bytes as usize];
        self.file.read_exact_at(&mut data, offset_bytes)?;
        Ok(data)
    }

    /// Writes a range.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn write(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset_bytes)
    }
}

/// Copies a file, and fills it up with zeros to a length. Stretches of zeros become holes.
///
/// # Errors
///
/// When one cannot be read or the other written.
pub(super) fn copy_sparse(from: &Path, to: &Path, length_bytes: u64) -> io::Result<()> {
    let (from, to) = (File::open(from)?, File::create_new(to)?);
    to.set_len(length_bytes)?;
    let there_bytes = from.metadata()?.len().min(length_bytes);
    let mut buffer = vec![0; MIB as usize];
    for start in (0..there_bytes).step_by(MIB as usize) {
        let chunk = &mut buffer[..MIB.min(there_bytes - start) as usize];
        from.read_exact_at(chunk, start)?;
        if chunk.iter().any(|byte| *byte != 0) {
            to.write_all_at(chunk, start)?;
        }
    }
    Ok(())
}
