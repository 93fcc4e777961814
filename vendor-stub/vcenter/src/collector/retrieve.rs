//! What is reported of the selected objects.

use super::select::Selection;
use crate::schema::{check_path, schema};
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::{ManagedObject, World};

/// Properties that are readable without a login.
const ANONYMOUS: [(&str, &str); 2] = [
    ("ServiceInstance", "content"),
    ("SessionManager", "currentSession"),
];

/// The contents of all objects that the filters select.
pub(crate) fn retrieve(world: &World<'_>, args: &DataObject) -> Result<Vec<DataObject>, Fault> {
    let filters: Vec<&DataObject> = args
        .get_items("specSet")
        .iter()
        .filter_map(Value::object)
        .collect();
    for filter in &filters {
        check_property_specs(filter)?;
    }
    let mut contents = Vec::new();
    for filter in filters {
        if world.cookie.is_none() {
            contents.extend(anonymous(world, filter)?);
            continue;
        }
        for object in Selection::of(world, filter)? {
            contents.extend(content(&object, filter)?);
        }
    }
    Ok(contents)
}

/// One property of one object; `None` when it is unset.
pub(crate) fn fetch(world: &World<'_>, object: &MoRef, path: &str) -> Result<Option<Value>, Fault> {
    if world.cookie.is_none() && !is_anonymous(&object.type_name, path) {
        return Err(Fault::not_authenticated(object, "System.Read"));
    }
    let object = world.existing(object)?;
    let value = object.properties.at(path);
    let value = value.map_err(|_| Fault::invalid_property(path))?;
    Ok(value.cloned())
}

/// One wrong path or type makes the whole call fail.
fn check_property_specs(filter: &DataObject) -> Result<(), Fault> {
    for spec in property_specs(filter) {
        let wanted = spec.get_text("type").unwrap_or_default();
        if schema().named(wanted).is_none() {
            return Err(Fault::invalid_argument("specSet.propSet.type"));
        }
        for path in paths(spec) {
            check_path(wanted, path).map_err(|_| Fault::invalid_property(path))?;
        }
    }
    Ok(())
}

fn property_specs(filter: &DataObject) -> impl Iterator<Item = &DataObject> {
    filter.get_items("propSet").iter().filter_map(Value::object)
}

fn paths(spec: &DataObject) -> impl Iterator<Item = &str> {
    spec.get_items("pathSet").iter().filter_map(Value::text)
}

/// The paths asked for an object of that type, each once. `None` = no spec matches.
fn asked<'a>(filter: &'a DataObject, type_name: &str) -> Option<Vec<&'a str>> {
    let mut asked: Vec<&str> = Vec::new();
    let mut matched = false;
    for spec in property_specs(filter) {
        let wanted = spec.get_text("type").unwrap_or_default();
        if !schema().is_a(type_name, wanted) {
            continue;
        }
        matched = true;
        if spec.get_flag("all") {
            let all = schema().members(type_name).iter();
            asked.extend(all.map(|member| member.name));
        }
        asked.extend(paths(spec));
    }
    let mut seen = std::collections::HashSet::new();
    asked.retain(|path| seen.insert(*path));
    matched.then_some(asked)
}

fn content(object: &ManagedObject, filter: &DataObject) -> Result<Option<DataObject>, Fault> {
    let Some(asked) = asked(filter, &object.reference.type_name) else {
        return Ok(None);
    };
    let mut set = Vec::new();
    for path in asked {
        let value = object.properties.at(path);
        let value = value.map_err(|_| Fault::invalid_property(path))?;
        set.extend(value.map(|value| dynamic_property(path, value.clone())));
    }
    Ok(Some(object_content(&object.reference, set, Vec::new())))
}

/// Without a session the call succeeds, and each path is missing with `NotAuthenticated`
/// ("vSphere Web Services API" 1.12). Views died with their session.
fn anonymous(world: &World<'_>, filter: &DataObject) -> Result<Vec<DataObject>, Fault> {
    let mut contents = Vec::new();
    for start in filter
        .get_items("objectSet")
        .iter()
        .filter_map(Value::object)
    {
        let Some(reference) = start.get_reference("obj") else {
            continue;
        };
        if reference.id.starts_with("session[") {
            return Err(Fault::not_found(reference));
        }
        let asked = asked(filter, &reference.type_name).unwrap_or_default();
        let (open, closed): (Vec<&str>, Vec<&str>) = asked
            .into_iter()
            .partition(|path| is_anonymous(&reference.type_name, path));
        let mut set = Vec::new();
        for path in open {
            if let Some(value) = fetch(world, reference, path)? {
                set.push(dynamic_property(path, value));
            }
        }
        let missing = closed
            .into_iter()
            .map(|path| {
                let fault = Fault::not_authenticated(reference, "System.Read");
                DataObject::new("MissingProperty")
                    .text("path", path)
                    .part("fault", fault.localized())
            })
            .collect();
        contents.push(object_content(reference, set, missing));
    }
    Ok(contents)
}

fn is_anonymous(type_name: &str, path: &str) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    ANONYMOUS.contains(&(type_name, first))
}

fn dynamic_property(path: &str, value: Value) -> DataObject {
    DataObject::new("DynamicProperty")
        .text("name", path)
        .with("val", value)
}

fn object_content(reference: &MoRef, set: Vec<DataObject>, missing: Vec<DataObject>) -> DataObject {
    DataObject::new("ObjectContent")
        .with("obj", Value::Reference(reference.clone()))
        .with("propSet", Value::objects("DynamicProperty", set))
        .with("missingSet", Value::objects("MissingProperty", missing))
}
