//! Disks on a datastore that nothing refers to: where a program may put a new one.

use std::path::PathBuf;

use crate::{Error, Kind, Lab};

impl Lab {
    /// The file behind a datastore path, whether it exists or not.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for what is no datastore path.
    pub fn datastore_file(&self, datastore_path: &str) -> Result<PathBuf, Error> {
        self.path_of(datastore_path)
    }

    /// The file for a disk that no VM and no first-class disk refers to, whether it exists or not.
    /// Its datastore and folder exist.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a datastore or folder and for what is no datastore path,
    /// [`Error::InUse`] if a VM, a first-class disk or a snapshot of either refers to the file.
    pub fn loose_disk_file(&self, datastore_path: &str) -> Result<PathBuf, Error> {
        let file = self.path_of(datastore_path)?;
        if !file.parent().is_some_and(std::path::Path::is_dir) {
            return Err(Error::not_found(Kind::File, datastore_path));
        }
        for vm in self.vms()? {
            let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
            let mut links = vm.disks.iter().chain(frozen).flat_map(|disk| &disk.chain);
            if links.any(|link| link.file == datastore_path) {
                return Err(Error::InUse { path: file });
            }
        }
        if self.first_class_links(&file)?.is_some() {
            return Err(Error::InUse { path: file });
        }
        Ok(file)
    }
}
