//! The shared library as a program loads it.

use std::ffi::CStr;
use std::path::PathBuf;

use crate::harness::*;

/// The library that Cargo built beside this test.
fn built() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.with_file_name("libvixDiskLib.so")
}

#[test]
fn the_library_has_the_soname_of_the_eighth_interface() {
    let bytes = std::fs::read(built()).unwrap();
    let name = b"libvixDiskLib.so.8\0";
    assert!(bytes.windows(name.len()).any(|window| window == name));
}

#[test]
fn an_installed_kit_has_all_symbols_and_finds_its_lab() {
    in_own_process(
        "loaded::an_installed_kit_has_all_symbols_and_finds_its_lab",
        || {
            let site = Site::new();
            let kit = site.lab.install_kit(&built()).unwrap();
            let library = vddk_sys::load(Some(&kit)).unwrap();
            let symbols = library.symbols();
            assert!(
                symbols.found().iter().all(|(_, found)| *found),
                "{symbols:?}"
            );
            assert_eq!(library.major(), Some(8));

            let (log, null) = (Some(log as _), std::ptr::null());
            // SAFETY: `log` is a log function; null strings are allowed.
            let code = unsafe { symbols.VixDiskLib_InitEx(6, 5, log, log, log, null, null) };
            assert_eq!(code, 0);
            let mut connection = std::ptr::null_mut();
            let code = site.params().lend(|params| {
                // SAFETY: null or valid pointers.
                unsafe { symbols.VixDiskLib_ConnectEx(params, 1, null, null, &raw mut connection) }
            });
            assert_eq!(code, 0);
            // SAFETY: no other call runs on it.
            assert_eq!(unsafe { symbols.VixDiskLib_Disconnect(connection) }, 0);
            // SAFETY: needs nothing.
            let modes = unsafe { symbols.VixDiskLib_ListTransportModes() }.unwrap();
            // SAFETY: never null, static.
            assert!(!unsafe { CStr::from_ptr(modes) }.is_empty());
            // SAFETY: no other call runs.
            unsafe { symbols.VixDiskLib_Exit() };
            let calls = symbols.calls();
            let of = |name| {
                calls
                    .iter()
                    .find(|(symbol, _)| symbol.name == name)
                    .unwrap()
                    .1
            };
            assert_eq!(of("VixDiskLib_InitEx"), 1);
            assert_eq!(of("VixDiskLib_ListTransportModes"), 1);
            assert_eq!(calls.iter().map(|(_, count)| count).sum::<u64>(), 5);
            drop(library);

            assert_eq!(site.journal("VixDiskLib_InitEx").len(), 1);
            assert_eq!(site.journal("VixDiskLib_Disconnect").len(), 1);
            assert_eq!(log_lines("lab: ").len(), 1);
        },
    );
}
