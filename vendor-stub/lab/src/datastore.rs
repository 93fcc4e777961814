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

/// A datastore to make.
#[derive(Clone, Debug)]
pub struct DatastoreSpec {
    /// Its name, also the name of its folder.
    pub name: String,
    /// What it simulates.
    pub kind: DatastoreKind,
    /// The device node through which this machine sees its LUN; `None` = it does not.
    pub lun: Option<String>,
}

impl DatastoreSpec {
    /// A datastore whose LUN, if it has one, this machine does not see.
    pub fn new(name: &str, kind: DatastoreKind) -> Self {
        Self {
            name: name.into(),
            kind,
            lun: None,
        }
    }

    /// Lets this machine see the LUN of a shared VMFS, as a device node such as `/dev/sdb`.
    #[must_use]
    pub fn seen_at(mut self, device: &str) -> Self {
        self.lun = Some(device.into());
        self
    }

    /// Checks what the name's own check does not.
    pub(crate) fn check(&self) -> Result<(), Error> {
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
}
