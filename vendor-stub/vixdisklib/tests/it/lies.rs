//! Faults that lie, lose the link, hang, crash or fill the storage.

use std::ffi::CStr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::ptr::null_mut;
use std::thread;
use std::time::Duration;

use lab::{BlocksLie, Crash, Fault, TextLie};
use vddk_sys::{VixDiskLibBlockList, VixDiskLibHandle};
use vixDiskLib::*;

use crate::harness::*;

fn fault(call: &str) -> Fault {
    Fault {
        call: format!("VixDiskLib_{call}"),
        count: Some(0),
        ..Fault::default()
    }
}

/// Code and number of blocks of a query of the first 16 chunks; `None` for a null list.
fn blocks(disk: VixDiskLibHandle) -> (u64, Option<u32>) {
    let mut list: *mut VixDiskLibBlockList = null_mut();
    // SAFETY: the out pointer is writable.
    let code = unsafe { VixDiskLib_QueryAllocatedBlocks(disk, 0, 2048, 128, &raw mut list) };
    if list.is_null() {
        return (code, None);
    }
    // SAFETY: the list is valid until it is freed.
    let count = unsafe { (*list).numBlocks };
    // SAFETY: nobody uses the list any more.
    assert_eq!(unsafe { VixDiskLib_FreeBlockList(list) }, 0);
    (code, Some(count))
}

#[test]
fn blocks_and_texts_lie_as_told() {
    in_own_process("lies::blocks_and_texts_lie_as_told", || {
        let site = Site::new();
        site.init("");
        let (_, disk) = site.open_frozen();
        assert_eq!(blocks(disk), (0, Some(1)));
        for (lie, told) in [
            (BlocksLie::Outside, Some(2)),
            (BlocksLie::Missing, Some(0)),
            (BlocksLie::TooMany, Some(17)),
            (BlocksLie::AbsurdCount, Some(u32::MAX)),
            (BlocksLie::Null, None),
        ] {
            let lying = Fault {
                blocks: Some(lie),
                ..fault("QueryAllocatedBlocks")
            };
            site.lab.set_faults(&[lying]).unwrap();
            assert_eq!(blocks(disk), (0, told), "{lie:?}");
        }
        for text in [TextLie::Null, TextLie::NotUtf8] {
            let lying = ["GetTransportMode", "GetErrorText", "GetInfo"].map(|call| Fault {
                text: Some(text),
                ..fault(call)
            });
            site.lab.set_faults(&lying).unwrap();
            // SAFETY: a handle.
            let mode = unsafe { VixDiskLib_GetTransportMode(disk) };
            // SAFETY: needs nothing.
            let words = unsafe { VixDiskLib_GetErrorText(1, std::ptr::null()) };
            assert_eq!(mode.is_null(), text == TextLie::Null);
            assert_eq!(words.is_null(), text == TextLie::Null);
            if !words.is_null() {
                // SAFETY: a text of the library.
                assert!(unsafe { CStr::from_ptr(words) }.to_str().is_err());
            }
            // SAFETY: null or a text of the library.
            unsafe { VixDiskLib_FreeErrorText(words) };
            let mut info = null_mut();
            // SAFETY: a handle and a writable pointer.
            assert_eq!(unsafe { VixDiskLib_GetInfo(disk, &raw mut info) }, 0);
            // SAFETY: the object is valid until it is freed.
            assert_eq!(unsafe { (*info).uuid }.is_null(), text == TextLie::Null);
            // SAFETY: not used any more.
            unsafe { VixDiskLib_FreeInfo(info) };
        }
        let lying = Fault {
            required_bytes: Some(1 << 60),
            ..fault("GetMetadataKeys")
        };
        site.lab.set_faults(&[lying]).unwrap();
        let mut needed = 0;
        // SAFETY: null with length 0 asks for the size.
        let code = unsafe { VixDiskLib_GetMetadataKeys(disk, null_mut(), 0, &raw mut needed) };
        assert_eq!((code, needed), (24, 1 << 60));
        let nothing = Fault {
            code: Some(0),
            ..fault("GetInfo")
        };
        site.lab.set_faults(&[nothing]).unwrap();
        let mut info = null_mut();
        // SAFETY: a handle and a writable pointer.
        assert_eq!(unsafe { VixDiskLib_GetInfo(disk, &raw mut info) }, 0);
        assert!(info.is_null(), "success without work");
        exit();
    });
}

#[test]
fn a_lost_link_fails_every_call_until_the_disk_is_opened_anew() {
    let name = "lies::a_lost_link_fails_every_call_until_the_disk_is_opened_anew";
    in_own_process(name, || {
        let site = Site::new();
        let lost = Fault {
            nth: Some(2),
            count: None,
            lose_link: Some(true),
            ..fault("Read")
        };
        site.lab.set_faults(&[lost]).unwrap();
        site.init("");
        let (connection, disk) = site.open_frozen();
        assert!(read(disk, 0, 1).is_ok());
        assert_eq!(read(disk, 0, 1), Err(14011));
        assert_eq!(read(disk, 0, 1), Err(14011));
        assert_eq!(blocks(disk).0, 14011);
        assert_eq!(wait(disk), 14011);
        let journal = site.journal("VixDiskLib_Read");
        assert_eq!(journal[0].args["start_sector"], 0, "noted in spite of it");
        assert_eq!(close(disk), 0);
        let disk = open(connection, site.frozen(), READ_ONLY).unwrap();
        assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
        exit();
    });
}

#[test]
fn a_call_that_hangs_goes_on_when_its_fault_is_gone() {
    in_own_process(
        "lies::a_call_that_hangs_goes_on_when_its_fault_is_gone",
        || {
            let site = Site::new();
            let hanging = Fault {
                hang_until_ms: Some(u64::MAX),
                ..fault("Read")
            };
            site.lab.set_faults(&[hanging]).unwrap();
            site.init("");
            let (_, disk) = site.open_frozen();
            let (begun, begins) = std::sync::mpsc::channel();
            let handle = disk.addr();
            let reader = thread::spawn(move || {
                let disk: VixDiskLibHandle = std::ptr::without_provenance_mut(handle);
                begun.send(()).unwrap();
                read(disk, 0, 1)
            });
            begins.recv().unwrap();
            // Long enough to see that it hangs; it would end in microseconds.
            thread::sleep(Duration::from_millis(50));
            assert!(!reader.is_finished());
            site.lab.set_faults(&[]).unwrap();
            assert!(reader.join().unwrap().is_ok());
            exit();
        },
    );
}

#[test]
fn a_full_storage_takes_half_of_a_write() {
    in_own_process("lies::a_full_storage_takes_half_of_a_write", || {
        let site = Site::new();
        let full = Fault {
            disk_full: Some(true),
            count: None,
            ..fault("Write")
        };
        site.lab.set_faults(&[full]).unwrap();
        site.init("");
        let path = site.folder.path().join("disk.vmdk");
        drop(vmdk::create_monolithic_sparse(&path, &vmdk::CreateOptions::new(256)).unwrap());
        let connection = connect_local(false);
        let disk = open_file(connection, &path, 0).unwrap();
        assert_eq!(write(disk, 0, &[7; 2048]), 8);
        let data = read(disk, 0, 4).unwrap();
        assert_eq!((data[1023], data[1024]), (7, 0));
        assert_eq!(write(disk, 0, &[7; 2048]), 0);
        exit();
    });
}

#[test]
fn a_crash_ends_the_process_and_stands_in_the_journal() {
    // The child knows nothing of this lab but its place.
    if let Some(root) = std::env::var_os("CRASH_TEST_LAB") {
        // SAFETY: no strings, no functions.
        let code = unsafe {
            VixDiskLib_InitEx(6, 5, None, None, None, std::ptr::null(), std::ptr::null())
        };
        panic!("{code}, {}", root.display());
    }
    for (crash, signal, after) in [
        (Crash::Segv, 11, false),
        (Crash::Abort, 6, false),
        (Crash::Kill, 9, false),
        (Crash::Kill, 9, true),
    ] {
        let site = Site::new();
        let crashing = Fault {
            crash: Some(crash),
            after: Some(after),
            ..fault("InitEx")
        };
        site.lab.set_faults(&[crashing]).unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "lies::a_crash_ends_the_process_and_stands_in_the_journal",
            ])
            .env("VDDK_STANDIN_LAB", site.lab.root())
            .env("CRASH_TEST_LAB", site.lab.root())
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal(), Some(signal), "{crash:?}");
        let line = &site.journal("VixDiskLib_InitEx")[0];
        assert_eq!(line.result["crash"].is_string(), !after, "{line:?}");
        assert_eq!(line.result["code"].is_number(), after, "{line:?}");
    }
}
