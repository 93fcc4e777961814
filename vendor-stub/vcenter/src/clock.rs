//! Time: a monotonic clock that a test can advance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds since the server started, plus what a test added.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    ahead_ms: AtomicU64,
}

impl Clock {
    /// A clock at zero.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            ahead_ms: AtomicU64::new(0),
        }
    }

    /// The time now, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        passed.saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Lets time pass at once.
    pub(crate) fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_is_seen_at_once() {
        let clock = Clock::new();
        clock.advance(Duration::from_hours(1));
        assert!(clock.now_ms() >= 3_600_000);
    }
}
