//! The machine that the stand-in library runs on, as the site sees it.

use serde::{Deserialize, Serialize};

use crate::{Error, Lab};

/// What the machine is that the library runs on. SAN needs a physical one, HotAdd a VM of the
/// same vCenter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Machine {
    /// A physical machine.
    #[default]
    Physical,
    /// A VM of this site, the proxy.
    #[serde(rename_all = "camelCase")]
    Proxy {
        /// Its moref.
        vm: String,
    },
    /// A VM of another vCenter.
    Foreign,
}

impl Lab {
    /// Says what the machine is that the library runs on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a proxy that is no VM of the site, [`Error::Io`].
    pub fn set_machine(&self, machine: Machine) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut site = self.load_site()?;
        if let Machine::Proxy { vm } = &machine {
            self.load_vm(vm)?;
        }
        site.machine = machine;
        self.store_site(&lock, &site)
    }
}
