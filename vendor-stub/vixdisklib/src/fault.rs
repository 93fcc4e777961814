//! What a fault of the lab orders for one call, and doing it.

use std::ffi::{CStr, c_char};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::{BlocksLie, Crash, Fault, TextLie};
use vddk_sys as sys;

use crate::error::Failure;
use crate::library;
use crate::log;
use crate::va_list::Arg;

/// How often a call that hangs looks whether its fault still stands.
const LOOK: Duration = Duration::from_millis(2);

/// A text that is not UTF-8, in place of a static one.
pub(crate) const NOT_UTF8: &CStr = c"\xFFnot UTF-8\xFE";

/// What a fault gives in place of a static text.
pub(crate) fn static_text(lie: TextLie) -> *const c_char {
    match lie {
        TextLie::Null => std::ptr::null(),
        _ => NOT_UTF8.as_ptr(),
    }
}

/// The orders for one call; none, mostly.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    fault: Option<Box<Fault>>,
}

impl Ordered {
    /// Counts a call, and takes the orders for it.
    pub(crate) fn next(name: &str) -> Self {
        let Some(faults) = library::faults() else {
            return Self::default();
        };
        let fault = faults.next(name).unwrap_or_else(|error| {
            let error = log::c_text(&error.to_string());
            log::warn(c"VixDiskLib: faults not read: %s\n", &[Arg::Text(&error)]);
            None
        });
        Self {
            fault: fault.map(Box::new),
        }
    }

    /// As [`Ordered::next`] for the completion of a request.
    pub(crate) fn next_callback(name: &str) -> Self {
        // Spares putting the name together where there is no fault at all.
        match library::faults().map(|faults| faults.any()) {
            None | Some(Ok(false)) => Self::default(),
            Some(_) => Self::next(&format!("{name}.callback")),
        }
    }

    fn get<T>(&self, part: impl FnOnce(&Fault) -> Option<T>) -> Option<T> {
        self.fault.as_deref().and_then(part)
    }

    /// What comes before anything else: delay, hanging, the end of the process.
    pub(crate) fn strike(&self) {
        let Some(fault) = self.fault.as_deref() else {
            return;
        };
        thread::sleep(self.delay());
        while self.hangs() && stands(fault) {
            thread::sleep(LOOK);
        }
        if !self.crashes_after() {
            self.crash();
        }
    }

    /// Does the end of the process come after the work?
    pub(crate) fn crashes_after(&self) -> bool {
        self.get(|fault| fault.after).unwrap_or(false)
    }

    /// Is the work done, and its end a failure all the same?
    pub(crate) fn fails_after(&self) -> bool {
        self.crashes_after() && self.get(|fault| fault.crash).is_none()
    }

    /// How long to wait.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.get(|fault| fault.delay_ms).unwrap_or(0))
    }

    fn hangs(&self) -> bool {
        let until_ms = self.get(|fault| fault.hang_until_ms).unwrap_or(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.is_ok_and(|now| now.as_millis() < u128::from(until_ms))
    }

    /// Ends the process, if that is ordered.
    pub(crate) fn crash(&self) {
        let signal = match self.get(|fault| fault.crash) {
            Some(Crash::Segv) => libc::SIGSEGV,
            Some(Crash::Kill) => libc::SIGKILL,
            Some(_) => std::process::abort(),
            None => return,
        };
        // SAFETY: the default action needs no handler; both are plain system calls.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: a plain system call.
        unsafe { libc::raise(signal) };
        std::process::abort();
    }

    /// The end of the call that is ordered, with code 0 for a success without work.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let fault = self.fault.as_deref()?;
        let lost = fault.lose_link == Some(true);
        let full = fault.disk_full == Some(true);
        let code = match fault.code {
            Some(code) => u32::try_from(code).unwrap_or(sys::VIX_E_FAIL),
            None if lost => sys::VIX_E_HOST_TCP_CONN_LOST,
            None if full => sys::VIX_E_DISK_FULL,
            None => return None,
        };
        if code == sys::VIX_OK {
            return Some(Failure::quiet(code));
        }
        let message = fault.message.as_deref().unwrap_or("fault of the lab");
        Some(Failure::new(code, message))
    }

    /// Is the connection of the disk lost?
    pub(crate) fn loses_link(&self) -> bool {
        self.get(|fault| fault.lose_link).unwrap_or(false)
    }

    /// Is the storage full?
    pub(crate) fn disk_full(&self) -> bool {
        self.get(|fault| fault.disk_full).unwrap_or(false)
    }

    /// Shall the callback never come?
    pub(crate) fn never(&self) -> bool {
        self.get(|fault| fault.never).unwrap_or(false)
    }

    /// What is given in place of a text.
    pub(crate) fn text(&self) -> Option<TextLie> {
        self.get(|fault| fault.text)
    }

    /// The length that metadata are said to need.
    pub(crate) fn required_bytes(&self) -> Option<u64> {
        self.get(|fault| fault.required_bytes)
    }

    /// How allocated blocks lie.
    pub(crate) fn blocks(&self) -> Option<BlocksLie> {
        self.get(|fault| fault.blocks)
    }

    /// What the journal says of a call that ends the process.
    pub(crate) fn crash_name(&self) -> Option<&'static str> {
        self.get(|fault| fault.crash).map(|crash| match crash {
            Crash::Segv => "segv",
            Crash::Kill => "kill",
            _ => "abort",
        })
    }
}

/// Is the fault still one of the lab's?
fn stands(fault: &Fault) -> bool {
    library::faults().is_some_and(|faults| faults.stands(fault).unwrap_or(false))
}
