//! The snapshot that a run reads from, with the guest at rest where that is wanted.

use jiff::Timestamp;

use super::{
    error::{Error, chain},
    monitor::{Event, Monitor},
    site::Site,
    undo::SNAPSHOT_NAME,
};
use crate::{
    repo::Consistency,
    vsphere::{self, Moref, PowerState, Quiesce, SnapshotSpec, Vm},
};

/// Whether the guest is brought to rest for the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuiescePolicy {
    /// The disks are as after a power failure.
    No,
    /// Where VMware Tools run; a guest that can't does not keep its backup from being made.
    #[default]
    Prefer,
    /// A guest that can't fails the run.
    Require,
}

impl QuiescePolicy {
    /// What is asked of this VM: without VMware Tools that run, no guest can be asked to rest. A VM that is
    /// off is at rest.
    pub(super) fn for_vm(self, vm: &Vm, monitor: &dyn Monitor) -> Self {
        if self != Self::Prefer || vm.guest.has_running_tools() {
            return self;
        }
        if vm.power_state == PowerState::On {
            let message =
                "VMware Tools do not run in the guest: its disks are as after a power failure";
            monitor.event(&Event::info("not-quiesced", message));
        }
        Self::No
    }
}

/// A VM at one moment.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The snapshot.
    pub snapshot: Moref,
    /// When it was made, by vCenter's clock.
    pub time: Timestamp,
    /// What the guest knew of it.
    pub consistency: Consistency,
    /// The server's time before it was asked for.
    pub before: Timestamp,
    /// How many other snapshots there are. They are counted once ours is made, so that none that is
    /// older is missed.
    pub others: u32,
}

/// Makes the snapshot and waits for it. The wait is not cut short: a snapshot under way must be
/// known.
///
/// # Errors
/// The fault of the snapshot, or of the calls. It may have come all the same, and is then found
/// by its description.
pub fn freeze(
    site: &Site,
    vm: &Moref,
    description: &str,
    policy: QuiescePolicy,
    monitor: &dyn Monitor,
) -> Result<Frozen, Error> {
    monitor.step("create snapshot");
    let before = site.ask(site.client.current_time())?;
    let make = |quiesce| {
        let spec = SnapshotSpec {
            name: SNAPSHOT_NAME.to_owned(),
            description: description.to_owned(),
            quiesce,
        };
        let made = site.client.make_snapshot(vm, &spec, site.task_time_out);
        site.runtime.block_on(made)
    };
    let quiesce = match policy {
        QuiescePolicy::No => Quiesce::None,
        QuiescePolicy::Prefer | QuiescePolicy::Require => Quiesce::Tools,
    };
    let snapshot = match make(quiesce) {
        Err(error) if policy == QuiescePolicy::Prefer && is_restless(&error) => {
            monitor.event(&Event::warning(
                "not-quiesced",
                format!(
                    "the snapshot of a guest at rest failed, so its disks are as after a power failure: {}",
                    chain(&error)
                ),
            ));
            make(Quiesce::None)?
        }
        made => made?,
    };
    let tree = site.ask(site.client.vm(vm))?.snapshots;
    let (ours, others): (Vec<_>, Vec<_>) = tree.iter().partition(|node| node.snapshot == snapshot);
    let ours = ours.first();
    let time = match ours.and_then(|node| node.created) {
        Some(time) => time,
        None => site.ask(site.client.current_time())?,
    };
    let is_quiesced = ours.is_some_and(|node| node.is_quiesced);
    Ok(Frozen {
        snapshot,
        time,
        before,
        others: u32::try_from(others.len()).unwrap_or(u32::MAX),
        consistency: if is_quiesced {
            Consistency::Quiesced
        } else {
            Consistency::Crash
        },
    })
}

/// True where the guest is the reason that there is no snapshot (vSphere API reference, 1.10). Hosts also report a failed
/// quiescing as one of the general faults of the call; of these only the words tell. If they deceive, the second attempt fails as
/// well, and its error counts.
fn is_restless(error: &vsphere::Error) -> bool {
    match error.fault_type() {
        Some("ApplicationQuiesceFault" | "FilesystemQuiesceFault") => true,
        Some("SnapshotFault" | "GenericVmConfigFault" | "VmConfigFault") => {
            chain(error).to_lowercase().contains("quiesc")
        }
        _ => false,
    }
}
