//! The open extents of a disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::extent::OpenExtent;

/// Extents of one disk held open at once. A disk of 3 TiB in pieces of 2 GiB has 1537, and a
/// process may often open no more than 1024 files.
const MAX_OPEN: usize = 128;

/// Which extent: the index of the link, then of the piece in it.
pub(crate) type Key = (usize, usize);

/// Opens extents when they are first used and closes the one unused for longest when there are too many.
#[derive(Debug, Default)]
pub(crate) struct ExtentCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<Key, Slot>,
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    extent: Arc<OpenExtent>,
    last_use: u64,
}

impl ExtentCache {
    /// Closes all extents that nobody uses at the moment, and forgets the others.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.clear();
    }

    /// The extent, opened by `open` if it is not at hand.
    pub(crate) fn get(
        &self,
        key: Key,
        open: impl FnOnce() -> Result<OpenExtent, Error>,
    ) -> Result<Arc<OpenExtent>, Error> {
        // No code that holds the lock can leave the state half changed, so poison does no harm.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let last_use = state.uses;
        if let Some(slot) = state.open.get_mut(&key) {
            slot.last_use = last_use;
            return Ok(Arc::clone(&slot.extent));
        }
        if state.open.len() >= MAX_OPEN {
            let oldest = state.open.iter().min_by_key(|(_, slot)| slot.last_use);
            let oldest = oldest.map(|(&key, _)| key);
            oldest.and_then(|key| state.open.remove(&key));
        }
        let extent = Arc::new(open()?);
        let slot = Slot {
            extent: Arc::clone(&extent),
            last_use,
        };
        state.open.insert(key, slot);
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_extent_unused_for_longest_is_closed() {
        let cache = ExtentCache::default();
        let opened = Cell::new(0);
        let use_piece = |piece| {
            let open = || {
                opened.set(opened.get() + 1);
                Ok(OpenExtent::Zero)
            };
            cache.get((0, piece), open).unwrap();
            opened.get()
        };
        for piece in 0..MAX_OPEN {
            use_piece(piece);
        }
        assert_eq!(use_piece(0), MAX_OPEN);
        assert_eq!(use_piece(MAX_OPEN), MAX_OPEN + 1);
        assert_eq!(use_piece(0), MAX_OPEN + 1);
        assert_eq!(use_piece(1), MAX_OPEN + 2);
    }
}
