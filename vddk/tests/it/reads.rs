//! Reads: every kind of completion, splitting, failure.

use lab::Fault;
use vddk::{Disk, Error, OpenOptions, ReadMode, SECTOR_BYTES, SectorBuf};

use crate::kit::{DISK_BYTES, Kit, in_own_process};

/// Opens the disk of a fresh snapshot, hands it to `test`, closes all and checks the pairing.
fn with_disk(kit: &Kit, options: &OpenOptions, test: impl FnOnce(&Kit, Disk)) {
    let library = kit.load();
    let (snapshot, path) = kit.snapshot();
    let connection = library
        .connect(&kit.params(), &Kit::connect_options(&snapshot))
        .unwrap();
    let disk = connection.open(&path, options).unwrap();
    assert_eq!(disk.info().capacity_sectors, DISK_BYTES / 512);
    assert_eq!(disk.transport_mode().as_str(), "nbdssl");
    test(kit, disk);
    connection.close().unwrap();
    assert!(library.close().unwrap());
    assert_eq!(kit.count("VixDiskLib_Open"), kit.count("VixDiskLib_Close"));
    assert_eq!(kit.count("VixDiskLib_Disconnect"), 1);
    assert_eq!(kit.count("VixDiskLib_FreeConnectParams"), 1);
    assert_eq!(kit.count("VixDiskLib_Exit"), 1);
}

/// Reads the whole disk with many reads in flight and compares every byte with the image.
fn read_all(kit: &Kit, disk: &Disk) {
    let sectors = kit.image.len() / SECTOR_BYTES;
    let mut pending = Vec::new();
    let mut at = 0;
    // Odd lengths, so that pieces and requests end anywhere.
    for length in [1, 7, 127, 128, 129, 2048, 333].into_iter().cycle() {
        let length = length.min(sectors - at);
        if length == 0 {
            break;
        }
        pending.push((
            at,
            disk.read(at as u64, SectorBuf::new(length).unwrap())
                .unwrap(),
        ));
        at += length;
    }
    for (start, read) in pending {
        let buf = read.wait().unwrap();
        let offset = start * SECTOR_BYTES;
        assert!(
            buf[..] == kit.image[offset..offset + buf.len()],
            "wrong bytes from sector {start} on"
        );
    }
}

/// The function that an error blames.
fn operation(error: &Error) -> &'static str {
    match error {
        Error::Call(call) => call.operation(),
        other => panic!("no call failed: {other}"),
    }
}

fn every_byte(mode: &str, options: OpenOptions) {
    let kit = Kit::new();
    kit.set(mode);
    with_disk(&kit, &options, |kit, disk| {
        read_all(kit, &disk);
        disk.close().unwrap();
    });
}

#[test]
fn completions_on_the_library_s_thread() {
    in_own_process("reads::completions_on_the_library_s_thread", || {
        every_byte("async = \"thread\"", OpenOptions::default());
    });
}

#[test]
fn completions_inside_the_call() {
    in_own_process("reads::completions_inside_the_call", || {
        every_byte("async = \"inline\"", OpenOptions::default());
    });
}

#[test]
fn completions_out_of_order_and_small_pieces() {
    in_own_process("reads::completions_out_of_order_and_small_pieces", || {
        let options = OpenOptions {
            in_flight: 7,
            request_bytes: 64 * 1024,
            ..OpenOptions::default()
        };
        every_byte("async = \"shuffled\"", options);
    });
}

#[test]
fn synchronous_reads() {
    in_own_process("reads::synchronous_reads", || {
        let options = OpenOptions {
            reads: ReadMode::Synchronous,
            ..OpenOptions::default()
        };
        every_byte("", options);
    });
}

#[test]
fn a_read_past_the_end_is_refused_before_the_library_sees_it() {
    in_own_process(
        "reads::a_read_past_the_end_is_refused_before_the_library_sees_it",
        || {
            with_disk(&Kit::new(), &OpenOptions::default(), |kit, disk| {
                let end = disk.info().capacity_sectors;
                for start in [end, end - 1, u64::MAX] {
                    let refused = disk.read(start, SectorBuf::new(2).unwrap());
                    assert!(
                        matches!(refused, Err(Error::Argument { .. })),
                        "{refused:?}"
                    );
                }
                disk.close().unwrap();
                assert_eq!(kit.count("VixDiskLib_ReadAsync"), 0);
            });
        },
    );
}

#[test]
fn a_failed_completion_names_its_code() {
    in_own_process("reads::a_failed_completion_names_its_code", || {
        let kit = Kit::new();
        kit.fault(Fault {
            call: "VixDiskLib_ReadAsync.callback".to_owned(),
            nth: Some(2),
            code: Some(14_011),
            ..Fault::default()
        });
        with_disk(&kit, &OpenOptions::default(), |_, disk| {
            let read = |start| disk.read(start, SectorBuf::new(8).unwrap()).unwrap().wait();
            read(0).unwrap();
            let error = read(8).unwrap_err();
            assert_eq!(
                error.code().unwrap().name(),
                Some("VIX_E_HOST_TCP_CONN_LOST")
            );
            assert_eq!(operation(&error), "VixDiskLib_ReadAsync");
            assert!(error.is_retryable() && error.explain().is_some(), "{error}");
            read(16).unwrap();
            disk.close().unwrap();
        });
    });
}

#[test]
fn a_request_that_is_not_accepted_fails_alone() {
    in_own_process("reads::a_request_that_is_not_accepted_fails_alone", || {
        let kit = Kit::new();
        kit.fault(Fault {
            call: "VixDiskLib_ReadAsync".to_owned(),
            nth: Some(1),
            code: Some(2),
            ..Fault::default()
        });
        with_disk(&kit, &OpenOptions::default(), |_, disk| {
            let read = |start| disk.read(start, SectorBuf::new(8).unwrap()).unwrap().wait();
            let error = read(0).unwrap_err();
            assert_eq!(error.code().unwrap().0, 2);
            assert_eq!(operation(&error), "VixDiskLib_ReadAsync");
            read(0).unwrap();
            disk.close().unwrap();
        });
    });
}

#[test]
fn a_failed_synchronous_read_names_its_own_function() {
    in_own_process(
        "reads::a_failed_synchronous_read_names_its_own_function",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_Read".to_owned(),
                code: Some(14_011),
                ..Fault::default()
            });
            let options = OpenOptions {
                reads: ReadMode::Synchronous,
                ..OpenOptions::default()
            };
            with_disk(&kit, &options, |_, disk| {
                let read = disk.read(0, SectorBuf::new(8).unwrap()).unwrap().wait();
                assert_eq!(operation(&read.unwrap_err()), "VixDiskLib_Read");
                disk.close().unwrap();
            });
        },
    );
}

/// Asynchronous reads answer "not supported" from the `nth` call on.
fn without_async(nth: u64) -> Kit {
    let kit = Kit::new();
    kit.set("journal_reads = true");
    kit.fault(Fault {
        call: "VixDiskLib_ReadAsync".to_owned(),
        nth: Some(nth),
        count: Some(0),
        code: Some(6),
        ..Fault::default()
    });
    kit
}

#[test]
fn reads_are_synchronous_for_good_where_asynchronous_ones_are_not_offered() {
    in_own_process(
        "reads::reads_are_synchronous_for_good_where_asynchronous_ones_are_not_offered",
        || {
            with_disk(&without_async(1), &OpenOptions::default(), |kit, disk| {
                read_all(kit, &disk);
                disk.close().unwrap();
                assert_eq!(kit.count("VixDiskLib_ReadAsync"), 1, "asked once");
                assert!(kit.count("VixDiskLib_Read") > 1);
            });
        },
    );
}

#[test]
fn no_read_is_synchronous_after_an_asynchronous_one_was_accepted() {
    in_own_process(
        "reads::no_read_is_synchronous_after_an_asynchronous_one_was_accepted",
        || {
            with_disk(&without_async(2), &OpenOptions::default(), |kit, disk| {
                let read = |start| disk.read(start, SectorBuf::new(8).unwrap()).unwrap().wait();
                read(0).unwrap();
                let error = read(8).unwrap_err();
                assert_eq!(error.code().unwrap().0, 6);
                assert_eq!(operation(&error), "VixDiskLib_ReadAsync");
                disk.close().unwrap();
                assert_eq!(kit.count("VixDiskLib_Read"), 0);
            });
        },
    );
}

#[test]
fn dropped_reads_do_no_harm() {
    in_own_process("reads::dropped_reads_do_no_harm", || {
        with_disk(&Kit::new(), &OpenOptions::default(), |kit, disk| {
            for start in 0..64 {
                drop(disk.read(start * 8, SectorBuf::new(64).unwrap()).unwrap());
            }
            read_all(kit, &disk);
            drop(disk);
        });
    });
}
