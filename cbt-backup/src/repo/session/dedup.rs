//! Blocks a session has met. Forgetting one costs bytes, never correctness.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::repo::reference::Ref;

/// A bounded table; once full it learns nothing more.
pub(super) struct DedupTable {
    blocks: Mutex<HashMap<[u8; 32], Ref>>,
    capacity: usize,
}

impl DedupTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            blocks: Mutex::default(),
            capacity,
        }
    }

    pub(super) fn find(&self, id: &[u8; 32]) -> Option<Ref> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.get(id).copied()
    }

    /// Learns a block. False when it is known already, or there is no room.
    pub(super) fn learn_new(&self, reference: Ref) -> bool {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() >= self.capacity || blocks.contains_key(&reference.id) {
            return false;
        }
        blocks.insert(reference.id, reference).is_none()
    }

    pub(super) fn learn(&self, reference: Ref) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() < self.capacity {
            blocks.insert(reference.id, reference);
        }
    }
}
