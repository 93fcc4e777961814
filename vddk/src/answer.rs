//! One answer from one thread to another: waited for, with or without a limit, or polled.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::contained::contained;

/// Makes both ends.
pub(crate) fn answer<T>() -> (Giver<T>, Taker<T>) {
    let cell = Arc::new(Cell {
        state: Mutex::new(State::Waiting(None)),
        changed: Condvar::new(),
    });
    (Giver(Some(Arc::clone(&cell))), Taker(cell))
}

#[derive(Debug)]
struct Cell<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
enum State<T> {
    /// Nothing yet. A task that polled waits to be woken.
    Waiting(Option<Waker>),
    Given(T),
    /// Taken, or the giver went away without one.
    Nothing,
    /// Nobody wants it any more.
    Unwanted,
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No user code runs under the lock, so a poisoned one is as whole as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves `next`, unless the answer is unwanted, and wakes who waits.
    fn end(&self, next: State<T>) -> Option<State<T>> {
        let waker = {
            let mut state = self.lock();
            match &mut *state {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *state = next;
                    waker
                }
                _ => return Some(next),
            }
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            // The task's own code: a panic of it is no matter of ours, nor of the other answers.
            contained(|| waker.wake());
        }
        None
    }
}

/// The end that answers, once. Dropping it unused tells the other end so.
#[derive(Debug)]
pub(crate) struct Giver<T>(Option<Arc<Cell<T>>>);

impl<T> Giver<T> {
    /// Gives the answer, or gives it back where nobody wants it any more.
    pub(crate) fn give(mut self, value: T) -> Result<(), T> {
        let Some(cell) = self.0.take() else {
            return Err(value);
        };
        match cell.end(State::Given(value)) {
            Some(State::Given(value)) => Err(value),
            _ => Ok(()),
        }
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.end(State::Nothing);
        }
    }
}

/// What came of waiting with a limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    Given(T),
    /// The limit passed. The answer is unwanted from that moment on: it goes back to its giver.
    TooLate,
    /// There will be none.
    Gone,
}

/// The end that waits.
#[derive(Debug)]
pub(crate) struct Taker<T>(Arc<Cell<T>>);

impl<T> Taker<T> {
    /// Waits, at most for `limit`.
    pub(crate) fn wait(self, limit: Option<Duration>) -> Waited<T> {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.0.lock();
        loop {
            if let State::Waiting(_) = &*state {
                let wait = |state| match until {
                    None => Ok(self.0.changed.wait(state)),
                    Some(until) => match until.checked_duration_since(Instant::now()) {
                        None => Err(state),
                        Some(left) => Ok(self
                            .0
                            .changed
                            .wait_timeout(state, left)
                            .map(|(state, _)| state)
                            .map_err(|error| PoisonError::new(error.into_inner().0))),
                    },
                };
                match wait(state) {
                    Ok(woken) => state = woken.unwrap_or_else(PoisonError::into_inner),
                    Err(mut state) => {
                        *state = State::Unwanted;
                        return Waited::TooLate;
                    }
                }
            } else {
                return match std::mem::replace(&mut *state, State::Nothing) {
                    State::Given(value) => Waited::Given(value),
                    _ => Waited::Gone,
                };
            }
        }
    }

    /// Takes the answer if it is there; else the task is woken when it is. `None`: there is none.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Option<T>> {
        let next = context.waker().clone();
        let mut state = self.0.lock();
        let last = match &mut *state {
            State::Waiting(waker) => waker.replace(next),
            State::Given(_) => {
                let given = std::mem::replace(&mut *state, State::Nothing);
                return Poll::Ready(match given {
                    State::Given(value) => Some(value),
                    _ => None,
                });
            }
            State::Nothing | State::Unwanted => return Poll::Ready(None),
        };
        drop(state);
        drop(last);
        Poll::Pending
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let last = std::mem::replace(&mut *self.0.lock(), State::Unwanted);
        drop(last);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll, Wake, Waker},
        thread,
        time::Duration,
    };

    use super::{Waited, answer};

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_answer_from_another_thread_is_waited_for() {
        let (giver, taker) = answer();
        let other = thread::spawn(move || giver.give(7));
        assert_eq!(taker.wait(None), Waited::Given(7));
        assert_eq!(other.join().unwrap(), Ok(()));
    }

    #[test]
    fn after_the_limit_the_answer_goes_back_to_its_giver() {
        let (giver, taker) = answer();
        assert_eq!(taker.wait(Some(Duration::ZERO)), Waited::TooLate);
        assert_eq!(giver.give("late"), Err("late"));
        let (giver, taker) = answer();
        drop(taker);
        assert_eq!(giver.give(1), Err(1));
    }

    #[test]
    fn an_answer_in_time_is_taken_and_a_giver_that_leaves_is_told() {
        let (giver, taker) = answer();
        giver.give(1).unwrap();
        assert_eq!(taker.wait(Some(Duration::ZERO)), Waited::Given(1));
        let (giver, taker) = answer::<u8>();
        drop(giver);
        assert_eq!(taker.wait(None), Waited::Gone);
    }

    #[test]
    fn a_task_is_woken_once_by_the_waker_it_showed_last() {
        let counts = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        let wakers = counts.clone().map(Waker::from);
        let (giver, mut taker) = answer();
        for waker in &wakers {
            let polled = taker.poll(&Context::from_waker(waker));
            assert_eq!(polled, Poll::Pending);
        }
        giver.give(3).unwrap();
        let woken = counts.map(|count| count.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 1]);
        let context = Context::from_waker(&wakers[0]);
        assert_eq!(taker.poll(&context), Poll::Ready(Some(3)));
        assert_eq!(taker.poll(&context), Poll::Ready(None));
    }
}
