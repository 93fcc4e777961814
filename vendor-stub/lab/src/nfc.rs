//! What the NFC service of the host has to share out between processes: memory and bandwidth.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::state::{open_lock_file, read_if_there, remove_if_there};
use crate::{Error, Lab};

/// A time further ahead is from before the machine was started again.
const MAX_AHEAD_NS: u64 = 60 * 1_000_000_000;

/// Memory of the host that an open disk has, until dropped or until the process ends.
#[derive(Debug)]
#[must_use = "the memory is given back when it is dropped"]
pub struct NfcMemory {
    path: PathBuf,
    file: File,
}

impl Drop for NfcMemory {
    fn drop(&mut self) {
        // Unlocked by name: a child that was just forked shares the open file. What remains of
        // the file is taken for that of a dead process.
        let _ = self.file.unlock();
        let _ = fs::remove_file(&self.path);
    }
}

/// The bandwidth of the host, shared by all processes of the machine.
#[derive(Debug)]
pub struct NfcBandwidth {
    path: PathBuf,
    file: File,
    bytes_per_s: u64,
}

impl Lab {
    /// Takes memory of the host for an open disk. `None` when what the living processes have and
    /// `bytes` are more than `limit_bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn take_nfc_memory(
        &self,
        bytes: u64,
        limit_bytes: u64,
    ) -> Result<Option<NfcMemory>, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = self.nfc_folder()?;
        let lock = open_lock_file(&folder.join("lock"))?;
        lock.lock()
            .map_err(Error::io("lock", folder.join("lock")))?;
        let mut taken: u64 = 0;
        for entry in fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
            let path = entry.map_err(Error::io("list", &folder))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "memory")
            {
                taken = taken.saturating_add(taken_in(&path)?);
            }
        }
        if taken.saturating_add(bytes) > limit_bytes {
            return Ok(None);
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}.memory", std::process::id()));
        let mut file = open_lock_file(&path)?;
        file.set_len(0).map_err(Error::io("write", &path))?;
        write!(file, "{bytes}").map_err(Error::io("write", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(Some(NfcMemory { path, file }))
    }

    /// The bandwidth of the host, at least one byte a second.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn nfc_bandwidth(&self, bytes_per_s: u64) -> Result<NfcBandwidth, Error> {
        let path = self.nfc_folder()?.join("bandwidth");
        let file = open_lock_file(&path)?;
        Ok(NfcBandwidth {
            path,
            file,
            bytes_per_s: bytes_per_s.max(1),
        })
    }

    fn nfc_folder(&self) -> Result<PathBuf, Error> {
        self.make_folder(Path::new("nfc"))?;
        Ok(self.root().join("nfc"))
    }
}

impl NfcBandwidth {
    /// Sends bytes that are ready at a time of the monotonic clock, after all that was sent
    /// before, and tells when they have passed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn pass(&self, ready_ns: u64, bytes: u64) -> Result<u64, Error> {
        self.file.lock().map_err(Error::io("lock", &self.path))?;
        let passed = self.pass_locked(ready_ns, bytes);
        self.file
            .unlock()
            .map_err(Error::io("unlock", &self.path))?;
        passed.map_err(Error::io("change", &self.path))
    }

    fn pass_locked(&self, ready_ns: u64, bytes: u64) -> std::io::Result<u64> {
        let mut free = [0; 8];
        let length = self.file.read_at(&mut free, 0)?;
        let mut free_ns = u64::from_le_bytes(free);
        if length < free.len() || free_ns > ready_ns.saturating_add(MAX_AHEAD_NS) {
            free_ns = 0;
        }
        let passed_ns = free_ns
            .max(ready_ns)
            .saturating_add(transfer_ns(bytes, self.bytes_per_s));
        self.file.write_all_at(&passed_ns.to_le_bytes(), 0)?;
        Ok(passed_ns)
    }
}

/// How long bytes take at a rate over 0.
fn transfer_ns(bytes: u64, bytes_per_s: u64) -> u64 {
    let ns = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_s);
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// What one file says is taken; 0, and the file is removed, if its process is gone.
fn taken_in(path: &Path) -> Result<u64, Error> {
    let file = open_lock_file(path)?;
    match file.try_lock() {
        Ok(()) => {
            remove_if_there(path)?;
            Ok(0)
        }
        Err(TryLockError::WouldBlock) => {
            let text = read_if_there(path)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            Ok(text.parse().unwrap_or(0))
        }
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    #[test]
    fn memory_is_shared_out_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let take = |bytes| lab.take_nfc_memory(bytes, 10).unwrap();
        let first = take(6).unwrap();
        let second = take(4).unwrap();
        assert!(take(1).is_none());
        drop(first);
        assert!(take(7).is_none());
        let third = take(6).unwrap();
        drop((second, third));
        // What a killed process leaves: a file that nobody has locked.
        std::fs::write(folder.path().join("nfc/1-0.memory"), "10").unwrap();
        drop(take(10).unwrap());
    }

    #[test]
    fn bandwidth_is_one_pipe_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let pipes = [(); 2].map(|()| lab.nfc_bandwidth(1000).unwrap());
        assert_eq!(pipes[0].pass(5_000_000_000, 500).unwrap(), 5_500_000_000);
        assert_eq!(pipes[1].pass(5_000_000_000, 500).unwrap(), 6_000_000_000);
        assert_eq!(pipes[0].pass(9_000_000_000, 1).unwrap(), 9_001_000_000);
        // A machine that was started again counts its time from the beginning.
        let late = u64::MAX.to_le_bytes();
        std::fs::write(folder.path().join("nfc/bandwidth"), late).unwrap();
        assert_eq!(pipes[0].pass(1_000_000_000, 1000).unwrap(), 2_000_000_000);
    }
}
