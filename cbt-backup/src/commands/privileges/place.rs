//! The objects on which privileges are needed.

use std::collections::HashSet;
use std::fmt;

use crate::{
    cli::exit_code::Failure,
    vsphere::{Client, Moref, Privilege, PrivilegePurpose, PrivilegeScope, VmSummary},
};

/// What an object is to a backup or a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Vm,
    Host,
    Datastore,
    Folder,
    Pool,
    Network,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Vm => "VM",
            Self::Host => "host",
            Self::Datastore => "datastore",
            Self::Folder => "folder",
            Self::Pool => "resource pool",
            Self::Network => "network",
        }
    }

    /// True if the privilege is needed on such an object ("vSphere API reference, 6"). What is done
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

/// The root; each VM with its host and datastores; for a restore its folder, pool and networks too.
/// Each object once.
pub(super) async fn places(
    client: &Client,
    vms: &[VmSummary],
    purpose: PrivilegePurpose,
) -> Result<(Vec<Place>, Vec<VmFound>), Failure> {
    let morefs: Vec<Moref> = vms.iter().map(|vm| vm.moref.clone()).collect();
    let mut surroundings = client.surroundings(&morefs).await?;
    let mut wanted = vec![(client.root_folder().clone(), Kind::Root)];
    let mut found = Vec::new();
    for vm in vms {
        let around = surroundings.remove(&vm.moref).unwrap_or_default();
        wanted.push((vm.moref.clone(), Kind::Vm));
        wanted.extend(around.host.map(|host| (host, Kind::Host)));
        let datastores = around.datastores.into_iter();
        wanted.extend(datastores.map(|datastore| (datastore, Kind::Datastore)));
        let is_restore = purpose == PrivilegePurpose::Restore;
        if is_restore {
            wanted.extend(around.folder.clone().map(|folder| (folder, Kind::Folder)));
            wanted.extend(around.pool.map(|pool| (pool, Kind::Pool)));
            let networks = around.networks.into_iter();
            wanted.extend(networks.map(|network| (network, Kind::Network)));
        }
        found.push(VmFound {
            path: vm.path.clone(),
            is_in_vapp: is_restore && around.folder.is_none() && around.vapp.is_some(),
            disabled_methods: around.disabled_methods,
        });
    }
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
        let datastore = ids(Kind::Datastore, Restore);
        assert!(
            datastore.contains(&"Datastore.AllocateSpace"),
            "{datastore:?}"
        );
    }
}
