//! The lock on a local disk that is open for writing: a folder `<file>.lck` beside it, with a file
//! that names its owner. The file is the real one: a symbolic link to a disk is locked with the disk.
//!
//! The lock of a process that died stays and keeps the disk busy, until somebody removes the
//! folder ("VDDK API reference, 8.2"). The log says when its owner is dead.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use vddk_sys as sys;

use crate::error::Failure;

/// Name of the file inside. VMware's is a random number between the letter and the ending.
const OWNER_FILE: &str = "M00001.lck";

/// An owner file is one line.
const MAX_OWNER_BYTES: u64 = 4096;

/// A lock of this process, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct LocalLock {
    folder: PathBuf,
}

impl LocalLock {
    /// Locks a disk.
    ///
    /// # Errors
    ///
    /// 15 while it is locked, be its owner alive or dead; 4 when there is no such file; 7 and its
    /// kin when the folder cannot be made.
    pub(crate) fn take(disk: &Path) -> Result<Self, Failure> {
        let folder = folder_of(disk)?;
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(busy(disk, &folder));
            }
            Err(error) => return Err(failed("make", &folder, error)),
        }
        // From here on the folder is removed again if something fails.
        let lock = Self { folder };
        let owner = format!("pid={} host={}\n", std::process::id(), host());
        let file = lock.folder.join(OWNER_FILE);
        File::create(&file)
            .and_then(|mut file| file.write_all(owner.as_bytes()))
            .map_err(|error| failed("write", &file, error))?;
        Ok(lock)
    }

    /// Refuses a disk that is locked.
    ///
    /// # Errors
    ///
    /// 15, and 4 when there is no such file.
    pub(crate) fn refuse_locked(disk: &Path) -> Result<(), Failure> {
        let folder = folder_of(disk)?;
        if folder.exists() {
            Err(busy(disk, &folder))
        } else {
            Ok(())
        }
    }
}

impl Drop for LocalLock {
    fn drop(&mut self) {
        // What cannot be removed looks like the lock of a dead process, which it will be.
        let _ = fs::remove_file(self.folder.join(OWNER_FILE));
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Where the lock of a disk is.
fn folder_of(disk: &Path) -> Result<PathBuf, Failure> {
    let real = fs::canonicalize(disk).map_err(|error| failed("open", disk, error))?;
    let mut name = real.into_os_string();
    name.push(".lck");
    Ok(PathBuf::from(name))
}

fn busy(disk: &Path, folder: &Path) -> Failure {
    let owner = owner(folder);
    let message = format!("{} is locked by {owner}", disk.display());
    Failure::new(sys::VIX_E_FILE_ALREADY_LOCKED, message)
}

/// Who made a lock, and whether it lives.
fn owner(folder: &Path) -> String {
    let mut text = String::new();
    let read = File::open(folder.join(OWNER_FILE))
        .and_then(|file| file.take(MAX_OWNER_BYTES).read_to_string(&mut text));
    let words = || text.split_whitespace();
    let value = |key: &str| words().find_map(|word| word.strip_prefix(key));
    let (pid, at) = (value("pid="), value("host="));
    match (read, pid.and_then(|pid| pid.parse::<u32>().ok())) {
        (Ok(_), Some(pid)) if at != Some(host().as_str()) => {
            format!("process {pid} of another machine")
        }
        (Ok(_), Some(pid)) if Path::new("/proc").join(pid.to_string()).exists() => {
            format!("process {pid}")
        }
        (Ok(_), Some(pid)) => format!("process {pid}, which is dead: remove {}", folder.display()),
        _ => "an unknown process".into(),
    }
}

/// The name of this machine, without blanks.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.split_whitespace().collect()
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Failure {
    Failure::from(vmdk::Error::Io {
        action,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_a_folder_that_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("a.vmdk");
        fs::write(&disk, "").unwrap();
        let link = folder.path().join("link.vmdk");
        std::os::unix::fs::symlink(&disk, &link).unwrap();
        let lock = LocalLock::take(&disk).unwrap();
        assert!(folder.path().join("a.vmdk.lck").is_dir());
        let refused = LocalLock::take(&disk).unwrap_err();
        assert_eq!(refused.code, sys::VIX_E_FILE_ALREADY_LOCKED);
        assert!(LocalLock::refuse_locked(&disk).is_err());
        assert!(LocalLock::refuse_locked(&link).is_err());
        let refused = LocalLock::take(&link).unwrap_err();
        assert_eq!(refused.code, sys::VIX_E_FILE_ALREADY_LOCKED);
        drop(lock);
        assert!(!folder.path().join("a.vmdk.lck").exists());
        assert!(LocalLock::refuse_locked(&disk).is_ok());
        let missing = LocalLock::take(&folder.path().join("b.vmdk")).unwrap_err();
        assert_eq!(missing.code, sys::VIX_E_FILE_NOT_FOUND);
    }

    #[test]
    fn the_message_tells_a_dead_owner() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("a.vmdk");
        fs::write(&disk, "").unwrap();
        let lock = folder.path().join("a.vmdk.lck");
        fs::create_dir(&lock).unwrap();
        let refusal = || LocalLock::take(&disk).unwrap_err().message;
        assert!(refusal().contains("an unknown process"));
        // No process has this number: it is above the kernel's limit.
        let owner = |pid: u32, host: &str| {
            fs::write(lock.join(OWNER_FILE), format!("pid={pid} host={host}\n")).unwrap();
        };
        owner(u32::MAX, &host());
        assert!(refusal().contains("dead"), "{}", refusal());
        owner(std::process::id(), &host());
        assert!(refusal().ends_with(&std::process::id().to_string()));
        owner(1, "no-such-host");
        assert!(refusal().contains("another machine"));
    }
}
