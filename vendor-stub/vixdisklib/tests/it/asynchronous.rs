//! Asynchronous requests, in the three orders.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use lab::Fault;
use vddk_sys::VixDiskLibHandle;
use vixDiskLib::*;

use crate::harness::*;

/// What a callback was told: which request, the code, on which thread, and what calls it got.
#[derive(Debug)]
struct Told {
    request: usize,
    code: u64,
    thread: ThreadId,
    from_inside: (u64, u64),
}

static TOLD: Mutex<Vec<Told>> = Mutex::new(Vec::new());
static HANDLE: Mutex<usize> = Mutex::new(0);

unsafe extern "C" fn done(data: *mut c_void, code: u64) {
    let handle: VixDiskLibHandle = std::ptr::without_provenance_mut(*HANDLE.lock().unwrap());
    let from_inside = (wait(handle), close(handle));
    TOLD.lock().unwrap().push(Told {
        request: data.addr(),
        code,
        thread: thread::current().id(),
        from_inside,
    });
}

fn read_async(disk: VixDiskLibHandle, sector: u64, buffer: &mut [u8], request: usize) -> u64 {
    *HANDLE.lock().unwrap() = disk.addr();
    let data = std::ptr::without_provenance_mut(request);
    let sectors = buffer.len() as u64 / 512;
    // SAFETY: the tests keep their buffers until `Wait` or `Close`.
    unsafe { VixDiskLib_ReadAsync(disk, sector, sectors, buffer.as_mut_ptr(), Some(done), data) }
}

/// Reads 40 pieces asynchronously and checks the data, the callbacks and the journal.
fn read_pieces(settings: &str, inline: bool, closing: bool) -> Vec<usize> {
    let site = Site::new();
    site.init(settings);
    let (_, disk) = site.open_frozen();
    let mut buffers = vec![vec![0xEE_u8; 51 * 512]; 40];
    for (at, buffer) in buffers.iter_mut().enumerate() {
        assert_eq!(read_async(disk, at as u64 * 51, buffer, at), 25000);
        assert!(!inline || TOLD.lock().unwrap().len() == at + 1, "inline");
    }
    assert_eq!(if closing { close(disk) } else { wait(disk) }, 0);
    let told = std::mem::take(&mut *TOLD.lock().unwrap());
    assert_eq!(told.len(), 40, "every request, once");
    assert!(told.iter().all(|told| told.code == 0), "{told:?}");
    assert!(
        told.iter().all(|told| told.from_inside == (31, 31)),
        "{told:?}"
    );
    let mine = thread::current().id();
    assert!(told.iter().all(|told| (told.thread == mine) == inline));
    for (at, buffer) in buffers.iter().enumerate() {
        for (sector, data) in (at as u64 * 51..).zip(buffer.chunks(512)) {
            let byte = if sector == 256 { 0x11 } else { 0 };
            assert_eq!(data, [byte; 512], "sector {sector}");
        }
    }
    let sums = site.journal("VixDiskLib_ReadAsync");
    assert_eq!(sums.len(), 1);
    assert_eq!(sums[0].args["bytes"], 40 * 51 * 512);
    exit();
    told.iter().map(|told| told.request).collect()
}

#[test]
fn requests_complete_in_order_on_a_thread_of_the_disk() {
    in_own_process(
        "asynchronous::requests_complete_in_order_on_a_thread_of_the_disk",
        || {
            assert!(read_pieces("", false, false).is_sorted());
        },
    );
}

#[test]
fn closing_waits_for_requests() {
    in_own_process("asynchronous::closing_waits_for_requests", || {
        assert!(read_pieces("async = 'thread'", false, true).is_sorted());
    });
}

#[test]
fn requests_complete_inline_where_asked() {
    in_own_process("asynchronous::requests_complete_inline_where_asked", || {
        assert!(read_pieces("async = 'inline'", true, false).is_sorted());
    });
}

/// Asks for a sector more from inside, then waits, which it must not.
unsafe extern "C" fn asks_for_more(data: *mut c_void, code: u64) {
    let handle: VixDiskLibHandle = std::ptr::without_provenance_mut(*HANDLE.lock().unwrap());
    // Inline: the sector is there when the call returns.
    let mut sector = [0_u8; 512];
    let more = read_async(handle, 0, &mut sector, 1);
    TOLD.lock().unwrap().push(Told {
        request: data.addr(),
        code,
        thread: thread::current().id(),
        from_inside: (more, wait(handle)),
    });
}

#[test]
fn a_callback_inside_a_callback_does_not_end_the_outer_one() {
    let name = "asynchronous::a_callback_inside_a_callback_does_not_end_the_outer_one";
    in_own_process(name, || {
        let site = Site::new();
        site.init("async = 'inline'");
        let (_, disk) = site.open_frozen();
        *HANDLE.lock().unwrap() = disk.addr();
        let mut sector = [0_u8; 512];
        let (buffer, data) = (sector.as_mut_ptr(), std::ptr::without_provenance_mut(7));
        // SAFETY: the request is done inside the call, while the buffer lives.
        let code = unsafe { VixDiskLib_ReadAsync(disk, 0, 1, buffer, Some(asks_for_more), data) };
        assert_eq!(code, 25000);
        let told = std::mem::take(&mut *TOLD.lock().unwrap());
        let told: Vec<_> = told
            .iter()
            .map(|told| (told.request, told.from_inside))
            .collect();
        assert_eq!(told, [(1, (31, 31)), (7, (25000, 31))]);
        assert_eq!(wait(disk), 0);
        exit();
    });
}

#[test]
fn requests_complete_shuffled_where_asked() {
    in_own_process(
        "asynchronous::requests_complete_shuffled_where_asked",
        || {
            let order = read_pieces("async = 'shuffled'", false, false);
            assert!(!order.is_sorted(), "{order:?}");
        },
    );
}

#[test]
fn a_refused_request_has_no_callback() {
    in_own_process("asynchronous::a_refused_request_has_no_callback", || {
        let site = Site::new();
        site.init("journal_reads = true");
        let (_, disk) = site.open_frozen();
        let mut buffer = [0; 512];
        assert_eq!(read_async(disk, CAPACITY_SECTORS, &mut buffer, 1), 16007);
        assert_eq!(read_async(null_mut(), 0, &mut buffer, 1), 1000);
        // SAFETY: null is refused.
        let code = unsafe { VixDiskLib_ReadAsync(disk, 0, 1, null_mut(), Some(done), null_mut()) };
        assert_eq!(code, 3);
        let place = buffer.as_mut_ptr();
        // SAFETY: a null callback is refused.
        let code = unsafe { VixDiskLib_ReadAsync(disk, 0, 1, place, None, null_mut()) };
        assert_eq!(code, 3);
        // SAFETY: refused, since the disk is read-only.
        let code = unsafe { VixDiskLib_WriteAsync(disk, 0, 1, place, Some(done), null_mut()) };
        assert_eq!(code, 11);
        assert_eq!(read(disk, 0, 1), Err(26000), "mixed");
        assert_eq!(wait(disk), 0);
        assert!(TOLD.lock().unwrap().is_empty());
        assert_eq!(read_async(disk, 0, &mut buffer, 1), 25000);
        assert_eq!(wait(disk), 0);
        assert_eq!(TOLD.lock().unwrap().len(), 1);

        let (_, disk) = site.open_frozen();
        assert!(read(disk, 0, 1).is_ok());
        assert_eq!(read_async(disk, 0, &mut buffer, 1), 26000, "mixed");
        exit();
        let lines = site.journal("VixDiskLib_ReadAsync");
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.result["code"] == 25000)
                .count(),
            1
        );
        assert_eq!(lines.last().unwrap().result["code"], 26000);
    });
}

#[test]
fn a_fault_refuses_a_request_or_fails_its_callback() {
    in_own_process(
        "asynchronous::a_fault_refuses_a_request_or_fails_its_callback",
        || {
            let site = Site::new();
            let fault = |call: &str, code| Fault {
                call: call.into(),
                nth: Some(2),
                code: Some(code),
                ..Fault::default()
            };
            let refused = fault("VixDiskLib_ReadAsync", 14009);
            let failed = fault("VixDiskLib_ReadAsync.callback", 14011);
            site.lab.set_faults(&[refused, failed]).unwrap();
            site.init("");
            let (_, disk) = site.open_frozen();
            let mut buffers = [[0; 512]; 3];
            let [first, second, third] = &mut buffers;
            assert_eq!(read_async(disk, 0, first, 1), 25000);
            assert_eq!(read_async(disk, 0, second, 2), 14009);
            assert_eq!(read_async(disk, 0, third, 3), 25000);
            assert_eq!(wait(disk), 0);
            let told = TOLD.lock().unwrap();
            let told: Vec<_> = told.iter().map(|told| (told.request, told.code)).collect();
            assert_eq!(told, [(1, 0), (3, 14011)]);
            exit();
            let lines = site.journal("VixDiskLib_ReadAsync");
            assert!(lines.iter().any(|line| line.result["completion"] == 14011));
        },
    );
}

#[test]
fn local_disks_are_written_asynchronously() {
    in_own_process(
        "asynchronous::local_disks_are_written_asynchronously",
        || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk.vmdk");
            let options = vmdk::CreateOptions::new(256);
            drop(vmdk::create_monolithic_sparse(&path, &options).unwrap());
            assert_eq!(init((6, 5), None), 0);
            let connection = connect_local(false);
            let disk = open_file(connection, &path, 0).unwrap();
            *HANDLE.lock().unwrap() = disk.addr();
            let data = [0x77_u8; 1024];
            let place = data.as_ptr();
            // SAFETY: the buffer lives and stays as it is until `Close`.
            let code =
                unsafe { VixDiskLib_WriteAsync(disk, 254, 2, place, Some(done), null_mut()) };
            assert_eq!(code, 25000);
            assert_eq!(close(disk), 0);
            let disk = open_file(connection, &path, READ_ONLY).unwrap();
            assert_eq!(read(disk, 254, 2).unwrap(), data);
            exit();
        },
    );
}
