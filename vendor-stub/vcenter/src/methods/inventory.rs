//! Folders, datacenters and resource pools: made, moved and taken away.

use lab::{Error, FolderKind, Lab};

use super::dispatch::Call;
use super::life_cycle;
use super::snapshot::start_on;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};
use crate::world::lab_fault;

/// The privileges that moving an object needs, by its type.
const MOVE: [(&str, &str); 4] = [
    ("VirtualMachine", "VirtualMachine.Inventory.Move"),
    ("Datacenter", "Datacenter.Move"),
    ("Datastore", "Datastore.Move"),
    ("ResourcePool", "Resource.MovePool"),
];

pub(super) fn create_folder(call: &Call<'_>) -> Result<Answer, Fault> {
    let above = &call.this.id;
    made(call, "Folder", |lab| {
        lab.create_folder(above, call.text("name"))
    })
}

pub(super) fn create_datacenter(call: &Call<'_>) -> Result<Answer, Fault> {
    let site = call.world.site()?;
    let folder = site.folder(&call.this.id);
    if folder.is_none_or(|folder| folder.kind() != FolderKind::Datacenters) {
        return Err(Fault::not_supported("CreateDatacenter"));
    }
    let above = &call.this.id;
    made(call, "Datacenter", |lab| {
        lab.create_datacenter(above, call.text("name"))
    })
}

pub(super) fn create_pool(call: &Call<'_>) -> Result<Answer, Fault> {
    let spec = call.args.get("spec").and_then(Value::object);
    let spec = spec.ok_or_else(|| Fault::invalid_argument("spec"))?;
    let above = &call.this.id;
    made(call, "ResourcePool", |lab| {
        lab.create_pool(above, call.text("name"), spec.to_json())
    })
}

fn made(
    call: &Call<'_>,
    type_name: &str,
    make: impl FnOnce(&Lab) -> Result<String, Error>,
) -> Result<Answer, Fault> {
    let moref = make(&call.world.state.lab).map_err(|error| lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::One(Value::reference(type_name, moref)))
}

/// UpdateConfig of a resource pool: another name, other settings. Members of an allocation that are
/// left out stay.
pub(super) fn update_pool(call: &Call<'_>) -> Result<Answer, Fault> {
    let lab = &call.world.state.lab;
    let name = call.args.get_text("name").filter(|name| !name.is_empty());
    let config = call.args.get("config").and_then(Value::object);
    if name.is_some() {
        call.world.demand(call.this, "Resource.RenamePool")?;
    }
    if let Some(config) = config {
        call.world.demand(call.this, "Resource.EditPool")?;
        let pool = call.world.existing(call.this)?;
        let old = pool.properties.get("config").and_then(Value::object);
        let merged = old.map_or_else(|| config.clone(), |old| merged(old, config));
        lab.set_pool(&call.this.id, merged.to_json())
            .map_err(|error| lab_fault(&error))?;
    }
    if let Some(name) = name {
        lab.rename_entity(&call.this.id, name)
            .map_err(|error| lab_fault(&error))?;
    }
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

/// The new members over the old ones, also inside.
fn merged(old: &DataObject, new: &DataObject) -> DataObject {
    let mut merged = old.clone();
    for (name, value) in new.members() {
        let inside = old.get(name).and_then(Value::object).zip(value.object());
        let value = inside.map(|(old, new)| Value::Object(self::merged(old, new)));
        merged.set(
            name,
            value.unwrap_or_else(|| new.get(name).cloned().unwrap_or(Value::Opaque)),
        );
    }
    merged
}

/// MoveIntoFolder_Task.
pub(super) fn move_into_folder(call: &Call<'_>) -> Result<Answer, Fault> {
    let morefs = listed(call)?;
    let folder = call.this.id.clone();
    let site = call.world.site()?;
    let name = site.folder(&folder).map_or("", |folder| &folder.name);
    let names = ("MoveIntoFolder_Task", "Folder.moveInto");
    start_on(call, call.this.clone(), name, names, move |lab| {
        lab.move_into_folder(&folder, &morefs)?;
        Ok(None)
    })
}

/// MoveIntoResourcePool, which is no task.
pub(super) fn move_into_pool(call: &Call<'_>) -> Result<Answer, Fault> {
    let morefs = listed(call)?;
    let lab = &call.world.state.lab;
    lab.move_into_pool(&call.this.id, &morefs)
        .map_err(|error| lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

/// The objects to move, which exist and which the caller may move.
fn listed(call: &Call<'_>) -> Result<Vec<String>, Fault> {
    let mut morefs = Vec::new();
    let list = call.args.get_items("list").iter();
    for reference in list.flat_map(Value::targets) {
        let found = call.world.existing(reference)?.reference;
        let known = MOVE.iter().find(|(name, _)| *name == found.type_name);
        let privilege = known.map_or("Folder.Move", |(_, privilege)| privilege);
        call.world.demand(&found, privilege)?;
        morefs.push(found.id);
    }
    Ok(morefs)
}

/// Destroy_Task of whatever can be taken away.
pub(super) fn destroy(call: &Call<'_>) -> Result<Answer, Fault> {
    let found = call.world.existing(call.this)?;
    let this = found.reference;
    let name = found.properties.get_text("name").unwrap_or_default();
    let id = this.id.clone();
    let (privilege, description) = match this.type_name.as_str() {
        "VirtualMachine" => return life_cycle::destroy(call),
        "Folder" => ("Folder.Delete", "Folder.destroy"),
        "Datacenter" => ("Datacenter.Delete", "Datacenter.destroy"),
        "ResourcePool" => ("Resource.DeletePool", "ResourcePool.destroy"),
        _ => return Err(Fault::not_supported("Destroy_Task")),
    };
    call.world.demand(&this, privilege)?;
    let is_pool = this.type_name == "ResourcePool";
    let names = ("Destroy_Task", description);
    start_on(call, this, name, names, move |lab| {
        if is_pool {
            lab.remove_pool(&id)?;
        } else {
            lab.remove_folder(&id)?;
        }
        Ok(None)
    })
}

/// DestroyChildren of a resource pool: the pools below it, all of them.
pub(super) fn destroy_children(call: &Call<'_>) -> Result<Answer, Fault> {
    let lab = &call.world.state.lab;
    let below = |id: &str| -> Result<Option<String>, Fault> {
        let site = lab.site().map_err(|error| lab_fault(&error))?;
        let mut pools = site.pools().map(|pool| &pool.moref);
        Ok(pools.find(|pool| site.above(pool) == Some(id)).cloned())
    };
    // What is in a pool goes up when it goes, so the first level is all there is in the end.
    while let Some(pool) = below(&call.this.id)? {
        lab.remove_pool(&pool).map_err(|error| lab_fault(&error))?;
    }
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

/// The pool that a specification asks for, which exists.
pub(super) fn wanted_pool(
    call: &Call<'_>,
    spec: Option<&DataObject>,
) -> Result<Option<MoRef>, Fault> {
    let Some(pool) = spec.and_then(|spec| spec.get_reference("pool")) else {
        return Ok(None);
    };
    let pool = call.world.existing(pool)?.reference;
    call.world.demand(&pool, "Resource.AssignVMToPool")?;
    Ok(Some(pool))
}

/// Puts a VM that was made into the pool that is asked for.
pub(super) fn into_pool(lab: &Lab, vm: &str, pool: Option<&MoRef>) -> Result<(), Error> {
    match pool {
        Some(pool) => lab.move_into_pool(&pool.id, &[vm.to_owned()]),
        None => Ok(()),
    }
}
