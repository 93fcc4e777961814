//! What a disk was written to from outside its VM.

use crate::consolidate::children_of;
use crate::{Error, Lab, random};

impl Lab {
    /// A link of a VM was written by a program, not by the guest. Its content id is another, and
    /// the links over it are told, so that they go on standing on it. Change tracking does not
    /// follow such writes ("vSphere Web Services API", 5.5).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Disk`] when a child cannot be told.
    pub fn disk_written(&self, vm: &str, file: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let path = self.path_of(file)?;
        for child in children_of(&vm, file) {
            let child = self.path_of(&child)?;
            vmdk::set_parent(&child, &path).map_err(Error::disk("move", child))?;
        }
        let content_id = random::content_id()?;
        let frozen = vm
            .snapshots
            .iter_mut()
            .flat_map(|snapshot| &mut snapshot.disks);
        for disk in vm.disks.iter_mut().chain(frozen) {
            for link in disk.chain.iter_mut().filter(|link| link.file == file) {
                link.content_id.clone_from(&content_id);
            }
        }
        self.store_vm(&lock, &vm)
    }
}
