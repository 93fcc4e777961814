//! Quiescing a guest for a snapshot.

use serde::{Deserialize, Serialize};

use crate::{Error, Lab, PowerState, Vm};

/// What comes of quiescing a guest ("vSphere API reference", 2.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Quiescing {
    /// It works.
    #[default]
    Works,
    /// The tools do not run in the guest: the snapshot is made without.
    NoTools,
    /// An application does not take part in time: the snapshot fails.
    ApplicationFails,
    /// A file system cannot be frozen: the snapshot fails.
    FilesystemFails,
}

impl Lab {
    /// Says what comes of quiescing the guest of a VM.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Io`].
    pub fn set_quiescing(&self, vm: &str, quiescing: Quiescing) -> Result<(), Error> {
        self.update_vm(vm, |vm| {
            vm.quiescing = quiescing;
            Ok(())
        })
    }
}

impl Vm {
    /// Do VMware's tools run in its guest?
    pub fn has_running_tools(&self) -> bool {
        self.power_state == PowerState::PoweredOn && self.quiescing != Quiescing::NoTools
    }

    /// Quiesces the guest. Tells whether it was; without running tools it is not.
    pub(crate) fn quiesce(&self) -> Result<bool, Error> {
        if !self.has_running_tools() {
            return Ok(false);
        }
        match self.quiescing {
            Quiescing::ApplicationFails => Err(Error::Quiesce { application: true }),
            Quiescing::FilesystemFails => Err(Error::Quiesce { application: false }),
            Quiescing::Works | Quiescing::NoTools => Ok(true),
        }
    }
}
