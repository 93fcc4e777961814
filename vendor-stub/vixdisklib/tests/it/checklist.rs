//! "VDDK API reference", 10.5: a test for each of its fifteen points, in its order and by its number.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Mutex;

use vddk_sys::{VixDiskLibConnectParams, VixDiskLibHandle};
use vixDiskLib::*;

use crate::harness::*;
use crate::loaded::built;
use crate::local_disk;
use crate::queries::{allocated, sized};

/// A folder with a kit of a release in it.
fn kit(site: &Site, name: &str, major: u32) -> std::path::PathBuf {
    let kit = site.folder.path().join(name);
    let hidden = Vec::new();
    let spec = lab::KitSpec { major, hidden };
    site.lab.install_kit_in(&built(), &spec, &kit).unwrap();
    kit
}

#[test]
fn item_01_the_library_is_found_by_file_name_and_soname() {
    in_own_process(
        "checklist::item_01_the_library_is_found_by_file_name_and_soname",
        || {
            let site = Site::new();
            for major in [6, 7, 8, 9] {
                let kit = kit(&site, &format!("kit-{major}"), major);
                let name = format!("libvixDiskLib.so.{major}");
                let file = kit.join("lib64").join(&name);
                assert_eq!(lab::library_major(&file).unwrap(), Some(major));
                let flat = site.folder.path().join(format!("flat-{major}"));
                std::fs::create_dir(&flat).unwrap();
                std::fs::copy(&file, flat.join(&name)).unwrap();
                for place in [&kit, &flat] {
                    // The loader asks for C names, which a hidden symbol would not answer.
                    let library = vddk_sys::load(Some(place)).unwrap();
                    assert_eq!(library.major(), Some(major));
                }
            }
        },
    );
}

#[test]
fn item_02_all_43_functions_are_exported_and_what_is_not_supported_answers_6() {
    in_own_process(
        "checklist::item_02_all_43_functions_are_exported_and_what_is_not_supported_answers_6",
        || {
            let site = Site::new();
            let library = vddk_sys::load(Some(&kit(&site, "kit", 8))).unwrap();
            let found = library.symbols().found();
            assert_eq!(found.len(), 43);
            assert!(found.iter().all(|(_, found)| *found), "{found:?}");
            // No function is left out any more; an interface that is not offered still is.
            assert_eq!(init((9, 1), None), 6);
        },
    );
}

#[test]
fn item_03_four_functions_work_before_the_start_and_cleanup_survives_null() {
    in_own_process(
        "checklist::item_03_four_functions_work_before_the_start_and_cleanup_survives_null",
        || {
            // SAFETY: needs nothing.
            let params = unsafe { VixDiskLib_AllocateConnectParams() };
            assert!(!params.is_null());
            // SAFETY: needs nothing.
            let text = unsafe { VixDiskLib_GetErrorText(16001, null()) };
            assert!(!text.is_null());
            // SAFETY: not null, so a string until it is freed.
            assert!(!unsafe { CStr::from_ptr(text) }.is_empty());
            // SAFETY: nobody uses it any more.
            unsafe { VixDiskLib_FreeErrorText(text) };
            // SAFETY: valid parameters and null counters.
            let code = unsafe { VixDiskLib_Cleanup(params, null_mut(), null_mut()) };
            assert_eq!(code, 0);
            let (mut cleaned, mut remaining) = (1, 1);
            let (cleaned_at, remaining_at) = (&raw mut cleaned, &raw mut remaining);
            // SAFETY: null parameters, and counters that can be written.
            let code = unsafe { VixDiskLib_Cleanup(null(), cleaned_at, remaining_at) };
            assert!(code == 0 || code == 3, "an error or 0, no crash: {code}");
            // SAFETY: nobody uses them any more.
            unsafe { VixDiskLib_FreeConnectParams(params) };
        },
    );
}

#[test]
fn item_04_parameters_are_128_zeroed_bytes_and_strings_stay_the_callers() {
    // SAFETY: needs nothing.
    let params = unsafe { VixDiskLib_AllocateConnectParams() };
    // SAFETY: the object has 128 bytes.
    let bytes = unsafe { std::slice::from_raw_parts(params.cast::<u8>(), 128) };
    assert_eq!(
        (bytes, size_of::<VixDiskLibConnectParams>()),
        ([0; 128].as_slice(), 128)
    );
    let mut server = *b"server\0";
    // SAFETY: the object is ours to fill.
    unsafe { (*params).serverName = server.as_mut_ptr().cast::<c_char>() };
    // SAFETY: nobody uses it any more. Freeing the text on our stack would abort.
    unsafe { VixDiskLib_FreeConnectParams(params) };
    assert_eq!(&server, b"server\0");
}

#[test]
fn item_05_interfaces_from_5_0_to_9_0_start_without_log_functions_and_configuration() {
    in_own_process(
        "checklist::item_05_interfaces_from_5_0_to_9_0_start_without_log_functions_and_configuration",
        || {
            let site = Site::new();
            let versions = [
                (5, 0),
                (5, 5),
                (6, 0),
                (6, 5),
                (6, 7),
                (7, 0),
                (8, 0),
                (9, 0),
            ];
            for (major, minor) in versions {
                // Each copy of the file is a library of its own, which can be started once.
                let library = kit(&site, &format!("kit-{major}-{minor}"), 8);
                let library = vddk_sys::load(Some(&library)).unwrap();
                let (symbols, null) = (library.symbols(), null());
                // SAFETY: null functions and strings are allowed.
                let code = unsafe {
                    symbols.VixDiskLib_InitEx(major, minor, None, None, None, null, null)
                };
                assert_eq!(code, 0, "{major}.{minor}");
                // SAFETY: no other call runs.
                unsafe { symbols.VixDiskLib_Exit() };
            }
        },
    );
}

#[test]
fn item_06_connecting_copies_all_strings_and_takes_null_and_zeroed_ones() {
    in_own_process(
        "checklist::item_06_connecting_copies_all_strings_and_takes_null_and_zeroed_ones",
        || {
            let site = Site::new();
            site.init("");
            for snapshot in [None, Some("")] {
                assert!(connect(&site.params(), true, snapshot, None).is_ok());
            }
            // The strings are overwritten when `connect` returns; `Open` needs what was in them.
            let (_, disk) = site.open_frozen();
            assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
            // SAFETY: needs nothing.
            let zeroed = unsafe { VixDiskLib_AllocateConnectParams() };
            assert!(connect_raw(zeroed, true, None, None).is_ok());
            // SAFETY: nobody uses them any more.
            unsafe { VixDiskLib_FreeConnectParams(zeroed) };
            exit();
        },
    );
}

#[test]
fn item_07_a_wrong_thumbprint_shows_at_open_and_a_bad_login_when_connecting() {
    in_own_process(
        "checklist::item_07_a_wrong_thumbprint_shows_at_open_and_a_bad_login_when_connecting",
        || {
            let site = Site::new();
            site.init("");
            let params = Params {
                thumbprint: Some(["00"; 20].join(":")),
                ..site.params()
            };
            let snapshot = Some(site.snapshot.moref.as_str());
            let connection = connect(&params, true, snapshot, None).unwrap();
            assert_eq!(open(connection, site.frozen(), READ_ONLY), Err(1));
            let params = Params {
                password: Some("wrong".into()),
                ..site.params()
            };
            assert_eq!(connect(&params, true, snapshot, None), Err(35));
            exit();
        },
    );
}

#[test]
fn item_08_transports_are_static_texts_and_never_null() {
    in_own_process(
        "checklist::item_08_transports_are_static_texts_and_never_null",
        || {
            let site = Site::new();
            site.init("");
            let (_, disk) = site.open_frozen();
            let mode = |disk: VixDiskLibHandle| {
                // SAFETY: a handle or anything else.
                unsafe { VixDiskLib_GetTransportMode(disk) }
            };
            assert!(!mode(null_mut()).is_null());
            let chosen = mode(disk);
            assert_eq!((chosen.is_null(), chosen), (false, mode(disk)));
            // SAFETY: needs nothing.
            let lists = [unsafe { VixDiskLib_ListTransportModes() }, {
                // SAFETY: needs nothing.
                unsafe { VixDiskLib_ListTransportModes() }
            }];
            assert_eq!((lists[0].is_null(), lists[0]), (false, lists[1]));
            assert_eq!(close(disk), 0);
            exit();
            // SAFETY: not null, and static: the disk is closed and the library ended.
            assert_eq!(unsafe { CStr::from_ptr(chosen) }, c"nbdssl");
        },
    );
}

#[test]
fn item_09_info_has_sector_sizes_and_outlives_disk_and_connection() {
    in_own_process(
        "checklist::item_09_info_has_sector_sizes_and_outlives_disk_and_connection",
        || {
            let site = Site::new();
            site.init("");
            let (connection, disk) = site.open_frozen();
            let mut info = null_mut();
            // SAFETY: the out pointer is writable.
            assert_eq!(unsafe { VixDiskLib_GetInfo(disk, &raw mut info) }, 0);
            assert_eq!((close(disk), disconnect(connection)), (0, 0));
            assert_eq!(size_of::<vddk_sys::VixDiskLibInfo>(), 64);
            // SAFETY: the object lives until it is freed.
            let facts = unsafe { *info };
            assert_eq!(facts.capacity, CAPACITY_SECTORS);
            assert_eq!(
                (facts.logicalSectorSize, facts.physicalSectorSize),
                (512, 512)
            );
            // SAFETY: nobody uses it any more.
            unsafe { VixDiskLib_FreeInfo(info) };
            exit();
        },
    );
}

/// The codes that completions brought, in their order.
static COMPLETED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

unsafe extern "C" fn completed(_data: *mut c_void, code: u64) {
    COMPLETED.lock().unwrap().push(code);
}

fn completions() -> usize {
    COMPLETED.lock().unwrap().len()
}

/// `ReadAsync` of one sector.
fn ask(disk: VixDiskLibHandle, sector: u64, buffer: &mut [u8; 512]) -> u64 {
    // SAFETY: the tests keep their buffers until `Wait` or `Close`.
    unsafe {
        VixDiskLib_ReadAsync(
            disk,
            sector,
            1,
            buffer.as_mut_ptr(),
            Some(completed),
            null_mut(),
        )
    }
}

/// A request that is accepted is completed once, one that is refused never.
fn accepted_or_refused(settings: &str, inline: bool) {
    let site = Site::new();
    site.init(settings);
    let (_, disk) = site.open_frozen();
    let mut buffer = [0; 512];
    assert_eq!(ask(disk, 256, &mut buffer), 25000);
    assert!(!inline || completions() == 1, "inside the call");
    assert_eq!(wait(disk), 0);
    assert_eq!((completions(), buffer), (1, [0x11; 512]));
    assert_eq!(ask(disk, CAPACITY_SECTORS, &mut buffer), 16007);
    assert_eq!(ask(null_mut(), 0, &mut buffer), 1000);
    assert_eq!(wait(disk), 0);
    assert_eq!(completions(), 1, "a refused request is not completed");
    exit();
}

#[test]
fn item_10_a_request_that_is_completed_inside_the_call_answers_25000() {
    in_own_process(
        "checklist::item_10_a_request_that_is_completed_inside_the_call_answers_25000",
        || accepted_or_refused("async = 'inline'", true),
    );
}

#[test]
fn item_10_a_request_that_is_completed_later_answers_25000() {
    in_own_process(
        "checklist::item_10_a_request_that_is_completed_later_answers_25000",
        || accepted_or_refused("async = 'thread'", false),
    );
}

#[test]
fn item_11_wait_and_close_return_after_all_completions() {
    in_own_process(
        "checklist::item_11_wait_and_close_return_after_all_completions",
        || {
            let site = Site::new();
            site.init("async = 'shuffled'");
            let (_, disk) = site.open_frozen();
            let mut buffers = vec![[0; 512]; 50];
            for (sector, buffer) in (0..).zip(&mut buffers) {
                assert_eq!(ask(disk, sector, buffer), 25000);
            }
            assert_eq!((wait(disk), completions()), (0, 50));
            for (sector, buffer) in (0..).zip(&mut buffers) {
                assert_eq!(ask(disk, sector, buffer), 25000);
            }
            assert_eq!((close(disk), completions()), (0, 100));
            exit();
        },
    );
}

#[test]
fn item_12_allocated_blocks_keep_their_rules() {
    in_own_process(
        "checklist::item_12_allocated_blocks_keep_their_rules",
        || {
            let site = Site::new();
            site.init("");
            let (_, disk) = site.open_frozen();
            for (start, sectors, chunk) in [
                (1, 128, 128),
                (0, 129, 128),
                (0, 64, 64),
                (0, 128 * 524_289, 128),
                (0, 2048 + 128, 128),
            ] {
                assert_eq!(
                    allocated(disk, start, sectors, chunk),
                    Err(3),
                    "{start} {sectors} {chunk}"
                );
            }
            assert_eq!(allocated(disk, 0, 2048, 128), Ok(vec![(256, 128)]));
            assert_eq!(allocated(disk, 256, 128, 128), Ok(vec![(256, 128)]));
            assert_eq!(
                allocated(disk, 0, 128, 128),
                Ok(vec![]),
                "an object without blocks"
            );
            exit();
            // Neighbours are one run, and runs come in order: a disk with written grains 1, 2 and 5.
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.vmdk");
            let options = vmdk::CreateOptions::new(1024);
            let mut disk = vmdk::create_monolithic_sparse(&path, &options).unwrap();
            for grain in [5, 2, 1] {
                disk.write_at(grain * 128, &[1; 512]).unwrap();
            }
            let runs = disk.allocated(0, 1024).unwrap();
            let runs: Vec<(u64, u64)> = runs
                .iter()
                .map(|run| (run.start_sector, run.sectors))
                .collect();
            assert_eq!(runs, [(128, 256), (640, 128)]);
        },
    );
}

#[test]
fn item_13_metadata_are_sized_first_and_unknown_keys_are_16052() {
    in_own_process(
        "checklist::item_13_metadata_are_sized_first_and_unknown_keys_are_16052",
        || {
            let site = Site::new();
            site.init("");
            let (_, disk) = site.open_frozen();
            // `sized` asks for the size with null, then copies without `requiredLen`.
            let keys = sized(|buffer, length, needed| {
                // SAFETY: the buffer has the length given.
                unsafe { VixDiskLib_GetMetadataKeys(disk, buffer, length, needed) }
            });
            assert!(keys.unwrap().ends_with(&[0, 0]));
            let value = |key: &str| {
                let key = CString::new(key).unwrap();
                sized(|buffer, length, needed| {
                    // SAFETY: the key is valid, the buffer has the length given.
                    unsafe { VixDiskLib_ReadMetadata(disk, key.as_ptr(), buffer, length, needed) }
                })
            };
            assert_eq!(value("adapterType").unwrap(), b"lsilogic\0");
            assert_eq!(value("no such key"), Err(16052));
            exit();
        },
    );
}

#[test]
fn item_14_past_the_end_is_16007_and_writing_to_what_is_read_only_is_11() {
    in_own_process(
        "checklist::item_14_past_the_end_is_16007_and_writing_to_what_is_read_only_is_11",
        || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.vmdk");
            assert_eq!(init((6, 5), None), 0);
            let connection = connect_local(false);
            assert_eq!(
                local_disk::create(connection, &path, &local_disk::spec(1, 100)),
                0
            );
            let codes = |connection, flags| {
                let disk = open_file(connection, &path, flags).unwrap();
                let codes = (
                    read(disk, 99, 2).map(|_| ()),
                    write(disk, 99, &[0; 1024]),
                    write(disk, 99, &[0; 512]),
                );
                assert_eq!(close(disk), 0);
                codes
            };
            assert_eq!(codes(connection, 0), (Err(16007), 16007, 0));
            assert_eq!(codes(connection, READ_ONLY), (Err(16007), 11, 11));
            assert_eq!(codes(connect_local(true), 0), (Err(16007), 11, 11));
            exit();
        },
    );
}

#[test]
fn item_15_log_lines_end_in_a_newline_and_carry_their_arguments() {
    in_own_process(
        "checklist::item_15_log_lines_end_in_a_newline_and_carry_their_arguments",
        || {
            let site = Site::new();
            site.init("");
            let (_, disk) = site.open_frozen();
            read(disk, 0, 3).unwrap();
            assert_eq!(close(disk), 0);
            assert_eq!(
                open_file(connect_local(true), Path::new("/no/such"), READ_ONLY),
                Err(4)
            );
            exit();
            // Texts, whole numbers and a float went through the caller's `vsnprintf`.
            let closed = log_lines("closed ");
            assert!(closed[0].contains(site.frozen()), "{closed:?}");
            assert!(
                closed[0].contains("1 requests, 1536 bytes; open for 0."),
                "{closed:?}"
            );
            let failed = log_lines("(error 4)");
            assert!(failed[0].contains("VixDiskLib_Open: "), "{failed:?}");
            assert!(log_lines("").len() >= 4, "every line ends in a newline");
        },
    );
}
