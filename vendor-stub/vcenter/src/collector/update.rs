//! Compares the world with what was reported, and makes update sets of the differences.

use std::collections::VecDeque;
use std::sync::Arc;

use super::difference::{all, differences};
use super::filter::{Collector, Filter};
use super::retrieve::property_set;
use super::select::Selection;
use super::versions::{Next, Reported, State};
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::{Wanted, World};

/// How much of a computation one answer carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The greatest number of object updates.
    pub(crate) updates: usize,
    /// Whether the method knows truncated sets.
    pub(crate) truncates: bool,
}

/// One update of a filter.
#[derive(Clone, Debug)]
pub(super) struct Item {
    filter: String,
    kind: ItemKind,
    object: DataObject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemKind {
    Update,
    Missing,
}

impl Collector {
    /// The update set since that version; `None` = nothing changed.
    pub(super) fn update(
        &self,
        world: &World<'_>,
        version: &str,
        limits: Limits,
    ) -> Result<Option<DataObject>, Fault> {
        let mut versions = self.versions();
        if let Next::Compare(before) = versions.used(version, limits.truncates)? {
            let mut items = VecDeque::new();
            let mut after = State::new();
            for filter in self.filters() {
                let reported = before.get(&filter.id).cloned().unwrap_or_default();
                let now = compare(world, &filter, &reported, &mut items)?;
                after.insert(filter.id.clone(), Arc::new(now));
            }
            if items.is_empty() {
                return Ok(None);
            }
            versions.found(after, items);
        }
        let sent = versions.send(limits.updates);
        Ok(sent.map(|(version, items, more)| update_set(version, &items, more)))
    }
}

/// Adds what changed in the sight of one filter, and returns what it sees now.
fn compare(
    world: &World<'_>,
    filter: &Filter,
    before: &Reported,
    items: &mut VecDeque<Item>,
) -> Result<Reported, Fault> {
    let selected = Selection::of(world, &filter.spec)?;
    let mut now = Reported::default();
    let mut update = |kind, object| {
        items.push_back(Item {
            filter: filter.id.clone(),
            kind,
            object,
        });
    };
    for object in selected.objects {
        let Some(mut properties) = property_set(world, &filter.spec, &object)? else {
            continue;
        };
        if !world.sees(&object, "System.Read")? {
            properties.clear();
        }
        match before.objects.get(&object) {
            None => update(
                ItemKind::Update,
                object_update("enter", &object, all(&properties)),
            ),
            Some(known) => {
                let is_there = |path: &str| is_there(world, &object, path);
                let changes = differences(known, &properties, filter.partial, is_there);
                if !changes.is_empty() {
                    update(ItemKind::Update, object_update("modify", &object, changes));
                }
            }
        }
        now.objects.insert(object, properties);
    }
    let gone = before.objects.keys();
    let mut gone: Vec<&MoRef> = gone
        .filter(|object| !now.objects.contains_key(*object))
        .collect();
    gone.sort_by(|one, other| one.id.cmp(&other.id));
    for object in gone {
        update(ItemKind::Update, object_update("leave", object, Vec::new()));
    }
    if filter.spec.get_flag("reportMissingObjectsInResults") {
        for object in selected.missing {
            if !before.missing.contains(&object) {
                update(ItemKind::Missing, missing_object(&object));
            }
            now.missing.insert(object);
        }
    }
    Ok(now)
}

fn is_there(world: &World<'_>, object: &MoRef, path: &str) -> bool {
    let found = world.object_with(object, &Wanted::All).ok().flatten();
    found.is_some_and(|found| matches!(found.properties.at(path), Ok(Some(_))))
}

fn object_update(kind: &str, object: &MoRef, changes: Vec<DataObject>) -> DataObject {
    DataObject::new("ObjectUpdate")
        .with("kind", Value::Enum("ObjectUpdateKind", kind.to_owned()))
        .with("obj", Value::Reference(object.clone()))
        .with("changeSet", Value::objects("PropertyChange", changes))
}

fn missing_object(object: &MoRef) -> DataObject {
    DataObject::new("MissingObject")
        .with("obj", Value::Reference(object.clone()))
        .part("fault", Fault::not_found(object).localized())
}

/// Items of one filter stand together, so neighbours become one `PropertyFilterUpdate`.
fn update_set(version: String, items: &[Item], truncated: bool) -> DataObject {
    let chunks = items.chunk_by(|one, next| one.filter == next.filter);
    let filters = chunks.map(|items| {
        let of = |kind| {
            let items = items.iter().filter(move |item| item.kind == kind);
            items.map(|item| item.object.clone())
        };
        let filter = items.first().map_or("", |item| item.filter.as_str());
        DataObject::new("PropertyFilterUpdate")
            .with("filter", Value::reference("PropertyFilter", filter))
            .with(
                "objectSet",
                Value::objects("ObjectUpdate", of(ItemKind::Update)),
            )
            .with(
                "missingSet",
                Value::objects("MissingObject", of(ItemKind::Missing)),
            )
    });
    DataObject::new("UpdateSet")
        .text("version", version)
        .with("filterSet", Value::objects("PropertyFilterUpdate", filters))
        .with_some("truncated", truncated.then(|| Value::boolean(true)))
}
