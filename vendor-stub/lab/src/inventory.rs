//! The inventory as clients change it: folders, datacenters and resource pools.

use std::collections::BTreeSet;

use crate::datastore_path::check_name;
use crate::{Datacenter, Error, Folder, Kind, Lab, PowerState, ResourcePool, Site, Vm};

/// The folders of a datacenter: the letter of their ids, and their names.
const PARTS: [(char, &str); 4] = [
    ('v', "vm"),
    ('h', "host"),
    ('s', "datastore"),
    ('n', "network"),
];

/// What a folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderKind {
    /// Datacenters.
    Datacenters,
    /// VMs.
    Vms,
    /// Compute resources.
    Hosts,
    /// Datastores.
    Datastores,
    /// Networks.
    Networks,
}

impl Folder {
    /// What it is for, which its id tells.
    pub fn kind(&self) -> FolderKind {
        match self.letter() {
            'v' => FolderKind::Vms,
            'h' => FolderKind::Hosts,
            's' => FolderKind::Datastores,
            'n' => FolderKind::Networks,
            _ => FolderKind::Datacenters,
        }
    }

    fn letter(&self) -> char {
        let letter = self.moref.strip_prefix("group-");
        letter
            .and_then(|rest| rest.chars().next())
            .unwrap_or_default()
    }
}

impl Site {
    /// All datacenters; the first has the host, the datastores and the networks.
    pub fn datacenters(&self) -> impl Iterator<Item = &Datacenter> {
        std::iter::once(&self.datacenter).chain(&self.more_datacenters)
    }

    /// All resource pools; the first is that of the compute resource.
    pub fn pools(&self) -> impl Iterator<Item = &ResourcePool> {
        std::iter::once(&self.pool).chain(&self.more_pools)
    }

    /// The folder of that id.
    pub fn folder(&self, moref: &str) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.moref == moref)
    }

    /// The id of what is above an object that is no VM; `None` above the root folder and for what is
    /// not there.
    pub fn above(&self, moref: &str) -> Option<&str> {
        if let Some(folder) = self.folder(moref) {
            return folder.parent.as_deref();
        }
        if let Some(found) = self.datacenters().find(|found| found.moref == moref) {
            return Some(found.parent.as_deref().unwrap_or(Self::ROOT_FOLDER));
        }
        if let Some(pool) = self.pools().find(|pool| pool.moref == moref) {
            let compute = &self.compute_resource.moref;
            return Some(pool.parent.as_ref().unwrap_or(compute));
        }
        if self.host.moref == moref {
            return Some(&self.compute_resource.moref);
        }
        let usual = if self.compute_resource.moref == moref {
            Self::HOST_FOLDER
        } else if self.datastore_by_moref(moref).is_some() {
            Self::DATASTORE_FOLDER
        } else if self.networks.iter().any(|found| found.moref == moref) {
            Self::NETWORK_FOLDER
        } else {
            return None;
        };
        Some(self.places.get(moref).map_or(usual, String::as_str))
    }

    /// The datacenter that an object is in, itself included.
    pub fn datacenter_of(&self, moref: &str) -> Option<&Datacenter> {
        let mut here = Some(moref);
        while let Some(moref) = here {
            if let Some(found) = self.datacenters().find(|found| found.moref == moref) {
                return Some(found);
            }
            here = self.above(moref);
        }
        None
    }

    /// Whether an object is another, or is below it.
    fn is_within(&self, moref: &str, other: &str) -> bool {
        let mut here = Some(moref);
        while let Some(moref) = here {
            if moref == other {
                return true;
            }
            here = self.above(moref);
        }
        false
    }

    fn next_moref(&mut self, prefix: &str) -> String {
        self.next_folder += 1;
        format!("{prefix}{}", self.next_folder - 1)
    }

    fn existing_folder(&self, moref: &str) -> Result<&Folder, Error> {
        self.folder(moref)
            .ok_or_else(|| Error::not_found(Kind::Folder, moref))
    }

    fn existing_pool(&self, moref: &str) -> Result<&ResourcePool, Error> {
        let mut pools = self.pools();
        pools
            .find(|pool| pool.moref == moref)
            .ok_or_else(|| Error::not_found(Kind::ResourcePool, moref))
    }

    /// Refuses a name that cannot be, and one that another object beside it has.
    fn check_sibling(&self, vms: &[Vm], above: &str, name: &str) -> Result<(), Error> {
        check_name(name)?;
        let folders = self.folders.iter().map(|found| (&found.moref, &found.name));
        let datacenters = self.datacenters().map(|found| (&found.moref, &found.name));
        let pools = self.pools().map(|found| (&found.moref, &found.name));
        let mut all = folders
            .chain(datacenters)
            .chain(pools)
            .filter(|(moref, _)| self.above(moref) == Some(above))
            .chain(
                vms.iter()
                    .filter(|vm| vm.folder == above)
                    .map(|vm| (&vm.moref, &vm.name)),
            );
        match all.find(|(_, found)| *found == name) {
            None => Ok(()),
            Some((moref, _)) => Err(Error::NameTaken {
                name: name.into(),
                moref: moref.clone(),
            }),
        }
    }

    fn name_mut(&mut self, moref: &str) -> Option<&mut String> {
        let folders = self.folders.iter_mut();
        let folders = folders.map(|found| (&found.moref, &mut found.name));
        let datacenters = std::iter::once(&mut self.datacenter).chain(&mut self.more_datacenters);
        let datacenters = datacenters.map(|found| (&found.moref, &mut found.name));
        let pools = std::iter::once(&mut self.pool).chain(&mut self.more_pools);
        let pools = pools.map(|found| (&found.moref, &mut found.name));
        let mut all = folders.chain(datacenters).chain(pools);
        all.find(|(found, _)| *found == moref).map(|(_, name)| name)
    }
}

/// Things made.
impl Lab {
    /// Makes a folder of the same kind in a folder. Returns its id.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a folder, [`Error::InvalidName`], [`Error::NameTaken`],
    /// [`Error::Io`].
    pub fn create_folder(&self, above: &str, name: &str) -> Result<String, Error> {
        let vms = self.vms()?;
        self.update_site(|site| {
            let letter = site.existing_folder(above)?.letter();
            site.check_sibling(&vms, above, name)?;
            let moref = site.next_moref(&format!("group-{letter}"));
            site.folders.push(Folder {
                moref: moref.clone(),
                name: name.into(),
                parent: Some(above.into()),
            });
            Ok(moref)
        })
    }

    /// Makes a datacenter, which is empty, in a folder for such. Returns its id.
    ///
    /// # Errors
    ///
    /// As [`Lab::create_folder`]; [`Error::InvalidFolder`] for a folder of another kind.
    pub fn create_datacenter(&self, above: &str, name: &str) -> Result<String, Error> {
        self.update_site(|site| {
            if site.existing_folder(above)?.kind() != FolderKind::Datacenters {
                return no_place(above);
            }
            site.check_sibling(&[], above, name)?;
            let moref = site.next_moref("datacenter-");
            site.more_datacenters.push(Datacenter {
                moref: moref.clone(),
                name: name.into(),
                parent: Some(above.into()),
            });
            for (letter, name) in PARTS {
                let part = site.next_moref(&format!("group-{letter}"));
                site.folders.push(Folder {
                    moref: part,
                    name: name.into(),
                    parent: Some(moref.clone()),
                });
            }
            Ok(moref)
        })
    }

    /// Makes a resource pool in another, with settings as the server keeps them. Returns its id.
    ///
    /// # Errors
    ///
    /// As [`Lab::create_folder`].
    pub fn create_pool(
        &self,
        above: &str,
        name: &str,
        settings: serde_json::Value,
    ) -> Result<String, Error> {
        self.update_site(|site| {
            site.existing_pool(above)?;
            site.check_sibling(&[], above, name)?;
            let moref = site.next_moref("resgroup-");
            site.more_pools.push(ResourcePool {
                moref: moref.clone(),
                name: name.into(),
                parent: Some(above.into()),
                settings: Some(settings),
            });
            Ok(moref)
        })
    }
}

/// Things changed and moved.
impl Lab {
    /// Gives a resource pool other settings.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a pool, [`Error::Io`].
    pub fn set_pool(&self, moref: &str, settings: serde_json::Value) -> Result<(), Error> {
        self.update_site(|site| {
            site.existing_pool(moref)?;
            let mut pools = std::iter::once(&mut site.pool).chain(&mut site.more_pools);
            if let Some(pool) = pools.find(|pool| pool.moref == moref) {
                pool.settings = Some(settings);
            }
            Ok(())
        })
    }

    /// Gives a folder, a datacenter or a resource pool another name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for what is none of these, [`Error::InvalidName`], [`Error::NameTaken`],
    /// [`Error::Io`].
    pub fn rename_entity(&self, moref: &str, name: &str) -> Result<(), Error> {
        let vms = self.vms()?;
        self.update_site(|site| {
            let not_found = || Error::not_found(Kind::Folder, moref);
            let above = site.above(moref).map(str::to_owned);
            let old = site.name_mut(moref).ok_or_else(not_found)?;
            if old != name {
                site.check_sibling(&vms, &above.unwrap_or_default(), name)?;
                name.clone_into(site.name_mut(moref).ok_or_else(not_found)?);
            }
            Ok(())
        })
    }

    /// Moves objects into a folder: VMs, folders of its kind, and what it is for.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NameTaken`]; [`Error::InvalidFolder`] for what does not go there:
    /// another kind, another datacenter, a folder into itself. The first that fails ends the move.
    pub fn move_into_folder(&self, folder: &str, morefs: &[String]) -> Result<(), Error> {
        morefs.iter().try_for_each(|moref| {
            let vms = self.vms()?;
            match vms.iter().find(|vm| vm.moref == *moref) {
                Some(vm) => self.move_vm(folder, vm, &vms),
                None => self.update_site(|site| site.move_entity(folder, moref, &vms)),
            }
        })
    }

    fn move_vm(&self, folder: &str, vm: &Vm, vms: &[Vm]) -> Result<(), Error> {
        let site = self.site()?;
        if site.existing_folder(folder)?.kind() != FolderKind::Vms {
            return no_place(folder);
        }
        let datacenter = |moref: &str| site.datacenter_of(moref).map(|found| &found.moref);
        if datacenter(folder) != datacenter(&vm.folder) {
            return no_place(folder);
        }
        if folder == vm.folder {
            return Ok(());
        }
        site.check_sibling(vms, folder, &vm.name)?;
        self.update_vm(&vm.moref, |vm| {
            folder.clone_into(&mut vm.folder);
            Ok(())
        })
    }

    /// Moves VMs and resource pools into a resource pool.
    ///
    /// # Errors
    ///
    /// As [`Lab::move_into_folder`].
    pub fn move_into_pool(&self, pool: &str, morefs: &[String]) -> Result<(), Error> {
        self.site()?.existing_pool(pool)?;
        morefs.iter().try_for_each(|moref| {
            if moref.starts_with("vm-") {
                return self.update_vm(moref, |vm| {
                    vm.pool = Some(pool.into());
                    Ok(())
                });
            }
            self.update_site(|site| {
                let name = site.existing_pool(moref)?.name.clone();
                if site.is_within(pool, moref) {
                    return no_place(pool);
                }
                site.check_sibling(&[], pool, &name)?;
                let mut pools = site.more_pools.iter_mut();
                match pools.find(|pool| pool.moref == *moref) {
                    Some(found) => found.parent = Some(pool.into()),
                    None => return no_place(pool),
                }
                Ok(())
            })
        })
    }
}

impl Site {
    fn move_entity(&mut self, folder: &str, moref: &str, vms: &[Vm]) -> Result<(), Error> {
        let kind = self.existing_folder(folder)?.kind();
        if self.above(moref) == Some(folder) {
            return Ok(());
        }
        let is_datacenter = self.datacenters().any(|found| found.moref == moref);
        let fits = match self.folder(moref) {
            // The folders that a datacenter has stay in it.
            Some(found) => {
                found.kind() == kind
                    && found
                        .parent
                        .as_deref()
                        .is_some_and(|above| self.folder(above).is_some())
            }
            None if is_datacenter => kind == FolderKind::Datacenters,
            None if self.compute_resource.moref == moref => kind == FolderKind::Hosts,
            None if self.datastore_by_moref(moref).is_some() => kind == FolderKind::Datastores,
            None if self.networks.iter().any(|found| found.moref == moref) => {
                kind == FolderKind::Networks
            }
            None => return Err(Error::not_found(Kind::Folder, moref)),
        };
        let datacenter = |moref: &str| self.datacenter_of(moref).map(|found| &found.moref);
        let is_elsewhere = !is_datacenter && datacenter(folder) != datacenter(moref);
        if !fits || is_elsewhere || self.is_within(folder, moref) {
            return no_place(folder);
        }
        if let Some(name) = self.name_mut(moref).map(|name| name.clone()) {
            self.check_sibling(vms, folder, &name)?;
        }
        let above = Some(folder.to_owned());
        if let Some(found) = self.folders.iter_mut().find(|found| found.moref == moref) {
            found.parent = above;
        } else if self.datacenter.moref == moref {
            self.datacenter.parent = above;
        } else if let Some(found) = self
            .more_datacenters
            .iter_mut()
            .find(|found| found.moref == moref)
        {
            found.parent = above;
        } else {
            self.places.insert(moref.into(), folder.into());
        }
        Ok(())
    }
}

/// Things taken away.
impl Lab {
    /// Takes a folder or a datacenter away, with the folders and the VMs in it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::NotEmpty`] for what has the host, a datastore or a network in it
    /// and for the folders that every datacenter has; [`Error::InvalidPowerState`] while a VM in it is
    /// on; else as [`Lab::destroy_vm`].
    pub fn remove_folder(&self, moref: &str) -> Result<(), Error> {
        let site = self.site()?;
        let is_datacenter = site.datacenters().any(|found| found.moref == moref);
        let is_part = site.above(moref).is_none_or(|above| {
            let mut datacenters = site.datacenters();
            datacenters.any(|found| found.moref == above)
        });
        if !is_datacenter {
            site.existing_folder(moref)?;
        }
        let host = std::iter::once(&site.compute_resource.moref);
        let datastores = site.datastores.iter().map(|found| &found.moref);
        let networks = site.networks.iter().map(|found| &found.moref);
        let mut needed = host.chain(datastores).chain(networks);
        if is_part || needed.any(|found| site.is_within(found, moref)) {
            return Err(Error::NotEmpty { id: moref.into() });
        }
        let vms = self.vms()?.into_iter();
        let mine: Vec<Vm> = vms.filter(|vm| site.is_within(&vm.folder, moref)).collect();
        if let Some(vm) = mine
            .iter()
            .find(|vm| vm.power_state != PowerState::PoweredOff)
        {
            return Err(vm.power_error(Some(PowerState::PoweredOff)));
        }
        mine.iter().try_for_each(|vm| self.destroy_vm(&vm.moref))?;
        self.update_site(|site| {
            let folders = site.folders.iter().map(|found| &found.moref);
            let datacenters = site.datacenters().map(|found| &found.moref);
            let gone: BTreeSet<String> = folders
                .chain(datacenters)
                .filter(|found| site.is_within(found, moref))
                .cloned()
                .collect();
            site.folders.retain(|found| !gone.contains(&found.moref));
            let stays = |found: &Datacenter| !gone.contains(&found.moref);
            site.more_datacenters.retain(stays);
            site.custom_values.retain(|found, _| !gone.contains(found));
            Ok(())
        })
    }

    /// Takes a resource pool away. What is in it goes to the pool above.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a pool, [`Error::NotEmpty`] for that of the compute resource,
    /// [`Error::Io`].
    pub fn remove_pool(&self, moref: &str) -> Result<(), Error> {
        let pool = self.site()?.existing_pool(moref)?.clone();
        let Some(above) = pool.parent else {
            return Err(Error::NotEmpty { id: moref.into() });
        };
        for vm in self.vms()? {
            if vm.pool.as_deref() == Some(moref) {
                self.update_vm(&vm.moref, |vm| {
                    vm.pool = Some(above.clone());
                    Ok(())
                })?;
            }
        }
        self.update_site(|site| {
            site.more_pools.retain(|found| found.moref != moref);
            for found in &mut site.more_pools {
                if found.parent.as_deref() == Some(moref) {
                    found.parent = Some(above.clone());
                }
            }
            site.custom_values.remove(moref);
            Ok(())
        })
    }
}

fn no_place<T>(folder: &str) -> Result<T, Error> {
    Err(Error::InvalidFolder { id: folder.into() })
}
