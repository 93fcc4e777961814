//! Whether vSphere tracks the VM's changes, and switching it on.

use super::{
    error::{Error, chain},
    monitor::{Event, Monitor},
    plan::Tracking,
    site::Site,
};
use crate::vsphere::{Host, Vm};

/// What a run may do about change tracking that is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackingPolicy {
    /// Switch it on where that is safe.
    #[default]
    Auto,
    /// Leave it as it is.
    Never,
}

/// The host that runs the VM. Where it is not told, or may not be looked at, nothing is known of it.
///
/// # Errors
/// When the question itself fails.
pub fn host(site: &Site, vm: &Vm) -> Result<Host, Error> {
    let Some(host) = &vm.host else {
        return Ok(Host::default());
    };
    match site.ask(site.client.hosts(std::slice::from_ref(host))) {
        Ok(mut found) => Ok(found.pop().map(|(_, host)| host).unwrap_or_default()),
        Err(Error::Vsphere(error)) if error.fault().is_some() => Ok(Host::default()),
        Err(error) => Err(error),
    }
}

/// Looks at the VM's switch, and turns it where the policy and the rules allow (vSphere reference,
/// 5.1 and 5.2). Call it before the snapshot is made: the snapshot is the stun cycle that makes the
/// switch take effect.
///
/// # Errors
/// When the question itself fails; a switch that cannot be turned is a reason, not an error.
pub fn prepare(
    site: &Site,
    vm: &Vm,
    host: &Host,
    policy: TrackingPolicy,
    monitor: &dyn Monitor,
) -> Result<Tracking, Error> {
    let off = |reason: &str| {
        Ok(Tracking::Off {
            reason: reason.to_owned(),
        })
    };
    if let Some(cause) = site.ask(site.client.tracking_gate(vm))? {
        return off(&cause.to_string());
    }
    if host.loses_writes_of_consolidation() {
        return Ok(Tracking::Off {
            reason: format!(
                "its host ({}) does not track what is written while a snapshot is consolidated; patch it",
                host.product
            ),
        });
    }
    if vm.change_tracking_enabled == Some(true) {
        return Ok(Tracking::On);
    }
    if vm.change_tracking_supported == Some(false) {
        let version = vm
            .hardware_version
            .map_or("unknown".to_owned(), |version| version.to_string());
        return Ok(Tracking::Off {
            reason: format!(
                "vSphere cannot track the changes of this VM (hardware version {version})"
            ),
        });
    }
    if policy == TrackingPolicy::Never {
        return off("change tracking is off, and this run was told not to switch it on");
    }
    if !vm.snapshots.roots.is_empty() {
        return off(
            "change tracking is off, and cannot be switched on safely while the VM has snapshots",
        );
    }
    monitor.step("switch on change tracking");
    let switched = site
        .ask(site.client.set_change_tracking(&vm.moref(), true))
        .and_then(|task| Ok(site.wait(&task)?));
    match switched {
        Ok(_) => {
            monitor.event(&Event::info(
                "tracking-on",
                "change tracking was switched on and stays on; it costs about 0.5 MB of datastore for each 10 GB of disk",
            ));
            Ok(Tracking::On)
        }
        Err(Error::Vsphere(error)) if error.fault().is_some() => Ok(Tracking::Off {
            reason: format!(
                "change tracking could not be switched on: {}",
                chain(&error)
            ),
        }),
        Err(error) => Err(error),
    }
}
