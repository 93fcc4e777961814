//! What a library may say and must not be believed.

use vddk::{Assumed, Code, ConnectOptions, Error, OpenOptions, SectorBuf};

use crate::double::{CAPACITY_SECTORS, Double, Script, byte_of};

pub(crate) const HONEST: Script = Script {
    no_info: false,
    info_text: None,
    transport: Some(b"file\0"),
    error_text: None,
    open: 0,
    blocks: None,
    seed: None,
    cleanup: (0, 0, 0),
    hang: None,
    limit: None,
};

/// Opens and closes the one disk of a double that follows the script.
fn with_disk<R>(script: Script, test: impl FnOnce(&vddk::Disk) -> R) -> R {
    let double = Double::start(script);
    let disk = double.open(&OpenOptions::default()).unwrap();
    let result = test(&disk);
    disk.close().unwrap();
    double.end();
    result
}

/// The same disk of a server.
fn with_server_disk<R>(script: Script, test: impl FnOnce(&vddk::Disk) -> R) -> R {
    let double = Double::start(Script {
        transport: Some(b"nbdssl\0"),
        ..script
    });
    let options = ConnectOptions::read_only("snapshot-1", "nbdssl".parse().unwrap());
    let connection = double.library().connect(&Double::params(), &options);
    let connection = connection.unwrap();
    let disk = connection
        .open("[d] a.vmdk", &OpenOptions::default())
        .unwrap();
    let result = test(&disk);
    disk.close().unwrap();
    connection.close().unwrap();
    double.end();
    result
}

/// The error of opening; nothing stays open.
fn refused(script: Script) -> String {
    let double = Double::start(script);
    let error = double.open(&OpenOptions::default()).unwrap_err();
    double.end();
    error.to_string()
}

#[test]
fn the_double_can_tell_the_truth() {
    with_disk(HONEST, |disk| {
        let read = disk.read(5, SectorBuf::new(3).unwrap()).unwrap();
        let bytes = read.wait().unwrap();
        assert_eq!(bytes[2 * 512..], [byte_of(7); 512]);
        assert_eq!(disk.info().capacity_sectors, CAPACITY_SECTORS);
        assert_eq!(Double::completed(), 1);
    });
}

#[test]
fn success_without_information_opens_nothing() {
    let script = Script {
        no_info: true,
        ..HONEST
    };
    assert!(refused(script).contains("success and nothing about"));
}

#[test]
fn texts_may_be_missing_or_no_text() {
    let script = Script {
        info_text: Some(b"a\xFFb\0"),
        ..HONEST
    };
    with_disk(script, |disk| {
        assert_eq!(disk.info().uuid.as_deref(), Some("a\u{FFFD}b"));
        assert_eq!(disk.info().parent_file_name_hint, None);
        assert_eq!(disk.info().links, 0, "a negative number of links is none");
    });
    for transport in [None, Some(&b"\xFF\xFE\0"[..]), Some(b"\0")] {
        let script = Script {
            transport,
            ..HONEST
        };
        refused(script);
    }
    for (error_text, said) in [
        (None, "no text"),
        (Some(&b"\xFFx\0"[..]), "\u{FFFD}x"),
        (Some(b"\0"), "failed"),
    ] {
        let script = Script {
            error_text,
            open: 13,
            ..HONEST
        };
        let error = refused(script);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_clean_up_tells_its_counters_whether_it_fails_or_not() {
    for code in [0, 13] {
        let double = Double::start(Script {
            cleanup: (1, 2, code),
            ..HONEST
        });
        let report = match double.library().cleanup(&Double::params()) {
            Ok(report) if code == 0 => report,
            Err(error) if code != 0 => {
                assert_eq!(error.code(), Some(Code(13)), "{error}");
                assert!(error.explain().is_some());
                assert!(error.to_string().contains("2 are left"), "{error}");
                match error {
                    Error::Cleanup { report, .. } => report,
                    other => panic!("{other:?}"),
                }
            }
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!((report.cleaned_up, report.remaining), (1, 2));
        double.end();
    }
}

#[test]
fn a_block_list_is_checked_before_it_is_used() {
    let none = with_server_disk(HONEST, vddk::Disk::allocated_blocks).unwrap();
    assert!(none.ranges().is_empty(), "no list is no block");
    let good = Script {
        blocks: Some((2, &[(0, 128), (256, 128)])),
        ..HONEST
    };
    let map = with_server_disk(good, vddk::Disk::allocated_blocks).unwrap();
    assert_eq!((map.ranges().len(), map.sectors()), (2, 256));
    let lies: [(u32, &[(u64, u64)]); 8] = [
        (u32::MAX, &[(0, 128)]),
        (9, &[(0, 128)]),
        (1, &[(0, 0)]),
        (1, &[(1024, 128)]),
        (1, &[(960, 128)]),
        (1, &[(u64::MAX, 2)]),
        (2, &[(128, 128), (0, 128)]),
        (2, &[(0, 256), (128, 256)]),
    ];
    for blocks in lies {
        let script = Script {
            blocks: Some(blocks),
            ..HONEST
        };
        let map = with_server_disk(script, vddk::Disk::allocated_blocks);
        assert!(map.is_err(), "{blocks:?}: {map:?}");
    }
}

#[test]
fn a_map_that_would_not_be_true_is_not_asked_for() {
    let double = Double::start(Script {
        transport: Some(b"nbdssl\0"),
        blocks: Some((1, &[(0, 128)])),
        ..HONEST
    });
    let server = ConnectOptions::writable("nbdssl".parse().unwrap());
    let server = double
        .library()
        .connect(&Double::params(), &server)
        .unwrap();
    let is_whole = |disk: &vddk::Disk, why: Assumed| {
        let map = disk.allocated_blocks().unwrap();
        assert_eq!((map.ranges().len(), map.sectors()), (1, CAPACITY_SECTORS));
        assert_eq!(map.assumed(), Some(why));
    };
    let single = OpenOptions {
        single_link: true,
        ..OpenOptions::default()
    };
    let disk = server.open("[d] a.vmdk", &single).unwrap();
    is_whole(&disk, Assumed::SingleLink);
    disk.close().unwrap();
    let asked = "VixDiskLib_QueryAllocatedBlocks";
    assert_eq!(Double::calls_of(&[asked]), [""; 0]);

    let disk = server
        .open_writable("[d] a.vmdk", &OpenOptions::default())
        .unwrap();
    let before = disk.allocated_blocks().unwrap();
    assert_eq!((before.sectors(), before.assumed()), (128, None));
    let write = disk.write(512, SectorBuf::new(1).unwrap()).unwrap();
    write.wait().unwrap();
    disk.flush().unwrap();
    is_whole(&disk, Assumed::Written);
    disk.close().unwrap();
    server.close().unwrap();
    double.end();

    with_disk(HONEST, |disk| is_whole(disk, Assumed::LocalFile));
}

/// Reads as chance wants it, drops some, drains in between, and closes with reads in flight.
fn schedule(seed: u64) {
    let double = Double::start(Script {
        seed: Some(seed),
        ..HONEST
    });
    let options = OpenOptions {
        in_flight: 1 + seed as usize % 5,
        request_bytes: 512 * (1 + seed as usize % 7),
        ..OpenOptions::default()
    };
    let disk = double.open(&options).unwrap();
    let mut kept = Vec::new();
    for number in 0..12 {
        let start = (seed + number * 37) % (CAPACITY_SECTORS - 9);
        let sectors = 1 + (seed + number) as usize % 9;
        let read = disk.read(start, SectorBuf::new(sectors).unwrap()).unwrap();
        match (seed / 3 + number) % 5 {
            0 => drop(read),
            1 => check(start, read.wait()),
            _ => kept.push((start, read)),
        }
        if number == 6 && seed.is_multiple_of(4) {
            disk.allocated_blocks().unwrap();
        }
    }
    let in_flight = seed
        .is_multiple_of(3)
        .then(|| kept.split_off(kept.len() / 2));
    for (start, read) in kept {
        check(start, read.wait());
    }
    disk.close().unwrap();
    // What was in flight when the disk was closed has ended, and its answer is still there.
    for (start, read) in in_flight.into_iter().flatten() {
        check(start, read.wait());
    }
    double.end();
}

/// Either every byte is right or a call of the library failed.
fn check(start: u64, read: Result<SectorBuf, Error>) {
    match read {
        Ok(buffer) => {
            for (index, bytes) in buffer.chunks(512).enumerate() {
                let byte = byte_of(start + index as u64);
                assert!(
                    bytes.iter().all(|one| *one == byte),
                    "sector {start}+{index}"
                );
            }
        }
        Err(error) => assert!(matches!(error, Error::Call(_)), "{error:?}"),
    }
}

#[test]
fn any_order_of_completions_gives_the_right_bytes_or_an_error() {
    let schedules = if cfg!(miri) { 12 } else { 1_000 };
    for seed in 0..schedules {
        let done = std::panic::catch_unwind(|| schedule(seed));
        assert!(done.is_ok(), "schedule {seed}");
    }
}
