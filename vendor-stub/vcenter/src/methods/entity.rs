//! What is done to entries of the inventory: names, and templates.

use lab::VmChange;

use super::dispatch::Call;
use super::snapshot::{refuse_disabled, start, start_on};
use crate::soap::{Answer, Fault};
use crate::world::lab_fault;

/// Rename_Task of VMs, folders, datacenters and resource pools. What has its name on the host, as
/// datastores have, keeps it.
pub(super) fn rename(call: &Call<'_>) -> Result<Answer, Fault> {
    let found = call.world.existing(call.this)?;
    let privilege = match found.reference.type_name.as_str() {
        "VirtualMachine" => return rename_vm(call),
        "Folder" => "Folder.Rename",
        "Datacenter" => "Datacenter.Rename",
        "ResourcePool" => "Resource.RenamePool",
        _ => return Err(Fault::not_supported("Rename_Task")),
    };
    call.world.demand(&found.reference, privilege)?;
    let old = found.properties.get_text("name").unwrap_or_default();
    let (id, name) = (call.this.id.clone(), call.text("newName").to_owned());
    let names = ("Rename_Task", "ManagedEntity.rename");
    start_on(call, found.reference, old, names, move |lab| {
        lab.rename_entity(&id, &name)?;
        Ok(None)
    })
}

fn rename_vm(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    call.world
        .demand(call.this, "VirtualMachine.Config.Rename")?;
    let change = VmChange {
        name: Some(call.text("newName").to_owned()),
        ..VmChange::default()
    };
    let moref = vm.moref.clone();
    let names = ("Rename_Task", "ManagedEntity.rename");
    start(call, &vm, names, move |lab| {
        lab.reconfigure(&moref, change)?;
        Ok(None)
    })
}

/// MarkAsTemplate, which is no task.
pub(super) fn mark_as_template(call: &Call<'_>) -> Result<Answer, Fault> {
    mark(call, "MarkAsTemplate", true)
}

/// MarkAsVirtualMachine, which is no task.
pub(super) fn mark_as_vm(call: &Call<'_>) -> Result<Answer, Fault> {
    let pool = call.args.get_reference("pool");
    let pool = pool.ok_or_else(|| Fault::invalid_argument("pool"))?;
    call.world.existing(pool)?;
    call.world.demand(pool, "Resource.AssignVMToPool")?;
    mark(call, "MarkAsVirtualMachine", false)
}

fn mark(call: &Call<'_>, method: &str, is_template: bool) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, method)?;
    if !is_template && !vm.is_template {
        return Err(Fault::not_supported("it is no template"));
    }
    let state = call.world.state;
    let done = state.lab.set_template(&vm.moref, is_template);
    done.map_err(|error| lab_fault(&error))?;
    state.changes().tell();
    Ok(Answer::Nothing)
}
