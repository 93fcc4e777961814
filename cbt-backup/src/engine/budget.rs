//! What the disks in work share: streams of hosts and datastores, and bytes a second.
//!
//! A disk asks for all it needs at once, and holds it until it is closed for good. Nobody who holds something
//! waits for more, so nobody waits for ever.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroU64,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{
    error::Error,
    pause::{SIGNAL_POLL, pause_until},
};
use crate::bucket::Bucket;

/// Streams by SAN that a host's storage is asked for at once ("VDDK API reference", 4.4).
const SAN_STREAMS: u32 = 6;

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Disks that are read at once.
    pub streams: u32,
    /// Of these the ones that an ESXi host sends by the network.
    pub host_streams: u32,
    /// Of these the ones that lie on one datastore.
    pub datastore_streams: u32,
    /// Bytes a second that are read of all disks together.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Default for BudgetLimits {
    /// A stream by the network takes 4 MiB of a host's NFC memory with the buffers that VMware advises, and a host has
    /// 48 MiB, for everybody. Eight leave a third to others.
    fn default() -> Self {
        Self {
            streams: 16,
            host_streams: 8,
            datastore_streams: 8,
            bytes_per_second: None,
        }
    }
}

/// Something that there is a limited number of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Disks in work.
    Streams,
    /// Streams by the network of the host with this name.
    Host(String),
    /// Streams of this datastore.
    Datastore(String),
    /// Streams by SAN of the host with this name.
    San(String),
}

impl Share {
    /// Whether a disk that comes by this transport, in VDDK's word, needs it.
    pub fn is_for(&self, transport: &str) -> bool {
        match self {
            Self::Streams | Self::Datastore(_) => true,
            Self::Host(_) => matches!(transport, "nbd" | "nbdssl"),
            Self::San(_) => transport == "san",
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Streams => write!(f, "disks in work"),
            Self::Host(name) => write!(f, "streams of the host {name}"),
            Self::Datastore(name) => write!(f, "streams of the datastore {name}"),
            Self::San(name) => write!(f, "streams by SAN of the host {name}"),
        }
    }
}

/// What all disks in work share, of one VM or several.
#[derive(Debug)]
pub struct Budget {
    limits: BudgetLimits,
    state: Mutex<State>,
    given_back: Condvar,
    rate: Option<Mutex<Bucket>>,
    begun: Instant,
}

#[derive(Debug, Default)]
struct State {
    taken: BTreeMap<Share, u32>,
    /// Hosts that had no memory for as many streams as they may have.
    fewer: BTreeMap<Share, u32>,
}

/// What is taken; it goes back when this is dropped.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Permit<'a> {
    budget: &'a Budget,
    shares: Vec<Share>,
}

impl Budget {
    /// All of it is there.
    pub fn new(limits: BudgetLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            given_back: Condvar::new(),
            rate: limits
                .bytes_per_second
                .map(|rate| Mutex::new(Bucket::new(rate))),
            begun: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of each, all at once, and waits until they are there. `waits` is called before the first wait, with what is
    /// missing and how many of it there are.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `halt` is set before.
    pub fn take(
        &self,
        shares: Vec<Share>,
        halt: &AtomicBool,
        waits: impl FnOnce(&Share, u32),
    ) -> Result<Permit<'_>, Error> {
        let mut waits = Some(waits);
        let mut state = self.state();
        loop {
            if halt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let Some((missing, limit)) = state.missing(&self.limits, &shares) else {
                for share in &shares {
                    *state.taken.entry(share.clone()).or_default() += 1;
                }
                return Ok(Permit {
                    budget: self,
                    shares,
                });
            };
            if let Some(waits) = waits.take() {
                drop(state);
                waits(&missing, limit);
                state = self.state();
                continue;
            }
            let woken = self.given_back.wait_timeout(state, SIGNAL_POLL);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until so many bytes may be read.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `halt` is set before.
    pub fn pass(&self, bytes: u64, halt: &AtomicBool) -> Result<(), Error> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        let wait = {
            let mut bucket = rate.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(self.begun.elapsed(), bytes)
        };
        pause_until(Instant::now() + wait, halt)
    }
}

impl State {
    /// What is not there, and how many of it there are.
    fn missing(&self, limits: &BudgetLimits, shares: &[Share]) -> Option<(Share, u32)> {
        let limit = |share: &Share| {
            let limit = match share {
                Share::Streams => limits.streams,
                Share::Host(_) => limits.host_streams,
                Share::Datastore(_) => limits.datastore_streams,
                Share::San(_) => SAN_STREAMS,
            };
            limit
                .min(self.fewer.get(share).copied().unwrap_or(u32::MAX))
                .max(1)
        };
        let taken = |share: &Share| self.taken.get(share).copied().unwrap_or(0);
        let missing = shares.iter().find(|share| taken(share) >= limit(share))?;
        Some((missing.clone(), limit(missing)))
    }
}

impl Permit<'_> {
    /// Gives back what is not needed after all.
    pub fn keep(&mut self, needed: impl Fn(&Share) -> bool) {
        let (kept, others) = std::mem::take(&mut self.shares)
            .into_iter()
            .partition(needed);
        self.shares = kept;
        self.budget.give_back(&others);
    }

    /// A host had no memory for this stream: it is asked for fewer at once than there are now, until it sends none at all.
    /// Tells the host and the number, if that is news.
    pub fn ask_for_fewer(&self) -> Option<(Share, u32)> {
        let host = self
            .shares
            .iter()
            .find(|share| matches!(share, Share::Host(_)))?;
        let mut state = self.budget.state();
        let taken = state.taken.get(host).copied().unwrap_or(1);
        // Of one there are no fewer.
        let fewer = taken.checked_sub(1).filter(|fewer| *fewer > 0)?;
        let before = state.fewer.insert(host.clone(), fewer);
        (before != Some(fewer)).then(|| (host.clone(), fewer))
    }
}

impl Budget {
    fn give_back(&self, shares: &[Share]) {
        let mut state = self.state();
        for share in shares {
            let left = state.taken.get(share).copied().unwrap_or(0);
            match left.saturating_sub(1) {
                0 => {
                    state.taken.remove(share);
                    state.fewer.remove(share);
                }
                left => {
                    state.taken.insert(share.clone(), left);
                }
            }
        }
        drop(state);
        self.given_back.notify_all();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.give_back(&self.shares);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU32, Ordering},
        thread,
        time::{Duration, Instant},
    };

    use super::{Budget, BudgetLimits, Share};
    use crate::engine::error::Error;

    fn limits(streams: u32, host_streams: u32) -> BudgetLimits {
        BudgetLimits {
            streams,
            host_streams,
            ..BudgetLimits::default()
        }
    }

    fn of_host(name: &str) -> Vec<Share> {
        vec![Share::Streams, Share::Host(name.to_owned())]
    }

    fn go() -> AtomicBool {
        AtomicBool::new(false)
    }

    #[test]
    fn no_more_are_at_work_than_may_be_and_all_get_their_turn() {
        let budget = Budget::new(limits(5, 2));
        let (all, host) = (AtomicU32::new(0), [AtomicU32::new(0), AtomicU32::new(0)]);
        let done = AtomicU32::new(0);
        thread::scope(|scope| {
            for number in 0..16_usize {
                let (budget, all, done, host) = (&budget, &all, &done, &host[number % 2]);
                scope.spawn(move || {
                    for _ in 0..20 {
                        let shares = of_host(if number % 2 == 0 { "a" } else { "b" });
                        let permit = budget.take(shares, &go(), |_, _| {}).unwrap();
                        assert!(all.fetch_add(1, Ordering::SeqCst) < 5);
                        assert!(host.fetch_add(1, Ordering::SeqCst) < 2);
                        thread::sleep(Duration::from_micros(200));
                        all.fetch_sub(1, Ordering::SeqCst);
                        host.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 320);
        assert!(budget.state().taken.is_empty());
    }

    #[test]
    fn a_wait_is_told_once_and_a_signal_ends_it() {
        let budget = Budget::new(limits(9, 1));
        let held = budget.take(of_host("a"), &go(), |_, _| panic!("waits"));
        let halt = go();
        let mut told = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(150));
                halt.store(true, Ordering::Relaxed);
            });
            let waited = budget.take(of_host("a"), &halt, |share, limit| {
                told.push((share.to_string(), limit));
            });
            assert!(matches!(waited, Err(Error::Interrupted)));
        });
        assert_eq!(told, [("streams of the host a".to_owned(), 1)]);
        drop(held);
        let _ = budget.take(of_host("a"), &go(), |_, _| panic!("waits"));
    }

    #[test]
    fn what_is_not_needed_goes_back_at_once() {
        let budget = Budget::new(limits(9, 1));
        let mut held = budget.take(of_host("a"), &go(), |_, _| {}).unwrap();
        held.keep(|share| !matches!(share, Share::Host(_)));
        let other = budget.take(of_host("a"), &go(), |_, _| panic!("waits"));
        drop((held, other));
        assert!(budget.state().taken.is_empty());
    }

    #[test]
    fn a_host_without_memory_is_asked_for_fewer() {
        let budget = Budget::new(limits(9, 8));
        let three = [0; 3].map(|_| budget.take(of_host("a"), &go(), |_, _| {}).unwrap());
        let told = three[0].ask_for_fewer();
        assert_eq!(told, Some((Share::Host("a".to_owned()), 2)));
        assert_eq!(three[1].ask_for_fewer(), None, "it is told once");
        let missing = |budget: &Budget| {
            let state = budget.state();
            state.missing(&budget.limits, &of_host("a"))
        };
        let [first, second, third] = three;
        drop(first);
        assert!(missing(&budget).is_some());
        drop(second);
        assert!(missing(&budget).is_none());
        assert_eq!(third.ask_for_fewer(), None, "there are no fewer than one");
        drop(third);
        assert!(budget.state().fewer.is_empty(), "it begins anew");
    }

    #[test]
    fn bytes_wait_for_their_turn() {
        let budget = Budget::new(BudgetLimits {
            bytes_per_second: std::num::NonZeroU64::new(4 << 20),
            ..BudgetLimits::default()
        });
        let begun = Instant::now();
        for _ in 0..5 {
            budget.pass(1 << 18, &go()).unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(200));
        let stopped = budget.pass(1 << 40, &AtomicBool::new(true));
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}
