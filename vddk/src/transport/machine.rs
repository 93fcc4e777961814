//! What this machine is, as far as transports care.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Facts about the machine that this program runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// It is a VM of VMware's; `None` is not known. SAN is for physical machines.
    pub vmware_vm: Option<bool>,
    /// `/sys/class/scsi_disk` is there. Without it a scan for SAN crashes the library.
    pub scsi_class: bool,
    /// `/etc/mtab` can be read. The same holds for it.
    pub mtab: bool,
}

/// Whom the firmware calls the maker of the machine.
const VENDOR_FILE: &str = "sys/class/dmi/id/sys_vendor";
const SCSI_CLASS: &str = "sys/class/scsi_disk";
const MTAB: &str = "etc/mtab";

impl Machine {
    /// Looks at this machine.
    ///
    /// The firmware's tables tell a VM of VMware's by its maker (`/sys/class/dmi/id/sys_vendor`).
    /// In a container they may be missing.
    pub fn observed() -> Self {
        Self::observed_in(Path::new("/"))
    }

    fn observed_in(root: &Path) -> Self {
        let vendor = fs::read_to_string(root.join(VENDOR_FILE)).ok();
        Self {
            vmware_vm: vendor.map(|vendor| vendor.trim_start().starts_with("VMware")),
            scsi_class: root.join(SCSI_CLASS).is_dir(),
            mtab: File::open(root.join(MTAB)).is_ok(),
        }
    }

    /// What a scan for SAN needs and does not find (VDDK API reference, 6.9).
    pub(super) fn missing_for_san(self) -> Option<PathBuf> {
        let missing = match self {
            Self {
                scsi_class: false, ..
            } => SCSI_CLASS,
            Self { mtab: false, .. } => MTAB,
            _ => return None,
        };
        Some(Path::new("/").join(missing))
    }
}

impl Default for Machine {
    /// This machine.
    fn default() -> Self {
        Self::observed()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MTAB, Machine, SCSI_CLASS, VENDOR_FILE};

    #[test]
    fn a_vm_is_told_by_its_vendor_and_a_bare_container_misses_what_a_scan_needs() {
        let root = tempfile::tempdir().unwrap();
        let seen = || Machine::observed_in(root.path());
        let nothing = seen();
        assert_eq!(nothing.vmware_vm, None);
        let told = |machine: Machine| {
            machine
                .missing_for_san()
                .map(|path| path.display().to_string())
        };
        assert_eq!(told(nothing).as_deref(), Some("/sys/class/scsi_disk"));
        fs::create_dir_all(root.path().join(SCSI_CLASS)).unwrap();
        assert_eq!(told(seen()).as_deref(), Some("/etc/mtab"));
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join(MTAB), "").unwrap();
        assert_eq!(told(seen()), None);
        let vendor = root.path().join(VENDOR_FILE);
        fs::create_dir_all(vendor.parent().unwrap()).unwrap();
        for (name, vm) in [("VMware, Inc.\n", true), ("QEMU\n", false), ("", false)] {
            fs::write(&vendor, name).unwrap();
            assert_eq!(seen().vmware_vm, Some(vm), "{name:?}");
        }
    }
}
