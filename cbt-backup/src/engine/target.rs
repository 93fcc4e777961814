//! Where a restore writes to.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// A disk that is being restored. Calls come in disk order.
pub trait DiskTarget: Send {
    /// Writes data at a byte offset.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, offset_bytes: u64, data: &[u8]) -> io::Result<()>;

    /// Makes a range read as zeros.
    ///
    /// # Errors
    /// When that is not possible.
    fn hole(&mut self, offset_bytes: u64, length_bytes: u64) -> io::Result<()>;

    /// Makes everything durable and visible.
    ///
    /// # Errors
    /// When that is not possible: then the disk must not be used.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A raw, sparse file. It has its name only when it is complete.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    path: PathBuf,
    partial: PathBuf,
    replace: bool,
    finished: bool,
}

impl RawFile {
    /// Begins a file of `capacity_bytes` at `path`, under a name of its own, `<path>.<id>.partial`, for now.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when `path` exists and `replace` is not set.
    pub fn create(path: &Path, capacity_bytes: u64, replace: bool) -> io::Result<Self> {
        if !replace && path.try_exists()? {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} exists", path.display()),
            ));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", ulid::Ulid::generate()));
        let partial = PathBuf::from(partial);
        // Never a file that is there: it may be another restore's, or a link to somewhere else.
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            // It is a whole disk in the clear.
            .mode(0o600)
            .open(&partial)?;
        let this = Self {
            file,
            path: path.to_path_buf(),
            partial,
            replace,
            finished: false,
        };
        this.file.set_len(capacity_bytes)?;
        Ok(this)
    }
}

impl DiskTarget for RawFile {
    fn write(&mut self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset_bytes))?;
        self.file.write_all(data)
    }

    fn hole(&mut self, _offset_bytes: u64, _length_bytes: u64) -> io::Result<()> {
        // The file began as one hole, and nothing is written twice.
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()?;
        if self.replace {
            fs::rename(&self.partial, &self.path)?;
        } else {
            give_name(&self.partial, &self.path)?;
        }
        self.finished = true;
        match self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }
}

/// Names a complete file, without replacing one that came up meanwhile.
fn give_name(partial: &Path, path: &Path) -> io::Result<()> {
    // A link, unlike a rename, never replaces a file.
    match fs::hard_link(partial, path) {
        Ok(()) => fs::remove_file(partial),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links: the look and the rename are two steps there.
        Err(_) if !path.try_exists()? => fs::rename(partial, path),
        Err(error) => Err(error),
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskTarget, RawFile};
    use std::io::ErrorKind;

    #[test]
    fn a_file_has_its_name_only_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let mut target = Box::new(RawFile::create(&path, 4096, false).unwrap());
        target.write(1024, &[7; 512]).unwrap();
        target.hole(1536, 2560).unwrap();
        assert!(!path.exists());
        target.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 4096);
        assert!(bytes[1024..1536].iter().all(|byte| *byte == 7));
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 512);
        assert_eq!(
            RawFile::create(&path, 1, false).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_restores_of_one_disk_do_not_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let mut first = Box::new(RawFile::create(&path, 1024, false).unwrap());
        let mut second = Box::new(RawFile::create(&path, 1024, false).unwrap());
        first.write(0, &[1; 512]).unwrap();
        second.write(0, &[2; 1024]).unwrap();
        first.finish().unwrap();
        assert_eq!(
            second.finish().unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            bytes[..512].iter().all(|byte| *byte == 1)
                && bytes[512..].iter().all(|byte| *byte == 0)
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_restore_that_fails_leaves_nothing_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        std::fs::write(&path, b"old").unwrap();
        drop(RawFile::create(&path, 4096, true).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
