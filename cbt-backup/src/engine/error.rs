//! Why a run could not be done.

use std::{io, path::PathBuf};

use super::coverage::BadMap;
use crate::{repo, vsphere};

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// vSphere.
    #[error(transparent)]
    Vsphere(#[from] vsphere::Error),
    /// VixDiskLib.
    #[error(transparent)]
    Vddk(#[from] vddk::Error),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] repo::Error),
    /// A signal.
    #[error("interrupted")]
    Interrupted,
    /// Another run holds the VM.
    #[error("another run on this machine works on {vm}")]
    Busy {
        /// The VM's name.
        vm: String,
    },
    /// A VM that cannot be backed up as it is.
    #[error("{vm} cannot be backed up: {reason}")]
    Unfit {
        /// The VM's name.
        vm: String,
        /// Why not.
        reason: String,
    },
    /// The VM can't be kept in place, and the run was told to fail then.
    #[error("{vm} cannot be kept from being moved: {reason}")]
    NotKept {
        /// The VM's id.
        vm: String,
        /// Why not.
        reason: String,
    },
    /// The server's map of changed or allocated areas is bad, and the run was told to fail then.
    #[error("{disk}: the map of changed or allocated areas cannot be believed")]
    BadMap {
        /// The disk's label.
        disk: String,
        /// What is wrong with it.
        #[source]
        bad: BadMap,
    },
    /// A command of the administrator's failed, and the run was told to fail then.
    #[error("the command {moment}: {reason}")]
    Hook {
        /// When it ran.
        moment: &'static str,
        /// Why.
        reason: String,
    },
    /// No disk could be read.
    #[error("no disk of {vm} could be read: {reason}")]
    AllDisksFailed {
        /// The VM's name.
        vm: String,
        /// Why the first one failed.
        reason: String,
    },
    /// A disk was compared with a point, and what was read of it is not what the snapshot held.
    #[error("{disk} could not be compared: {reason}")]
    InDoubt {
        /// The disk's label.
        disk: String,
        /// Why.
        reason: String,
    },
    /// Every disk is left out.
    #[error("{vm} has no disk that can be backed up")]
    NoDisk {
        /// The VM's name.
        vm: String,
    },
    /// A disk or point that was named is not there.
    #[error("{what}")]
    NotFound {
        /// What was looked for, and what there is.
        what: String,
    },
    /// The disk in the point is an older state, kept because this run could not read it.
    #[error("{disk} in this point is an older state: {reason}")]
    Carried {
        /// The disk's label.
        disk: String,
        /// Why it was not read.
        reason: String,
    },
    /// The file to restore to is there already.
    #[error("{} exists", .path.display())]
    TargetExists {
        /// The file.
        path: PathBuf,
    },
    /// The file to restore to cannot be written.
    #[error("failed to write {}", .path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state folder cannot be used.
    #[error("failed to use {}", .path.display())]
    State {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A fault of ours. What was changed in vSphere is undone all the same.
    #[error("the program failed: {what}")]
    Panicked {
        /// What the panic said.
        what: String,
    },
}

impl Error {
    /// What a caught panic said.
    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let what = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panicked {
            what: what.unwrap_or_else(|| "no words".to_owned()),
        }
    }
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}
