//! Writes: every byte arrives, and no failure is lost.

use std::path::PathBuf;

use lab::Fault;
use vddk::{Error, OpenOptions, ReadMode, SectorBuf, WritableDisk};
use vmdk::CreateOptions;

use crate::kit::{Kit, in_own_process};

const SECTORS: u64 = 6000;

/// Opens an empty local disk for writing and hands it to `test`, which closes it.
fn with_local_disk(kit: &Kit, options: &OpenOptions, test: impl FnOnce(WritableDisk)) -> PathBuf {
    let path = kit.folder().join("local.vmdk");
    vmdk::create_monolithic_sparse(&path, &CreateOptions::new(SECTORS)).unwrap();
    let library = kit.load();
    let connection = library.connect_local(false).unwrap();
    let disk = connection
        .open_writable(path.to_str().unwrap(), options)
        .unwrap();
    test(disk);
    connection.close().unwrap();
    assert!(library.close().unwrap());
    path
}

fn filled(sectors: usize, byte: u8) -> SectorBuf {
    let mut buf = SectorBuf::new(sectors).unwrap();
    buf.fill(byte);
    buf
}

fn every_byte(setting: &str, options: OpenOptions) {
    let kit = Kit::new();
    kit.set(setting);
    let mut shadow = vec![0_u8; SECTORS as usize * 512];
    let path = with_local_disk(&kit, &options, |disk| {
        let mut pending = Vec::new();
        let mut at = 0_u64;
        for (index, length) in [1_u64, 300, 7, 128, 2500, 64].into_iter().enumerate() {
            let byte = index as u8 + 1;
            let range = at as usize * 512..(at + length) as usize * 512;
            shadow[range].fill(byte);
            let write = disk.write(at, filled(length as usize, byte)).unwrap();
            // Some are waited for, some are not: the flush covers all.
            if index % 2 == 0 {
                pending.push(write);
            }
            at += length + 13;
        }
        disk.flush().unwrap();
        for write in pending {
            write.wait().unwrap();
        }
        // Reads of the same handle see what was written.
        let buf = disk.read(0, SectorBuf::new(400).unwrap()).unwrap();
        assert!(buf.wait().unwrap()[..] == shadow[..400 * 512]);
        disk.write(SECTORS - 1, filled(1, 0xEE))
            .unwrap()
            .wait()
            .unwrap();
        disk.close().unwrap();
    });
    let last = shadow.len() - 512;
    shadow[last..].fill(0xEE);
    let disk = vmdk::Disk::open(&path, vmdk::OpenOptions::default()).unwrap();
    let mut seen = vec![0; shadow.len()];
    disk.read_at(0, &mut seen).unwrap();
    assert!(seen == shadow, "the file holds other bytes");
}

#[test]
fn asynchronous_writes_arrive() {
    in_own_process("writes::asynchronous_writes_arrive", || {
        every_byte("async = \"thread\"", OpenOptions::default());
    });
}

#[test]
fn writes_in_shuffled_small_pieces_arrive() {
    in_own_process("writes::writes_in_shuffled_small_pieces_arrive", || {
        let options = OpenOptions {
            in_flight: 5,
            request_bytes: 32 * 1024,
            ..OpenOptions::default()
        };
        every_byte("async = \"shuffled\"", options);
    });
}

#[test]
fn writes_that_end_inside_the_call_arrive() {
    in_own_process("writes::writes_that_end_inside_the_call_arrive", || {
        every_byte("async = \"inline\"", OpenOptions::default());
    });
}

#[test]
fn synchronous_writes_arrive() {
    in_own_process("writes::synchronous_writes_arrive", || {
        let options = OpenOptions {
            reads: ReadMode::Synchronous,
            unbuffered: true,
            ..OpenOptions::default()
        };
        every_byte("", options);
    });
}

/// The code of a failed call.
fn code(error: &Error) -> u16 {
    error.code().unwrap().0
}

#[test]
fn a_failed_write_that_nobody_waits_for_fails_the_flush_or_the_close() {
    in_own_process(
        "writes::a_failed_write_that_nobody_waits_for_fails_the_flush_or_the_close",
        || {
            let kit = Kit::new();
            let on_second = |code| Fault {
                call: "VixDiskLib_WriteAsync.callback".to_owned(),
                nth: Some(code),
                code: Some(8),
                ..Fault::default()
            };
            kit.lab.set_faults(&[on_second(2), on_second(4)]).unwrap();
            with_local_disk(&kit, &OpenOptions::default(), |disk| {
                let write = |at| drop(disk.write(at, filled(8, 1)).unwrap());
                write(0);
                write(8);
                assert_eq!(code(&disk.flush().unwrap_err()), 8);
                write(8);
                disk.flush().unwrap();
                write(16);
                let closed = disk.close().unwrap_err();
                assert_eq!(code(&closed), 8, "{closed}");
            });
            assert_eq!(kit.count("VixDiskLib_Close"), 1, "closed all the same");
            assert_eq!(kit.count("VixDiskLib_Flush"), 3);
        },
    );
}

#[test]
fn a_disk_that_was_only_read_is_not_flushed() {
    in_own_process("writes::a_disk_that_was_only_read_is_not_flushed", || {
        let kit = Kit::new();
        with_local_disk(&kit, &OpenOptions::default(), |disk| {
            disk.read(0, filled(1, 1)).unwrap().wait().unwrap();
            disk.close().unwrap();
        });
        assert_eq!(kit.count("VixDiskLib_Flush"), 0);
        assert!(kit.count("VixDiskLib_Wait") > 0);
    });
}

fn closing_tells(call: &str) {
    let kit = Kit::new();
    kit.fault(Fault {
        call: call.to_owned(),
        code: Some(8),
        ..Fault::default()
    });
    with_local_disk(&kit, &OpenOptions::default(), |disk| {
        disk.write(0, filled(8, 1)).unwrap().wait().unwrap();
        let closed = disk.close().unwrap_err();
        assert_eq!(code(&closed), 8, "{closed}");
    });
    assert_eq!(kit.count("VixDiskLib_Close"), 1);
}

#[test]
fn a_failed_flush_is_told() {
    in_own_process("writes::a_failed_flush_is_told", || {
        closing_tells("VixDiskLib_Flush");
    });
}

#[test]
fn a_failed_close_is_told() {
    in_own_process("writes::a_failed_close_is_told", || {
        closing_tells("VixDiskLib_Close");
    });
}

#[test]
fn writing_is_refused_before_the_library_sees_it() {
    in_own_process(
        "writes::writing_is_refused_before_the_library_sees_it",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let connection = library.connect_local(true).unwrap();
            let refused = connection.open_writable("/x.vmdk", &OpenOptions::default());
            assert!(
                matches!(refused, Err(Error::Argument { .. })),
                "{refused:?}"
            );
            connection.close().unwrap();
            drop(library);
            assert_eq!(kit.count("VixDiskLib_Open"), 0);
        },
    );
}

#[test]
fn a_write_past_the_end_is_refused() {
    in_own_process("writes::a_write_past_the_end_is_refused", || {
        let kit = Kit::new();
        with_local_disk(&kit, &OpenOptions::default(), |disk| {
            for start in [SECTORS, SECTORS - 1, u64::MAX] {
                let refused = disk.write(start, filled(2, 1));
                assert!(
                    matches!(refused, Err(Error::Argument { .. })),
                    "{refused:?}"
                );
            }
            disk.close().unwrap();
        });
        assert_eq!(kit.count("VixDiskLib_WriteAsync"), 0);
    });
}
