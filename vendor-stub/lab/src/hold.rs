//! Holds: whoever has a disk open says which links it uses, so that nobody merges them away and
//! nobody else writes to them.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::random::hex;
use crate::state::{open_lock_file, remove_if_there};
use crate::{Error, Lab};

/// A hold on a disk and all links below it, for reading or for writing. Ends when dropped, also
/// with its process.
#[derive(Debug)]
#[must_use = "the hold ends when it is dropped"]
pub struct DiskHold {
    /// Open files with a lock each: the last link's is exclusive for a writer, else shared.
    files: Vec<File>,
}

impl Drop for DiskHold {
    fn drop(&mut self) {
        self.files.iter().for_each(give_back);
    }
}

/// What a link is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
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
    /// in whatever process, removing a snapshot cannot merge those links, and nobody writes to
    /// them. Take it before the disk is opened: a link may be gone the moment before.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while somebody writes to one of the links, [`Error::Io`] when the file
    /// does not exist or the lock files cannot be made.
    pub fn disk_lock(&self, path: &Path) -> Result<DiskHold, Error> {
        self.hold(path, Use::Read)
    }

    /// As [`Lab::disk_lock`], for writing to the last link: nobody else has it open then.
    ///
    /// # Errors
    ///
    /// As [`Lab::disk_lock`]; [`Error::InUse`] also while somebody reads the last link.
    pub fn disk_write_lock(&self, path: &Path) -> Result<DiskHold, Error> {
        self.hold(path, Use::Write)
    }

    fn hold(&self, path: &Path, purpose: Use) -> Result<DiskHold, Error> {
        // Under the lock nobody merges.
        let _lock = self.lock_shared()?;
        let path = fs::canonicalize(path).map_err(Error::io("find", path))?;
        let links = self.links_up_to(&path)?;
        let dead = self.dead_links()?;
        let mut hold = DiskHold { files: Vec::new() };
        for link in &links {
            let mine = if *link == path { purpose } else { Use::Read };
            let in_use = || Error::InUse { path: link.clone() };
            if dead.iter().any(|dead| dead.excludes(link, mine)) {
                return Err(in_use());
            }
            let name = self.hold_file(link);
            let file = open_lock_file(&name)?;
            let taken = match mine {
                Use::Read => file.try_lock_shared(),
                Use::Write => file.try_lock(),
            };
            match taken {
                Ok(()) => hold.files.push(file),
                Err(TryLockError::WouldBlock) => return Err(in_use()),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", name)(error)),
            }
        }
        Ok(hold)
    }

    /// The chain of links that ends with a file; only the file itself when no VM and no first-class
    /// disk refers to it.
    pub(crate) fn links_up_to(&self, path: &Path) -> Result<Vec<PathBuf>, Error> {
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
        let first_class = self.first_class_links(path)?;
        Ok(first_class.unwrap_or_else(|| vec![path.into()]))
    }

    /// Takes the right to change a link; `None` while somebody holds it. The lock of the lab is
    /// held by the caller.
    pub(crate) fn try_merging(&self, link: &Path) -> Result<Option<Merging>, Error> {
        let dead = self.dead_links()?;
        if dead.iter().any(|dead| dead.excludes(link, Use::Write)) {
            return Ok(None);
        }
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
