//! One asynchronous request: a buffer of the caller, and whom to tell.

use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Map, Value, json};
use vddk_sys::{VIX_ASYNC, VIX_E_FAIL, VIX_OK, VixError};

use crate::async_io::Link;
use crate::boundary;
use crate::error::Failure;
use crate::fault::Ordered;
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

    /// Shall its callback never come?
    pub(crate) fn never(&self) -> bool {
        self.job.fault.never()
    }

    /// How long a fault holds its callback back.
    pub(crate) fn delay(&self) -> Duration {
        self.job.fault.delay()
    }

    /// Length of its buffer.
    pub(crate) fn length_bytes(&self) -> usize {
        self.job.length_bytes
    }

    /// Moves the data and gives the code for the callback.
    pub(crate) fn run(&self, image: &Image, link: &Link) -> u32 {
        let moved = catch_unwind(AssertUnwindSafe(|| self.transfer(image, link)));
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

    fn transfer(&self, image: &Image, link: &Link) -> Result<(), Failure> {
        let Job {
            kind,
            start_sector,
            length_bytes,
            fault,
            ..
        } = &self.job;
        link.check()?;
        fault.crash();
        let failure = fault.failure();
        if let Some(failure) = &failure
            && fault.loses_link()
        {
            link.lose(failure.code);
        }
        let write = matches!(kind, Move::WriteAsync);
        let length_bytes = match failure {
            Some(failure) if write && fault.disk_full() => {
                self.write(image, *start_sector, half(*length_bytes))?;
                return Err(failure);
            }
            Some(failure) => return Err(failure),
            None => *length_bytes,
        };
        link.pace.check(length_bytes)?;
        if write {
            return self.write(image, *start_sector, length_bytes);
        }
        // SAFETY: `new` got the promise that the buffer is valid and that nobody else looks at it
        // until the callback, which has not been called.
        let buffer = unsafe { std::slice::from_raw_parts_mut(self.buffer, length_bytes) };
        image.read(*start_sector, buffer)
    }

    /// Writes what the buffer begins with; `length_bytes` is no more than the buffer has.
    fn write(&self, image: &Image, start_sector: u64, length_bytes: usize) -> Result<(), Failure> {
        // SAFETY: `new` got the promise that the buffer is valid for more than that and unchanged
        // until the callback, which has not been called.
        let data = unsafe { std::slice::from_raw_parts(self.buffer, length_bytes) };
        image.write(start_sector, data)
    }

    /// Tells the caller. The buffer is the caller's again.
    pub(crate) fn call_back(self, code: u32) {
        // SAFETY: `new` got the promise; taking `self` makes it happen once.
        unsafe { (self.callback)(self.data, VixError::from(code)) };
    }
}

/// Half of some sectors, in whole ones.
pub(crate) fn half(length_bytes: usize) -> usize {
    length_bytes / 2 / 512 * 512
}
