//! A disk that is attached to the proxy, in the hands of who attached it.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::state::remove_if_there;
use crate::{Error, Lab};

/// A disk attached to the proxy. When it is dropped it stays attached, as it does when a process
/// dies; [`HotAdded::detach`] takes it away.
#[derive(Debug)]
#[must_use = "a disk that is not detached stays attached"]
pub struct HotAdded {
    pub(super) lab: Lab,
    pub(super) proxy: String,
    pub(super) device_key: i32,
    /// The file to open.
    pub(super) path: PathBuf,
    /// Locked while the process lives.
    pub(super) alive: File,
}

impl HotAdded {
    /// The file behind the new device of the proxy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the device away from the proxy, and the redo log with it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it was taken away meanwhile, [`Error::Io`].
    pub fn detach(self) -> Result<(), Error> {
        let lock = self.lab.lock()?;
        let mut proxy = self.lab.load_vm(&self.proxy)?;
        self.lab.take_away(&lock, &mut proxy, self.device_key)?;
        remove_if_there(&self.lab.alive_file(&self.proxy, self.device_key))
    }
}

impl Drop for HotAdded {
    fn drop(&mut self) {
        // A fork may share the open file; the process's end gives the lock back too.
        let _ = self.alive.unlock();
    }
}
