//! Trying again what failed for a reason that may pass.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use super::{
    error::{Error, chain},
    monitor::{Event, Monitor},
    pause::pause_until,
};

/// The longest wait before a try.
const LONGEST: Duration = Duration::from_mins(1);

/// How long is tried what fails for a reason that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries in all, without any progress between them.
    pub tries: u32,
    /// The wait before the second; each is twice as long as the one before, up to a minute.
    pub first_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 6,
            first_wait: Duration::from_secs(1),
        }
    }
}

impl Patience {
    /// Does something until it works, or fails for a reason that does not pass, or failed often enough. `what`
    /// is what messages call it.
    ///
    /// # Errors
    /// The last failure; [`Error::Interrupted`].
    pub fn until_done<T>(
        self,
        what: &str,
        monitor: &dyn Monitor,
        cancel: &AtomicBool,
        mut work: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut tries = Tries::new(self);
        loop {
            match work() {
                Err(Error::Vddk(error)) => tries.wait(what, error, monitor, cancel)?,
                done => return done,
            }
        }
    }
}

/// The tries at one thing.
#[derive(Debug)]
pub struct Tries {
    patience: Patience,
    failed: u32,
}

impl Tries {
    /// None has failed yet.
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            failed: 0,
        }
    }

    /// There was progress: the next failure is the first again.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Tells of a failure, and waits before the next try.
    ///
    /// # Errors
    /// The failure itself, where its reason does not pass or there were enough tries; [`Error::Interrupted`].
    pub fn wait(
        &mut self,
        what: &str,
        error: vddk::Error,
        monitor: &dyn Monitor,
        cancel: &AtomicBool,
    ) -> Result<(), Error> {
        self.failed += 1;
        if !error.is_retryable() || self.failed >= self.patience.tries {
            return Err(error.into());
        }
        let doubled = 2_u32.saturating_pow(self.failed - 1);
        let wait = self
            .patience
            .first_wait
            .saturating_mul(doubled)
            .min(LONGEST);
        let message = format!(
            "{what}: {}; tried again in {} s ({} of {} tries failed)",
            chain(&error),
            wait.as_secs(),
            self.failed,
            self.patience.tries
        );
        monitor.event(&Event::warning("tried-again", message));
        pause_until(Instant::now() + wait, cancel)
    }
}
