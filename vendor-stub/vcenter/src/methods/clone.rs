//! CloneVM_Task.

use std::collections::BTreeMap;

use lab::{CloneSpec, PowerState, Vm, VmChange};
use serde_json::Value as Json;

use super::config_spec;
use super::device_change::DeviceChanges;
use super::dispatch::Call;
use super::inventory;
use super::life_cycle::vm_folder;
use super::other_device::OtherDevices;
use super::snapshot::{refuse_disabled, start};
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};

/// Moves of disks that leave the copy with disks of its own.
const WHOLE: [&str; 2] = [
    "moveAllDiskBackingsAndDisallowSharing",
    "moveChildMostDiskBacking",
];
const NAMES: (&str, &str) = ("CloneVM_Task", "VirtualMachine.clone");

pub(super) fn clone(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, NAMES.0)?;
    let part = |object: &DataObject, name: &'static str| {
        let part = object.get(name).and_then(Value::object).cloned();
        part.ok_or_else(|| Fault::invalid_argument(name))
    };
    let spec = part(call.args, "spec")?;
    let location = part(&spec, "location")?;
    if let Some(kind) = location.get_text("diskMoveType")
        && !WHOLE.contains(&kind)
    {
        return Err(Fault::not_supported("location.diskMoveType"));
    }
    for name in ["customization", "tpmProvisionPolicy"] {
        if spec.get(name).is_some() {
            return Err(Fault::not_supported(name));
        }
    }
    let change = wanted_changes(call, &vm, &spec, &location)?;
    let other_devices = devices(call, &vm, &change)?;
    let wanted = CloneSpec {
        name: call.text("name").to_owned(),
        folder: Some(folder(call)?),
        datastore: datastore(call, &location)?,
        snapshot: spec.get_reference("snapshot").map(|found| found.id.clone()),
        other_devices,
    };
    let usual = vm
        .pool
        .as_ref()
        .map(|pool| MoRef::new("ResourcePool", pool));
    let pool = inventory::wanted_pool(call, Some(&location))?.or(usual);
    let (is_template, power_on) = (spec.get_flag("template"), spec.get_flag("powerOn"));
    let moref = vm.moref.clone();
    let change = VmChange {
        other_devices: BTreeMap::new(),
        ..change
    };
    start(call, &vm, NAMES, move |lab| {
        let copy = lab.clone_vm(&moref, wanted)?.moref;
        let finish = || {
            lab.reconfigure(&copy, change)?;
            inventory::into_pool(lab, &copy, pool.as_ref())?;
            if is_template {
                lab.set_template(&copy, true)?;
            } else if power_on {
                lab.set_power_state(&copy, PowerState::PoweredOn)?;
            }
            Ok(())
        };
        if let Err(error) = finish() {
            lab.destroy_vm(&copy)?;
            return Err(error);
        }
        Ok(Some(Value::reference("VirtualMachine", copy)))
    })
}

/// What the copy has otherwise than the VM.
fn wanted_changes(
    call: &Call<'_>,
    vm: &Vm,
    spec: &DataObject,
    location: &DataObject,
) -> Result<VmChange, Fault> {
    let mut change = match spec.get("config").and_then(Value::object) {
        Some(config) => config_spec::change(call.world, Some(vm), config)?,
        None => VmChange::default(),
    };
    let changes = location.get_items("deviceChange");
    if !changes.is_empty() {
        let mut devices = DeviceChanges::new(call.world, Some(vm));
        for (index, found) in changes.iter().filter_map(Value::object).enumerate() {
            devices.apply(found, index)?;
        }
        devices.finish(&mut change)?;
    }
    // The name is a parameter of its own.
    change.name = None;
    Ok(change)
}

/// The other devices of the copy: network cards have other addresses, unless they were set by hand.
fn devices(call: &Call<'_>, vm: &Vm, change: &VmChange) -> Result<BTreeMap<i32, Json>, Fault> {
    let mut all: BTreeMap<i32, Json> = vm.other_devices.clone();
    for (key, device) in &change.other_devices {
        match device {
            Some(device) => all.insert(*key, device.clone()),
            None => all.remove(key),
        };
    }
    let fresh = OtherDevices::new(call.world, None);
    let again = all.into_iter().map(|(key, device)| {
        let Some(mut found) = DataObject::from_json(&device) else {
            return Ok((key, device));
        };
        if found.get_text("addressType") != Some("manual") && found.get("macAddress").is_some() {
            found.set("macAddress", Value::string(""));
            fresh.settle(&mut found, 0)?;
        }
        Ok((key, found.to_json()))
    });
    again.collect()
}

/// The folder it goes to.
fn folder(call: &Call<'_>) -> Result<String, Fault> {
    let wanted = call.args.get_reference("folder");
    let wanted = wanted.ok_or_else(|| Fault::invalid_argument("folder"))?;
    let found = vm_folder(call.world.site()?, wanted)?;
    call.world
        .demand(wanted, "VirtualMachine.Inventory.CreateFromExisting")?;
    Ok(found.moref.clone())
}

fn datastore(call: &Call<'_>, location: &DataObject) -> Result<Option<String>, Fault> {
    let Some(wanted) = location.get_reference("datastore") else {
        return Ok(None);
    };
    let site = call.world.site()?;
    let mut all = site.datastores.iter();
    let found = all.find(|found| found.moref == wanted.id);
    let found = found.ok_or_else(|| Fault::not_found(wanted))?;
    call.world.demand(wanted, "Datastore.AllocateSpace")?;
    Ok(Some(found.name.clone()))
}
