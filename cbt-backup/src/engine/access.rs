//! Keeping the VM from being moved while its disks are read (`PrepareForAccess`).

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use vddk::{Access, Kind};

use super::{
    error::{Error, chain},
    ledger::{Effect, Ledger},
    monitor::{Event, Monitor},
    patience::{Patience, Tries},
    pause::pause_until,
    site::Site,
    undo::{self, MOVE_METHOD},
};
use crate::vsphere::{Disk, Moref, SnapshotConfig};

/// What to do about a VM that can't be kept in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessPolicy {
    /// Go on, and look afterwards whether it was moved.
    #[default]
    Prefer,
    /// Fail the run.
    Require,
}

/// How hard it is tried to keep a VM in place.
#[derive(Clone, Copy, Debug)]
pub struct AccessOptions {
    /// What to do where it can't be done.
    pub policy: AccessPolicy,
    /// How long to wait for somebody else who keeps it in place: another backup, perhaps.
    pub wait: Duration,
}

impl Default for AccessOptions {
    /// As long as the guide's sample tries ("VDDK API reference, 3.3").
    fn default() -> Self {
        Self {
            policy: AccessPolicy::default(),
            wait: Duration::from_mins(10),
        }
    }
}

/// How often it is looked whether somebody else has let go.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The request to keep a VM in place.
pub(super) struct AccessRequest<'a> {
    /// vSphere and VDDK.
    pub site: &'a Site,
    /// The VM.
    pub vm: &'a Moref,
    /// Under which name.
    pub identity: &'a str,
    /// How hard.
    pub options: AccessOptions,
    /// How long is tried what fails for a reason that may pass.
    pub patience: Patience,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// Set by a signal.
    pub cancel: &'a AtomicBool,
}

/// Why it did not work.
enum Refusal {
    /// It never took effect, and trying again is of no use.
    Outright(vddk::Error),
    /// Somebody else keeps the VM in place.
    Held(vddk::Error),
    /// It may have taken effect.
    Unclear(vddk::Error),
}

impl AccessRequest<'_> {
    /// Keeps the VM in place. None where that can't be had and is not required; it is then told.
    /// A stand-alone host moves nothing, and knows no such call.
    ///
    /// Each attempt is on the ledger before it is made, and stays there if it may have taken effect.
    ///
    /// # Errors
    /// [`Error::NotKept`] where it is required; a signal; the ledger.
    pub(super) fn prepare(
        &self,
        ledger: &mut Ledger,
        state: impl Fn(std::io::Error) -> Error,
    ) -> Result<Option<Access>, Error> {
        if !self.site.client.about().is_vcenter() {
            return Ok(None);
        }
        self.monitor.step("prepare for access");
        let effect = Effect::Access {
            identity: self.identity.to_owned(),
        };
        let until = Instant::now() + self.options.wait;
        let mut told = false;
        let mut tries = Tries::new(self.patience);
        let (error, words) = loop {
            // What is held before we ask is not held by us.
            let was_held = self.is_held()?;
            ledger.record(effect.clone()).map_err(&state)?;
            let refusal = match self.ask(was_held) {
                Ok(access) => return Ok(Some(access)),
                Err(refusal) => refusal,
            };
            match refusal {
                Refusal::Unclear(error) => {
                    let what = "keeping the VM from being moved";
                    let waited = tries.wait(what, error, self.monitor, self.cancel);
                    match waited.and_then(|()| self.take_back(&effect, ledger, &state)) {
                        Ok(()) => {}
                        Err(Error::Vddk(error)) => break (error, String::new()),
                        Err(error) => return Err(error),
                    }
                }
                Refusal::Outright(error) => {
                    ledger.undone(&effect).map_err(&state)?;
                    break (error, String::new());
                }
                Refusal::Held(error) => {
                    ledger.undone(&effect).map_err(&state)?;
                    if !told && Instant::now() < until {
                        told = true;
                        self.monitor.event(&Event::info(
                            "access-held",
                            format!(
                                "somebody else keeps the VM in place, another backup perhaps; waiting up to {} s",
                                self.options.wait.as_secs()
                            ),
                        ));
                    }
                    if !self.wait_until_free(until)? {
                        let words = "somebody else keeps it in place, and may let go at any time: ";
                        break (error, words.to_owned());
                    }
                }
            }
        };
        let hint = match error.explain() {
            // The usual causes of the code are not those of a VM that is held.
            Some(text) if words.is_empty() => format!(" ({text})"),
            _ => String::new(),
        };
        let reason = format!("{words}{}{hint}", chain(&error));
        if self.options.policy == AccessPolicy::Require {
            return Err(Error::NotKept {
                vm: self.vm.id.clone(),
                reason,
            });
        }
        self.monitor.event(&Event::warning(
            "access-not-prepared",
            format!("the VM may be moved while it is read: {reason}"),
        ));
        Ok(None)
    }

    fn ask(&self, was_held: bool) -> Result<Access, Refusal> {
        let params = self.site.connect_params(self.vm);
        let params = params.map_err(Refusal::Outright)?;
        let asked = self.site.library.prepare_for_access(&params, self.identity);
        asked.map_err(|error| {
            let is_outright = matches!(
                error,
                vddk::Error::MissingFunction { .. } | vddk::Error::Argument { .. }
            ) || matches!(
                error.kind(),
                Some(Kind::Permission | Kind::Authentication | Kind::NotFound)
            );
            match () {
                () if is_outright => Refusal::Outright(error),
                () if was_held => Refusal::Held(error),
                () => Refusal::Unclear(error),
            }
        })
    }

    /// Ends what may have taken effect before it is tried again: of two, one might stay.
    fn take_back(
        &self,
        effect: &Effect,
        ledger: &mut Ledger,
        state: impl Fn(std::io::Error) -> Error,
    ) -> Result<(), Error> {
        undo::end_access(self.site, self.vm, None, self.identity)?;
        ledger.undone(effect).map_err(state)
    }

    fn is_held(&self) -> Result<bool, Error> {
        let vm = self.site.ask(self.site.client.vm(self.vm))?;
        Ok(vm.disabled_methods.iter().any(|name| name == MOVE_METHOD))
    }

    /// False if the time is over before.
    fn wait_until_free(&self, until: Instant) -> Result<bool, Error> {
        loop {
            let look = (Instant::now() + LOOK_EVERY).min(until);
            pause_until(look, self.cancel)?;
            if !self.is_held()? {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }
}

/// The disks of which what was read is in doubt: device key, and why. `now` is how the snapshot answers now. A VM
/// that was taken back to it has it still, and the same files below it.
///
/// # Errors
/// When it did not answer, which tells nothing.
pub(super) fn in_doubt(
    before: &[Disk],
    now: Result<SnapshotConfig, Error>,
) -> Result<Vec<(i32, String)>, Error> {
    match now {
        Ok(now) => Ok(moved(before, &now)),
        Err(Error::Vsphere(error)) if error.fault_type() == Some("ManagedObjectNotFound") => {
            let why = "its snapshot was removed while it was read";
            let all = before.iter().map(|disk| (disk.device_key, why.to_owned()));
            Ok(all.collect())
        }
        Err(error) => Err(error),
    }
}

/// The disks whose files are not where they were when the snapshot was taken.
fn moved(before: &[Disk], now: &SnapshotConfig) -> Vec<(i32, String)> {
    let mut moved = Vec::new();
    for disk in before {
        let there = now.disks.iter().find(|d| d.device_key == disk.device_key);
        let file = there.map(|disk| disk.backing.file_name.as_str());
        if file != Some(disk.backing.file_name.as_str()) {
            moved.push((
                disk.device_key,
                format!(
                    "it was moved while it was read, or a snapshot below it was removed: its file was {} and is {}",
                    disk.backing.file_name,
                    file.unwrap_or("nowhere")
                ),
            ));
        }
    }
    moved
}
