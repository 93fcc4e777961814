//! How fast requests are answered, and what the host has no memory for.

use std::ffi::c_void;
use std::time::{Duration, Instant};

use lab::{Fault, Performance};
use vddk_sys::VixDiskLibHandle;
use vixDiskLib::*;

use crate::harness::*;

unsafe extern "C" fn done(data: *mut c_void, code: u64) {
    // SAFETY: the tests pass a place of theirs that lives until `Wait`.
    unsafe { data.cast::<u64>().write(code) };
}

fn read_async(disk: VixDiskLibHandle, sector: u64, buffer: &mut [u8], code: &mut u64) -> u64 {
    let sectors = buffer.len() as u64 / 512;
    let code: *mut c_void = (&raw mut *code).cast();
    // SAFETY: the tests keep buffer and place until `Wait`.
    unsafe { VixDiskLib_ReadAsync(disk, sector, sectors, buffer.as_mut_ptr(), Some(done), code) }
}

#[test]
fn a_round_trip_costs_each_synchronous_request_and_overlaps_for_others() {
    let name = "performance::a_round_trip_costs_each_synchronous_request_and_overlaps_for_others";
    in_own_process(name, || {
        let site = Site::new();
        site.init("[performance]\nlatency_us = 20000\n");
        let trip = Duration::from_millis(20);
        let (connection, disk) = site.open_frozen();
        let start = Instant::now();
        for _ in 0..4 {
            assert!(read(disk, 0, 1).is_ok());
        }
        let synchronous = start.elapsed();
        assert!(synchronous >= trip * 4, "{synchronous:?}");
        assert_eq!(close(disk), 0);

        // Four AIO buffers: the first four requests share one round trip, the others the next.
        let disk = open(connection, site.frozen(), READ_ONLY).unwrap();
        let (mut buffers, mut codes) = (vec![[0_u8; 512]; 8], [99_u64; 8]);
        let start = Instant::now();
        for (buffer, code) in buffers.iter_mut().zip(&mut codes) {
            assert_eq!(read_async(disk, 0, buffer, code), 25000);
        }
        assert_eq!(wait(disk), 0);
        let asynchronous = start.elapsed();
        assert_eq!(codes, [0; 8]);
        assert!(asynchronous >= trip * 2, "{asynchronous:?}");
        assert!(asynchronous < synchronous * 2, "{asynchronous:?}");

        // The lab's own word counts for disks opened from now on.
        site.lab
            .set_performance(Some(&Performance::default()))
            .unwrap();
        let fast = open(connection, site.frozen(), READ_ONLY).unwrap();
        let start = Instant::now();
        for _ in 0..100 {
            assert!(read(fast, 0, 1).is_ok());
        }
        assert!(start.elapsed() < trip * 100);
        exit();
    });
}

#[test]
fn streams_and_the_host_have_a_bandwidth() {
    in_own_process("performance::streams_and_the_host_have_a_bandwidth", || {
        let site = Site::new();
        site.init("[performance]\nstream_bytes_per_s = 5120000\n");
        let (connection, disk) = site.open_frozen();
        let start = Instant::now();
        for _ in 0..10 {
            assert!(read(disk, 0, 100).is_ok());
        }
        let one = start.elapsed();
        assert!(one >= Duration::from_millis(100), "{one:?}");

        let host = Performance {
            host_bytes_per_s: Some(5_120_000),
            ..Performance::default()
        };
        site.lab.set_performance(Some(&host)).unwrap();
        let disks = [(); 2].map(|()| open(connection, site.frozen(), READ_ONLY).unwrap());
        let start = Instant::now();
        for _ in 0..5 {
            for disk in disks {
                assert!(read(disk, 0, 100).is_ok());
            }
        }
        let two = start.elapsed();
        assert!(two >= Duration::from_millis(100), "{two:?}");
        exit();
    });
}

#[test]
fn the_host_has_memory_for_some_disks_and_for_no_large_request() {
    let name = "performance::the_host_has_memory_for_some_disks_and_for_no_large_request";
    in_own_process(name, || {
        let site = Site::new();
        site.init("[performance]\nhost_memory_bytes = 2097152\nmax_request_bytes = 4096\n");
        let (connection, first) = site.open_frozen();
        let second = open(connection, site.frozen(), READ_ONLY).unwrap();
        assert_eq!(open(connection, site.frozen(), READ_ONLY), Err(2));
        assert_eq!(log_lines("Failed to allocate the requested").len(), 1);
        assert_eq!(close(first), 0);
        let first = open(connection, site.frozen(), READ_ONLY).unwrap();

        assert!(read(first, 0, 8).is_ok());
        assert_eq!(read(first, 0, 9), Err(2));
        let (mut buffer, mut code) = (vec![0; 4608], 99);
        assert_eq!(read_async(second, 0, &mut buffer, &mut code), 25000);
        assert_eq!(wait(second), 0);
        assert_eq!(code, 2);

        let other = Performance {
            host_memory_bytes: Some(1 << 20),
            host_memory_code: Some(14009),
            ..Performance::default()
        };
        site.lab.set_performance(Some(&other)).unwrap();
        assert_eq!(open(connection, site.frozen(), READ_ONLY), Err(14009));
        exit();
    });
}

#[test]
fn requests_complete_late_out_of_order_or_never() {
    in_own_process(
        "performance::requests_complete_late_out_of_order_or_never",
        || {
            let site = Site::new();
            let call = "VixDiskLib_ReadAsync.callback".to_owned();
            let late = Fault {
                call: call.clone(),
                delay_ms: Some(60),
                ..Fault::default()
            };
            let never = Fault {
                call,
                nth: Some(3),
                never: Some(true),
                ..Fault::default()
            };
            site.lab.set_faults(&[late, never]).unwrap();
            site.init("");
            let (_, disk) = site.open_frozen();
            let (mut buffers, mut codes) = ([[0_u8; 512]; 3], [99_u64; 3]);
            let [first, second, third] = &mut buffers;
            let start = Instant::now();
            assert_eq!(read_async(disk, 0, first, &mut codes[0]), 25000);
            assert_eq!(read_async(disk, 0, second, &mut codes[1]), 25000);
            let place = &raw const codes[1];
            // SAFETY: the callback writes it whole, once.
            while unsafe { place.read_volatile() } != 0 {
                std::thread::yield_now();
            }
            assert!(
                start.elapsed() < Duration::from_millis(60),
                "held back by the first"
            );
            assert_eq!(wait(disk), 0);
            assert_eq!(codes[0], 0);
            assert_eq!(read_async(disk, 0, third, &mut codes[2]), 25000);
            // `Close` waits for ever, as `Wait` would; `Exit` ends all the same.
            let handle = disk.addr();
            let closer = std::thread::spawn(move || {
                close(std::ptr::without_provenance_mut(handle));
            });
            std::thread::sleep(Duration::from_millis(50));
            assert!(!closer.is_finished());
            exit();
            assert_eq!(codes[2], 99);
        },
    );
}
