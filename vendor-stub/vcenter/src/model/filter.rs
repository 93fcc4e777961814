//! Property collectors and their filters.

use std::sync::Arc;

use crate::collector::Collector;
use crate::value::{DataObject, Value};
use crate::world::World;

/// The collector or the filter of that id, if the session has it.
pub(super) fn properties(world: &World<'_>, id: &str) -> Option<DataObject> {
    let collectors = world.collectors();
    if let Some((_, found)) = collectors.iter().find(|(known, _)| known == id) {
        return Some(collector(found));
    }
    let filters = collectors.iter().flat_map(|(_, found)| found.filters());
    let filter = filters.into_iter().find(|filter| filter.id == id)?;
    Some(
        DataObject::new("PropertyFilter")
            .part("spec", filter.spec.clone())
            .with("partialUpdates", Value::boolean(filter.partial)),
    )
}

fn collector(found: &Arc<Collector>) -> DataObject {
    let filters = found.filters();
    let ids = filters.iter().map(|filter| &filter.id);
    DataObject::new("PropertyCollector").with("filter", Value::references("PropertyFilter", ids))
}
