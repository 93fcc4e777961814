//! What is not the same on every site, and is said for this one ("vSphere API reference", 9 and 10).

use serde::{Deserialize, Serialize};

use crate::{Error, Lab};

/// What a snapshot does about a raw disk in physical mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PhysicalRawDisk {
    /// It is left out.
    #[default]
    Skipped,
    /// The snapshot fails.
    SnapshotFails,
}

/// What the change id `*` answers where the allocated areas are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnknownAllocation {
    /// One area over the whole disk.
    #[default]
    WholeDisk,
    /// A file fault.
    FileFault,
}

/// What comes of tracking that is switched on over snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrackingOverSnapshots {
    /// It works, though nobody promises that.
    #[default]
    Works,
    /// Queries answer with a file fault, as before 6.5.
    FileFault,
    /// `*` leaves out what lies below the snapshots, as since 6.5.
    Incomplete,
}

/// How the site behaves where sites differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they say independent things about a site"
)]
pub struct Behaviour {
    /// Snapshots of VMs with a raw disk in physical mode.
    pub physical_raw_disk: PhysicalRawDisk,
    /// `*` off VMFS.
    pub unknown_allocation: UnknownAllocation,
    /// Switching tracking on while snapshots exist.
    pub tracking_over_snapshots: TrackingOverSnapshots,
    /// The `ctkEnabled` keys show as soon as tracking is asked for, before any stun cycle.
    pub tracking_keys_at_once: bool,
    /// Storage vMotion starts tracking again, as in vSphere 5.
    pub relocation_resets_tracking: bool,
    /// Changes are told by this many grains at once, as on large disks; 0 and 1 mean by each.
    pub grains_told_at_once: u64,
    /// Queries answer with this many grains more around each area.
    pub over_reported_grains: u64,
    /// A disk grown over a multiple of 128 GiB tells wrong areas, as ESXi 4 and 5 do.
    pub growth_over_128_gib_shifts_areas: bool,
    /// What is written behind the old end of a disk that grew while its VM was on is not told, as
    /// in the first builds of ESXi 8.0 Update 2.
    pub hot_growth_is_not_tracked: bool,
}

impl Lab {
    /// Says how the site behaves where sites differ.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut site = self.load_site()?;
        site.behaviour = behaviour;
        self.store_site(&lock, &site)
    }
}
