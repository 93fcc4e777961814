//! Folders and the datacenter.

use lab::{Folder, Site};

use super::entity::entity;
use super::network;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let site = world.site()?;
    if id == site.datacenter.moref {
        return Ok(Some(datacenter(world, site)));
    }
    match site.folders.iter().find(|folder| folder.moref == id) {
        Some(found) => Ok(Some(folder(world, site, found)?)),
        None => Ok(None),
    }
}

fn datacenter(world: &World<'_>, site: &Site) -> DataObject {
    let parent = MoRef::new("Folder", Site::ROOT_FOLDER);
    let found = &site.datacenter;
    let folder = |id| Value::reference("Folder", id);
    let datastores = site.datastores.iter().map(|datastore| &datastore.moref);
    entity(world, "Datacenter", &found.moref, &found.name, Some(parent))
        .with("vmFolder", folder(Site::VM_FOLDER))
        .with("hostFolder", folder(Site::HOST_FOLDER))
        .with("datastoreFolder", folder(Site::DATASTORE_FOLDER))
        .with("networkFolder", folder(Site::NETWORK_FOLDER))
        .with("datastore", Value::references("Datastore", datastores))
        .with("network", network::all(site))
}

fn folder(world: &World<'_>, site: &Site, found: &Folder) -> Result<DataObject, Fault> {
    let parent = found.parent.as_ref().map(|id| {
        let type_name = if *id == site.datacenter.moref {
            "Datacenter"
        } else {
            "Folder"
        };
        MoRef::new(type_name, id.clone())
    });
    let mut children: Vec<MoRef> = site
        .folders
        .iter()
        .filter(|folder| {
            folder.parent.as_deref() == Some(&found.moref) && folder.moref != Site::ROOT_FOLDER
        })
        .map(|folder| MoRef::new("Folder", folder.moref.clone()))
        .collect();
    let types: &[&str] = match found.moref.as_str() {
        Site::ROOT_FOLDER => {
            children.push(MoRef::new("Datacenter", site.datacenter.moref.clone()));
            &["Folder", "Datacenter"]
        }
        Site::HOST_FOLDER => {
            children.push(MoRef::new(
                "ComputeResource",
                site.compute_resource.moref.clone(),
            ));
            &["Folder", "ComputeResource"]
        }
        Site::DATASTORE_FOLDER => {
            let datastores = site.datastores.iter();
            children.extend(
                datastores.map(|datastore| MoRef::new("Datastore", datastore.moref.clone())),
            );
            &["Folder", "Datastore", "StoragePod"]
        }
        Site::NETWORK_FOLDER => {
            let networks = site.networks.iter();
            children.extend(networks.map(|network| MoRef::new("Network", &network.moref)));
            &["Folder", "Network", "DistributedVirtualSwitch"]
        }
        _ => {
            let vms = world.vms()?.iter().filter(|vm| vm.folder == found.moref);
            children.extend(vms.map(|vm| MoRef::new("VirtualMachine", vm.moref.clone())));
            &["Folder", "VirtualMachine", "VirtualApp"]
        }
    };
    let children = children.into_iter().map(Value::Reference).collect();
    Ok(entity(world, "Folder", &found.moref, &found.name, parent)
        .with("childType", Value::strings(types.iter().copied()))
        .with(
            "childEntity",
            Value::Array(crate::schema::TypeRef::Reference("ManagedEntity"), children),
        ))
}
