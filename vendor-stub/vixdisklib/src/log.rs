//! Lines for the caller's log functions.

use std::ffi::{CStr, CString};
use std::sync::{PoisonError, RwLock};

use vddk_sys::VixDiskLibGenericLogFunc;

use crate::va_list::{self, Arg, LogFunction};

/// The functions given to `InitEx`. Where one is null nothing is said: the real library would
/// write a file under `/tmp`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Functions {
    log: Option<LogFunction>,
    warn: Option<LogFunction>,
}

static FUNCTIONS: RwLock<Functions> = RwLock::new(Functions {
    log: None,
    warn: None,
});

/// Takes the caller's functions into use.
///
/// # Safety
///
/// The functions must be null or as `VixDiskLibGenericLogFunc` of the header says, callable from
/// any thread until [`clear`]. They read the arguments as the format says and keep nothing.
pub(crate) unsafe fn install(log: VixDiskLibGenericLogFunc, warn: VixDiskLibGenericLogFunc) {
    *FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner) = Functions { log, warn };
}

/// Forgets the functions.
pub(crate) fn clear() {
    *FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner) = Functions::default();
}

/// Says something that is worth knowing. The format ends in a newline.
pub(crate) fn info(format: &CStr, args: &[Arg<'_>]) {
    let function = current().log;
    say(function, format, args);
}

/// Says that something is wrong. The format ends in a newline.
pub(crate) fn warn(format: &CStr, args: &[Arg<'_>]) {
    let function = current().warn;
    say(function, format, args);
}

/// A text for `%s`, cut at its first NUL.
pub(crate) fn c_text(text: &str) -> CString {
    let head = text.split('\0').next().unwrap_or_default();
    CString::new(head).unwrap_or_default()
}

/// A copy of the functions: none is called under the lock.
fn current() -> Functions {
    *FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner)
}

fn say(function: Option<LogFunction>, format: &CStr, args: &[Arg<'_>]) {
    if let Some(function) = function {
        // SAFETY: `install` got the function with the promise that `va_list::call` asks for.
        unsafe { va_list::call(function, format, args) };
    }
}
