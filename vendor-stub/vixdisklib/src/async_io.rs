//! Asynchronous requests of one disk: on its own thread, inline, or in shuffled order.

mod request;

use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vddk_sys as sys;

pub(crate) use request::{Job, Request};

use crate::error::Failure;
use crate::image::Image;
use crate::script::Order;

/// How many requests a shuffling thread looks at together.
const SHUFFLE_DEPTH: usize = 8;

/// How long a shuffling thread waits for the next request to shuffle with.
const SHUFFLE_WINDOW: Duration = Duration::from_millis(1);

thread_local! {
    /// True while this thread runs a completion callback of a program.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Fails where a call would wait for the callback it comes from.
///
/// # Errors
///
/// `VIX_E_OPERATION_ALREADY_IN_PROGRESS` inside a completion callback.
pub(crate) fn refuse_in_callback() -> Result<(), Failure> {
    if IN_CALLBACK.get() {
        let message = "called from a completion callback, which it would wait for";
        return Err(Failure::new(
            sys::VIX_E_OPERATION_ALREADY_IN_PROGRESS,
            message,
        ));
    }
    Ok(())
}

/// The requests of one disk that are not done yet.
#[derive(Debug)]
pub(crate) struct Engine {
    order: Order,
    pending: Arc<Pending>,
    /// Started by the first request.
    worker: Mutex<Option<Worker>>,
}

#[derive(Debug)]
struct Worker {
    queue: Sender<Request>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Pending {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_one(&self) {
        *self.lock() -= 1;
        self.changed.notify_all();
    }
}

impl Engine {
    /// An engine without requests.
    pub(crate) fn new(order: Order) -> Self {
        Self {
            order,
            pending: Arc::default(),
            worker: Mutex::new(None),
        }
    }

    /// Accepts a request; its callback comes once, perhaps before this returns.
    ///
    /// # Errors
    ///
    /// `VIX_E_OUT_OF_MEMORY` if no thread can be started; the callback does not come then.
    pub(crate) fn submit(&self, image: &Arc<Image>, request: Request) -> Result<(), Failure> {
        if self.order == Order::Inline {
            *self.pending.lock() += 1;
            complete(image, &self.pending, request);
            return Ok(());
        }
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            *worker = Some(self.start(image)?);
        }
        let queue = worker.as_ref().map(|worker| worker.queue.clone());
        drop(worker);
        *self.pending.lock() += 1;
        if queue.is_some_and(|queue| queue.send(request).is_ok()) {
            return Ok(());
        }
        self.pending.end_one();
        let message = "the thread of the disk is gone";
        Err(Failure::new(sys::VIX_E_FAIL, message))
    }

    fn start(&self, image: &Arc<Image>) -> Result<Worker, Failure> {
        let (queue, requests) = mpsc::channel();
        let image = Arc::clone(image);
        let pending = Arc::clone(&self.pending);
        let shuffled = self.order == Order::Shuffled;
        let work = move || {
            if shuffled {
                serve_shuffled(&image, &pending, &requests);
            } else {
                for request in requests {
                    complete(&image, &pending, request);
                }
            }
        };
        let thread = thread::Builder::new().name("vixdisklib-disk".into());
        let thread = thread.spawn(work).map_err(|error| {
            let message = format!("failed to start a thread: {error}");
            Failure::new(sys::VIX_E_OUT_OF_MEMORY, message)
        })?;
        Ok(Worker { queue, thread })
    }

    /// Returns when the callbacks of all requests have returned.
    pub(crate) fn wait(&self) {
        let mut count = self.pending.lock();
        while *count > 0 {
            let changed = self.pending.changed.wait(count);
            count = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits, then ends the thread.
    pub(crate) fn stop(&self) {
        self.wait();
        let worker = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Worker { queue, thread }) = worker {
            drop(queue);
            // It ends by itself once its queue is closed; a panic of it has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// Completes requests in an order of its own: it gathers what comes within a short while and
/// takes one of them by a fixed pseudo-random sequence.
fn serve_shuffled(image: &Image, pending: &Pending, requests: &Receiver<Request>) {
    let mut waiting: Vec<Request> = Vec::new();
    let mut state: usize = 0x9E37_79B9;
    loop {
        if waiting.is_empty() {
            match requests.recv() {
                Ok(request) => waiting.push(request),
                Err(_) => return,
            }
        }
        while waiting.len() < SHUFFLE_DEPTH
            && let Ok(request) = requests.recv_timeout(SHUFFLE_WINDOW)
        {
            waiting.push(request);
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let request = waiting.swap_remove(state % waiting.len());
        complete(image, pending, request);
    }
}

fn complete(image: &Image, pending: &Pending, request: Request) {
    let code = request.run(image);
    IN_CALLBACK.set(true);
    request.call_back(code);
    IN_CALLBACK.set(false);
    pending.end_one();
}
