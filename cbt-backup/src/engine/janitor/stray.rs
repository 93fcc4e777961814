//! Dead runs of VMs that were not visited: gone, a template, not connected, or out of sight.

use std::path::Path;

use jiff::Timestamp;

use super::{Finding, FindingKind, JanitorOptions, Outcome};
use crate::engine::{
    error::{Error, chain},
    ledger::{Effect, Ledger, Subject},
    site::Site,
    vm_lock::VmLock,
};

/// A VM that was not visited, and of which a run died.
#[derive(Clone, Debug)]
pub struct Stray {
    /// The UUID under which its ledgers lie.
    pub uuid: String,
    /// Its dead runs.
    pub findings: Vec<Finding>,
}

/// Looks for ledgers of this server whose VM is not among those that were visited. Nothing is changed: they are told
/// until the VM is visited again, or somebody removes the file.
///
/// # Errors
/// When the state folder cannot be looked at.
pub fn strays(
    site: &Site,
    options: &JanitorOptions,
    visited: &[Subject],
) -> Result<Vec<Stray>, Error> {
    let own = site.client.about().instance_uuid.as_ref();
    let Some(server) = own.or(visited.first().map(|subject| &subject.vcenter)) else {
        return Ok(Vec::new());
    };
    let state = |source| Error::State {
        path: options.state_dir.clone(),
        source,
    };
    let folder = options.state_dir.join("ledger");
    let mut strays = Vec::new();
    for subject in Ledger::subjects(&folder).map_err(state)? {
        if subject.vcenter != *server || visited.contains(&subject) {
            continue;
        }
        // A run that works is not dead.
        let lock = VmLock::take(&options.state_dir.join("lock"), &subject).map_err(state)?;
        if lock.is_none() {
            continue;
        }
        let findings = findings(&folder, &subject);
        if !findings.is_empty() {
            let uuid = subject.vm;
            strays.push(Stray { uuid, findings });
        }
    }
    Ok(strays)
}

fn findings(folder: &Path, subject: &Subject) -> Vec<Finding> {
    let left = match Ledger::left_behind(folder, subject) {
        Ok(left) => left.ledgers.into_iter(),
        Err(error) => {
            return vec![Finding::new(FindingKind::Run, Outcome::Left, chain(&error))];
        }
    };
    left.filter_map(|dead| {
        let named: Vec<String> = dead.open_effects().iter().map(named).collect();
        let reason = format!(
            "run {} died and names {}; its VM was not visited: {}",
            dead.session(),
            named.join(" and "),
            dead.path().display()
        );
        let changed = std::fs::metadata(dead.path()).and_then(|file| file.modified());
        let changed = changed.ok().and_then(|time| Timestamp::try_from(time).ok());
        (!named.is_empty()).then(|| Finding {
            session: Some(dead.session().to_owned()),
            age: changed.map(|changed| Timestamp::now().duration_since(changed)),
            ..Finding::new(FindingKind::Run, Outcome::Left, reason)
        })
    })
    .collect()
}

fn named(effect: &Effect) -> String {
    match effect {
        Effect::Snapshot { description, .. } => format!("the snapshot {description:?}"),
        Effect::Access { identity } => format!("that the VM cannot be moved ({identity})"),
    }
}
