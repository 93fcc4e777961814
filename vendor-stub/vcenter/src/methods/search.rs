//! Methods of SearchIndex.

use lab::Site;

use super::datastore_name::datastore_of;
use super::dispatch::Call;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};
use crate::world::Wanted;

/// Members that lead from an inventory object to those below it.
const BELOW: [&str; 8] = [
    "childEntity",
    "vmFolder",
    "hostFolder",
    "datastoreFolder",
    "networkFolder",
    "host",
    "resourcePool",
    "vm",
];

pub(super) fn by_inventory_path(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = call.text("inventoryPath").trim_matches('/');
    let mut here = MoRef::new("Folder", Site::ROOT_FOLDER);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match child(call, &here, part)? {
            Some(next) => here = next,
            None => return Ok(Answer::Nothing),
        }
    }
    Ok(Answer::One(Value::Reference(here)))
}

fn child(call: &Call<'_>, parent: &MoRef, name: &str) -> Result<Option<MoRef>, Fault> {
    let Some(object) = call.world.object(parent)? else {
        return Ok(None);
    };
    let wanted = Wanted::only(["name", "parent"].map(str::to_owned));
    let values = BELOW.iter().filter_map(|path| object.properties.get(path));
    for target in values.flat_map(Value::targets) {
        let Some(found) = call.world.object_with(target, &wanted)? else {
            continue;
        };
        // A datastore lists its VMs, but they are not below it.
        let below = found.properties.get_reference("parent") == Some(&object.reference)
            || object.reference.type_name == "ResourcePool";
        if below && found.properties.get_text("name") == Some(name) {
            return Ok(Some(found.reference));
        }
    }
    Ok(None)
}

pub(super) fn find_child(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity = call.args.get_reference("entity");
    let entity = entity.ok_or_else(|| Fault::invalid_argument("entity"))?;
    let entity = call.world.existing(entity)?.reference;
    let found = child(call, &entity, call.text("name"))?;
    Ok(found.map_or(Answer::Nothing, |found| {
        Answer::One(Value::Reference(found))
    }))
}

/// One entity for `FindBy...`, and all for `FindAllBy...`.
pub(super) fn answer(method: &str, found: Vec<MoRef>) -> Answer {
    let mut found = found.into_iter().map(Value::Reference);
    if method.starts_with("FindAll") {
        return Answer::Many(found.collect());
    }
    found.next().map_or(Answer::Nothing, Answer::One)
}

pub(super) fn by_uuid(call: &Call<'_>) -> Result<Vec<MoRef>, Fault> {
    let uuid = call.text("uuid");
    let instance = call.args.get_flag("instanceUuid");
    let fits = |found: &str| found.eq_ignore_ascii_case(uuid);
    if !call.args.get_flag("vmSearch") {
        return by_property(call, "hardware.systemInfo.uuid", fits);
    }
    check_datacenter(call)?;
    if instance && call.world.dialect.bare_host {
        return Ok(Vec::new()); // Instance UUIDs are a matter of vCenter.
    }
    let vms = call.world.vms()?.iter();
    let found = vms.filter(|vm| {
        fits(if instance {
            &vm.instance_uuid
        } else {
            &vm.bios_uuid
        })
    });
    Ok(found
        .map(|vm| MoRef::new("VirtualMachine", &vm.moref))
        .collect())
}

/// By what the tools in the guest report, or by the host's own name.
pub(super) fn by_dns_name(call: &Call<'_>) -> Result<Vec<MoRef>, Fault> {
    let name = call.text("dnsName");
    let path = if call.args.get_flag("vmSearch") {
        "guest.hostName"
    } else {
        "name"
    };
    by_property(call, path, |found| found.eq_ignore_ascii_case(name))
}

/// By what the tools in the guest report; the lab knows no addresses of hosts.
pub(super) fn by_ip(call: &Call<'_>) -> Result<Vec<MoRef>, Fault> {
    if !call.args.get_flag("vmSearch") {
        check_datacenter(call)?;
        return Ok(Vec::new());
    }
    let ip = call.text("ip");
    by_property(call, "guest.ipAddress", |found| found == ip)
}

pub(super) fn by_datastore_path(call: &Call<'_>) -> Result<Answer, Fault> {
    check_datacenter(call)?;
    let path = call.text("path");
    datastore_of(call.world, path)?;
    let found = call.world.vms()?.iter().find(|vm| vm.vmx_path == path);
    Ok(found.map_or(Answer::Nothing, |vm| {
        Answer::One(Value::reference("VirtualMachine", &vm.moref))
    }))
}

/// The VMs, or without `vmSearch` the hosts, of which a text property fits.
fn by_property(
    call: &Call<'_>,
    path: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Vec<MoRef>, Fault> {
    check_datacenter(call)?;
    let candidates: Vec<MoRef> = if call.args.get_flag("vmSearch") {
        let vms = call.world.vms()?.iter();
        vms.map(|vm| MoRef::new("VirtualMachine", &vm.moref))
            .collect()
    } else {
        vec![MoRef::new("HostSystem", &call.world.site()?.host.moref)]
    };
    let wanted = Wanted::only(path.split('.').take(1).map(str::to_owned));
    let mut found = Vec::new();
    for candidate in candidates {
        let Some(object) = call.world.object_with(&candidate, &wanted)? else {
            continue;
        };
        let value = object.properties.at(path).ok().flatten();
        if value.and_then(Value::text).is_some_and(&fits) {
            found.push(candidate);
        }
    }
    Ok(found)
}

fn check_datacenter(call: &Call<'_>) -> Result<(), Fault> {
    if let Some(datacenter) = call.args.get_reference("datacenter") {
        call.world.existing(datacenter)?;
    }
    Ok(())
}
