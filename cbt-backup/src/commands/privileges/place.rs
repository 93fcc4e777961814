//! The objects on which privileges are needed.

use std::collections::HashSet;
use std::fmt;

use anyhow::anyhow;

use crate::{
    cli::exit_code::{ExitCode, Failure},
    vsphere::{Client, Moref, Privilege, PrivilegePurpose, PrivilegeScope, VmSummary},
};

/// What an object is to a backup or a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Vm,
    Host,
    /// Files of a datastore are had through its datacenter.
    Datacenter,
    Datastore,
    /// The datastore of a VM that a restore puts elsewhere.
    OldDatastore,
    Folder,
    Pool,
    Network,
}

/// What fetching and putting a datastore's files wants, on the datastore and on its datacenter.
const OF_FILES: [&str; 2] = ["Datastore.Browse", "Datastore.FileManagement"];

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Vm => "VM",
            Self::Host => "host",
            Self::Datacenter => "datacenter",
            Self::Datastore | Self::OldDatastore => "datastore",
            Self::Folder => "folder",
            Self::Pool => "resource pool",
            Self::Network => "network",
        }
    }

    /// What an object of this managed type is to a restore that uses it.
    fn of_target(managed_type: &str) -> Option<Self> {
        Some(match managed_type {
            "Folder" => Self::Folder,
            "ResourcePool" | "VirtualApp" => Self::Pool,
            "Datastore" => Self::Datastore,
            "Network" | "DistributedVirtualPortgroup" | "OpaqueNetwork" => Self::Network,
            _ => return None,
        })
    }

    /// True if the privilege is needed on such an object ("vSphere API reference, 2.11 and 6"). What is done
    /// to a VM that a restore makes is judged by its folder.
    fn needs(self, privilege: &Privilege) -> bool {
        use PrivilegeScope as Scope;
        let is_for_restore = privilege.purpose == PrivilegePurpose::Restore;
        match (self, privilege.scope) {
            (Self::Root | Self::Host, Scope::Root)
            | (Self::Vm, Scope::Vm)
            | (Self::Datastore, Scope::Datastore)
            | (Self::Folder, Scope::Folder)
            | (Self::Pool, Scope::Pool)
            | (Self::Network, Scope::Network) => {
                // What a restore wants of the root is not wanted of hosts.
                self != Self::Host || !is_for_restore
            }
            (Self::Folder, Scope::Vm) => is_for_restore,
            (Self::OldDatastore, Scope::Datastore) => !is_for_restore,
            (Self::Datacenter, Scope::Datastore) => OF_FILES.contains(&privilege.id),
            _ => false,
        }
    }
}

/// One object to be tested.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) moref: Moref,
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl Place {
    /// What is needed there.
    pub(super) fn wanted(&self, purpose: PrivilegePurpose) -> Vec<&'static Privilege> {
        let all = Privilege::of(purpose);
        all.filter(|privilege| self.kind.needs(privilege)).collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Root => f.write_str("the root"),
            kind => write!(f, "{} {}", kind.as_str(), self.name),
        }
    }
}

/// What else there is to say of a VM.
#[derive(Debug)]
pub(super) struct VmFound {
    pub(super) path: String,
    /// A restore was asked for, and it has no folder to test.
    pub(super) is_in_vapp: bool,
    pub(super) disabled_methods: Vec<String>,
}

/// An object of the inventory, and what it is.
type Found = (Moref, Kind);

/// What a restore is to use, by inventory paths.
pub(super) async fn targets(client: &Client, paths: &[String]) -> Result<Vec<Found>, Failure> {
    let mut targets = Vec::new();
    for path in paths {
        let found = client.find_by_inventory_path(path).await?;
        let moref = found.ok_or_else(|| {
            let error = anyhow!("nothing is at {path:?}");
            Failure::new(ExitCode::NotFound, error)
                .with_hint("a path begins below the root, such as DC0/vm/Prod or DC0/datastore/ds1")
        })?;
        let kind = Kind::of_target(&moref.kind).ok_or_else(|| {
            let error = anyhow!(
                "{path:?} is a {}: a folder, resource pool, datastore or network is expected",
                moref.kind
            );
            Failure::new(ExitCode::Usage, error)
        })?;
        targets.push((moref, kind));
    }
    Ok(targets)
}

/// The root; each VM with its host, datastores and their datacenters; for a restore its folder, pool
/// and networks too, or what is named in their place. Each object once.
pub(super) async fn places(
    client: &Client,
    vms: &[VmSummary],
    targets: Vec<Found>,
    purpose: PrivilegePurpose,
) -> Result<(Vec<Place>, Vec<VmFound>), Failure> {
    let is_named = |kind: Kind| targets.iter().any(|(_, named)| *named == kind);
    let of_vm = if is_named(Kind::Datastore) {
        Kind::OldDatastore
    } else {
        Kind::Datastore
    };
    let is_restore = purpose == PrivilegePurpose::Restore;
    let morefs: Vec<Moref> = vms.iter().map(|vm| vm.moref.clone()).collect();
    let mut surroundings = client.surroundings(&morefs).await?;
    let mut wanted = vec![(client.root_folder().clone(), Kind::Root)];
    let mut found = Vec::new();
    for vm in vms {
        let around = surroundings.remove(&vm.moref).unwrap_or_default();
        wanted.push((vm.moref.clone(), Kind::Vm));
        wanted.extend(around.host.map(|host| (host, Kind::Host)));
        let datastores = around.datastores.into_iter();
        wanted.extend(datastores.map(|datastore| (datastore, of_vm)));
        if is_restore && !is_named(Kind::Folder) {
            wanted.extend(around.folder.clone().map(|folder| (folder, Kind::Folder)));
        }
        if is_restore && !is_named(Kind::Pool) {
            wanted.extend(around.pool.map(|pool| (pool, Kind::Pool)));
        }
        if is_restore && !is_named(Kind::Network) {
            let networks = around.networks.into_iter();
            wanted.extend(networks.map(|network| (network, Kind::Network)));
        }
        let has_folder = around.folder.is_some() || is_named(Kind::Folder);
        found.push(VmFound {
            path: vm.path.clone(),
            is_in_vapp: is_restore && !has_folder && around.vapp.is_some(),
            disabled_methods: around.disabled_methods,
        });
    }
    // A target comes first: it may be where a VM is now.
    let mut wanted = [targets, wanted].concat();
    wanted.extend(datacenters(client, &wanted).await?);
    let mut known = HashSet::new();
    wanted.retain(|(moref, _)| known.insert(moref.clone()));
    let morefs: Vec<Moref> = wanted.iter().map(|(moref, _)| moref.clone()).collect();
    let mut names = client.names(&morefs).await?;
    let places = wanted.into_iter().map(|(moref, kind)| Place {
        name: names.remove(&moref).unwrap_or_else(|| moref.id.clone()),
        moref,
        kind,
    });
    Ok((places.collect(), found))
}

/// The datacenters of the datastores.
async fn datacenters(client: &Client, places: &[Found]) -> Result<Vec<Found>, Failure> {
    let is_datastore = |kind: Kind| matches!(kind, Kind::Datastore | Kind::OldDatastore);
    let mut datastores: Vec<&Moref> = places
        .iter()
        .filter(|(_, kind)| is_datastore(*kind))
        .map(|(moref, _)| moref)
        .collect();
    datastores.sort();
    datastores.dedup();
    let mut found = Vec::new();
    for datastore in datastores {
        match client.datacenter_of(datastore).await {
            Ok(datacenter) => found.extend(datacenter.map(|moref| (moref, Kind::Datacenter))),
            // What the account may not see on the way is told as missing where it is needed.
            Err(error) if error.fault_type() == Some("NoPermission") => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Place};
    use crate::vsphere::{Moref, PrivilegePurpose};

    fn ids(kind: Kind, purpose: PrivilegePurpose) -> Vec<&'static str> {
        let place = Place {
            moref: Moref::vm("x-1"),
            name: "x".to_owned(),
            kind,
        };
        place.wanted(purpose).iter().map(|p| p.id).collect()
    }

    #[test]
    fn a_restore_goes_to_four_kinds_of_objects() {
        for (managed_type, kind) in [
            ("Folder", Kind::Folder),
            ("VirtualApp", Kind::Pool),
            ("Datastore", Kind::Datastore),
            ("DistributedVirtualPortgroup", Kind::Network),
        ] {
            assert_eq!(Kind::of_target(managed_type), Some(kind));
        }
        for managed_type in ["VirtualMachine", "Datacenter", "ClusterComputeResource"] {
            assert_eq!(Kind::of_target(managed_type), None);
        }
    }

    #[test]
    fn each_object_is_asked_for_what_is_needed_there() {
        use PrivilegePurpose::{Backup, Restore};
        let proxy = ids(Kind::Vm, PrivilegePurpose::HotAdd);
        assert!(
            proxy.contains(&"VirtualMachine.Config.AddExistingDisk"),
            "{proxy:?}"
        );
        assert_eq!(proxy.len(), 6);
        let methods = ["Global.DisableMethods", "Global.EnableMethods"];
        assert_eq!(ids(Kind::Root, Backup), methods);
        assert_eq!(ids(Kind::Host, Restore), methods);
        for kind in [Kind::Folder, Kind::Pool, Kind::Network] {
            assert_eq!(ids(kind, Backup), [""; 0], "{kind:?}");
        }
        assert_eq!(ids(Kind::Pool, Restore), ["Resource.AssignVMToPool"]);
        assert_eq!(ids(Kind::Network, Restore), ["Network.Assign"]);
        let folder = ids(Kind::Folder, Restore);
        for id in [
            "VirtualMachine.Inventory.Create",
            "VirtualMachine.Config.AddNewDisk",
        ] {
            assert!(folder.contains(&id), "{id}");
        }
        // Those of a backup are needed on the VM itself.
        assert!(!folder.contains(&"VirtualMachine.State.CreateSnapshot"));
        assert!(ids(Kind::Vm, Restore).contains(&"VirtualMachine.State.CreateSnapshot"));
        let of_files = ["Datastore.Browse", "Datastore.FileManagement"];
        for purpose in [Backup, Restore] {
            assert_eq!(ids(Kind::Datacenter, purpose), of_files);
            assert_eq!(ids(Kind::OldDatastore, purpose), of_files);
        }
        assert_eq!(ids(Kind::Datacenter, PrivilegePurpose::HotAdd), [""; 0]);
        let datastore = ids(Kind::Datastore, Restore);
        assert!(
            datastore.contains(&"Datastore.AllocateSpace"),
            "{datastore:?}"
        );
    }
}
