//! The requests of a disk between `ReadAsync` and the callback.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::request::Request;
use crate::clock::now_ns;

/// How many requests are looked at together for shuffling.
const SHUFFLE_DEPTH: usize = 8;

/// How long the next request to shuffle with is waited for, unless somebody waits for the last.
const SHUFFLE_WINDOW_NS: u64 = 20_000_000;

/// When a request is due, and its number: the order of completion.
type Key = (u64, u64);

/// The requests of one disk.
#[derive(Debug)]
pub(super) struct Queue {
    shuffled: bool,
    state: Mutex<State>,
    /// Something for the thread of the disk to do.
    work: Condvar,
    /// A request is done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    requests: BTreeMap<Key, Stage>,
    /// Those whose data were not moved yet.
    fresh: VecDeque<Key>,
    /// Callbacks that run now.
    calling: usize,
    /// Requests that never complete.
    parked: Vec<Request>,
    closed: bool,
    /// Until when more requests to shuffle with are waited for.
    gather_until_ns: u64,
    /// Of the pseudo-random sequence that shuffles.
    random: u64,
}

/// How far a request is.
#[derive(Debug)]
enum Stage {
    Fresh(Request),
    Moving,
    Moved(Request, u32),
}

/// What a thread does next.
enum Step {
    Move(Key, Request),
    Call(Request, u32),
    /// Sleep: until a time by the clock, or until there is something to do.
    Sleep(Option<u64>),
    End,
}

impl Queue {
    pub(super) fn new(shuffled: bool) -> Self {
        let state = State {
            random: 0x9E37_79B9,
            ..State::default()
        };
        Self {
            shuffled,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request that is due at a time by the clock.
    pub(super) fn add(&self, due_ns: u64, request: Request) {
        let mut state = self.lock();
        let key = (due_ns, state.next);
        state.next += 1;
        state.requests.insert(key, Stage::Fresh(request));
        state.fresh.push_back(key);
        if self.shuffled {
            state.gather_until_ns = now_ns() + SHUFFLE_WINDOW_NS;
        }
        drop(state);
        self.work.notify_one();
    }

    /// Keeps a request that never completes.
    pub(super) fn park(&self, request: Request) {
        self.lock().parked.push(request);
    }

    /// Counts a request that runs on the caller's thread.
    pub(super) fn begin_inline(&self) {
        self.lock().calling += 1;
    }

    /// Ends what [`Queue::begin_inline`] began.
    pub(super) fn end_inline(&self) {
        self.lock().calling -= 1;
        self.done.notify_all();
    }

    /// Returns when all requests are done, `parked` = those that never complete too.
    pub(super) fn wait(&self, parked: bool) {
        let mut state = self.lock();
        state.gather_until_ns = 0;
        self.work.notify_all();
        while state.calling > 0
            || !state.requests.is_empty()
            || (parked && !state.parked.is_empty())
        {
            let changed = self.done.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the thread once all is done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// Serves requests until the queue is closed: `run` moves the data, `complete` calls back.
    pub(super) fn serve(&self, run: impl Fn(&Request) -> u32, complete: impl Fn(Request, u32)) {
        let mut state = self.lock();
        loop {
            match state.step(self.shuffled) {
                Step::Call(request, code) => {
                    drop(state);
                    complete(request, code);
                    state = self.lock();
                    state.calling -= 1;
                    self.done.notify_all();
                }
                Step::Move(key, request) => {
                    drop(state);
                    let code = run(&request);
                    state = self.lock();
                    state.requests.insert(key, Stage::Moved(request, code));
                }
                Step::Sleep(None) => {
                    let woken = self.work.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                Step::Sleep(Some(until_ns)) => {
                    let time = Duration::from_nanos(until_ns.saturating_sub(now_ns()).max(1));
                    let woken = self.work.wait_timeout(state, time);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                Step::End => return,
            }
        }
    }
}

impl State {
    /// A completion that is due, else data to move, else sleep.
    fn step(&mut self, shuffled: bool) -> Step {
        let next_call = if shuffled {
            self.any_moved()
        } else {
            self.first_moved()
        };
        if let Ok(key) = next_call
            && let Some(Stage::Moved(request, code)) = self.requests.remove(&key)
        {
            self.calling += 1;
            return Step::Call(request, code);
        }
        if let Some(key) = self.fresh.pop_front()
            && let Some(stage) = self.requests.get_mut(&key)
            && let Stage::Fresh(request) = std::mem::replace(stage, Stage::Moving)
        {
            return Step::Move(key, request);
        }
        match next_call {
            Err(until_ns) if until_ns.is_some() => Step::Sleep(until_ns),
            _ if self.closed && self.requests.is_empty() => Step::End,
            _ => Step::Sleep(None),
        }
    }

    /// The request that completes next, if it can now; else when.
    fn first_moved(&self) -> Result<Key, Option<u64>> {
        let Some((key, Stage::Moved(..))) = self.requests.first_key_value() else {
            return Err(None);
        };
        if key.0 == 0 || key.0 <= now_ns() {
            Ok(*key)
        } else {
            Err(Some(key.0))
        }
    }

    /// One of those that can complete now, once enough have come to choose from.
    fn any_moved(&mut self) -> Result<Key, Option<u64>> {
        let now_ns = now_ns();
        let moved = self.requests.iter();
        let moved = moved.filter(|(_, stage)| matches!(stage, Stage::Moved(..)));
        let keys: Vec<Key> = moved.map(|(key, _)| *key).collect();
        let due: Vec<Key> = keys.iter().filter(|key| key.0 <= now_ns).copied().collect();
        if due.is_empty() {
            return Err(keys.first().map(|key| key.0));
        }
        // Also when somebody waits already: what has come is moved first, so that there is a choice.
        let more = !self.fresh.is_empty() || now_ns < self.gather_until_ns;
        if due.len() < SHUFFLE_DEPTH && more {
            return Err(Some(self.gather_until_ns));
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Ok(due[self.random as usize % due.len()])
    }
}
