//! Container views and the objects they list.

use std::collections::{HashSet, VecDeque};

use crate::schema::{TypeRef, schema};
use crate::session::View;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::{ManagedObject, World};

/// Where the inventory goes on below an object.
const BELOW: [(&str, &[&str]); 4] = [
    ("Folder", &["childEntity"]),
    (
        "Datacenter",
        &["vmFolder", "hostFolder", "datastoreFolder", "networkFolder"],
    ),
    ("ComputeResource", &["host", "resourcePool"]),
    ("ResourcePool", &["resourcePool", "vm"]),
];

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let view = world
        .state
        .sessions
        .with(world.cookie, |session| session.views.get(id).cloned())
        .flatten();
    let Some(view) = view else {
        return Ok(None);
    };
    let object = DataObject::new(view.type_name());
    match view {
        View::List(members) => Ok(Some(object.with("view", references(members)))),
        View::Container {
            container,
            types,
            recursive,
        } => {
            let members = members(world, &container, &types, recursive)?;
            Ok(Some(
                object
                    .with("view", references(members))
                    .with("container", Value::Reference(container))
                    .with("type", Value::strings(types))
                    .with("recursive", Value::boolean(recursive)),
            ))
        }
    }
}

fn references(members: Vec<MoRef>) -> Value {
    Value::Array(
        TypeRef::Reference("ManagedObject"),
        members.into_iter().map(Value::Reference).collect(),
    )
}

/// The objects below a container now, itself not among them. None when it is gone.
fn members(
    world: &World<'_>,
    container: &MoRef,
    types: &[String],
    recursive: bool,
) -> Result<Vec<MoRef>, Fault> {
    let Some(container) = world.object(container)? else {
        return Ok(Vec::new());
    };
    let mut listed = Vec::new();
    let mut seen = HashSet::new();
    let mut open = VecDeque::from([below(&container)]);
    while let Some(found) = open.pop_front() {
        for reference in found {
            if !seen.insert(reference.clone()) {
                continue;
            }
            if recursive && has_below(&reference.type_name) {
                open.push_back(below(&world.existing(&reference)?));
            }
            listed.push(reference);
        }
    }
    listed.retain(|reference| wanted(types, &reference.type_name));
    let mut seen = Vec::with_capacity(listed.len());
    for reference in listed {
        if world.sees(&reference, "System.View")? {
            seen.push(reference);
        }
    }
    Ok(seen)
}

fn has_below(type_name: &str) -> bool {
    BELOW.iter().any(|(base, _)| schema().is_a(type_name, base))
}

fn below(object: &ManagedObject) -> Vec<MoRef> {
    BELOW
        .iter()
        .filter(|(base, _)| schema().is_a(&object.reference.type_name, base))
        .flat_map(|(_, paths)| paths.iter())
        .filter_map(|path| object.properties.get(path))
        .flat_map(Value::targets)
        .cloned()
        .collect()
}

fn wanted(types: &[String], type_name: &str) -> bool {
    let mut wanted = types.iter();
    types.is_empty() || wanted.any(|wanted| schema().is_a(type_name, wanted))
}
