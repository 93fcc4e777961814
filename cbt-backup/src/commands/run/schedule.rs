//! When the next round begins.

use std::time::Duration;

/// A pause after a round is this many times what the slowest snapshot took to go: while it goes, the VM
/// is slow.
const REST: u32 = 2;

/// Rounds at fixed times, counted from the first. No two overlap.
#[derive(Debug)]
pub(super) struct Schedule {
    every: Duration,
    /// Number of the next time.
    next: u32,
}

/// The next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// From the beginning of the first round to this one's.
    pub(super) at: Duration,
    /// Times that passed while a round was going on.
    pub(super) missed: u32,
    /// Times that are left out because a snapshot went slowly.
    pub(super) rested: u32,
}

impl Schedule {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, next: 0 }
    }

    /// The time after a round that ended `now`, counted from the beginning of the first, and in which a
    /// snapshot took `removal` to go.
    pub(super) fn after(&mut self, now: Duration, removal: Duration) -> Next {
        let first = self.next + 1;
        let free = self.at_or_after(now).max(first);
        let rested = self.at_or_after(now + removal * REST).max(free);
        self.next = rested;
        Next {
            at: self.every * rested,
            missed: free - first,
            rested: rested - free,
        }
    }

    fn at_or_after(&self, time: Duration) -> u32 {
        let every = self.every.as_nanos().max(1);
        u32::try_from(time.as_nanos().div_ceil(every)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: u64) -> Duration {
        Duration::from_mins(count)
    }

    #[test]
    fn rounds_keep_their_times_and_never_overlap() {
        let mut schedule = Schedule::new(minutes(5));
        let next = |at, missed, rested| Next {
            at: minutes(at),
            missed,
            rested,
        };
        let none = Duration::ZERO;
        assert_eq!(schedule.after(minutes(1), none), next(5, 0, 0));
        // Exactly in time.
        assert_eq!(schedule.after(minutes(10), none), next(10, 0, 0));
        // It took from 10 to 22: 15 and 20 are missed.
        assert_eq!(schedule.after(minutes(22), none), next(25, 2, 0));
        // A snapshot took four minutes: from 27 on the VM has eight of rest.
        assert_eq!(schedule.after(minutes(27), minutes(4)), next(35, 0, 1));
        assert_eq!(schedule.after(minutes(47), minutes(2)), next(55, 2, 1));
    }
}
