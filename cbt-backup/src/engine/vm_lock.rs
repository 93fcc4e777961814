//! One run at a time on one VM, on this machine.

use std::{io, path::Path};

use super::{file_lock::FileLock, ledger::Subject};

/// Held as long as a run works on a VM.
#[derive(Debug)]
pub struct VmLock {
    _lock: FileLock,
}

impl VmLock {
    /// Takes the lock, or says that another run holds it (`None`).
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take(folder: &Path, subject: &Subject) -> io::Result<Option<Self>> {
        // Both parts come from the server: hashed, they cannot leave the folder.
        let name = blake3::hash(format!("{}\n{}", subject.vcenter, subject.vm).as_bytes()).to_hex();
        let lock = FileLock::alone(&folder.join(&name[..32]))?;
        Ok(lock.map(|lock| Self { _lock: lock }))
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
        drop(held);
        assert!(VmLock::take(folder.path(), &vm("vm-1")).unwrap().is_some());
    }
}
