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
    let members = members(world, &view)?;
    Ok(Some(
        DataObject::new("ContainerView")
            .with(
                "view",
                Value::Array(
                    TypeRef::Reference("ManagedObject"),
                    members.into_iter().map(Value::Reference).collect(),
                ),
            )
            .with("container", Value::Reference(view.container.clone()))
            .with("type", Value::strings(&view.types))
            .with("recursive", Value::boolean(view.recursive)),
    ))
}

/// The objects a view lists now, the container itself not among them.
fn members(world: &World<'_>, view: &View) -> Result<Vec<MoRef>, Fault> {
    let mut listed = Vec::new();
    let mut seen = HashSet::new();
    let mut open = VecDeque::from([below(&world.existing(&view.container)?)]);
    while let Some(found) = open.pop_front() {
        for reference in found {
            if !seen.insert(reference.clone()) {
                continue;
            }
            if view.recursive && has_below(&reference.type_name) {
                open.push_back(below(&world.existing(&reference)?));
            }
            listed.push(reference);
        }
    }
    listed.retain(|reference| wanted(view, &reference.type_name));
    Ok(listed)
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

fn wanted(view: &View, type_name: &str) -> bool {
    view.types.is_empty()
        || view
            .types
            .iter()
            .any(|wanted| schema().is_a(type_name, wanted))
}
