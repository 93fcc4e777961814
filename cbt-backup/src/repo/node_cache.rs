//! Nodes that were read lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::node::Node;
use super::reference::Ref;

/// A node of fan-out 256 takes 20 KiB in memory, so this is 64 MiB: the tree of 200 GiB of disk.
const CAPACITY: usize = 3200;

/// Keeps the nodes used last. Full, it forgets the older half.
#[derive(Default, Debug)]
pub(crate) struct NodeCache(Mutex<Recent>);

#[derive(Default, Debug)]
struct Recent {
    nodes: HashMap<Ref, (Arc<Node>, u64)>,
    clock: u64,
}

impl NodeCache {
    pub(crate) fn get(&self, reference: &Ref) -> Option<Arc<Node>> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.clock += 1;
        let now = recent.clock;
        let (node, used) = recent.nodes.get_mut(reference)?;
        *used = now;
        Some(Arc::clone(node))
    }

    pub(crate) fn put(&self, reference: Ref, node: Arc<Node>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.nodes.len() >= CAPACITY {
            let mut used: Vec<u64> = recent.nodes.values().map(|(_, used)| *used).collect();
            let (_, middle, _) = used.select_nth_unstable(CAPACITY / 2);
            let middle = *middle;
            recent.nodes.retain(|_, (_, used)| *used > middle);
        }
        recent.clock += 1;
        let now = recent.clock;
        recent.nodes.insert(reference, (node, now));
    }

    /// Forgets all, as if much else had been read.
    #[cfg(test)]
    pub(crate) fn clear(&self) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.nodes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::id::SessionId;

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let cache = NodeCache::default();
        let reference = |seq| Ref {
            session: SessionId::from_bytes([1; 16]),
            seq,
            offset: 64,
            length: 20,
            raw: true,
            id: [0; 32],
        };
        let node = Arc::new(Node {
            level: 1,
            block_shift: 18,
            fan_out_bits: 1,
            slots: [None; 2].into(),
        });
        for seq in 0..CAPACITY as u32 * 3 {
            cache.put(reference(seq), Arc::clone(&node));
            assert!(cache.get(&reference(0)).is_some());
        }
        assert!(cache.0.lock().unwrap().nodes.len() <= CAPACITY);
        assert!(cache.get(&reference(1)).is_none());
    }
}
