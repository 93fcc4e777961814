//! Folders and datacenters.

use lab::{Datacenter, Folder, FolderKind, Site};

use super::entity::entity;
use super::network;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let site = world.site()?;
    let mut datacenters = site.datacenters();
    if let Some(found) = datacenters.find(|found| found.moref == id) {
        return Ok(Some(datacenter(world, site, found)));
    }
    match site.folder(id) {
        Some(found) => Ok(Some(folder(world, site, found)?)),
        None => Ok(None),
    }
}

fn datacenter(world: &World<'_>, site: &Site, found: &Datacenter) -> DataObject {
    let parent = parent(site, &found.moref);
    let part = |kind: FolderKind| {
        let mut folders = site.folders.iter();
        let mine = |folder: &&Folder| {
            folder.parent.as_deref() == Some(&found.moref) && folder.kind() == kind
        };
        let part = folders.find(mine).map(|folder| &folder.moref);
        Value::reference("Folder", part.cloned().unwrap_or_default())
    };
    let object = entity(world, "Datacenter", &found.moref, &found.name, parent)
        .with("vmFolder", part(FolderKind::Vms))
        .with("hostFolder", part(FolderKind::Hosts))
        .with("datastoreFolder", part(FolderKind::Datastores))
        .with("networkFolder", part(FolderKind::Networks));
    if found.moref != site.datacenter.moref {
        return object;
    }
    let datastores = site.datastores.iter().map(|datastore| &datastore.moref);
    object
        .with("datastore", Value::references("Datastore", datastores))
        .with("network", network::all(site))
}

/// What is above an object that is no VM.
pub(super) fn parent(site: &Site, id: &str) -> Option<MoRef> {
    let above = site.above(id)?;
    let type_name = if site.folder(above).is_some() {
        "Folder"
    } else if site.datacenters().any(|found| found.moref == above) {
        "Datacenter"
    } else if site.compute_resource.moref == above {
        "ComputeResource"
    } else {
        "ResourcePool"
    };
    Some(MoRef::new(type_name, above))
}

fn folder(world: &World<'_>, site: &Site, found: &Folder) -> Result<DataObject, Fault> {
    let is_here = |id: &String| site.above(id) == Some(&found.moref);
    let folders = site.folders.iter().map(|folder| &folder.moref);
    let folders = folders.filter(|id| is_here(id));
    let mut children: Vec<MoRef> = folders.map(|id| MoRef::new("Folder", id)).collect();
    let mut add = |type_name: &str, ids: &mut dyn Iterator<Item = &String>| {
        let here = ids.filter(|id| is_here(id));
        children.extend(here.map(|id| MoRef::new(type_name, id)));
    };
    let types: &[&str] = match found.kind() {
        FolderKind::Datacenters => {
            add(
                "Datacenter",
                &mut site.datacenters().map(|found| &found.moref),
            );
            &["Folder", "Datacenter"]
        }
        FolderKind::Hosts => {
            let compute = &site.compute_resource.moref;
            add("ComputeResource", &mut std::iter::once(compute));
            &["Folder", "ComputeResource"]
        }
        FolderKind::Datastores => {
            let mut all = site.datastores.iter().map(|found| &found.moref);
            add("Datastore", &mut all);
            &["Folder", "Datastore", "StoragePod"]
        }
        FolderKind::Networks => {
            add(
                "Network",
                &mut site.networks.iter().map(|found| &found.moref),
            );
            &["Folder", "Network", "DistributedVirtualSwitch"]
        }
        FolderKind::Vms => {
            let vms = world.vms()?.iter().filter(|vm| vm.folder == found.moref);
            children.extend(vms.map(|vm| MoRef::new("VirtualMachine", &vm.moref)));
            &["Folder", "VirtualMachine", "VirtualApp"]
        }
    };
    let children = children.into_iter().map(Value::Reference).collect();
    let parent = parent(site, &found.moref);
    Ok(entity(world, "Folder", &found.moref, &found.name, parent)
        .with("childType", Value::strings(types.iter().copied()))
        .with(
            "childEntity",
            Value::Array(crate::schema::TypeRef::Reference("ManagedEntity"), children),
        ))
}
