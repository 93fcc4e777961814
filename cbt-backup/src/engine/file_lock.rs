//! A lock that processes of one machine share by a file.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

/// Held until it is dropped. The system frees it when the process ends, however it ends.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(super) struct FileLock(File);

impl FileLock {
    /// Takes it for itself; `None` while somebody has it in any way.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub(super) fn alone(path: &Path) -> io::Result<Option<Self>> {
        Self::take(path, File::try_lock)
    }

    /// Takes it beside others who do so; `None` while somebody has it alone.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub(super) fn shared(path: &Path) -> io::Result<Option<Self>> {
        Self::take(path, File::try_lock_shared)
    }

    fn take(
        path: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> io::Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has just forked shares the open file,
        // and the lock, until its own program begins.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::FileLock;

    #[test]
    fn one_is_alone_or_several_share_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock/one");
        let first = FileLock::shared(&path).unwrap().unwrap();
        let second = FileLock::shared(&path).unwrap().unwrap();
        assert!(FileLock::alone(&path).unwrap().is_none());
        drop(first);
        assert!(FileLock::alone(&path).unwrap().is_none());
        // As a child has it that was just forked.
        let forked = second.0.try_clone().unwrap();
        drop(second);
        let alone = FileLock::alone(&path).unwrap();
        assert!(alone.is_some());
        assert!(FileLock::shared(&path).unwrap().is_none());
        drop((alone, forked));
        assert!(FileLock::shared(&path).unwrap().is_some());
    }
}
