//! Putting vSphere back as it was: the tail of every run, and what a dead run left.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use vddk::Access;

use super::{
    description::Description,
    error::{Error, chain},
    ledger::{Effect, Ledger},
    monitor::{Event, Monitor},
    patience::Patience,
    site::Site,
};
use crate::vsphere::{Moref, Unmerged};

/// The method that PrepareForAccess disables.
pub(super) const MOVE_METHOD: &str = "RelocateVM_Task";

/// The name of every snapshot we make.
pub const SNAPSHOT_NAME: &str = "cbt-backup";

/// When VixDiskLib's own clean-up is called before a snapshot is removed, which stands meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanUp {
    /// Not at all.
    No,
    /// All was closed well: if disks of other VMs are soon closed. The last VM cleans up for all.
    Soon,
    /// After a failure: it waits for disks of other VMs.
    Surely,
}

impl CleanUp {
    fn wait(self) -> Duration {
        match self {
            Self::No => Duration::ZERO,
            Self::Soon => Duration::from_secs(30),
            Self::Surely => Duration::from_mins(10),
        }
    }
}

/// The tail of a run is not cut short.
static NO_SIGNAL: AtomicBool = AtomicBool::new(false);

/// What came of an undoing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwound {
    /// Nothing is left.
    pub is_clean: bool,
    /// What the removal of snapshots took.
    pub removal: Duration,
}

/// Undoes what a ledger lists, the last effect first. What cannot be undone is told and stays in
/// the ledger for the next run; it does not keep the rest from being undone.
///
/// `access` is the handle of this very run, where it is its ledger; a dead run's access is ended by
/// its identity. `clean_up` calls VixDiskLib's own clean-up before a snapshot is removed, as the
/// guide wants it after HotAdd and after any failure. What fails in VDDK for a reason that may pass is tried
/// again, also after a signal: the next one ends the process.
///
/// Tells whether nothing is left, and what the snapshot took to go.
pub fn unwind(
    site: &Site,
    vm: &Moref,
    mut ledger: Ledger,
    mut access: Option<Access>,
    clean_up: CleanUp,
    patience: Patience,
    monitor: &dyn Monitor,
) -> Unwound {
    let mut unwound = Unwound {
        is_clean: true,
        removal: Duration::ZERO,
    };
    if clean_up != CleanUp::No {
        clean_up_library(site, vm, clean_up, patience, monitor);
    }
    for effect in ledger.open_effects() {
        let begun = Instant::now();
        let undone = match &effect {
            Effect::Snapshot {
                description,
                unmerged_before,
            } => {
                let before = if *unmerged_before {
                    Unmerged::SomebodyElses
                } else {
                    Unmerged::Nothing
                };
                let removed = remove_snapshots(site, vm, description, before, monitor);
                unwound.removal += begun.elapsed();
                removed
            }
            Effect::Access { identity } => {
                let what = "allowing the VM to be moved";
                patience.until_done(what, monitor, &NO_SIGNAL, || {
                    end_access(site, vm, access.take(), identity)
                })
            }
        };
        if let Err(error) = undone {
            unwound.is_clean = false;
            let message = left_behind(&effect, vm, &chain(&error));
            monitor.event(&Event::warning("left-behind", message));
        } else if let Err(error) = ledger.undone(&effect) {
            // Nothing is left; undoing it once more, in the next run, does no harm.
            monitor.event(&Event::warning(
                "ledger",
                format!("failed to write the run's ledger: {error}"),
            ));
        }
    }
    if let Err(error) = ledger.close() {
        monitor.event(&Event::warning(
            "ledger",
            format!("failed to remove the run's ledger: {error}"),
        ));
    }
    unwound
}

fn left_behind(effect: &Effect, vm: &Moref, error: &str) -> String {
    match effect {
        Effect::Snapshot { description, .. } => {
            format!(
                "the snapshot {description:?} of {} is left: {error}; the next run tries again",
                vm.id
            )
        }
        Effect::Access { identity } => {
            format!(
                "{} is still kept from being moved ({identity}): {error}; the next run tries again",
                vm.id
            )
        }
    }
}

/// Not beside disks that are open by HotAdd: it waits for them, and is left out if that takes too long. What was
/// closed well leaves nothing to clean up, and the next one cleans up for all VMs.
pub(super) fn clean_up_library(
    site: &Site,
    vm: &Moref,
    clean_up: CleanUp,
    patience: Patience,
    monitor: &dyn Monitor,
) {
    let limit = clean_up.wait().as_secs();
    let alone = site.hot_add.alone(clean_up.wait(), |open| {
        let whose = match open {
            Some(open) => format!("disks of other VMs that are open by HotAdd, {open} now"),
            None => "disks that another process of this machine has open by HotAdd".to_owned(),
        };
        let message = format!("VDDK's clean-up waits for the {whose}, up to {limit} s");
        monitor.event(&Event::info("cleanup-waits", message));
    });
    let alone = match alone {
        Ok(alone) => alone,
        Err(error) => {
            let message = format!("VDDK's clean-up is left out: {}", chain(&error));
            monitor.event(&Event::warning("cleanup-left-out", message));
            return;
        }
    };
    let Some(_alone) = alone else {
        let message = "VDDK's clean-up is left out: disks of other VMs are still open by HotAdd";
        monitor.event(&match clean_up {
            CleanUp::Surely => Event::warning("cleanup-left-out", message),
            CleanUp::No | CleanUp::Soon => Event::info("cleanup-left-out", message),
        });
        return;
    };
    let clean_up = || {
        let params = site.connect_params(vm)?;
        match site.library.cleanup(&params) {
            // What it could not remove is in use, for as long as another backup takes.
            Err(error @ vddk::Error::Cleanup { report, .. }) if report.remaining > 0 => {
                Ok(Err(error))
            }
            Err(error) => Err(error.into()),
            Ok(report) => Ok(Ok(report)),
        }
    };
    let cleaned = patience.until_done("VixDiskLib_Cleanup", monitor, &NO_SIGNAL, clean_up);
    let warning = match cleaned {
        Ok(cleaned) => clean_up_warning(cleaned),
        Err(error) => Some(Event::warning("cleanup", error.to_string())),
    };
    if let Some(warning) = warning {
        monitor.event(&warning);
    }
}

/// What is to be told of the clean-up. VMs that are left are told with the error of a release that
/// fails then, and without one of a release that does not.
fn clean_up_warning(cleaned: Result<vddk::Cleanup, vddk::Error>) -> Option<Event> {
    let message = match cleaned {
        Ok(report) if report.remaining == 0 => return None,
        Ok(report) => format!("VixDiskLib_Cleanup left {} VMs", report.remaining),
        Err(error) => error.to_string(),
    };
    Some(Event::warning("cleanup", message))
}

/// Removes every snapshot with this description. None is fine: the run died before it was made.
pub(super) fn remove_snapshots(
    site: &Site,
    vm: &Moref,
    description: &str,
    before: Unmerged,
    monitor: &dyn Monitor,
) -> Result<(), Error> {
    monitor.step("remove snapshot");
    let limit = site.task_time_out;
    site.ask(site.client.remove_own_snapshots(
        vm,
        own_name(description),
        description,
        before,
        limit,
    ))?;
    Ok(())
}

/// The name that a snapshot with this description must have to be ours. A description as runs give it is enough: it names the
/// run, and somebody may have renamed the snapshot since.
pub(super) fn own_name(description: &str) -> Option<&'static str> {
    let is_of_a_run = description.parse::<Description>().is_ok();
    (!is_of_a_run).then_some(SNAPSHOT_NAME)
}

/// Allows the VM to be moved again. Where ending fails, the VM itself tells whether anything is left.
pub(super) fn end_access(
    site: &Site,
    vm: &Moref,
    access: Option<Access>,
    identity: &str,
) -> Result<(), Error> {
    let by_identity = || -> Result<(), Error> {
        Ok(site
            .library
            .end_access(&site.connect_params(vm)?, identity)?)
    };
    let ended = match access.map(Access::close) {
        Some(Ok(())) => return Ok(()),
        // A disk that was given up keeps the handle; the identity ends it all the same.
        Some(Err(vddk::Error::Argument { .. })) | None => by_identity(),
        Some(Err(error)) => Err(error.into()),
    };
    let Err(error) = ended else { return Ok(()) };
    let state = site.ask(site.client.vm(vm))?;
    if state
        .disabled_methods
        .iter()
        .any(|method| method == MOVE_METHOD)
    {
        Err(error)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::clean_up_warning;

    #[test]
    fn a_clean_up_that_leaves_vms_is_told_and_one_that_does_not_is_no_matter() {
        let counted = |remaining| {
            Ok(vddk::Cleanup {
                cleaned_up: 1,
                remaining,
            })
        };
        assert!(clean_up_warning(counted(0)).is_none());
        let warning = format!("{:?}", clean_up_warning(counted(2)));
        assert!(warning.contains("left 2 VMs"), "{warning}");
        let failed = Err(vddk::Error::Stuck {
            function: "VixDiskLib_Cleanup",
        });
        let warning = format!("{:?}", clean_up_warning(failed));
        assert!(warning.contains("VixDiskLib_Cleanup"), "{warning}");
    }
}
