//! Disks on a datastore that no VM has: where a program may put a new one.

use std::path::PathBuf;

use crate::{Error, Kind, Lab};

impl Lab {
    /// The file for a disk that no VM refers to, whether it exists or not. Its datastore and folder
    /// exist.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a datastore or folder and for what is no datastore path,
    /// [`Error::InUse`] if a VM or one of its snapshots refers to the file.
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
        Ok(file)
    }
}
