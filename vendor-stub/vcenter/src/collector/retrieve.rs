//! What is reported of the selected objects.

use super::asked::{asked, check_property_specs, wanted};
use super::select::Selection;
use crate::schema::check_path;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// Properties that are readable without a login.
const ANONYMOUS: [(&str, &str); 2] = [
    ("ServiceInstance", "content"),
    ("SessionManager", "currentSession"),
];

/// What a call of `RetrieveProperties` or `RetrievePropertiesEx` still has to report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    filters: Vec<DataObject>,
    /// Positions in `filters` and objects, last first.
    left: Vec<(usize, MoRef)>,
    /// What is reported without a session, last first.
    made: Vec<DataObject>,
}

impl Contents {
    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.made.is_empty()
    }

    /// The next objects, at most that many. An object that is gone by now is left out.
    pub(crate) fn take(
        &mut self,
        world: &World<'_>,
        limit: usize,
    ) -> Result<Vec<DataObject>, Fault> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            if let Some(made) = self.made.pop() {
                taken.push(made);
            } else if let Some((position, reference)) = self.left.pop() {
                let Some(set) = property_set(world, &self.filters[position], &reference)? else {
                    continue;
                };
                if !world.sees(&reference, "System.Read")? {
                    let filter = &self.filters[position];
                    let version = world.dialect.version;
                    let paths = asked(version, filter, &reference.type_name);
                    let missing = paths.unwrap_or_default().into_iter();
                    let fault = Fault::no_permission(&reference, "System.Read");
                    let missing = missing.map(|path| missing_property(path, &fault));
                    taken.push(object_content(&reference, Vec::new(), missing.collect()));
                    continue;
                }
                let set = set.into_iter();
                let set = set.map(|(path, value)| dynamic_property(&path, value));
                taken.push(object_content(&reference, set.collect(), Vec::new()));
            } else {
                break;
            }
        }
        Ok(taken)
    }
}

/// What the filters of a call select, checked and not yet read.
pub(crate) fn contents(world: &World<'_>, args: &DataObject) -> Result<Contents, Fault> {
    let filters = args.get_items("specSet").iter().filter_map(Value::object);
    let mut contents = Contents {
        filters: filters.cloned().collect(),
        ..Contents::default()
    };
    for filter in &contents.filters {
        check_property_specs(world.dialect.version, filter)?;
    }
    for (position, filter) in contents.filters.iter().enumerate() {
        if world.cookie.is_none() {
            contents.made.extend(anonymous(world, filter)?);
            continue;
        }
        let selected = Selection::of(world, filter)?;
        if let Some(missing) = selected.missing.first() {
            let tolerant = filter.get_flag("reportMissingObjectsInResults");
            if !tolerant {
                return Err(Fault::not_found(missing));
            }
        }
        let version = world.dialect.version;
        let objects = selected.objects.into_iter();
        let objects = objects.filter(|object| asked(version, filter, &object.type_name).is_some());
        contents
            .left
            .extend(objects.map(|object| (position, object)));
    }
    contents.left.reverse();
    contents.made.reverse();
    Ok(contents)
}

/// One property of one object; `None` when it is unset.
pub(crate) fn fetch(world: &World<'_>, object: &MoRef, path: &str) -> Result<Option<Value>, Fault> {
    if world.cookie.is_none() && !is_anonymous(&object.type_name, path) {
        return Err(Fault::not_authenticated(object, "System.Read"));
    }
    let found = world.object_with(object, &wanted(&[path]))?;
    let found = found.ok_or_else(|| Fault::not_found(object))?;
    check_path(world.dialect.version, &found.reference.type_name, path)
        .map_err(|_| Fault::invalid_property(path))?;
    if world.cookie.is_some() && !world.sees(&found.reference, "System.Read")? {
        return Err(Fault::no_permission(&found.reference, "System.Read"));
    }
    let value = found.properties.at(path);
    let value = value.map_err(|_| Fault::invalid_property(path))?;
    Ok(value.cloned())
}

/// The set properties of an object that a filter asks for. `None` = it does not ask for
/// objects of that type, or the object is gone.
pub(super) fn property_set(
    world: &World<'_>,
    filter: &DataObject,
    object: &MoRef,
) -> Result<Option<Vec<(String, Value)>>, Fault> {
    let Some(asked) = asked(world.dialect.version, filter, &object.type_name) else {
        return Ok(None);
    };
    let Some(object) = world.object_with(object, &wanted(&asked))? else {
        return Ok(None);
    };
    let mut set = Vec::new();
    for path in asked {
        let value = object.properties.at(path);
        let value = value.map_err(|_| Fault::invalid_property(path))?;
        set.extend(value.map(|value| (path.to_owned(), value.clone())));
    }
    Ok(Some(set))
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
        let asked = asked(world.dialect.version, filter, &reference.type_name).unwrap_or_default();
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
                missing_property(path, &fault)
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

fn missing_property(path: &str, fault: &Fault) -> DataObject {
    DataObject::new("MissingProperty")
        .text("path", path)
        .part("fault", fault.localized())
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
