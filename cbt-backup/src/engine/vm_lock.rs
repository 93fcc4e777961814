//! One run at a time on one VM, on this machine.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::ledger::Subject;

/// Held as long as a run works on a VM. The system frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct VmLock {
    file: File,
}

impl Drop for VmLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has just forked shares the open file,
        // and the lock, until its own program begins.
        let _ = self.file.unlock();
    }
}

impl VmLock {
    /// Takes the lock, or says that another run holds it (`None`).
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take(folder: &Path, subject: &Subject) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        // Both parts come from the server: hashed, they cannot leave the folder.
        let name = blake3::hash(format!("{}\n{}", subject.vcenter, subject.vm).as_bytes()).to_hex();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(&name[..32]))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, VmLock};

    #[test]
    fn the_second_taker_is_told_and_the_next_vm_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let vm = |vm: &str| Subject {
            vcenter: "../..".to_owned(),
            vm: vm.to_owned(),
        };
        let held = VmLock::take(folder.path(), &vm("vm-1")).unwrap();
        assert!(held.is_some());
        assert!(VmLock::take(folder.path(), &vm("vm-1")).unwrap().is_none());
        assert!(VmLock::take(folder.path(), &vm("vm-2")).unwrap().is_some());
        let shared = held.as_ref().map(|lock| lock.file.try_clone().unwrap());
        drop(held);
        assert!(VmLock::take(folder.path(), &vm("vm-1")).unwrap().is_some());
        drop(shared);
    }
}
