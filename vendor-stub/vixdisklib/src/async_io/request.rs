//! One asynchronous request: a buffer of the caller, and whom to tell.

use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use serde_json::{Map, Value, json};
use vddk_sys::{VIX_ASYNC, VIX_E_FAIL, VIX_OK, VixError};

use crate::boundary::{self, Ordered};
use crate::error::Failure;
use crate::image::Image;
use crate::journal::{self, Move};

/// A completion callback of the caller.
pub(crate) type Callback = unsafe extern "C" fn(data: *mut c_void, result: VixError);

/// What a request moves.
#[derive(Debug)]
pub(crate) struct Job {
    /// `ReadAsync` or `WriteAsync`.
    pub(crate) kind: Move,
    /// First sector.
    pub(crate) start_sector: u64,
    /// Length of the buffer, whole sectors.
    pub(crate) length_bytes: usize,
    /// Complete late, or with a failure and without moving anything.
    pub(crate) fault: Ordered,
    /// What the journal says about a failure.
    pub(crate) about: Map<String, Value>,
}

/// A request that was accepted.
pub(crate) struct Request {
    job: Job,
    buffer: *mut u8,
    callback: Callback,
    data: *mut c_void,
}

// SAFETY: the buffer is the library's alone from the call until the callback returns, and the
// callback with its data is made to be called on a thread of the library: both by the contract of
// `ReadAsync` and `WriteAsync` ("VDDK reference" 7.2), which `Request::new` asks for.
unsafe impl Send for Request {}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.job).finish()
    }
}

impl Request {
    /// A request of the caller.
    ///
    /// # Safety
    ///
    /// `buffer` must be valid for `job.length_bytes` bytes, to be written by a read and left
    /// alone by others until the callback has returned. `callback` must be callable with `data`
    /// from any thread.
    pub(crate) unsafe fn new(
        job: Job,
        buffer: *mut u8,
        callback: Callback,
        data: *mut c_void,
    ) -> Self {
        Self {
            job,
            buffer,
            callback,
            data,
        }
    }

    /// Moves the data and gives the code for the callback.
    pub(crate) fn run(&self, image: &Image) -> u32 {
        let moved = catch_unwind(AssertUnwindSafe(|| self.transfer(image)));
        let failure = match moved {
            Ok(Ok(())) => return VIX_OK,
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new(VIX_E_FAIL, "the stand-in panicked"),
        };
        let name = self.job.kind.name();
        boundary::explain(name, &failure);
        let result = json!({ "code": VIX_ASYNC, "completion": failure.code });
        journal::record(name, self.job.about.clone().into(), result);
        failure.code
    }

    fn transfer(&self, image: &Image) -> Result<(), Failure> {
        let Job {
            kind,
            start_sector,
            length_bytes,
            fault,
            ..
        } = &self.job;
        thread::sleep(fault.delay);
        if let Some(failure) = &fault.failure {
            return Err(Failure::new(failure.code, failure.message.clone()));
        }
        if matches!(kind, Move::WriteAsync) {
            // SAFETY: `new` got the promise that the buffer is valid and unchanged until the
            // callback, which has not been called.
            let data = unsafe { std::slice::from_raw_parts(self.buffer, *length_bytes) };
            image.write(*start_sector, data)
        } else {
            // SAFETY: as above, and for a read nobody else looks at the buffer.
            let buffer = unsafe { std::slice::from_raw_parts_mut(self.buffer, *length_bytes) };
            image.read(*start_sector, buffer)
        }
    }

    /// Tells the caller. The buffer is the caller's again.
    pub(crate) fn call_back(self, code: u32) {
        // SAFETY: `new` got the promise; taking `self` makes it happen once.
        unsafe { (self.callback)(self.data, VixError::from(code)) };
    }
}
