//! EventManager, and collectors of past tasks and events.

use crate::event::{self, CATEGORY, events, tasks};
use crate::history::MAX_COLLECTORS;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::{Wanted, World};

/// The collector of that id, if the session has it.
pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let sessions = &world.state.sessions;
    let found = sessions.with(world.cookie, |session| session.histories.get(id).cloned());
    let Some(found) = found.flatten() else {
        return Ok(None);
    };
    let filter = Value::Object(found.filter().clone());
    Ok(Some(if found.is_of_events() {
        let page = found.latest_page(&events(world)?);
        DataObject::new("EventHistoryCollector")
            .with("filter", filter)
            .with("latestPage", Value::objects("Event", page))
    } else {
        let page = found.latest_page(&tasks(world)?);
        DataObject::new("TaskHistoryCollector")
            .with("filter", filter)
            .with("latestPage", Value::objects("TaskInfo", page))
    }))
}

/// The EventManager.
pub(super) fn event_manager(world: &World<'_>, wanted: &Wanted) -> Result<DataObject, Fault> {
    let latest = if wanted.has("latestEvent") {
        events(world)?.pop()
    } else {
        None
    };
    Ok(DataObject::new("EventManager")
        .part_if(wanted, "description", description)
        .with_some(
            "latestEvent",
            latest.map(|entry| Value::Object(entry.object)),
        )
        .with("maxCollector", Value::int(MAX_COLLECTORS)))
}

fn description() -> DataObject {
    let detail = |(key, text): (&'static str, &'static str)| {
        let object = DataObject::new("EventDescriptionEventDetail")
            .text("key", key)
            .text("description", text)
            .text("category", CATEGORY);
        let forms = [
            "formatOnDatacenter",
            "formatOnComputeResource",
            "formatOnHost",
            "formatOnVm",
            "fullFormat",
        ];
        forms
            .into_iter()
            .fold(object, |object, name| object.text(name, text))
    };
    let category = DataObject::new("ElementDescription")
        .text("label", "Information")
        .text("summary", "Information")
        .text("key", CATEGORY);
    DataObject::new("EventDescription")
        .with("category", Value::objects("ElementDescription", [category]))
        .with(
            "eventInfo",
            Value::objects("EventDescriptionEventDetail", event::types().map(detail)),
        )
}
