//! Collectors and the filters that clients keep in them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::asked::check_property_specs;
use super::select::Selection;
use super::versions::Versions;
use crate::soap::Fault;
use crate::value::DataObject;
use crate::world::World;

/// How many filters one collector keeps.
const MAX_FILTERS: usize = 1000;

/// A `PropertyFilter`.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Its id.
    pub(crate) id: String,
    /// What it selects and asks for.
    pub(crate) spec: DataObject,
    /// Whether changes inside a property are reported by themselves.
    pub(crate) partial: bool,
}

/// A `PropertyCollector` of a session.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    filters: Mutex<Vec<Arc<Filter>>>,
    versions: Mutex<Versions>,
    cancels: AtomicU64,
}

impl Collector {
    /// Its filters, oldest first.
    pub(crate) fn filters(&self) -> Vec<Arc<Filter>> {
        self.locked().clone()
    }

    /// Adds a filter whose spec was checked.
    pub(crate) fn add(&self, filter: Filter) -> Result<(), Fault> {
        let mut filters = self.locked();
        if filters.len() >= MAX_FILTERS {
            return Err(Fault::system_error("too many filters"));
        }
        filters.push(Arc::new(filter));
        Ok(())
    }

    /// Removes a filter; `false` = it has none of that id.
    pub(crate) fn remove(&self, id: &str) -> bool {
        let mut filters = self.locked();
        let before = filters.len();
        filters.retain(|filter| filter.id != id);
        filters.len() < before
    }

    /// Makes the calls that wait now fail.
    pub(crate) fn cancel(&self) {
        self.cancels.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was cancelled.
    pub(super) fn cancels(&self) -> u64 {
        self.cancels.load(Ordering::Relaxed)
    }

    /// What was reported so far. Held while changes are looked for: one call at a time.
    pub(super) fn versions(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Arc<Filter>>> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filter {
    /// Refuses types, paths and, unless they shall be reported, objects that do not exist.
    pub(crate) fn check(world: &World<'_>, spec: &DataObject) -> Result<(), Fault> {
        check_property_specs(world.dialect.version, spec)?;
        let selected = Selection::of(world, spec)?;
        match selected.missing.first() {
            Some(missing) if !spec.get_flag("reportMissingObjectsInResults") => {
                Err(Fault::not_found(missing))
            }
            _ => Ok(()),
        }
    }
}
