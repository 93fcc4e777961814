//! Plain files on datastores, as they are read and written over HTTP.

use std::path::{Path, PathBuf};

use crate::{Error, Kind, Lab, PowerState};

impl Lab {
    /// The file or folder of these names on a datastore, whether it is there or not; no names mean
    /// the datastore's own folder.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for an unknown datastore, and for a name that could leave the folder.
    pub fn file_on_datastore(&self, datastore: &str, names: &[&str]) -> Result<PathBuf, Error> {
        if self.site()?.datastore(datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, datastore));
        }
        let mut path = self.root().join("datastores").join(datastore);
        for name in names {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return Err(Error::not_found(Kind::File, *name));
            }
            path.push(name);
        }
        Ok(path)
    }

    /// Is the file part of a disk that somebody has open, or that a running VM writes to?
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn is_busy_disk_file(&self, path: &Path) -> Result<bool, Error> {
        let Some(stem) = path.to_str().and_then(|text| text.strip_suffix(".vmdk")) else {
            return Ok(false);
        };
        let stem = stem.strip_suffix("-flat").unwrap_or(stem);
        let descriptor = PathBuf::from(format!("{stem}.vmdk"));
        for vm in self.vms()? {
            for link in vm.disks.iter().filter_map(crate::Disk::top) {
                let runs = vm.power_state == PowerState::PoweredOn;
                if runs && self.path_of(&link.file)? == descriptor {
                    return Ok(true);
                }
            }
        }
        Ok(self.try_merging(&descriptor)?.is_none())
    }
}
