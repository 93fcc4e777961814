//! Whether vSphere tracks the VM's changes, and switching it on.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    error::{Error, chain},
    monitor::{Event, Monitor},
    plan::Tracking,
    site::Site,
};
use crate::vsphere::{
    Host, SwitchOptions, TrackingCause, TrackingError, TrackingReport, TrackingState, Vm,
};

/// What a run may do about change tracking that is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackingPolicy {
    /// Switch it on where that is safe.
    #[default]
    Auto,
    /// Leave it as it is.
    Never,
}

/// Looks at the VM's switch, and turns it where the policy and the rules allow ("vSphere API reference",
/// 5.1 and 5.2). Call it before the snapshot is made: the snapshot is the stun cycle that makes the
/// switch take effect.
///
/// # Errors
/// When the question itself fails, or at a signal; a switch that cannot be turned is a reason, not an error.
pub fn prepare(
    site: &Site,
    vm: &Vm,
    host: &Host,
    policy: TrackingPolicy,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<Tracking, Error> {
    if host.loses_writes_of_consolidation() {
        let reason = format!(
            "its host ({}) does not track what is written while a snapshot is consolidated; patch it",
            host.product
        );
        return Ok(Tracking::Off { reason });
    }
    let (now, report) = site.ask(site.client.tracking(&vm.moref()))?;
    if let Some(tracking) = found(&report, now.change_tracking_enabled == Some(true)) {
        return Ok(tracking);
    }
    if policy == TrackingPolicy::Never {
        return Ok(off(
            "change tracking is off, and this run was told not to switch it on",
        ));
    }
    switch_on(site, vm, monitor, cancel)
}

/// What holds already, unless tracking is off and could be switched on.
fn found(report: &TrackingReport, is_enabled: bool) -> Option<Tracking> {
    if report.state == TrackingState::On {
        return Some(Tracking::On);
    }
    let mut why = report.obstacles();
    let is_beside_snapshots = why
        .iter()
        .any(|cause| matches!(cause, TrackingCause::SnapshotsExist { .. }));
    if is_beside_snapshots {
        // A server need not tell that somebody has switched it on: our snapshot will show.
        let reason = format!("change tracking is off: {}", words(&why));
        return Some(Tracking::Unsound { reason });
    }
    // Our snapshot is the stun cycle that it waits for.
    if report.state == TrackingState::Pending && is_enabled {
        return Some(Tracking::On);
    }
    if is_enabled && why.is_empty() {
        why.clone_from(&report.causes);
    }
    (!why.is_empty()).then(|| off(&format!("change tracking is off: {}", words(&why))))
}

fn switch_on(
    site: &Site,
    vm: &Vm,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<Tracking, Error> {
    let options = SwitchOptions {
        cycle: false,
        task_limit: site.task_time_out,
        cancelled: &|| cancel.load(Ordering::Relaxed),
        on_step: &|step| monitor.step(step),
    };
    let switched = site
        .runtime
        .block_on(site.client.enable_tracking(&vm.moref(), &options));
    match switched {
        Ok((now, _)) => {
            monitor.event(&Event::info(
                "tracking-on",
                "change tracking was switched on and stays on; it costs about 0.5 MB of datastore for each 10 GB of disk",
            ));
            // There was none before either, or it had not been switched.
            Ok(if now.snapshots.roots.is_empty() {
                Tracking::Begun
            } else {
                Tracking::On
            })
        }
        Err(TrackingError::Interrupted { .. }) => Err(Error::Interrupted),
        Err(TrackingError::Refused { causes }) => {
            Ok(off(&format!("change tracking is off: {}", words(&causes))))
        }
        Err(TrackingError::Client(error)) if error.fault().is_none() => Err(Error::Vsphere(*error)),
        Err(error) => Ok(off(&format!(
            "change tracking could not be switched on: {}",
            chain(&error)
        ))),
    }
}

fn off(reason: &str) -> Tracking {
    let reason = reason.to_owned();
    Tracking::Off { reason }
}

fn words(causes: &[TrackingCause]) -> String {
    let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
    causes.join("; ")
}
