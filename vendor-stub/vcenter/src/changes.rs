//! What tells waiting calls that something may have changed in this process.

use tokio::sync::watch;

/// A number that grows with every change of tasks, views, filters and sessions. Changes of
/// the lab show in its catalog.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    count: watch::Sender<u64>,
}

impl Changes {
    /// No change yet.
    pub(crate) fn new() -> Self {
        Self {
            count: watch::Sender::new(0),
        }
    }

    /// Something changed.
    pub(crate) fn tell(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// How many changes there were.
    pub(crate) fn count(&self) -> u64 {
        *self.count.borrow()
    }

    /// Waits until there were more changes than that.
    pub(crate) async fn after(&self, seen: u64) {
        // It cannot be closed while this handle lives.
        let _ = self
            .count
            .subscribe()
            .wait_for(|count| *count != seen)
            .await;
    }
}
