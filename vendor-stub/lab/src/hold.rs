//! Read holds: a reader says which links it has open, so that nobody merges them away.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::random::hex;
use crate::state::{open_lock_file, remove_if_there};
use crate::{Error, Lab};

/// A hold on a disk and all links below it. Ends when dropped, also with its process.
#[derive(Debug)]
#[must_use = "the hold ends when it is dropped"]
pub struct DiskHold {
    /// Open files with a shared lock each.
    files: Vec<File>,
}

impl Drop for DiskHold {
    fn drop(&mut self) {
        self.files.iter().for_each(give_back);
    }
}

/// The right to change a link, taken only for a moment and under the lock of the lab.
#[derive(Debug)]
pub(crate) struct Merging {
    /// The open file with an exclusive lock.
    file: File,
}

impl Drop for Merging {
    fn drop(&mut self) {
        give_back(&self.file);
    }
}

/// Unlocks for good. Closing is not enough: a child that another thread has just forked shares the
/// open file until its own program begins, and the lock with it.
fn give_back(file: &File) {
    // The process's end gives it back too.
    let _ = file.unlock();
}

impl Lab {
    /// Takes a read hold on the descriptor at `path` and on the links below it. While it lives,
    /// in whatever process, removing a snapshot cannot merge those links. Take it before the disk
    /// is opened: a link may be gone the moment before.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file does not exist or the lock files cannot be made.
    pub fn disk_lock(&self, path: &Path) -> Result<DiskHold, Error> {
        // Under the lock nobody merges, so shared locks are there for the taking.
        let _lock = self.lock_shared()?;
        let path = fs::canonicalize(path).map_err(Error::io("find", path))?;
        let files = self
            .links_up_to(&path)?
            .iter()
            .map(|link| {
                let hold = self.hold_file(link);
                let file = open_lock_file(&hold)?;
                file.lock_shared().map_err(Error::io("lock", hold))?;
                Ok(file)
            })
            .collect::<Result<_, Error>>()?;
        Ok(DiskHold { files })
    }

    /// The chain of links that ends with a file; only the file itself when no VM refers to it.
    fn links_up_to(&self, path: &Path) -> Result<Vec<PathBuf>, Error> {
        for vm in self.load_vms()? {
            let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
            for disk in vm.disks.iter().chain(frozen) {
                let links = disk.chain.iter().map(|link| self.path_of(&link.file));
                let links = links.collect::<Result<Vec<_>, Error>>()?;
                if let Some(position) = links.iter().position(|link| link == path) {
                    return Ok(links[..=position].to_vec());
                }
            }
        }
        Ok(vec![path.into()])
    }

    /// Takes the right to change a link; `None` while a reader holds it. The lock of the lab is
    /// held by the caller.
    pub(crate) fn try_merging(&self, link: &Path) -> Result<Option<Merging>, Error> {
        let hold = self.hold_file(link);
        let file = open_lock_file(&hold)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Merging { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", hold)(error)),
        }
    }

    /// Forgets the lock file of a link that is gone.
    pub(crate) fn forget_hold(&self, link: &Path) -> Result<(), Error> {
        remove_if_there(&self.hold_file(link))
    }

    /// The lock file of a link. The name is a digest, since a path has too many characters.
    fn hold_file(&self, link: &Path) -> PathBuf {
        let name = digest(&SHA256, link.as_os_str().as_encoded_bytes());
        self.root().join("holds").join(hex(&name.as_ref()[..16]))
    }
}

#[cfg(test)]
mod tests {
    use crate::{DiskSpec, Lab, SiteSpec, VmSpec};

    #[test]
    fn a_lock_ends_although_a_child_shares_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default()).unwrap();
        let disk = DiskSpec {
            capacity_bytes: 1 << 20,
            ..DiskSpec::default()
        };
        let spec = VmSpec {
            name: "app01".to_owned(),
            disks: vec![disk],
            ..VmSpec::default()
        };
        let vm = lab.add_vm(spec).unwrap();
        let link = lab.path_of(&vm.disks[0].chain[0].file).unwrap();
        let link = std::fs::canonicalize(link).unwrap();
        let hold = lab.disk_lock(&link).unwrap();
        // What a fork does to an open file.
        let shared = hold.files[0].try_clone().unwrap();
        assert!(lab.try_merging(&link).unwrap().is_none());
        drop(hold);
        let merging = lab.try_merging(&link).unwrap().expect("the hold has ended");
        let shared_too = merging.file.try_clone().unwrap();
        drop(merging);
        assert!(lab.try_merging(&link).unwrap().is_some());
        drop((shared, shared_too));
    }
}
