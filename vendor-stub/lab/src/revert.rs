//! Going back to a snapshot.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::made::Made;
use crate::state::remove_if_there;
use crate::time::timestamp;
use crate::tracking::ctk_of;
use crate::{Disk, Error, Lab, Vm};

impl Lab {
    /// Lets a VM go on from a snapshot: what was written since is lost. This is a stun cycle. The
    /// tracking goes on from the snapshot with the same UUID, so numbers come again that were used
    /// in the part that is lost ("vSphere API reference", 5.5).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a snapshot, [`Error::InUse`] while somebody has a disk of
    /// the VM open, [`Error::Disk`], [`Error::Io`].
    pub fn revert_to_snapshot(&self, snapshot: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.vm_by_snapshot(snapshot)?;
        self.refuse_held(&vm)?;
        let Some(target) = vm.snapshot(snapshot).cloned() else {
            return Ok(());
        };
        let mut made = Made::default();
        let mut disks = Vec::new();
        for frozen in &target.disks {
            disks.push(match vm.disk(frozen.device_key) {
                // What takes no part in snapshots stays as it is.
                Some(running) if frozen.takes_no_part() => running.clone(),
                _ => self.child_over(frozen, &mut made)?,
            });
        }
        let before = deltas_of(&vm);
        target.put_config_into(&mut vm);
        vm.disks = disks;
        vm.current_snapshot = Some(target.moref);
        vm.power_state = target.power_state;
        let mut dropped = self.stun_cycle(&mut vm, &mut made)?;
        vm.change_version = timestamp();
        for file in before.difference(&deltas_of(&vm)) {
            dropped.extend(self.files_of_link(file)?);
        }
        self.store_vm(&lock, &vm)?;
        made.keep();
        dropped.iter().try_for_each(|path| remove_if_there(path))
    }

    /// A running disk with a new delta over a frozen one.
    fn child_over(&self, frozen: &Disk, made: &mut Made) -> Result<Disk, Error> {
        let mut running = frozen.clone();
        running.change_id = None;
        self.freeze(&mut running, made)?;
        Ok(running)
    }

    /// The files of one link: descriptor, data and map.
    pub(crate) fn files_of_link(&self, file: &str) -> Result<Vec<PathBuf>, Error> {
        let path = self.path_of(file)?;
        let mut files = Vec::new();
        if let Some(stem) = path.to_str().and_then(|text| text.strip_suffix(".vmdk")) {
            for data in ["-flat", "-delta", "-sesparse"] {
                files.push(PathBuf::from(format!("{stem}{data}.vmdk")));
            }
        }
        files.push(self.path_of(&ctk_of(file)?)?);
        files.push(path);
        Ok(files)
    }
}

/// The deltas a VM refers to. Its base disks stay whatever happens.
pub(crate) fn deltas_of(vm: &Vm) -> BTreeSet<String> {
    let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
    let disks = vm.disks.iter().chain(frozen);
    disks
        .filter(|disk| disk.attached.is_none())
        .flat_map(|disk| disk.chain.iter().skip(1))
        .map(|link| link.file.clone())
        .collect()
}
