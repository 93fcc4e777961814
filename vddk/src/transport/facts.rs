//! What the caller knows of the disks, and VixDiskLib does not check.

/// Where disks lie. Ordered by how much it forbids, the least first.
///
/// VixDiskLib tries SAN wherever a LUN is visible and does not check that the disk lies there. So
/// SAN is only ever put into its list for [`Storage::SharedVmfs`]; only vSphere can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Storage {
    /// A VMFS datastore that several hosts share: it lies on a LUN.
    SharedVmfs,
    /// NFS.
    Nfs,
    /// vSAN.
    Vsan,
    /// Virtual volumes.
    Vvol,
    /// Not known, or of another kind.
    #[default]
    Unknown,
    /// A VMFS datastore on a disk of one host: only the network leads there.
    LocalVmfs,
}

impl Storage {
    /// What holds for all disks of a connection: what the most restricting one allows. Unknown for
    /// no disk at all.
    pub fn worst(disks: impl IntoIterator<Item = Self>) -> Self {
        disks.into_iter().max().unwrap_or_default()
    }

    /// In words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::SharedVmfs => "shared VMFS",
            Self::Nfs => "NFS",
            Self::Vsan => "vSAN",
            Self::Vvol => "virtual volumes",
            Self::Unknown => "a datastore of unknown kind",
            Self::LocalVmfs => "VMFS local to one host",
        }
    }
}

/// Facts about the disks that a connection will open; `None` is not known.
///
/// A connection has one list of transports, so each fact stands for the worst of its disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFacts {
    /// Where they lie.
    pub storage: Storage,
    /// Every disk hangs on a SCSI controller; HotAdd takes no IDE, SATA or NVMe disks.
    pub on_scsi: Option<bool>,
    /// A disk is a raw device; HotAdd takes none.
    pub raw: Option<bool>,
    /// A disk is encrypted; SAN refuses those.
    pub encrypted: Option<bool>,
    /// A disk is a redo log, a snapshot or a linked clone; SAN does not write to those.
    pub child: Option<bool>,
    /// A disk lies in a folder of a datastore and belongs to no VM; SAN takes none of those. Known by
    /// itself on a connection to a [`Target::DatastoreFolder`](crate::Target).
    pub in_folder: Option<bool>,
    /// The server is a vCenter. HotAdd does not work on a bare ESXi host.
    pub vcenter: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::Storage;

    #[test]
    fn the_worst_disk_decides() {
        use Storage::{LocalVmfs, Nfs, SharedVmfs, Unknown, Vsan};
        assert_eq!(Storage::worst([SharedVmfs, SharedVmfs]), SharedVmfs);
        assert_eq!(Storage::worst([SharedVmfs, Nfs, SharedVmfs]), Nfs);
        assert_eq!(Storage::worst([Unknown, LocalVmfs, Vsan]), LocalVmfs);
        assert_eq!(Storage::worst([]), Unknown);
    }
}
