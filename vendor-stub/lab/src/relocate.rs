//! Moving a VM to another datastore.

use std::fs;

use crate::datastore_path::DatastorePath;
use crate::made::Made;
use crate::state::remove_if_there;
use crate::time::timestamp;
use crate::{Disk, Error, Kind, Lab, Vm};

impl Lab {
    /// Moves all files of a VM to another datastore, which is a stun cycle. Tracking goes on, or
    /// starts again with other UUIDs where the site's behaviour says so.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM or datastore, [`Error::InUse`] while somebody has a
    /// disk open, [`Error::AlreadyExists`] when the folder is taken there, [`Error::Io`].
    pub fn relocate(&self, vm: &str, datastore: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let site = self.load_site()?;
        if site.datastore(datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, datastore));
        }
        self.refuse_held(&vm)?;
        self.move_folders(&vm, datastore)?;
        vm.each_disk_mut(|disk| {
            datastore.clone_into(&mut disk.datastore);
            for link in &mut disk.chain {
                link.file = moved(&link.file, datastore)?;
                if let Some(tracking) = &mut link.tracking {
                    tracking.ctk_file = moved(&tracking.ctk_file, datastore)?;
                }
            }
            Ok(())
        })?;
        vm.vmx_path = moved(&vm.vmx_path, datastore)?;
        let mut made = Made::default();
        if site.behaviour.relocation_resets_tracking {
            self.forget_maps(&vm)?;
            self.restart_lost_tracking(&mut vm, &mut made)?;
        }
        let dropped = self.stun_cycle(&mut vm, &mut made)?;
        vm.change_version = timestamp();
        self.store_vm(&lock, &vm)?;
        made.keep();
        dropped.iter().try_for_each(|path| remove_if_there(path))
    }

    /// Moves the folders of a VM. Those on other datastores with files in them are joined.
    fn move_folders(&self, vm: &Vm, datastore: &str) -> Result<(), Error> {
        let vmx = DatastorePath::parse(&vm.vmx_path)?;
        let target = vmx.on(datastore).under(self.root());
        let target = target.parent().unwrap_or(self.root());
        let mut sources = vec![vmx.clone()];
        for disk in &vm.disks {
            for link in &disk.chain {
                sources.push(DatastorePath::parse(&link.file)?);
            }
        }
        sources.retain(|source| source.folder == vmx.folder && source.datastore != datastore);
        sources.sort_by(|a, b| a.datastore.cmp(&b.datastore));
        sources.dedup_by(|a, b| a.datastore == b.datastore);
        if vmx.datastore != datastore
            && target.exists()
            && vm.disks.iter().all(|disk| disk.datastore != datastore)
        {
            return Err(Error::AlreadyExists {
                kind: Kind::Vm,
                id: vmx.folder,
            });
        }
        fs::create_dir_all(target).map_err(Error::io("make folder", target))?;
        for source in sources {
            let file = source.under(self.root());
            let folder = file.parent().unwrap_or(self.root());
            for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
                let entry = entry.map_err(Error::io("list", folder))?;
                let to = target.join(entry.file_name());
                fs::rename(entry.path(), &to).map_err(Error::io("move", to))?;
            }
            fs::remove_dir(folder).map_err(Error::io("remove", folder))?;
        }
        Ok(())
    }
}

/// The same file on another datastore.
fn moved(file: &str, datastore: &str) -> Result<String, Error> {
    Ok(DatastorePath::parse(file)?.on(datastore).to_string())
}

impl Vm {
    /// Changes all disks, the frozen ones too. What HotAdd attached is another VM's.
    fn each_disk_mut(
        &mut self,
        mut change: impl FnMut(&mut Disk) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let frozen = self
            .snapshots
            .iter_mut()
            .flat_map(|snapshot| &mut snapshot.disks);
        for disk in self.disks.iter_mut().chain(frozen) {
            if disk.attached.is_none() {
                change(disk)?;
            }
        }
        Ok(())
    }
}
