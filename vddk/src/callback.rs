//! Everything VixDiskLib calls: three log functions, the completions, and the progress of long calls.

use std::{
    collections::VecDeque,
    ffi::{CStr, c_char, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

use vddk_sys::{__va_list_tag, Bool};

use crate::{error::ThumbprintMismatch, progress::Reporter, request::Piece};

/// Longest log line that is kept; the rest is cut.
const LINE_BYTES: usize = 4096;

/// How many of the last lines are kept to explain a bare error.
const KEPT_LINES: usize = 64;

/// The last log lines, each with a running number.
static RECENT: Mutex<Recent> = Mutex::new(Recent {
    next: 0,
    lines: VecDeque::new(),
});

struct Recent {
    next: u64,
    lines: VecDeque<(u64, String)>,
}

/// A place in the log: only lines after it are looked at.
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64);

/// Remembers where the log stands before a call.
pub(crate) fn mark() -> Mark {
    Mark(RECENT.lock().unwrap_or_else(PoisonError::into_inner).next)
}

/// Looks for a thumbprint mismatch among the lines logged since `mark`.
pub(crate) fn thumbprint_mismatch_since(mark: Mark) -> Option<ThumbprintMismatch> {
    let recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent
        .lines
        .iter()
        .rev()
        .take_while(|(number, _)| *number >= mark.0)
        .find_map(|(_, line)| ThumbprintMismatch::in_line(line))
}

#[derive(Clone, Copy)]
enum Level {
    Log,
    Warning,
    Panic,
}

/// Texts that mean no harm and would alarm people (VDDK API reference, 6.6).
const NOISE: &[&str] = &["Get CEIP status failed", "VDDK_PhoneHome:"];

fn emit(level: Level, line: &str) {
    {
        // Never held while VDDK is called, so a callback cannot meet its own caller here.
        let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        let number = recent.next;
        recent.next += 1;
        if recent.lines.len() == KEPT_LINES {
            recent.lines.pop_front();
        }
        recent.lines.push_back((number, line.to_owned()));
    }
    let noise = NOISE.iter().any(|text| line.contains(text));
    match level {
        _ if noise => tracing::debug!(target: "vddk::log", "{line}"),
        Level::Log => tracing::debug!(target: "vddk::log", "{line}"),
        Level::Warning => tracing::warn!(target: "vddk::log", "{line}"),
        Level::Panic => tracing::error!(target: "vddk::log", "VDDK ends the process: {line}"),
    }
}

unsafe extern "C" {
    /// The C library's; declared here because a `va_list` parameter is, on x86-64, a pointer to
    /// one `__va_list_tag`, which bindgen's type names on stable Rust.
    fn vsnprintf(
        buffer: *mut c_char,
        size: usize,
        format: *const c_char,
        args: *mut __va_list_tag,
    ) -> c_int;
}

/// Formats one message into a bounded line.
///
/// # Safety
/// `format` is NULL or a C string, and `args` holds what it asks for, as VixDiskLib promises for
/// its log functions; both only have to last for this call.
unsafe fn format_line(format: *const c_char, args: *mut __va_list_tag) -> String {
    if format.is_null() {
        return String::new();
    }
    let mut buffer = [0_u8; LINE_BYTES];
    // SAFETY: the buffer is as long as said, so the text is cut and ended with NUL within it; the
    // caller vouches for `format` and `args`, which is consumed here and nowhere else.
    let wanted = unsafe { vsnprintf(buffer.as_mut_ptr().cast(), buffer.len(), format, args) };
    if wanted < 0 {
        return String::from("(a log line that cannot be formatted)");
    }
    let text = CStr::from_bytes_until_nul(&buffer).map_or(&[][..], CStr::to_bytes);
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// What the three log functions share.
///
/// # Safety
/// As [`format_line`].
unsafe fn log_at(level: Level, format: *const c_char, args: *mut __va_list_tag) {
    // No unwinding into C: a panic here (in a subscriber, say) is swallowed.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the same promise, handed down.
        let line = unsafe { format_line(format, args) };
        if !line.is_empty() {
            emit(level, &line);
        }
    }));
}

/// The `log` function for `InitEx`.
///
/// # Safety
/// Called by VixDiskLib with a format and its arguments.
pub(crate) unsafe extern "C" fn log(format: *const c_char, args: *mut __va_list_tag) {
    // SAFETY: VixDiskLib's promise, see above.
    unsafe { log_at(Level::Log, format, args) }
}

/// The `warn` function for `InitEx`.
///
/// # Safety
/// Called by VixDiskLib with a format and its arguments.
pub(crate) unsafe extern "C" fn warn(format: *const c_char, args: *mut __va_list_tag) {
    // SAFETY: VixDiskLib's promise, see above.
    unsafe { log_at(Level::Warning, format, args) }
}

/// The `panic` function for `InitEx`. VDDK ends the process after it.
///
/// # Safety
/// Called by VixDiskLib with a format and its arguments.
pub(crate) unsafe extern "C" fn panic(format: *const c_char, args: *mut __va_list_tag) {
    // SAFETY: VixDiskLib's promise, see above.
    unsafe { log_at(Level::Panic, format, args) }
}

/// The completion of one piece of a read.
///
/// # Safety
/// `data` came from [`Box::into_raw`] of a [`Piece`] and is handed back once, which is what VixDiskLib
/// promises for every request it answered with `VIX_ASYNC`. One that never comes back is leaked.
pub(crate) unsafe extern "C" fn read_done(data: *mut c_void, result: u64) {
    // SAFETY: the same promise, handed down.
    unsafe { done("VixDiskLib_ReadAsync", data, result) }
}

/// The completion of one piece of a write.
///
/// # Safety
/// As [`read_done`].
pub(crate) unsafe extern "C" fn write_done(data: *mut c_void, result: u64) {
    // SAFETY: the same promise, handed down.
    unsafe { done("VixDiskLib_WriteAsync", data, result) }
}

/// What both completions share.
///
/// # Safety
/// As [`read_done`].
unsafe fn done(function: &'static str, data: *mut c_void, result: u64) {
    // Nothing in here is known to panic: the task that is woken is contained where that is done.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: a box was turned into this pointer, and this is the one time it comes back.
        let piece = unsafe { Box::from_raw(data.cast::<Piece>()) };
        piece.complete(function, result);
    }));
}

/// How far a long call is. The library ignores the answer (VDDK API reference, 1.1).
///
/// # Safety
/// `data` points to a [`Reporter`] that lives through the call that reports, and nobody has a mutable
/// reference to it meanwhile.
pub(crate) unsafe extern "C" fn progress(data: *mut c_void, percent: c_int) -> Bool {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: see above.
        let reporter = unsafe { &*data.cast::<Reporter>().cast_const() };
        reporter.report(percent);
    }));
    1
}

#[cfg(test)]
mod tests {
    use super::{Level, emit, log, mark, thumbprint_mismatch_since};
    use vddk_sys::__va_list_tag;

    #[test]
    fn a_mismatch_is_found_only_after_the_mark() {
        let print = ["AB"; 20].join(":");
        emit(
            Level::Warning,
            &format!("actual thumbprint={print} expected={print}"),
        );
        let later = mark();
        assert_eq!(thumbprint_mismatch_since(later), None);
        emit(
            Level::Log,
            &format!("x actual thumbprint={print}, expected={print}"),
        );
        assert!(thumbprint_mismatch_since(later).is_some());
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn a_format_with_more_than_six_integers_and_a_float_is_read_from_the_list() {
        // A list whose register area is used up: every argument stands in the overflow area.
        let mut words: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 2.5_f64.to_bits()];
        let mut list = __va_list_tag {
            gp_offset: 48,
            fp_offset: 304,
            overflow_arg_area: words.as_mut_ptr().cast(),
            reg_save_area: std::ptr::null_mut(),
        };
        let before = mark();
        // SAFETY: the format asks for seven ints and a double, which the list holds in order.
        unsafe {
            log(
                c"seven %d %d %d %d %d %d %d and %.1f\n".as_ptr(),
                &raw mut list,
            );
        };
        let recent = super::RECENT.lock().unwrap();
        assert!(
            recent
                .lines
                .iter()
                .any(|(n, line)| *n >= before.0 && line == "seven 1 2 3 4 5 6 7 and 2.5"),
            "{:?}",
            recent.lines
        );
    }

    #[test]
    fn a_null_format_is_no_line() {
        // SAFETY: a NULL format is refused before the list is looked at.
        unsafe { log(std::ptr::null(), std::ptr::null_mut()) };
    }
}
