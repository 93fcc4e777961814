//! Asynchronous requests of one disk: on its own thread, inline, or in shuffled order.

mod queue;
mod request;

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use vddk_sys as sys;

pub(crate) use request::{Job, Request, half};

use crate::clock;
use crate::connection::Target;
use crate::error::Failure;
use crate::image::Image;
use crate::library::Library;
use crate::pace::Pace;
use crate::script::Order;
use queue::Queue;

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

/// The link of a disk: how fast it is, and whether it still stands.
#[derive(Debug)]
pub(crate) struct Link {
    /// How fast requests are answered.
    pub(crate) pace: Pace,
    /// Code of every request since the link was lost; 0 = it stands.
    lost: AtomicU32,
}

impl Link {
    /// Cuts the link: all requests fail with that code from now on.
    pub(crate) fn lose(&self, code: u32) {
        self.lost.store(code, Ordering::Release);
    }

    /// Fails once the link was lost.
    ///
    /// # Errors
    ///
    /// The code it was lost with.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.lost.load(Ordering::Acquire) {
            0 => Ok(()),
            code => Err(Failure::new(
                code,
                "the link to the host was lost; open the disk anew",
            )),
        }
    }
}

/// The requests of one disk that are not done yet.
#[derive(Debug)]
pub(crate) struct Engine {
    order: Order,
    link: Arc<Link>,
    queue: Arc<Queue>,
    /// Started by the first request.
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// An engine for a disk that is being opened; `target` = where, `None` = a local file, whose
    /// requests complete inline unless the settings say otherwise ("VDDK API reference", 7.2).
    ///
    /// # Errors
    ///
    /// 2, or what the performance says, when the host has no memory for one more disk.
    pub(crate) fn of(
        library: &Library,
        target: Option<&Target>,
        transport: &CStr,
    ) -> Result<Self, Failure> {
        let script = &library.script;
        let (pace, usual) = match target {
            None => (Pace::default(), Order::Inline),
            Some(target) => {
                let aio = library.config.aio;
                let pace = Pace::open(&target.lab, &script.performance, transport, aio)?;
                (pace, Order::Thread)
            }
        };
        Ok(Self::new(script.order.unwrap_or(usual), pace))
    }

    fn new(order: Order, pace: Pace) -> Self {
        Self {
            order,
            link: Arc::new(Link {
                pace,
                lost: AtomicU32::new(0),
            }),
            queue: Arc::new(Queue::new(order == Order::Shuffled)),
            worker: Mutex::new(None),
        }
    }

    /// Cuts the link: all requests fail with that code from now on, those on their way too.
    pub(crate) fn lose_link(&self, code: u32) {
        self.link.lose(code);
    }

    /// Fails once the link was lost.
    ///
    /// # Errors
    ///
    /// The code it was lost with.
    pub(crate) fn check_link(&self) -> Result<(), Failure> {
        self.link.check()
    }

    /// Runs a synchronous request: it is answered after one round trip.
    ///
    /// # Errors
    ///
    /// 2 if it is too large, and what `work` returns.
    pub(crate) fn round_trip(
        &self,
        length_bytes: usize,
        work: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.link.pace.check(length_bytes)?;
        let due_ns = self.link.pace.admit(length_bytes, false)?;
        let done = work();
        clock::sleep_until(due_ns);
        done
    }

    /// Accepts a request; its callback comes once, perhaps before this returns.
    ///
    /// # Errors
    ///
    /// `VIX_E_OUT_OF_MEMORY` if no thread can be started; the callback does not come then.
    pub(crate) fn submit(&self, image: &Arc<Image>, request: Request) -> Result<(), Failure> {
        if request.never() {
            self.queue.park(request);
            return Ok(());
        }
        let due_ns = self.due_ns(&request)?;
        if self.order == Order::Inline {
            self.queue.begin_inline();
            let code = request.run(image, &self.link);
            clock::sleep_until(due_ns);
            complete(request, code);
            self.queue.end_inline();
            return Ok(());
        }
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            *worker = Some(self.start(image)?);
        }
        drop(worker);
        self.queue.add(due_ns, request);
        Ok(())
    }

    /// When a request is to be completed by the clock; 0 = as soon as it can be.
    fn due_ns(&self, request: &Request) -> Result<u64, Failure> {
        let due_ns = self.link.pace.admit(request.length_bytes(), true)?;
        let delay_ns = u64::try_from(request.delay().as_nanos()).unwrap_or(u64::MAX);
        if delay_ns == 0 {
            return Ok(due_ns);
        }
        Ok(due_ns.max(clock::now_ns()).saturating_add(delay_ns))
    }

    fn start(&self, image: &Arc<Image>) -> Result<JoinHandle<()>, Failure> {
        let (image, link) = (Arc::clone(image), Arc::clone(&self.link));
        let queue = Arc::clone(&self.queue);
        let work = move || {
            clock::sleep_exactly();
            queue.serve(|request| request.run(&image, &link), complete);
        };
        let thread = thread::Builder::new().name("vixdisklib-disk".into());
        thread.spawn(work).map_err(|error| {
            let message = format!("failed to start a thread: {error}");
            Failure::new(sys::VIX_E_OUT_OF_MEMORY, message)
        })
    }

    /// Returns when the callbacks of all requests have returned: never, if one does not come.
    pub(crate) fn wait(&self) {
        self.queue.wait(true);
    }

    /// Waits for all but the requests whose callbacks never come, then ends the thread.
    pub(crate) fn stop(&self) {
        self.queue.wait(false);
        let worker = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = worker {
            self.queue.close();
            // It ends by itself once its queue is closed; a panic of it has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// Calls a program back.
fn complete(request: Request, code: u32) {
    // A callback may ask for more and so be called inside another one.
    let outer = IN_CALLBACK.replace(true);
    request.call_back(code);
    IN_CALLBACK.set(outer);
}
