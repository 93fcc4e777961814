//! The jobs of the control thread, and where each of them stands.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use vddk_sys::Symbols;

use crate::Error;

/// What a job ended with, for the log.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its caller has the answer.
    Heard,
    /// Its caller was gone: what it made is undone by now.
    Late,
    /// Its caller was gone, and it failed.
    Unheard(Error),
}

pub(super) type Work = Box<dyn FnOnce(&'static Symbols) -> Outcome + Send>;

/// One call, or what is made in its place.
pub(super) struct Job {
    pub(super) function: &'static str,
    /// How long it may run; `None` where it moves data.
    pub(super) limit: Option<Duration>,
    pub(super) work: Work,
}

/// Names one job of one board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Why a caller waits no longer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The job is done: its answer is there, if there will ever be one.
    Done,
    /// The job itself runs longer than it may.
    Overdue,
    /// The job waits behind this function, which runs longer than it may.
    Behind(&'static str),
}

struct Running {
    ticket: Ticket,
    function: &'static str,
    until: Option<Instant>,
}

impl Running {
    fn is_overdue(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

#[derive(Default)]
struct State {
    queued: VecDeque<(Ticket, Job)>,
    running: Option<Running>,
    next: u64,
    /// No more jobs come; those that are queued are still done.
    ending: bool,
    /// The thread is gone.
    ended: bool,
}

impl State {
    /// The function that runs longer than it may.
    fn overdue(&self) -> Option<&'static str> {
        let running = self.running.as_ref().filter(|one| one.is_overdue());
        running.map(|one| one.function)
    }
}

/// The list of jobs. Jobs are done in the order they come.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing but this file runs under the lock: no job, and no drop of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function that is being called.
    pub(super) fn running(&self) -> Option<&'static str> {
        self.lock().running.as_ref().map(|one| one.function)
    }

    /// Queues a job, unless one is overdue and this need not be done: then it comes back, with the
    /// function that hangs.
    pub(super) fn queue(
        &self,
        job: Job,
        must_be_done: bool,
    ) -> Result<Ticket, (Job, &'static str)> {
        let mut state = self.lock();
        if let Some(function) = state.overdue().filter(|_| !must_be_done) {
            return Err((job, function));
        }
        let ticket = Ticket(state.next);
        state.next += 1;
        state.queued.push_back((ticket, job));
        drop(state);
        self.changed.notify_all();
        Ok(ticket)
    }

    /// Waits until the job is done, or cannot be waited for any longer.
    pub(super) fn wait(&self, ticket: Ticket) -> Seen {
        let mut state = self.lock();
        loop {
            let is_queued = state.queued.iter().any(|(one, _)| *one == ticket);
            let until = match &state.running {
                Some(one) if one.ticket == ticket => {
                    if one.is_overdue() {
                        return Seen::Overdue;
                    }
                    one.until
                }
                _ if !is_queued => return Seen::Done,
                Some(one) if one.is_overdue() => return Seen::Behind(one.function),
                Some(one) => one.until,
                None => None,
            };
            state = self.sleep(state, until);
        }
    }

    /// Takes a job back that was not begun.
    pub(super) fn withdraw(&self, ticket: Ticket) -> Option<Job> {
        let mut state = self.lock();
        let place = state.queued.iter().position(|(one, _)| *one == ticket)?;
        state.queued.remove(place).map(|(_, job)| job)
    }

    /// For the thread: begins the next job. `None` when there will be none.
    pub(super) fn begin(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some((ticket, job)) = state.queued.pop_front() {
                let until = job
                    .limit
                    .and_then(|limit| Instant::now().checked_add(limit));
                state.running = Some(Running {
                    ticket,
                    function: job.function,
                    until,
                });
                drop(state);
                // Those behind it have a time to wait for now.
                self.changed.notify_all();
                return Some(job);
            }
            if state.ending {
                return None;
            }
            state = self.sleep(state, None);
        }
    }

    /// For the thread: the job that was begun has ended.
    pub(super) fn done(&self) {
        self.lock().running = None;
        self.changed.notify_all();
    }

    /// No more jobs come.
    pub(super) fn end(&self) {
        self.lock().ending = true;
        self.changed.notify_all();
    }

    /// For the thread: it is gone.
    pub(super) fn ended(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for the end of the thread; false where a job is overdue, for which nobody waits.
    pub(super) fn wait_for_end(&self) -> bool {
        let mut state = self.lock();
        while !state.ended {
            if state.overdue().is_some() {
                return false;
            }
            let until = state.running.as_ref().and_then(|one| one.until);
            state = self.sleep(state, until);
        }
        true
    }

    /// Waits for a change, or for the moment.
    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        match until {
            None => {
                let woken = self.changed.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let woken = self.changed.wait_timeout(state, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Board, Job, Outcome, Seen};

    fn job(function: &'static str, limit: Option<Duration>) -> Job {
        Job {
            function,
            limit,
            work: Box::new(|_| Outcome::Heard),
        }
    }

    #[test]
    fn the_time_of_a_job_begins_when_it_does() {
        let board = Board::default();
        let Ok(first) = board.queue(job("a", None), false) else {
            panic!("refused")
        };
        let Ok(second) = board.queue(job("b", Some(Duration::ZERO)), false) else {
            panic!("refused")
        };
        assert_eq!(board.begin().unwrap().function, "a");
        // It has no limit, so nobody is refused behind it.
        let Ok(third) = board.queue(job("c", None), false) else {
            panic!("refused behind a long job")
        };
        board.done();
        assert_eq!(board.wait(first), Seen::Done);
        assert_eq!(board.begin().unwrap().function, "b");
        assert_eq!(board.wait(second), Seen::Overdue);
        assert_eq!(board.wait(third), Seen::Behind("b"));
    }

    #[test]
    fn behind_a_hang_only_what_must_be_done_is_queued() {
        let board = Board::default();
        assert!(
            board
                .queue(job("hangs", Some(Duration::ZERO)), false)
                .is_ok()
        );
        let Ok(early) = board.queue(job("early", None), false) else {
            panic!("refused")
        };
        assert_eq!(board.begin().unwrap().function, "hangs");
        let refused = board.queue(job("late", None), false);
        assert!(matches!(refused, Err((_, "hangs"))));
        assert!(board.queue(job("close", None), true).is_ok());
        assert_eq!(board.withdraw(early).unwrap().function, "early");
        assert!(board.withdraw(early).is_none());
        assert!(!board.wait_for_end(), "the thread hangs");
        board.end();
        board.done();
        assert_eq!(board.begin().unwrap().function, "close");
        board.done();
        assert!(board.begin().is_none());
        board.ended();
        assert!(board.wait_for_end());
    }
}
