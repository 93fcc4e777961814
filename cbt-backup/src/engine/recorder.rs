//! Keeps what a run tells, so that it can be stored with the point.

use std::sync::{Mutex, PoisonError};

use super::{
    binding::Stage,
    monitor::{Event, Monitor},
};

/// Hands everything on and keeps the events.
pub struct Recorder<'a> {
    monitor: &'a dyn Monitor,
    events: Mutex<Vec<Event>>,
}

impl<'a> Recorder<'a> {
    /// Wraps a monitor.
    pub fn new(monitor: &'a dyn Monitor) -> Self {
        Self {
            monitor,
            events: Mutex::new(Vec::new()),
        }
    }

    /// Keeps an event that was told before.
    pub fn keep(&self, event: &Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event.clone());
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl Monitor for Recorder<'_> {
    fn step(&self, name: &str) {
        self.monitor.step(name);
    }

    fn disk_begins(&self, key: i32, label: &str, total_bytes: u64) {
        self.monitor.disk_begins(key, label, total_bytes);
    }

    fn advance(&self, key: i32, bytes: u64) {
        self.monitor.advance(key, bytes);
    }

    fn disk_ends(&self, key: i32) {
        self.monitor.disk_ends(key);
    }

    fn bound_by(&self, stage: Stage) {
        self.monitor.bound_by(stage);
    }

    fn event(&self, event: &Event) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.clone());
        self.monitor.event(event);
    }
}
