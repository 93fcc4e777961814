//! The places of the inventory: what holds VMs, and what these are called.

use std::collections::HashMap;

use super::entity::Entity;
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::near::near;
use crate::vsphere::property::Found;
use crate::vsphere::selector::{PlaceKind, Target, one_form};
use crate::vsphere::vm::unescape_name;

/// Places are not nested deeper; a loop would be.
pub(super) const MAX_LEVELS: usize = 64;
/// More places than this are not listed to a person.
pub(super) const MAX_CANDIDATES: usize = 20;

/// Everything between the root folder and the VMs.
#[derive(Debug, Default)]
pub(super) struct Places {
    root: Option<Moref>,
    places: HashMap<Moref, Place>,
}

#[derive(Debug)]
struct Place {
    /// As sent, escaped.
    name: String,
    parent: Option<Moref>,
    /// For a vApp: its place among the folders of VMs.
    parent_folder: Option<Moref>,
}

impl Places {
    pub(super) fn new(root: &Moref, found: Vec<Found<Entity>>) -> Self {
        let place = |found: Found<Entity>| {
            let place = Place {
                name: found.properties.name,
                parent: found.properties.parent,
                parent_folder: found.properties.parent_folder,
            };
            (found.moref, place)
        };
        Self {
            root: Some(root.clone()),
            places: found.into_iter().map(place).collect(),
        }
    }

    /// The place and those above it, as far as they can be seen, without the root folder.
    fn chain<'p>(
        &'p self,
        from: Option<&'p Moref>,
        up: fn(&'p Place) -> Option<&'p Moref>,
    ) -> impl Iterator<Item = (&'p Moref, &'p Place)> {
        let mut next = from;
        let step = move || {
            let moref = next.filter(|moref| Some(*moref) != self.root.as_ref())?;
            let place = self.places.get(moref)?;
            next = up(place);
            Some((moref, place))
        };
        std::iter::from_fn(step).take(MAX_LEVELS)
    }

    /// The path of a place, from below the root folder; shorter where it has holes.
    pub(super) fn path(&self, place: &Moref) -> String {
        join(self.chain(Some(place), |place| place.parent.as_ref()))
    }

    /// The path that leads to a VM: that of its folder, or of its vApp in the folder where the
    /// outermost vApp is shown.
    pub(super) fn path_to_vm(&self, vm: &Entity) -> String {
        let above = vm.parent.as_ref().or(vm.parent_vapp.as_ref());
        join(self.chain(above, vm_tree))
    }

    /// The path of a VM.
    pub(super) fn vm_path(&self, vm: &Entity) -> String {
        let above = self.path_to_vm(vm);
        if above.is_empty() {
            return vm.name.clone();
        }
        format!("{above}/{}", vm.name)
    }

    /// The name of a place, for people.
    pub(super) fn name(&self, place: &Moref) -> Option<String> {
        Some(unescape_name(&self.places.get(place)?.name))
    }

    /// The cluster, or stand-alone host, that a host or pool belongs to.
    pub(super) fn cluster<'p>(&'p self, vm: &'p Entity) -> Option<&'p Moref> {
        let above = |from| self.chain(from, |place: &Place| place.parent.as_ref());
        let mut places = above(vm.host.as_ref()).chain(above(vm.pool.as_ref()));
        places.find_map(|(moref, _)| is_cluster(moref).then_some(moref))
    }

    /// The vApp a VM is in: the one that says so, or one above its pool.
    pub(super) fn vapp<'p>(&'p self, vm: &'p Entity) -> Option<&'p Moref> {
        let above = self.chain(vm.pool.as_ref(), |place| place.parent.as_ref());
        let mut above = above.map(|(moref, _)| moref);
        vm.parent_vapp
            .as_ref()
            .or_else(|| above.find(|moref| moref.kind == "VirtualApp"))
    }

    /// True if a VM is in one of `targets`, or anywhere below.
    pub(super) fn is_below(&self, kind: PlaceKind, vm: &Entity, targets: &[Moref]) -> bool {
        let hit = |moref: &Moref| targets.contains(moref);
        let through = |from, up: for<'p> fn(&'p Place) -> Option<&'p Moref>| {
            self.chain(from, up).any(|(moref, _)| hit(moref))
        };
        match kind {
            PlaceKind::Folder => {
                through(vm.parent.as_ref().or(vm.parent_vapp.as_ref()), vm_tree)
                    || through(vm.pool.as_ref(), |place| place.parent_folder.as_ref())
            }
            PlaceKind::Pool => through(vm.pool.as_ref(), |place| place.parent.as_ref()),
            PlaceKind::Vapp => {
                vm.parent_vapp.as_ref().is_some_and(hit)
                    || through(vm.parent_vapp.as_ref(), |place| place.parent.as_ref())
                    || through(vm.pool.as_ref(), |place| place.parent.as_ref())
            }
            PlaceKind::Cluster => {
                through(vm.pool.as_ref(), |place| place.parent.as_ref())
                    || through(vm.host.as_ref(), |place| place.parent.as_ref())
            }
            PlaceKind::Host => vm.host.as_ref().is_some_and(hit),
            PlaceKind::Datastore => vm
                .datastores
                .iter()
                .any(|datastore| through(Some(datastore), |place| place.parent.as_ref())),
        }
    }

    /// The places that a selector means: one by name, path or id; any number by a pattern.
    ///
    /// # Errors
    ///
    /// [`Error::PlaceNotFound`], [`Error::PlaceAmbiguous`].
    pub(super) fn find(&self, kind: PlaceKind, target: &Target) -> Result<Vec<Moref>, Error> {
        let named = self.places.iter().filter(|(moref, _)| is_a(kind, moref));
        let path = |moref: &Moref| self.path(moref);
        let (wanted, pattern) = match target {
            Target::Names(pattern) => {
                let found = named.filter(|(_, place)| pattern.matches(&unescape_name(&place.name)));
                return Ok(found.map(|(moref, _)| moref.clone()).collect());
            }
            Target::Paths(pattern) => {
                let found =
                    named.filter(|(moref, _)| pattern.matches(&format!("/{}", path(moref))));
                return Ok(found.map(|(moref, _)| moref.clone()).collect());
            }
            Target::Word(word) => (word, one_form(word)),
        };
        let is_path = wanted.contains('/');
        let all: Vec<(&Moref, &Place)> = named.collect();
        let is_meant = |(moref, place): &&(&Moref, &Place)| {
            moref.id == *wanted
                || unescape_name(&place.name) == *wanted
                || (is_path && path(moref) == pattern)
        };
        let mut meant: Vec<Moref> = all
            .iter()
            .filter(is_meant)
            .map(|(m, _)| (*m).clone())
            .collect();
        match meant.len() {
            1 => Ok(meant),
            0 => {
                let names: Vec<String> = all
                    .iter()
                    .map(|(moref, place)| {
                        if is_path {
                            path(moref)
                        } else {
                            unescape_name(&place.name)
                        }
                    })
                    .collect();
                Err(Error::PlaceNotFound {
                    kind,
                    wanted: wanted.clone(),
                    near: near(wanted, names.iter().map(String::as_str)),
                })
            }
            _ => {
                meant.sort();
                let describe = |moref: &Moref| format!("{} ({})", path(moref), moref.id);
                Err(Error::PlaceAmbiguous {
                    kind,
                    wanted: wanted.clone(),
                    candidates: meant.iter().take(MAX_CANDIDATES).map(describe).collect(),
                })
            }
        }
    }
}

/// One step up in the tree of VMs and folders, in which a vApp stands inside a folder.
fn vm_tree(place: &Place) -> Option<&Moref> {
    place.parent_folder.as_ref().or(place.parent.as_ref())
}

fn join<'p>(chain: impl Iterator<Item = (&'p Moref, &'p Place)>) -> String {
    let mut names: Vec<&str> = chain.map(|(_, place)| place.name.as_str()).collect();
    names.reverse();
    names.join("/")
}

fn is_cluster(place: &Moref) -> bool {
    matches!(
        place.kind.as_str(),
        "ComputeResource" | "ClusterComputeResource"
    )
}

fn is_a(kind: PlaceKind, place: &Moref) -> bool {
    let name = place.kind.as_str();
    match kind {
        PlaceKind::Folder => matches!(name, "Folder" | "Datacenter"),
        PlaceKind::Pool => matches!(name, "ResourcePool" | "VirtualApp"),
        PlaceKind::Vapp => name == "VirtualApp",
        PlaceKind::Cluster => is_cluster(place),
        PlaceKind::Host => name == "HostSystem",
        PlaceKind::Datastore => matches!(name, "Datastore" | "StoragePod"),
    }
}
