//! Datastores: what they simulate, and what this machine sees of them.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What kind of storage a datastore simulates. It decides what the change id `*` answers, and by
/// which transports VixDiskLib can reach its disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatastoreKind {
    /// VMFS on a LUN that several hosts see: `*` answers the allocated areas.
    Vmfs,
    /// NFS: `*` answers the whole disk.
    Nfs,
    /// vSAN: `*` answers the whole disk.
    Vsan,
    /// VMFS on a disk of the host, which no other machine sees; else as VMFS.
    Local,
    /// Virtual volumes: `*` answers the whole disk.
    Vvol,
}

impl DatastoreKind {
    /// Is it formatted with VMFS?
    pub fn is_vmfs(self) -> bool {
        matches!(self, Self::Vmfs | Self::Local)
    }

    /// Can several hosts use it?
    pub fn is_shared(self) -> bool {
        self != Self::Local
    }
}

/// The VMFS of a datastore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vmfs {
    /// Its major version: 3, 5 or 6.
    pub version: u8,
    /// Size of its blocks in MiB: 1, and on version 3 also 2, 4 or 8. Blocks are what is allocated.
    pub block_mib: u8,
}

impl Vmfs {
    /// Size of its blocks in bytes.
    pub fn block_bytes(self) -> u64 {
        u64::from(self.block_mib) << 20
    }

    fn is_one(self) -> bool {
        match self.version {
            3 => [1, 2, 4, 8].contains(&self.block_mib),
            5 | 6 => self.block_mib == 1,
            _ => false,
        }
    }
}

/// A datastore to make.
#[derive(Clone, Debug)]
pub struct DatastoreSpec {
    /// Its name, also the name of its folder.
    pub name: String,
    /// What it simulates.
    pub kind: DatastoreKind,
    /// The device node through which this machine sees its LUN; `None` = it does not.
    pub lun: Option<String>,
    /// Its VMFS; `None` = version 6 whose disks are allocated by the grain and not by the block.
    pub vmfs: Option<Vmfs>,
}

impl DatastoreSpec {
    /// A datastore whose LUN, if it has one, this machine does not see.
    pub fn new(name: &str, kind: DatastoreKind) -> Self {
        Self {
            name: name.into(),
            kind,
            lun: None,
            vmfs: None,
        }
    }

    /// Formats it with that version of VMFS and that size of blocks.
    #[must_use]
    pub fn formatted(mut self, version: u8, block_mib: u8) -> Self {
        self.vmfs = Some(Vmfs { version, block_mib });
        self
    }

    /// Lets this machine see the LUN of a shared VMFS, as a device node such as `/dev/sdb`.
    #[must_use]
    pub fn seen_at(mut self, device: &str) -> Self {
        self.lun = Some(device.into());
        self
    }

    /// Checks what the name's own check does not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self
            .vmfs
            .is_some_and(|vmfs| !self.kind.is_vmfs() || !vmfs.is_one())
        {
            return Err(Error::InvalidSpec {
                what: "vmfs",
                reason: "no VMFS-3, 5 or 6 with blocks as it has them".into(),
            });
        }
        let Some(device) = &self.lun else {
            return Ok(());
        };
        let reason = if self.kind != DatastoreKind::Vmfs {
            "only the LUN of a shared VMFS can be seen"
        } else if !device.starts_with("/dev/") || device.contains([',', '"']) {
            "no device node under /dev"
        } else {
            return Ok(());
        };
        Err(Error::InvalidSpec {
            what: "lun",
            reason: reason.into(),
        })
    }
}

/// A datastore.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Datastore {
    /// `datastore-17` and on.
    pub moref: String,
    /// Its name, also the name of its folder.
    pub name: String,
    /// What it simulates.
    pub kind: DatastoreKind,
    /// The device node through which this machine sees its LUN.
    #[serde(default)]
    pub lun: Option<String>,
    /// As in [`DatastoreSpec`].
    #[serde(default)]
    pub vmfs: Option<Vmfs>,
}
