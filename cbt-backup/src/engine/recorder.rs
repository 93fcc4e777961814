//! Keeps what a run tells, so that it can be stored with the point.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    audit::MISMATCH,
    binding::Stage,
    monitor::{Event, Monitor},
};

/// Events of one kind that are kept. What a bad line tells again and again for days must not make the point's root too
/// large for its commit.
const MOST_OF_A_KIND: usize = 100;

/// Hands everything on and keeps the events, of each kind the first.
pub struct Recorder<'a> {
    monitor: &'a dyn Monitor,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Event>,
    /// How many more there were, by kind.
    more: BTreeMap<String, usize>,
}

impl Kept {
    fn add(&mut self, event: &Event) {
        let same = self.events.iter().filter(|one| one.kind == event.kind);
        // Points are marked by mismatches; there are few of each disk.
        if event.kind == MISMATCH || same.count() < MOST_OF_A_KIND {
            self.events.push(event.clone());
        } else {
            *self.more.entry(event.kind.clone()).or_default() += 1;
        }
    }
}

impl<'a> Recorder<'a> {
    /// Wraps a monitor.
    pub fn new(monitor: &'a dyn Monitor) -> Self {
        Self {
            monitor,
            kept: Mutex::default(),
        }
    }

    /// Keeps an event that was told before.
    pub fn keep(&self, event: &Event) {
        self.kept().add(event);
    }

    /// The events so far, and how many more there were of a kind.
    pub fn events(&self) -> Vec<Event> {
        let kept = self.kept();
        let more = kept.more.iter().map(|(kind, more)| {
            let message = format!("{more} more events of the kind {kind} were told");
            Event::info("more-events", message)
        });
        kept.events.iter().cloned().chain(more).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("kept", &self.kept)
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
        self.keep(event);
        self.monitor.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_OF_A_KIND, Recorder};
    use crate::engine::{Event, Monitor, binding::Stage};

    struct Silent;

    impl Monitor for Silent {
        fn step(&self, _: &str) {}
        fn disk_begins(&self, _: i32, _: &str, _: u64) {}
        fn advance(&self, _: i32, _: u64) {}
        fn disk_ends(&self, _: i32) {}
        fn bound_by(&self, _: Stage) {}
        fn event(&self, _: &Event) {}
    }

    #[test]
    fn what_is_told_without_end_is_kept_with_an_end() {
        let recorder = Recorder::new(&Silent);
        for number in 0..MOST_OF_A_KIND + 7 {
            recorder.event(&Event::info("tried-again", number.to_string()));
        }
        recorder.event(&Event::info("audited", "all is well"));
        let events = recorder.events();
        assert_eq!(events.len(), MOST_OF_A_KIND + 2);
        let last = events.last().map(|event| event.message.as_str());
        assert_eq!(
            last,
            Some("7 more events of the kind tried-again were told")
        );
    }
}
