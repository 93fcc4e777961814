//! The compute resource, its host and its resource pool.

use lab::{ResourcePool, Site};

use super::datastore::browser_id;
use super::entity::{entity, status};
use super::service::host_product;
use super::{folder, hardware, host, network};
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let site = world.site()?;
    if id == site.compute_resource.moref {
        Ok(Some(compute_resource(world, site)))
    } else if id == site.host.moref {
        Ok(Some(host_system(world, site)?))
    } else {
        let mut pools = site.pools();
        let pool = pools.find(|pool| pool.moref == id);
        pool.map(|pool| resource_pool(world, site, pool))
            .transpose()
    }
}

fn datastores(site: &Site) -> Value {
    Value::references(
        "Datastore",
        site.datastores.iter().map(|found| &found.moref),
    )
}

fn vms(world: &World<'_>) -> Result<Value, Fault> {
    let ids = world.vms()?.iter().map(|vm| &vm.moref);
    Ok(Value::references("VirtualMachine", ids))
}

fn compute_resource(world: &World<'_>, site: &Site) -> DataObject {
    let found = &site.compute_resource;
    let parent = folder::parent(site, &found.moref);
    entity(world, "ComputeResource", &found.moref, &found.name, parent)
        .with(
            "resourcePool",
            Value::reference("ResourcePool", &site.pool.moref),
        )
        .with("host", Value::references("HostSystem", [&site.host.moref]))
        .with("datastore", datastores(site))
        .with("network", network::all(site))
        .part("summary", hardware::compute_summary())
}

fn host_system(world: &World<'_>, site: &Site) -> Result<DataObject, Fault> {
    let found = &site.host;
    let reference = Value::reference("HostSystem", &found.moref);
    let runtime = DataObject::new("HostRuntimeInfo")
        .with(
            "connectionState",
            Value::Enum("HostSystemConnectionState", "connected".into()),
        )
        .with(
            "powerState",
            Value::Enum("HostSystemPowerState", "poweredOn".into()),
        )
        .flags(false, &["inMaintenanceMode", "inQuarantineMode"]);
    let config = DataObject::new("HostConfigSummary")
        .text("name", &found.name)
        .with("port", Value::int(443))
        .part("product", host_product(site))
        .flags(false, &["vmotionEnabled", "faultToleranceEnabled"]);
    let summary = DataObject::new("HostListSummary")
        .with("host", reference.clone())
        .part("hardware", hardware::host_summary(site))
        .part("runtime", runtime.clone())
        .part("config", config)
        .part("quickStats", quick_stats())
        .with("overallStatus", status("green"))
        .with("rebootRequired", Value::boolean(false));
    let config = DataObject::new("HostConfigInfo")
        .with("host", reference)
        .part("product", host_product(site))
        .part("storageDevice", host::storage_device())
        .part("network", hardware::host_network(&found.name))
        .part("autoStart", host::auto_start());
    Ok(entity(
        world,
        "HostSystem",
        &found.moref,
        &found.name,
        folder::parent(site, &found.moref),
    )
    .part("runtime", runtime)
    .part("summary", summary)
    .part("config", config)
    .part("configManager", host::managers())
    .part("capability", hardware::host_capability())
    .part("hardware", hardware::host_hardware(site))
    .with("vm", vms(world)?)
    .with("datastore", datastores(site))
    .with("network", network::all(site))
    .with(
        "datastoreBrowser",
        Value::reference("HostDatastoreBrowser", browser_id(&found.moref)),
    ))
}

/// The load of the host, which is idle.
fn quick_stats() -> DataObject {
    let names = ["overallCpuUsage", "overallMemoryUsage", "uptime"];
    let stats = DataObject::new("HostListSummaryQuickStats");
    names
        .into_iter()
        .fold(stats, |stats, name| stats.with(name, Value::int(0)))
}

fn resource_pool(
    world: &World<'_>,
    site: &Site,
    found: &ResourcePool,
) -> Result<DataObject, Fault> {
    let owner = Value::reference("ComputeResource", &site.compute_resource.moref);
    let below = site.pools().map(|pool| &pool.moref);
    let below = below.filter(|id| site.above(id) == Some(&found.moref));
    let vms = world.vms()?.iter();
    let vms = vms.filter(|vm| vm.pool.as_ref().unwrap_or(&site.pool.moref) == &found.moref);
    let vms = vms.map(|vm| &vm.moref);
    Ok(entity(
        world,
        "ResourcePool",
        &found.moref,
        &found.name,
        folder::parent(site, &found.moref),
    )
    .part("summary", hardware::pool_summary(found))
    .part("runtime", hardware::pool_runtime())
    .part("config", hardware::pool_config(found))
    .with("owner", owner)
    .with("resourcePool", Value::references("ResourcePool", below))
    .with("vm", Value::references("VirtualMachine", vms)))
}
