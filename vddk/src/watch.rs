//! The clock of the library: gives a disk up when a read or write is not done in time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Instant,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::{
    Error,
    request::{Failure, Request},
    shared::Shared,
};

/// What a disk has begun and not answered, oldest first. Deadlines of one disk come in this order.
#[derive(Debug, Default)]
pub(crate) struct Begun(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    requests: VecDeque<(Instant, Weak<Request>)>,
    /// The clock knows the first deadline.
    watched: bool,
}

/// Answered requests behind an unanswered one are swept out when there are so many.
const SWEEP_FROM: usize = 256;

impl Begun {
    /// Notes a request. Returns true where the clock must be told.
    fn push(&self, deadline: Instant, request: &Arc<Request>) -> bool {
        let mut list = self.lock();
        list.forget_answered();
        list.requests.push_back((deadline, Arc::downgrade(request)));
        !std::mem::replace(&mut list.watched, true)
    }

    /// The first deadline that still holds; `None` ends the watch.
    fn first_deadline(&self) -> Option<Instant> {
        let mut list = self.lock();
        list.forget_answered();
        let first = list.requests.front().map(|(deadline, _)| *deadline);
        list.watched = first.is_some();
        first
    }

    /// Takes out all that are not answered.
    pub(crate) fn take(&self) -> Vec<Arc<Request>> {
        let requests = std::mem::take(&mut self.lock().requests);
        requests
            .into_iter()
            .filter_map(|(_, request)| request.upgrade())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn forget_answered(&mut self) {
        let is_open = |(_, request): &(Instant, Weak<Request>)| {
            request.upgrade().is_some_and(|one| !one.is_answered())
        };
        while self.requests.front().is_some_and(|one| !is_open(one)) {
            self.requests.pop_front();
        }
        if self.requests.len() >= SWEEP_FROM {
            self.requests.retain(is_open);
        }
    }
}

/// Appointments with closed disks are swept out when there are so many.
const CLOSED_FROM: usize = 32;

/// A disk to look at, and when. It does not keep the disk open.
struct Appointment {
    at: Instant,
    begun: Arc<Begun>,
    disk: Weak<Shared>,
}

/// The clock's thread.
#[derive(Debug)]
pub(crate) struct Watch {
    appointments: Option<Sender<Appointment>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start() -> Result<Self, Error> {
        let (appointments, inbox) = unbounded();
        let thread = thread::Builder::new()
            .name("vddk-clock".to_owned())
            .spawn(move || Clock::default().run(&inbox))
            .map_err(|_| Error::ThreadEnded)?;
        Ok(Self {
            appointments: Some(appointments),
            thread: Some(thread),
        })
    }

    /// Gives `disk` up if `request` is not answered by `deadline`.
    pub(crate) fn over(&self, disk: &Arc<Shared>, request: &Arc<Request>, deadline: Instant) {
        if disk.begun.push(deadline, request)
            && let Some(appointments) = &self.appointments
        {
            // The clock runs as long as the library, which the disk keeps.
            let _ = appointments.send(Appointment {
                at: deadline,
                begun: Arc::clone(&disk.begun),
                disk: Arc::downgrade(disk),
            });
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.appointments = None;
        let here = thread::current().id();
        if let Some(thread) = self.thread.take().filter(|one| one.thread().id() != here) {
            let _ = thread.join();
        }
    }
}

/// What the thread holds.
#[derive(Default)]
struct Clock {
    /// By time, then in the order they came.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    appointments: std::collections::HashMap<u64, Appointment>,
    next: u64,
    /// With how many appointments they are looked through.
    sweep_at: usize,
}

impl Clock {
    fn run(mut self, inbox: &Receiver<Appointment>) {
        loop {
            let came = match self.due.peek() {
                Some(Reverse((at, _))) => inbox.recv_deadline(*at),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match came {
                Ok(appointment) => self.add(appointment),
                Err(RecvTimeoutError::Timeout) => self.keep_first(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn add(&mut self, appointment: Appointment) {
        self.forget_closed();
        self.due.push(Reverse((appointment.at, self.next)));
        self.appointments.insert(self.next, appointment);
        self.next += 1;
    }

    /// Takes out the appointments with disks that are gone, each time there are many more than
    /// after the last time. Their deadlines may be far.
    fn forget_closed(&mut self) {
        if self.appointments.len() < self.sweep_at.max(CLOSED_FROM) {
            return;
        }
        self.appointments
            .retain(|_, one| one.disk.strong_count() > 0);
        self.due
            .retain(|Reverse((_, id))| self.appointments.contains_key(id));
        self.sweep_at = self.appointments.len() * 2;
    }

    fn keep_first(&mut self) {
        let first = self.due.pop();
        let Some(mut one) = first.and_then(|Reverse((_, id))| self.appointments.remove(&id)) else {
            return;
        };
        match one.begun.first_deadline() {
            None => {}
            Some(at) if at > Instant::now() => {
                one.at = at;
                self.add(one);
            }
            Some(_) => {
                // Only now is the disk held: one that is closed at this moment stays closable.
                if let Some(disk) = one.disk.upgrade() {
                    disk.poison(Failure::TimedOut);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Weak},
        time::{Duration, Instant},
    };

    use super::{Appointment, Begun, CLOSED_FROM, Clock, SWEEP_FROM};
    use crate::{
        SectorBuf,
        request::{Failure, Request},
    };

    fn request() -> Arc<Request> {
        Request::read(0, SectorBuf::new(1).unwrap(), 1).0
    }

    #[test]
    fn only_unanswered_requests_have_deadlines() {
        let begun = Begun::default();
        let start = Instant::now();
        let requests: Vec<_> = (0..3).map(|_| request()).collect();
        for (index, request) in requests.iter().enumerate() {
            let told = begun.push(start + Duration::from_secs(index as u64), request);
            assert_eq!(told, index == 0, "the clock is told of the first");
        }
        assert_eq!(begun.first_deadline(), Some(start));
        requests[0].fail_now(Failure::Poisoned);
        assert_eq!(begun.first_deadline(), Some(start + Duration::from_secs(1)));
        drop(requests);
        assert_eq!(begun.first_deadline(), None);
        let last = request();
        assert!(begun.push(start, &last), "the clock must be told again");
        assert_eq!(begun.take().len(), 1);
    }

    #[test]
    fn one_that_hangs_does_not_make_the_list_grow() {
        let begun = Begun::default();
        let start = Instant::now();
        let hanging = request();
        begun.push(start, &hanging);
        for _ in 0..10 * SWEEP_FROM {
            let done = request();
            begun.push(start, &done);
            done.fail_now(Failure::Poisoned);
        }
        assert!(begun.lock().requests.len() <= SWEEP_FROM + 1);
    }
    #[test]
    fn disks_that_are_closed_are_not_waited_for() {
        let mut clock = Clock::default();
        let far = Instant::now() + Duration::from_hours(1);
        for _ in 0..10 * CLOSED_FROM {
            clock.add(Appointment {
                at: far,
                begun: Arc::default(),
                disk: Weak::new(),
            });
        }
        assert!(clock.appointments.len() <= CLOSED_FROM);
        assert_eq!(clock.due.len(), clock.appointments.len());
    }
}
