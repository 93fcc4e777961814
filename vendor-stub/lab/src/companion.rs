//! The small files that lie beside the disks of a VM: .vmx, .vmsd, .nvram.

use std::fs;

use crate::datastore_path::DatastorePath;
use crate::{Error, Lab, PowerState, Vm, vmx};

impl Lab {
    /// Writes the files of a new VM.
    pub(crate) fn write_companions(&self, vm: &Vm) -> Result<(), Error> {
        self.write_vmx(vm)?;
        let path = companion(vm, "vmsd")?.under(self.root());
        fs::write(&path, b".encoding = \"UTF-8\"\n").map_err(Error::io("write", path))?;
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
        let path = companion(vm, "nvram")?.under(self.root());
        if path.exists() {
            return Ok(());
        }
        let start = b"MRVN\x01\0\0\0".as_slice();
        let content = [start, vm.bios_uuid.as_bytes(), &[0; 8640]].concat();
        fs::write(&path, content).map_err(Error::io("write", path))
    }

    /// The small files of a VM, whether they exist or not.
    pub(crate) fn companions(&self, vm: &Vm) -> Result<Vec<std::path::PathBuf>, Error> {
        ["vmx", "vmsd", "nvram"]
            .iter()
            .map(|ending| Ok(companion(vm, ending)?.under(self.root())))
            .collect()
    }
}

/// The file of that ending beside the .vmx file.
fn companion(vm: &Vm, ending: &str) -> Result<DatastorePath, Error> {
    let vmx = DatastorePath::parse(&vm.vmx_path)?;
    let stem = vmx.file.strip_suffix(".vmx").unwrap_or(&vmx.file);
    let file = format!("{stem}.{ending}");
    Ok(vmx.sibling(file))
}
