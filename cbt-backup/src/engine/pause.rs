//! Waiting that a signal ends.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::error::Error;

/// How soon a signal is noticed.
pub(super) const SIGNAL_POLL: Duration = Duration::from_millis(50);

/// Waits until a moment.
///
/// # Errors
/// [`Error::Interrupted`] when a signal came before.
pub fn pause_until(until: Instant, cancel: &AtomicBool) -> Result<(), Error> {
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(());
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        thread::sleep(SIGNAL_POLL.min(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_until_the_moment_or_a_signal() {
        let until = Instant::now() + Duration::from_millis(120);
        pause_until(until, &AtomicBool::new(false)).unwrap();
        assert!(Instant::now() >= until);
        let hours = Instant::now() + Duration::from_hours(9);
        let ended = pause_until(hours, &AtomicBool::new(true));
        assert!(matches!(ended, Err(Error::Interrupted)));
        // What is over needs no waiting.
        pause_until(until, &AtomicBool::new(true)).unwrap();
    }
}
