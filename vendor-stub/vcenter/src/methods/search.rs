//! Methods of SearchIndex.

use lab::Site;

use super::dispatch::Call;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};

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
    let values = BELOW.iter().filter_map(|path| object.properties.get(path));
    for target in values.flat_map(Value::targets) {
        let Some(found) = call.world.object(target)? else {
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

pub(super) fn by_uuid(call: &Call<'_>) -> Result<Answer, Fault> {
    if let Some(datacenter) = call.args.get_reference("datacenter") {
        call.world.existing(datacenter)?;
    }
    if !call.args.get_flag("vmSearch") {
        return Ok(Answer::Nothing);
    }
    let uuid = call.text("uuid");
    let instance = call.args.get_flag("instanceUuid");
    let found = call.world.vms()?.iter().find(|vm| {
        let own = if instance {
            &vm.instance_uuid
        } else {
            &vm.bios_uuid
        };
        own.eq_ignore_ascii_case(uuid)
    });
    Ok(found.map_or(Answer::Nothing, |vm| {
        Answer::One(Value::reference("VirtualMachine", &vm.moref))
    }))
}
