//! Where the time goes that it takes to put blocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time by what it was spent on, over all threads that put blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PutTimes {
    /// The zero test, and the block's id.
    pub hash: Duration,
    /// Compressing and sealing.
    pub compress: Duration,
    /// Waiting for the store, and for older nodes from there.
    pub store: Duration,
}

/// Counts [`PutTimes`].
#[derive(Debug, Default)]
pub(super) struct TimeCounter {
    hash: AtomicU64,
    compress: AtomicU64,
    store: AtomicU64,
}

impl TimeCounter {
    pub(super) fn hash(&self, since: Instant) {
        add(&self.hash, since.elapsed());
    }

    pub(super) fn compress(&self, time: Duration) {
        add(&self.compress, time);
    }

    pub(super) fn store(&self, since: Instant) {
        add(&self.store, since.elapsed());
    }

    pub(super) fn times(&self) -> PutTimes {
        let of = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        PutTimes {
            hash: of(&self.hash),
            compress: of(&self.compress),
            store: of(&self.store),
        }
    }
}

fn add(nanos: &AtomicU64, time: Duration) {
    let more = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    nanos.fetch_add(more, Ordering::Relaxed);
}
