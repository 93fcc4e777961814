//! What a backup may do, in the words of the command line.

use clap::ValueEnum;

use crate::engine;

/// Whether change tracking may be switched on.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Cbt {
    /// Where it is off and no snapshot is in the way
    Auto,
    /// Leave it as it is
    Never,
}

/// What to do about a VM that can't be kept from being moved.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Access {
    /// Go on; a disk whose files were moved meanwhile fails
    Prefer,
    /// Fail the run with exit code 13
    Require,
}

/// Whether the guest is brought to rest.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Quiesce {
    /// The disks are as after a power failure
    No,
    /// Where VMware Tools run; where the guest can't, the backup is made all the same and says so
    Prefer,
    /// A guest that can't fails the backup
    Require,
}

/// What to do about a bad map.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnBadMap {
    /// Read the disk in full, in the same run
    Full,
    /// Fail the run with exit code 13
    Fail,
}

/// What is believed of a VM that has a snapshot of somebody else.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StandingSnapshot {
    /// It may have been reverted to: read the disks in full
    Full,
    /// vCenter's history of tasks, if that shows no revert; it does not show one made at the host itself
    History,
}

impl From<Cbt> for engine::TrackingPolicy {
    fn from(cbt: Cbt) -> Self {
        match cbt {
            Cbt::Auto => Self::Auto,
            Cbt::Never => Self::Never,
        }
    }
}

impl From<Access> for engine::AccessPolicy {
    fn from(access: Access) -> Self {
        match access {
            Access::Prefer => Self::Prefer,
            Access::Require => Self::Require,
        }
    }
}

impl From<Quiesce> for engine::QuiescePolicy {
    fn from(quiesce: Quiesce) -> Self {
        match quiesce {
            Quiesce::No => Self::No,
            Quiesce::Prefer => Self::Prefer,
            Quiesce::Require => Self::Require,
        }
    }
}

impl From<StandingSnapshot> for engine::RevertPolicy {
    fn from(standing: StandingSnapshot) -> Self {
        match standing {
            StandingSnapshot::Full => Self::Suspect,
            StandingSnapshot::History => Self::History,
        }
    }
}

impl From<OnBadMap> for engine::OnBadMap {
    fn from(action: OnBadMap) -> Self {
        match action {
            OnBadMap::Full => Self::Full,
            OnBadMap::Fail => Self::Fail,
        }
    }
}
