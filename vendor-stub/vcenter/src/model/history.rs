//! Collectors of past tasks.

use crate::value::{DataObject, Value};
use crate::world::World;

/// The collector of that id, if the session has it.
pub(super) fn properties(world: &World<'_>, id: &str) -> Option<DataObject> {
    let found = world
        .state
        .sessions
        .with(world.cookie, |session| session.histories.get(id).cloned())??;
    let page = found.latest_page(&world.state.tasks.all_infos());
    Some(
        DataObject::new("TaskHistoryCollector")
            .with("filter", Value::Object(found.filter().clone()))
            .with("latestPage", Value::objects("TaskInfo", page)),
    )
}
