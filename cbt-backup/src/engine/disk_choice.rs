//! Which disks of a VM are backed up.

use super::monitor::{Event, Monitor};
use crate::{repo::DISK_EXCLUDED, vsphere::Disk};

/// Disks that are asked for, and disks that are left out. Without any name, all take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskChoice {
    /// Only these, if there are any.
    pub only: Vec<DiskName>,
    /// Not these.
    pub skip: Vec<DiskName>,
}

/// What an administrator calls a disk: its label (`Hard disk 1`), device key (`2000`), place
/// (`scsi0:1`), or file (`[datastore] app01/app01_1.vmdk`, or its end after a slash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskName(String);

/// A name that would mean every disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a disk's name is not empty")]
pub struct NoDiskName;

impl std::str::FromStr for DiskName {
    type Err = NoDiskName;

    /// An empty name would be the end of every file's, and is none.
    fn from_str(name: &str) -> Result<Self, NoDiskName> {
        match name.trim() {
            "" => Err(NoDiskName),
            name => Ok(Self(name.to_owned())),
        }
    }
}

impl DiskName {
    /// Whether it is this disk's. A file counts by the name of the disk's first one, too, which stays the
    /// same beside snapshots.
    pub fn is_of(&self, disk: &Disk) -> bool {
        let name = self.0.as_str();
        let files = [&disk.backing.base_file_name, &disk.backing.file_name];
        let is_file = |file: &&String| {
            let behind = file.strip_suffix(name);
            behind.is_some_and(|before| before.is_empty() || before.ends_with(['/', ' ']))
        };
        disk.label.eq_ignore_ascii_case(name)
            || disk.device_key.to_string() == name
            || disk
                .address()
                .is_some_and(|place| place.eq_ignore_ascii_case(name))
            || files.iter().any(is_file)
    }
}

impl std::fmt::Display for DiskName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl DiskChoice {
    /// The disks that take part. What is left out is told, and a name that is no disk's.
    pub fn of(&self, disks: &[Disk], monitor: &dyn Monitor) -> Vec<Disk> {
        for name in self.only.iter().chain(&self.skip) {
            if !disks.iter().any(|disk| name.is_of(disk)) {
                let message = format!("the VM has no disk {:?}", name.0);
                monitor.event(&Event::warning("no-such-disk", message));
            }
        }
        let (chosen, left): (Vec<&Disk>, Vec<&Disk>) =
            disks.iter().partition(|disk| self.is_chosen(disk));
        for disk in left {
            let message = format!("{} is left out, as asked for", disk.label);
            monitor.event(&Event::info(DISK_EXCLUDED, message));
        }
        chosen.into_iter().cloned().collect()
    }

    fn is_chosen(&self, disk: &Disk) -> bool {
        let named = |names: &[DiskName]| names.iter().any(|name| name.is_of(disk));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}
