//! Why the changes of a VM or a disk are not tracked.

use std::fmt;

/// Why tracking is pending or off ("vSphere API reference, 5.1 and 5.2").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackingCause {
    /// Nobody switched it on; or somebody did, the server tells only what is in effect, and there
    /// was no stun cycle since.
    NotSwitchedOn,
    /// The task that switches it still runs: it was looked at too early.
    ReadTooEarly,
    /// It is switched on, but no stun cycle has made that take effect.
    NoCycleYet,
    /// It is switched off, but no stun cycle has made that take effect.
    StillOn,
    /// A stun cycle was made, and its snapshot has no change id of a disk that should have one.
    NoChangeId {
        /// The disk, as `Hard disk 2`.
        disk: String,
    },
    /// It was switched on and a stun cycle was made, and the server still says that it is off.
    NotTaken,
    /// It is switched on, and the VM has no disk that can be tracked.
    NoTrackableDisk,
    /// The hardware is older than `vmx-07`.
    HardwareTooOld {
        /// The version found.
        version: u32,
    },
    /// The host is older than 4.0.
    HostTooOld {
        /// The version found.
        version: String,
    },
    /// The server says that this VM can't be tracked.
    NotSupported {
        /// The hardware version found, if any.
        hardware_version: Option<u32>,
    },
    /// Snapshots exist: switched on now, the map would be wrong in silence.
    SnapshotsExist {
        /// How many.
        count: usize,
    },
    /// A template has no snapshots.
    Template,
    /// The VM's configuration can't be read.
    NotConnected {
        /// The state found.
        state: String,
    },
    /// A disk's own setting switches it off.
    DiskSwitchedOff {
        /// The disk, as `Hard disk 2`.
        disk: String,
        /// The setting.
        key: String,
    },
}

impl TrackingCause {
    /// A short name for scripts; it stays.
    pub fn id(&self) -> &'static str {
        match self {
            Self::NotSwitchedOn => "not-switched-on",
            Self::ReadTooEarly => "read-too-early",
            Self::NoCycleYet => "no-cycle-yet",
            Self::StillOn => "still-on",
            Self::NoChangeId { .. } => "no-change-id",
            Self::NotTaken => "not-taken",
            Self::NoTrackableDisk => "no-trackable-disk",
            Self::HardwareTooOld { .. } => "hardware-too-old",
            Self::HostTooOld { .. } => "host-too-old",
            Self::NotSupported { .. } => "not-supported",
            Self::SnapshotsExist { .. } => "snapshots-exist",
            Self::Template => "template",
            Self::NotConnected { .. } => "not-connected",
            Self::DiskSwitchedOff { .. } => "disk-switched-off",
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotSwitchedOn => "switch it on: cbt-backup cbt enable --cycle",
            Self::ReadTooEarly => "look again in a moment",
            Self::NoCycleYet => {
                "make a cycle: power on, resume, move or snapshot the VM, or use --cycle; the next backup is one too"
            }
            Self::StillOn => {
                "make a cycle: power on, resume, move or snapshot the VM, or use --cycle"
            }
            Self::NoChangeId { .. } => {
                "look at the disk's storage, and for a damaged NAME-ctk.vmdk beside it; a reset may help, once"
            }
            Self::HardwareTooOld { .. } => {
                "upgrade the virtual hardware while the VM is off, or use --upgrade-hardware"
            }
            Self::HostTooOld { .. } => "move the VM to a host of release 4.0 or later",
            Self::NoTrackableDisk => {
                "its disks are read in full each time; the row of each has its reason"
            }
            Self::NotTaken | Self::NotSupported { .. } => {
                "look at the VM's hardware version and at the storage of its disks"
            }
            Self::SnapshotsExist { .. } => "remove or merge the VM's snapshots first",
            Self::Template => "convert it to a virtual machine first",
            Self::NotConnected { .. } => "bring its host back, or remove the orphan",
            Self::DiskSwitchedOff { .. } => {
                "remove that setting while the VM is off, then switch tracking off and on"
            }
        }
    }

    /// True where switching on must not, or can't, be tried.
    pub fn forbids_switching_on(&self) -> bool {
        matches!(
            self,
            Self::HardwareTooOld { .. }
                | Self::HostTooOld { .. }
                | Self::NotSupported { .. }
                | Self::SnapshotsExist { .. }
                | Self::Template
                | Self::NotConnected { .. }
        )
    }
}

impl fmt::Display for TrackingCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSwitchedOn => f.write_str("it was not switched on, or there was no stun cycle since"),
            Self::ReadTooEarly => {
                f.write_str("read too early: the task that reconfigures the VM still runs")
            }
            Self::NoCycleYet => f.write_str("no stun cycle since it was switched on"),
            Self::StillOn => {
                f.write_str("it is switched off, and stays on until the next stun cycle")
            }
            Self::NoChangeId { disk } => {
                write!(f, "{disk} has no change id after a stun cycle")
            }
            Self::NotTaken => f.write_str(
                "the server says that it is off, although it was switched on and a stun cycle was made",
            ),
            Self::NoTrackableDisk => f.write_str("none of its disks can be tracked"),
            Self::HardwareTooOld { version } => {
                write!(f, "the hardware is vmx-{version:02}, tracking needs vmx-07")
            }
            Self::HostTooOld { version } => {
                write!(f, "the host has release {version}, tracking needs 4.0")
            }
            Self::NotSupported { hardware_version } => {
                f.write_str("the server says that this VM can't be tracked")?;
                match hardware_version {
                    Some(version) => write!(f, " (hardware vmx-{version:02})"),
                    None => Ok(()),
                }
            }
            Self::SnapshotsExist { count: 1 } => f.write_str("a snapshot exists"),
            Self::SnapshotsExist { count } => write!(f, "{count} snapshots exist"),
            Self::Template => f.write_str("it is a template"),
            Self::NotConnected { state } => write!(f, "its connection state is {state}"),
            Self::DiskSwitchedOff { disk, key } => {
                write!(f, "{disk} is switched off by {key}, it has no change id")
            }
        }
    }
}
