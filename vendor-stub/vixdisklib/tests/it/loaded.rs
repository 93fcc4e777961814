//! The shared library as a program loads it.

use std::ffi::CStr;
use std::path::PathBuf;

use crate::harness::*;

/// The library that Cargo built beside this test.
pub(crate) fn built() -> PathBuf {
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

fn has(library: &vddk_sys::Loaded, name: &str) -> bool {
    let found = library.symbols().found();
    found
        .iter()
        .any(|(symbol, found)| symbol.name == name && *found)
}

unsafe extern "C" {
    /// The C library's: how much of a block there is to use.
    fn malloc_usable_size(block: *const std::ffi::c_void) -> usize;
}

/// The sector sizes that `GetInfo` of a kit's library puts behind the 56 bytes of old, where its
/// object is longer than those.
fn info_tail(symbols: &vddk_sys::Symbols) -> Option<[u32; 2]> {
    let (null, mut connection) = (std::ptr::null(), std::ptr::null_mut());
    // SAFETY: null or valid pointers.
    let code = unsafe { symbols.VixDiskLib_InitEx(6, 5, None, None, None, null, null) };
    assert_eq!(code, 0);
    // SAFETY: null or valid pointers.
    let code =
        unsafe { symbols.VixDiskLib_ConnectEx(null.cast(), 1, null, null, &raw mut connection) };
    assert_eq!(code, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.vmdk");
    drop(vmdk::create_monolithic_sparse(&path, &vmdk::CreateOptions::new(128)).unwrap());
    let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let mut disk = std::ptr::null_mut();
    // SAFETY: valid pointers.
    let code =
        unsafe { symbols.VixDiskLib_Open(connection, path.as_ptr(), READ_ONLY, &raw mut disk) };
    assert_eq!(code, 0);
    let mut info = std::ptr::null_mut();
    // SAFETY: a valid handle and pointer.
    let code = unsafe { symbols.VixDiskLib_GetInfo(disk, &raw mut info) };
    assert_eq!(code, 0);
    // SAFETY: the stand-in's objects are blocks of the C library's allocator.
    let has_tail = unsafe { malloc_usable_size(info.cast()) } >= 64;
    let tail = info.cast::<[u32; 2]>().wrapping_add(7);
    // SAFETY: bytes 56 to 63 of an object that is at least 64 long.
    let tail = has_tail.then(|| unsafe { tail.read() });
    // SAFETY: not used any more.
    unsafe { symbols.VixDiskLib_FreeInfo(info) };
    // SAFETY: no other call runs.
    unsafe { symbols.VixDiskLib_Exit() };
    tail
}

#[test]
fn a_kit_of_release_6_answers_as_that_release() {
    in_own_process("loaded::a_kit_of_release_6_answers_as_that_release", || {
        let site = Site::new();
        let spec = lab::KitSpec::release_6_5();
        let kit = site.lab.install_kit_as(&built(), &spec).unwrap();
        let file = kit.join("lib64/libvixDiskLib.so.6");
        assert_eq!(lab::library_major(&file).unwrap(), Some(6));
        let library = vddk_sys::load(Some(&kit)).unwrap();
        assert_eq!(library.major(), Some(6));
        let symbols = library.symbols();
        let missing: Vec<_> = symbols
            .found()
            .iter()
            .filter(|(_, found)| !found)
            .map(|(symbol, _)| symbol.name)
            .collect();
        let mut hidden = spec.hidden.clone();
        hidden.sort();
        let mut sorted: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
        sorted.sort();
        assert_eq!(sorted, hidden, "the loader misses exactly what was hidden");
        assert_eq!(info_tail(symbols), None, "56 bytes and no more");
    });
}

#[test]
fn kits_of_every_interface_number_load() {
    in_own_process("loaded::kits_of_every_interface_number_load", || {
        let site = Site::new();
        for major in [6, 7, 8, 9] {
            let spec = lab::KitSpec {
                major,
                hidden: vec!["VixDiskLib_Cleanup".into()],
            };
            let kit = site.folder.path().join(format!("kit-{major}"));
            site.lab.install_kit_in(&built(), &spec, &kit).unwrap();
            let library = vddk_sys::load(Some(&kit)).unwrap();
            assert_eq!(library.major(), Some(major));
            assert!(!has(&library, "VixDiskLib_Cleanup"));
            assert!(has(&library, "VixDiskLib_Connect"));
            if major == 9 {
                assert_eq!(info_tail(library.symbols()), Some([512, 512]));
            }
        }
        let spec = lab::KitSpec {
            major: 8,
            hidden: vec!["VixDiskLib_Nothing".into()],
        };
        let refused = site.lab.install_kit_as(&built(), &spec).unwrap_err();
        assert!(
            refused.to_string().contains("VixDiskLib_Nothing"),
            "{refused}"
        );
        let spec = lab::KitSpec { major: 5, ..spec };
        site.lab.install_kit_as(&built(), &spec).unwrap_err();
    });
}

#[test]
fn a_library_is_known_by_its_soname_whatever_its_file_is_called() {
    in_own_process(
        "loaded::a_library_is_known_by_its_soname_whatever_its_file_is_called",
        || {
            let site = Site::new();
            let spec = lab::KitSpec {
                major: 7,
                hidden: vec!["VixDiskLib_Cleanup".into()],
            };
            let kit = site.lab.install_kit_as(&built(), &spec).unwrap();
            let folder = site.folder.path().canonicalize().unwrap();
            let (copy, link) = (folder.join("copy.so"), folder.join("libvixDiskLib.so.9"));
            std::fs::copy(kit.join("lib64/libvixDiskLib.so.7"), &copy).unwrap();
            std::os::unix::fs::symlink(&copy, &link).unwrap();
            for file in [&copy, &link, &folder] {
                let report = vddk_sys::load(Some(file)).unwrap().report();
                assert_eq!(report.library, copy, "links are resolved");
                assert_eq!(report.soname.as_deref(), Some("libvixDiskLib.so.7"));
                assert_eq!((report.interface, &report.libdir), (Some(7), &folder));
                let missing: Vec<_> = report.missing().map(|symbol| symbol.name).collect();
                assert_eq!(missing, spec.hidden);
                let text = report.to_string();
                assert!(
                    text.contains("\nVixDiskLib_Cleanup=0 since=1.1 optional\n"),
                    "{text}"
                );
            }
        },
    );
}
