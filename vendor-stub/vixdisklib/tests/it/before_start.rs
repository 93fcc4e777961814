//! What works before `InitEx`, and `InitEx` itself.

use std::ffi::CStr;
use std::ptr::null_mut;

use vddk_sys::{VixDiskLibConnectParams, VixError};
use vixDiskLib::*;

use crate::harness::*;

#[test]
fn parameters_are_128_zeroed_bytes_and_keep_the_callers_strings() {
    // SAFETY: needs nothing.
    let params = unsafe { VixDiskLib_AllocateConnectParams() };
    assert!(!params.is_null());
    assert_eq!(size_of::<VixDiskLibConnectParams>(), 128);
    // SAFETY: the object has 128 bytes.
    let bytes = unsafe { std::slice::from_raw_parts(params.cast::<u8>(), 128) };
    assert_eq!(bytes, [0; 128]);

    let mut user = *b"user\0";
    // SAFETY: the object is ours to fill.
    unsafe { (*params).vmxSpec = user.as_mut_ptr().cast() };
    for _ in 0..2 {
        // SAFETY: nobody uses it; the second call is a double free, which the library survives.
        unsafe { VixDiskLib_FreeConnectParams(params) };
    }
    assert_eq!(&user, b"user\0");
    // SAFETY: null is allowed.
    unsafe { VixDiskLib_FreeConnectParams(null_mut()) };
}

#[test]
fn error_texts_can_be_had_at_any_time() {
    let text = |error: VixError| {
        // SAFETY: needs nothing.
        let text = unsafe { VixDiskLib_GetErrorText(error, std::ptr::null()) };
        assert!(!text.is_null());
        // SAFETY: not null, so a string until it is freed.
        let copy = unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned();
        // SAFETY: nobody uses it any more.
        unsafe { VixDiskLib_FreeErrorText(text) };
        copy
    };
    assert_eq!(text(1), "Unknown error");
    assert_eq!(
        text(13),
        text(0xABCD_0000_000D),
        "upper bits are not part of the code"
    );
    assert_ne!(text(4), text(3));
    // SAFETY: null is allowed.
    unsafe { VixDiskLib_FreeErrorText(null_mut()) };
}

#[test]
fn cleanup_survives_null_before_start() {
    let (mut cleaned, mut remaining) = (7, 7);
    let (cleaned_at, remaining_at) = (&raw mut cleaned, &raw mut remaining);
    // SAFETY: the counters are writable, null is allowed.
    let code = unsafe { VixDiskLib_Cleanup(std::ptr::null(), cleaned_at, remaining_at) };
    assert_eq!((code, cleaned, remaining), (3, 0, 0));
    // SAFETY: needs nothing.
    let params = unsafe { VixDiskLib_AllocateConnectParams() };
    // SAFETY: the parameters are valid, null counters are allowed.
    let code = unsafe { VixDiskLib_Cleanup(params, null_mut(), null_mut()) };
    assert_eq!(code, 0);
    // SAFETY: nobody uses them any more.
    unsafe { VixDiskLib_FreeConnectParams(params) };
}

#[test]
fn calls_before_start_say_not_initialised() {
    assert_eq!(connect_raw(std::ptr::null(), true, None, None), Err(16001));
    assert_eq!(open(null_mut(), "/x.vmdk", 0), Err(16001));
    assert_eq!(read(null_mut(), 0, 1), Err(1000));
    assert_eq!(close(null_mut()), 1000);
    assert_eq!(transport(null_mut()), "");
    exit();
}

#[test]
fn interface_versions_from_1_0_to_9_0_are_accepted_once() {
    in_own_process(
        "before_start::interface_versions_from_1_0_to_9_0_are_accepted_once",
        || {
            for refused in [(9, 1), (10, 0), (0, 9), (0, 0)] {
                assert_eq!(init(refused, None), 6, "{refused:?}");
            }
            let null = std::ptr::null();
            // SAFETY: null functions and strings are allowed.
            let code = unsafe { VixDiskLib_InitEx(9, 0, None, None, None, null, null) };
            assert_eq!(
                code, 0,
                "a failed start may be repeated, functions may be null"
            );
            assert_eq!(init((6, 5), None), 16053, "once a process");
            // SAFETY: needs nothing.
            let modes = unsafe { VixDiskLib_ListTransportModes() };
            // SAFETY: never null, static.
            let modes = unsafe { CStr::from_ptr(modes) };
            assert_eq!(modes, c"file:san:hotadd:nbdssl:nbd");
            exit();
            assert_eq!(connect_raw(null.cast(), true, None, None), Err(16001));
            assert_eq!(init((6, 5), None), 16053, "nor after the end");
        },
    );
}

#[test]
fn init_without_config_file_accepts_the_oldest_interface() {
    in_own_process(
        "before_start::init_without_config_file_accepts_the_oldest_interface",
        || {
            let null = std::ptr::null();
            // SAFETY: null functions and strings are allowed.
            assert_eq!(unsafe { VixDiskLib_Init(1, 0, None, None, None, null) }, 0);
            exit();
        },
    );
}

#[test]
fn bad_settings_fail_the_start_with_a_reason() {
    in_own_process(
        "before_start::bad_settings_fail_the_start_with_a_reason",
        || {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("standin.toml");
            std::fs::write(&file, "lab = \"/no/such/lab\"\n").unwrap();
            assert_eq!(init((6, 5), Some(folder.path())), 16053);
            assert_eq!(log_lines("standin.toml is unusable").len(), 1);
            std::fs::write(&file, "async = \"inline\"\n").unwrap();
            assert_eq!(init((6, 5), Some(folder.path())), 0);
            exit();
        },
    );
}
