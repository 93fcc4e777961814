//! VMs by the place that holds them.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{row, summary_json, tracking};
use crate::{
    cli::output::{printable, table},
    vsphere::VmSummary,
};

/// What VMs are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// The folder, or the vApp
    Folder,
    /// The resource pool
    Pool,
    /// The host
    Host,
    /// The datastore; a VM with several stands under each
    Datastore,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Pool => "pool",
            Self::Host => "host",
            Self::Datastore => "datastore",
        }
    }

    /// The groups a VM is in; none is one of its own.
    fn of(self, vm: &VmSummary) -> Vec<Option<String>> {
        match self {
            Self::Folder => vec![Some(vm.folder.clone()).filter(|folder| !folder.is_empty())],
            Self::Pool => vec![vm.pool.clone()],
            Self::Host => vec![vm.host.clone()],
            Self::Datastore if vm.datastores.is_empty() => vec![None],
            Self::Datastore => vm.datastores.iter().cloned().map(Some).collect(),
        }
    }
}

type Groups<'v> = BTreeMap<Option<String>, Vec<&'v VmSummary>>;

fn groups(by: By, vms: &[VmSummary]) -> Groups<'_> {
    let mut groups = Groups::new();
    for vm in vms {
        for group in by.of(vm) {
            groups.entry(group).or_default().push(vm);
        }
    }
    groups
}

/// The groups as one table; a VM that is in none has `-`.
pub(super) fn text(by: By, vms: &[VmSummary]) -> String {
    let head = [
        by.name().to_uppercase().as_str(),
        "ID",
        "NAME",
        "POWER",
        "TRACKING",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut rows = vec![head];
    for (group, vms) in groups(by, vms) {
        let group = group.as_deref().map_or_else(|| "-".to_owned(), printable);
        rows.extend(vms.into_iter().map(|vm| {
            let [id, name, _, power, _] = row(vm);
            vec![group.clone(), id, name, power, tracking(vm).to_owned()]
        }));
    }
    table(&rows)
}

/// The groups as one document; the name of the group of those that are in none is null.
pub(super) fn document(by: By, vms: &[VmSummary]) -> Value {
    let groups: Vec<Value> = groups(by, vms)
        .into_iter()
        .map(|(name, vms)| {
            let vms: Vec<Value> = vms.into_iter().map(summary_json).collect();
            json!({"name": name, "vms": vms})
        })
        .collect();
    json!({"version": 1, "by": by.name(), "groups": groups})
}

#[cfg(test)]
mod tests {
    use super::{By, document, text};
    use crate::commands::vms::tests::vm;

    #[test]
    fn a_vm_on_two_datastores_stands_under_both_and_one_without_under_none() {
        let mut lost = vm("vm-3", "lost");
        lost.datastores.clear();
        lost.folder.clear();
        let mut wide = vm("vm-2", "wide");
        wide.datastores = vec!["ds2".to_owned(), "ds1".to_owned()];
        let vms = [vm("vm-1", "app"), wide, lost];
        let shown = text(By::Datastore, &vms);
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["DATASTORE", "ID", "NAME", "POWER", "TRACKING"]);
        assert_eq!(lines[1][..3], ["-", "vm-3", "lost"]);
        assert_eq!(lines[2][..3], ["ds1", "vm-1", "app"]);
        assert_eq!(lines[3][..3], ["ds1", "vm-2", "wide"]);
        assert_eq!(lines[4][..3], ["ds2", "vm-2", "wide"]);
        let by_folder = document(By::Folder, &vms);
        assert_eq!(by_folder["by"], "folder");
        assert!(by_folder["groups"][0]["name"].is_null());
        assert_eq!(by_folder["groups"][1]["name"], "DC0/vm");
        assert_eq!(by_folder["groups"][1]["vms"][1]["moref"], "vm-2");
    }
}
