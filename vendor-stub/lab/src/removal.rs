//! Taking VMs away.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::datastore_path::DatastorePath;
use crate::state::remove_if_there;
use crate::{Error, Lab, PowerState, Vm};

impl Lab {
    /// Takes a VM out of the inventory; its files stay. The .vmx file says what it was, without its
    /// snapshots.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::InvalidPowerState`] unless it is off,
    /// [`Error::Io`].
    pub fn unregister_vm(&self, vm: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let vm = self.load_vm(vm)?;
        if vm.power_state != PowerState::PoweredOff {
            return Err(vm.power_error(Some(PowerState::PoweredOff)));
        }
        self.write_vmx(&vm)?;
        let mut site = self.load_site()?;
        if site.custom_values.remove(&vm.moref).is_some() {
            self.store_site(&lock, &site)?;
        }
        remove_if_there(&self.vm_file(&vm.moref))
    }

    /// Deletes a VM with all its disks, and its folders as far as nothing else is in them.
    ///
    /// # Errors
    ///
    /// As [`Lab::unregister_vm`]; [`Error::InUse`] while somebody has a disk open.
    pub fn destroy_vm(&self, vm: &str) -> Result<(), Error> {
        let found = self.vm(vm)?;
        self.refuse_held(&found)?;
        let files = self.files_of_vm(&found)?;
        self.unregister_vm(vm)?;
        let folders: BTreeSet<_> = files.iter().filter_map(|file| file.parent()).collect();
        files.iter().try_for_each(|file| remove_if_there(file))?;
        for folder in folders {
            match fs::remove_dir(folder) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound
                    ) =>
                {
                    return Err(Error::io("remove", folder)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All files of a VM, whether they exist or not.
    fn files_of_vm(&self, vm: &Vm) -> Result<Vec<PathBuf>, Error> {
        let mut files = self.companions(vm)?;
        let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
        let disks = vm.disks.iter().chain(frozen);
        let mine = disks.filter(|disk| disk.attached.is_none());
        for link in mine.flat_map(|disk| &disk.chain) {
            // The root of a datastore stays, whatever lies there.
            if !DatastorePath::parse(&link.file)?.folder.is_empty() {
                files.extend(self.files_of_link(&link.file)?);
            }
        }
        Ok(files)
    }
}
