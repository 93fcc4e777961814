//! What happens to a VM as a whole: power, migration, an upgrade of its hardware. Power-on, resume
//! and migration are stun cycles ("vSphere API reference", 5.2).

use crate::made::Made;
use crate::state::remove_if_there;
use crate::{Error, Lab, PowerState, Vm};

/// The newest hardware version of the host.
pub const NEWEST_HARDWARE_VERSION: u32 = 21;

impl Lab {
    /// Powers a VM on or off, suspends or resumes it, as a user asks for it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPowerState`] when it is in that state, or off and shall be suspended;
    /// [`Error::Template`]; else as [`Lab::set_power_state`].
    pub fn change_power_state(&self, vm: &str, wanted: PowerState) -> Result<(), Error> {
        let found = self.vm(vm)?;
        found.refuse_template()?;
        let impossible =
            found.power_state == PowerState::PoweredOff && wanted == PowerState::Suspended;
        if found.power_state == wanted || impossible {
            return Err(found.power_error(Some(wanted)));
        }
        self.set_power_state(vm, wanted)
    }

    /// The host loses power: the VM is off, and the maps of its disks are lost. Tracking starts
    /// again with the next power-on, with other UUIDs ("vSphere API reference", 5.5).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Io`].
    pub fn power_failure(&self, vm: &str) -> Result<(), Error> {
        self.lose_tracking(vm)?;
        self.set_power_state(vm, PowerState::PoweredOff)
    }

    /// Moves a running VM to another host, which is the same: a stun cycle. One that is off has
    /// none.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Disk`], [`Error::Io`].
    pub fn migrate(&self, vm: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        if vm.power_state != PowerState::PoweredOn {
            return Ok(());
        }
        let mut made = Made::default();
        let dropped = self.stun_cycle(&mut vm, &mut made)?;
        self.store_vm(&lock, &vm)?;
        made.keep();
        dropped.iter().try_for_each(|path| remove_if_there(path))
    }

    /// Another host takes the place of the only one, and all VMs run there from now on: a stun cycle for each that
    /// is on.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`], [`Error::Json`], [`Error::Io`].
    pub fn replace_host(&self, moref: &str, name: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut site = self.load_site()?;
        moref.clone_into(&mut site.host.moref);
        name.clone_into(&mut site.host.name);
        self.store_site(&lock, &site)?;
        let vms = self.load_vms()?;
        drop(lock);
        for vm in vms {
            self.update_vm(&vm.moref, |vm| {
                moref.clone_into(&mut vm.host);
                Ok(())
            })?;
            self.migrate(&vm.moref)?;
        }
        Ok(())
    }

    /// Upgrades the hardware version of a VM that is off; `None` = to the newest.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPowerState`] unless it is off, [`Error::AlreadyUpgraded`],
    /// [`Error::InvalidSpec`] for a version that the host does not know.
    pub fn upgrade_hardware(&self, vm: &str, version: Option<u32>) -> Result<(), Error> {
        let wanted = version.unwrap_or(NEWEST_HARDWARE_VERSION);
        self.update_vm(vm, |vm| vm.upgrade_hardware(wanted))
    }
}

impl Vm {
    /// Takes a newer hardware version.
    pub(crate) fn upgrade_hardware(&mut self, wanted: u32) -> Result<(), Error> {
        if self.power_state != PowerState::PoweredOff {
            return Err(self.power_error(Some(PowerState::PoweredOff)));
        }
        if wanted > NEWEST_HARDWARE_VERSION {
            return Err(Error::InvalidSpec {
                what: "version",
                reason: format!("the host knows no vmx-{wanted:02}"),
            });
        }
        if self.hardware_version >= wanted {
            return Err(Error::AlreadyUpgraded {
                version: self.hardware_version,
            });
        }
        self.hardware_version = wanted;
        Ok(())
    }

    /// Fails for a template.
    pub(crate) fn refuse_template(&self) -> Result<(), Error> {
        if self.is_template {
            let vm = self.moref.clone();
            return Err(Error::Template { vm });
        }
        Ok(())
    }

    /// The VM is in the wrong power state for what was asked.
    pub(crate) fn power_error(&self, requested: Option<PowerState>) -> Error {
        Error::InvalidPowerState {
            requested,
            existing: self.power_state,
        }
    }
}
