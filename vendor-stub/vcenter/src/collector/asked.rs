//! Which properties a filter asks of an object of some type.

use std::collections::HashSet;

use crate::schema::{Version, check_path, schema};
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::Wanted;

/// One wrong path or type makes the whole call fail.
pub(super) fn check_property_specs(version: Version, filter: &DataObject) -> Result<(), Fault> {
    for spec in property_specs(filter) {
        let wanted = spec.get_text("type").unwrap_or_default();
        if schema().named(wanted).is_none() {
            return Err(Fault::invalid_argument("specSet.propSet.type"));
        }
        for path in paths(spec) {
            check_path(version, wanted, path).map_err(|_| Fault::invalid_property(path))?;
        }
    }
    Ok(())
}

fn property_specs(filter: &DataObject) -> impl Iterator<Item = &DataObject> {
    filter.get_items("propSet").iter().filter_map(Value::object)
}

/// The paths of a spec. One that asks for all has none: they are not looked at.
fn paths(spec: &DataObject) -> impl Iterator<Item = &str> {
    let paths = if spec.get_flag("all") {
        &[]
    } else {
        spec.get_items("pathSet")
    };
    paths.iter().filter_map(Value::text)
}

/// The paths asked for an object of that type, each once. `None` = no spec matches.
pub(super) fn asked<'a>(
    version: Version,
    filter: &'a DataObject,
    type_name: &str,
) -> Option<Vec<&'a str>> {
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
            let all = all.filter(|member| member.since <= version);
            asked.extend(all.map(|member| member.name));
        }
        asked.extend(paths(spec));
    }
    let mut seen = HashSet::new();
    asked.retain(|path| seen.insert(*path));
    matched.then_some(asked)
}

/// The properties of an object that those paths begin with.
pub(super) fn wanted(paths: &[&str]) -> Wanted {
    let first = |path: &&str| {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        path[..end].to_owned()
    };
    Wanted::only(paths.iter().map(first))
}
