//! Nothing left behind: what dead runs left in vSphere is found and undone.
//!
//! It runs at the start of every backup for its VM, and as a command of its own. Two things prove that
//! something is a dead run's of ours:
//!
//! - The ledger of this state folder names it. Whoever holds the VM's lock knows that its run is dead.
//! - The description of a snapshot names this repository and a session, and no backup of the VM shows a sign
//!   of life there while it is watched. So it works from any machine, also when a state folder is lost.
//!
//! - `finding`: what was found, and what became of it.
//! - `proof`: whose a snapshot is.
//! - `watch`: whether a backup of the VM is at work somewhere.
//! - `stray`: dead runs of VMs that were not visited.
//! - `visit`: one VM, from its unfinished tasks to the question who keeps it in place.

mod finding;
mod proof;
mod stray;
mod visit;
mod watch;

pub use finding::{Finding, FindingKind, Outcome};
pub use stray::{Stray, strays};
pub(super) use visit::Visit;

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use super::{
    backup::{fit, vm_uuid},
    error::Error,
    ledger::{Ledger, Subject},
    monitor::Monitor,
    site::Site,
    vm_lock::VmLock,
};
use crate::{repo::Repository, vsphere::Moref};

/// How far a janitor goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JanitorMode {
    /// It only looks.
    Report,
    /// It undoes what is proven to be a dead run's.
    #[default]
    Clean,
    /// It also removes snapshots that have our name and nobody's proof.
    Adopt,
}

/// How a janitor works.
#[derive(Clone, Debug)]
pub struct JanitorOptions {
    /// Where ledgers and locks are kept.
    pub state_dir: PathBuf,
    /// The time between two looks at the repository's announcements. It must be longer than the
    /// heart-beats of all who back up into it.
    pub look_interval: Duration,
    /// How far it goes.
    pub mode: JanitorMode,
}

/// What a janitor found at one VM.
#[derive(Clone, Debug)]
pub struct JanitorReport {
    /// The VM's name.
    pub vm: String,
    /// Under which its ledgers lie.
    pub subject: Subject,
    /// A run of this machine works on the VM: it was left alone.
    pub is_busy: bool,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl JanitorReport {
    /// True when something is there that should not be.
    pub fn is_something_left(&self) -> bool {
        self.findings.iter().any(Finding::is_left)
    }
}

/// How many runs have a ledger in a state folder: dead ones, and those at work.
pub fn unfinished_runs(state_dir: &Path) -> usize {
    Ledger::count(&state_dir.join("ledger"))
}

/// Looks after one VM. A VM on which a run of this machine works is left alone. Without a repository only what the
/// ledgers of the state folder name is undone.
///
/// # Errors
/// When the VM or the state folder cannot be looked at; a signal. What could not be undone is a finding.
pub fn tidy(
    site: &Site,
    repository: Option<&Repository>,
    moref: &Moref,
    options: &JanitorOptions,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<JanitorReport, Error> {
    let vm = fit(site.ask(site.client.vm(moref))?)?;
    let subject = Subject {
        vcenter: site.server_name(&vm)?,
        vm: vm_uuid(&vm),
    };
    let lock = VmLock::take(&options.state_dir.join("lock"), &subject);
    let lock = lock.map_err(|source| Error::State {
        path: options.state_dir.clone(),
        source,
    })?;
    let mut report = JanitorReport {
        vm: vm.name,
        subject: subject.clone(),
        is_busy: lock.is_none(),
        findings: Vec::new(),
    };
    if lock.is_some() {
        let visit = Visit {
            site,
            repository,
            moref,
            subject: &subject,
            options,
            monitor,
            cancel,
        };
        report.findings = visit.tidy()?.findings;
    }
    Ok(report)
}
