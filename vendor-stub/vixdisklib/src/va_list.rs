//! Calls a `printf`-like function with arguments that were put together at run time.

use std::ffi::{CStr, c_char};

use vddk_sys::__va_list_tag;

/// A log function of the caller.
pub(crate) type LogFunction = unsafe extern "C" fn(format: *const c_char, args: *mut __va_list_tag);

/// One argument of a format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    /// For `%s`.
    Text(&'a CStr),
    /// For `%d`, `%u`, `%lu`, `%llu`, `%x`.
    Number(u64),
    /// For `%f` and its kin.
    Real(f64),
}

/// True if the conversions of a format are those the arguments are for, in number and kind.
pub(crate) fn fits(format: &CStr, args: &[Arg<'_>]) -> bool {
    let mut args = args.iter();
    let mut bytes = format.to_bytes().iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            continue;
        }
        let conversion = bytes.find(|byte| byte.is_ascii_alphabetic() && **byte != b'l');
        let fits = match conversion {
            Some(b's') => matches!(args.next(), Some(Arg::Text(_))),
            Some(b'd' | b'u' | b'x') => matches!(args.next(), Some(Arg::Number(_))),
            Some(b'f') => matches!(args.next(), Some(Arg::Real(_))),
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    args.next().is_none()
}

/// Calls `function` with a format and its arguments; does nothing if they do not fit.
///
/// # Safety
///
/// `function` must be a C function of the type `void (const char *, va_list)` that reads its
/// arguments as the format says and keeps neither pointer.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) unsafe fn call(function: LogFunction, format: &CStr, args: &[Arg<'_>]) {
    if !fits(format, args) {
        return;
    }
    let mut slots: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Arg::Text(text) => text.as_ptr().expose_provenance() as u64,
            Arg::Number(number) => *number,
            Arg::Real(real) => real.to_bits(),
        })
        .collect();
    // Both register areas are marked as used up: 48 is 6 general registers of 8 bytes, 304 lies
    // behind 8 vector registers of 16 bytes after them (176). So every argument is taken from the
    // overflow area, 8 bytes each, and the register save area is never looked at.
    let mut list = __va_list_tag {
        gp_offset: 48,
        fp_offset: 304,
        overflow_arg_area: slots.as_mut_ptr().cast(),
        reg_save_area: std::ptr::null_mut(),
    };
    // SAFETY: on x86-64 System V a `va_list` parameter is a pointer to one such tag ("System V
    // Application Binary Interface, AMD64", 3.5.7 Variable Argument Lists). The overflow area
    // holds one 8-byte slot for each conversion, of the right kind: `fits` saw to it. Strings and
    // slots live until the call returns, and the caller promises that it keeps nothing.
    unsafe { function(format.as_ptr(), &raw mut list) };
}

/// Stays silent: how a `va_list` looks is known for x86-64 Linux only.
///
/// # Safety
///
/// None needed.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) unsafe fn call(_function: LogFunction, _format: &CStr, _args: &[Arg<'_>]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_must_match_the_conversions() {
        let number = Arg::Number(1);
        assert!(fits(c"none at all\n", &[]));
        assert!(fits(
            c"%s %08lx %.3f\n",
            &[Arg::Text(c"x"), number, Arg::Real(0.5)]
        ));
        assert!(!fits(c"%s\n", &[number]), "kind");
        assert!(!fits(c"%d %d\n", &[number]), "too few");
        assert!(!fits(c"%d\n", &[number, number]), "too many");
        assert!(!fits(c"%n\n", &[number]), "a conversion that writes");
        assert!(!fits(c"100 %", &[]), "a lone percent sign");
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn vsnprintf_reads_eight_integers_a_float_and_a_string() {
        use std::cell::RefCell;

        unsafe extern "C" {
            fn vsnprintf(
                buffer: *mut c_char,
                size: usize,
                format: *const c_char,
                args: *mut __va_list_tag,
            ) -> i32;
        }
        thread_local!(static TEXT: RefCell<String> = const { RefCell::new(String::new()) });

        unsafe extern "C" fn print(format: *const c_char, args: *mut __va_list_tag) {
            let mut buffer = [0_u8; 256];
            // SAFETY: the buffer has the length given; format and list are the caller's, unread.
            let length = unsafe { vsnprintf(buffer.as_mut_ptr().cast(), 256, format, args) };
            assert!((0..256).contains(&length));
            let text = CStr::from_bytes_until_nul(&buffer).unwrap();
            TEXT.with_borrow_mut(|all| all.push_str(text.to_str().unwrap()));
        }

        let mut args: Vec<Arg<'_>> = (1..=8).map(Arg::Number).collect();
        args.push(Arg::Real(2.5));
        args.push(Arg::Text(c"end"));
        args.push(Arg::Number(u64::MAX));
        // SAFETY: `print` reads the arguments as the format says and keeps nothing.
        unsafe { call(print, c"%d %d %d %d %u %u %lu %lu %.2f %s %lx\n", &args) };
        TEXT.with_borrow(|text| assert_eq!(text, "1 2 3 4 5 6 7 8 2.50 end ffffffffffffffff\n"));
    }
}
