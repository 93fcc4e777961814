//! A limit on bytes a second.

use std::{num::NonZeroU64, time::Duration};

/// A token bucket that may run a debt: who takes more than there is waits until it is paid, and so
/// does everybody after. It holds one second's worth at most.
#[derive(Debug)]
pub(crate) struct Bucket {
    bytes_per_second: NonZeroU64,
    /// When the bucket was, or will be, empty.
    empty_at: Duration,
}

impl Bucket {
    const BURST: Duration = Duration::from_secs(1);

    /// Nothing was taken so far. Time is counted from the same moment for all that is taken.
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            empty_at: Duration::ZERO,
        }
    }

    /// Takes `bytes` at the time `now` and tells how long to wait before they may flow.
    pub(crate) fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let rate = u128::from(self.bytes_per_second.get());
        let nanos = u128::from(bytes) * 1_000_000_000 / rate;
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let since = self.empty_at.max(now.saturating_sub(Self::BURST));
        self.empty_at = since.saturating_add(cost);
        self.empty_at.saturating_sub(now)
    }

    /// When the bucket was, or will be, empty.
    #[cfg(test)]
    pub(crate) fn empty_at(&self) -> Duration {
        self.empty_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(bytes_per_second: u64) -> Bucket {
        Bucket::new(NonZeroU64::new(bytes_per_second).unwrap())
    }

    #[test]
    fn the_average_is_kept_whatever_the_pieces() {
        for piece in [1_u64, 7, 100, 1000, 64_000] {
            let mut bucket = bucket(1000);
            let (mut now, mut sent) = (Duration::ZERO, 0);
            while now < SECOND * 600 {
                now += bucket.take(now, piece);
                sent += piece;
            }
            let allowed = now.as_secs() * 1000;
            assert!(
                sent <= allowed + 1000 + piece,
                "{piece}: {sent} of {allowed}"
            );
            assert!(
                sent >= allowed - 1000 - piece,
                "{piece}: {sent} of {allowed}"
            );
        }
    }

    #[test]
    fn one_debt_is_everybodys() {
        let mut bucket = bucket(1000);
        assert_eq!(bucket.take(SECOND, 5000), SECOND * 4);
        assert_eq!(
            bucket.take(SECOND, 1),
            SECOND * 4 + Duration::from_millis(1)
        );
    }

    #[test]
    fn idle_time_is_saved_for_one_second_only() {
        let mut bucket = bucket(1000);
        assert_eq!(bucket.take(SECOND * 100, 1000), Duration::ZERO);
        assert_eq!(bucket.take(SECOND * 100, 500), SECOND / 2);
    }

    #[test]
    fn impossible_amounts_do_not_overflow() {
        let mut bucket = bucket(1);
        assert!(bucket.take(SECOND, u64::MAX) > SECOND);
        assert!(bucket.take(SECOND, u64::MAX) > SECOND);
    }
}
