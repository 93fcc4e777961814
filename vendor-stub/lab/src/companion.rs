//! The small files that lie beside the disks of a VM: .vmx, .vmsd, .nvram, its log, and what its
//! snapshots keep.

use std::fs;
use std::path::{Path, PathBuf};

use crate::datastore_path::DatastorePath;
use crate::made::Made;
use crate::{Error, Lab, PowerState, Snapshot, Vm, vmx};

impl Lab {
    /// Writes the files of a new VM.
    pub(crate) fn write_companions(&self, vm: &Vm) -> Result<(), Error> {
        self.write_vmx(vm)?;
        let path = vm.companion("vmsd")?.under(self.root());
        fs::write(&path, b".encoding = \"UTF-8\"\n").map_err(Error::io("write", path))?;
        let path = vm.log_file()?.under(self.root());
        fs::write(&path, b"Log for a VM of the lab\n").map_err(Error::io("write", path))?;
        // A VM that was never on has no NVRAM ("vSphere API reference", 3.5).
        match vm.power_state {
            PowerState::PoweredOn => self.write_first_nvram(vm),
            _ => Ok(()),
        }
    }

    /// Writes the configuration file of a VM as it is now.
    pub(crate) fn write_vmx(&self, vm: &Vm) -> Result<(), Error> {
        let path = DatastorePath::parse(&vm.vmx_path)?.under(self.root());
        fs::write(&path, vmx::text(vm)).map_err(Error::io("write", path))
    }

    /// Writes the NVRAM of a VM that is powered on, unless it has one: its own from before, or one
    /// that was put there.
    pub(crate) fn write_first_nvram(&self, vm: &Vm) -> Result<(), Error> {
        let path = vm.companion("nvram")?.under(self.root());
        if path.exists() {
            return Ok(());
        }
        let start = b"MRVN\x01\0\0\0".as_slice();
        let content = [start, vm.bios_uuid.as_bytes(), &[0; 8640]].concat();
        fs::write(&path, content).map_err(Error::io("write", path))
    }

    /// The small files of a VM, whether they exist or not.
    pub(crate) fn companions(&self, vm: &Vm) -> Result<Vec<PathBuf>, Error> {
        let mut files = vec![vm.log_file()?.under(self.root())];
        for ending in ["vmx", "vmsd", "nvram"] {
            files.push(vm.companion(ending)?.under(self.root()));
        }
        files.extend(self.snapshot_files(vm)?);
        Ok(files)
    }

    /// What the snapshots of a VM keep besides their disks, whether it exists or not.
    pub(crate) fn snapshot_files(&self, vm: &Vm) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        for snapshot in &vm.snapshots {
            files.extend(snapshot.files(vm)?.map(|file| file.under(self.root())));
        }
        Ok(files)
    }

    /// Writes what a snapshot keeps besides its disks: a record, and a token of the memory.
    pub(crate) fn write_snapshot_files(
        &self,
        vm: &Vm,
        snapshot: &Snapshot,
        made: &mut Made,
    ) -> Result<(), Error> {
        let [data, memory] = snapshot.files(vm)?.map(|file| file.under(self.root()));
        let write = |path: &Path, content: &[u8]| {
            fs::write(path, content).map_err(Error::io("write", path))
        };
        made.add(&data);
        write(&data, snapshot.moref.as_bytes())?;
        if snapshot.has_memory {
            made.add(&memory);
            write(&memory, b"lab")?;
        }
        Ok(())
    }
}

impl Vm {
    /// The file of that ending beside the .vmx file.
    pub(crate) fn companion(&self, ending: &str) -> Result<DatastorePath, Error> {
        let vmx = DatastorePath::parse(&self.vmx_path)?;
        let stem = vmx.file.strip_suffix(".vmx").unwrap_or(&vmx.file);
        let file = format!("{stem}.{ending}");
        Ok(vmx.sibling(file))
    }

    /// What the VM logs to. The lab writes nothing but its beginning.
    pub(crate) fn log_file(&self) -> Result<DatastorePath, Error> {
        Ok(DatastorePath::parse(&self.vmx_path)?.sibling("vmware.log"))
    }
}

impl Snapshot {
    /// Where a snapshot keeps its record and its memory, whether it has them or not.
    pub(crate) fn files(&self, vm: &Vm) -> Result<[DatastorePath; 2], Error> {
        let vmx = DatastorePath::parse(&vm.vmx_path)?;
        let stem = vmx.file.strip_suffix(".vmx").unwrap_or(&vmx.file);
        let name = |ending: &str| vmx.sibling(format!("{stem}-Snapshot{}.{ending}", self.id));
        Ok([name("vmsn"), name("vmem")])
    }
}
