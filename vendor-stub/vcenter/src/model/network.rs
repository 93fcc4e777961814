//! Networks.

use lab::{Network, Site, Vm};

use super::entity::entity;
use super::folder;
use super::vm::other_devices;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let site = world.site()?;
    match site.networks.iter().find(|found| found.moref == id) {
        Some(found) => Ok(Some(network(world, site, found)?)),
        None => Ok(None),
    }
}

fn network(world: &World<'_>, site: &Site, found: &Network) -> Result<DataObject, Fault> {
    let parent = folder::parent(site, &found.moref);
    let summary = DataObject::new("NetworkSummary")
        .with("network", Value::reference("Network", &found.moref))
        .text("name", &found.name)
        .with("accessible", Value::boolean(true))
        .text("ipPoolName", "");
    let vms = world.vms()?.iter();
    let vms = vms.filter(|vm| ids_of(vm).contains(&found.moref));
    let vms = vms.map(|vm| &vm.moref);
    Ok(entity(world, "Network", &found.moref, &found.name, parent)
        .part("summary", summary)
        .with("host", Value::references("HostSystem", [&site.host.moref]))
        .with("vm", Value::references("VirtualMachine", vms)))
}

/// All networks of a site.
pub(super) fn all(site: &Site) -> Value {
    Value::references("Network", site.networks.iter().map(|found| &found.moref))
}

/// The networks that the cards of a VM are connected to.
pub(super) fn of_vm(vm: &Vm) -> Value {
    Value::references("Network", ids_of(vm))
}

fn ids_of(vm: &Vm) -> Vec<String> {
    let mut ids: Vec<String> = other_devices(vm)
        .iter()
        .filter_map(|device| device.get("backing").and_then(Value::object))
        .filter_map(|backing| backing.get_reference("network"))
        .map(|network| network.id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}
