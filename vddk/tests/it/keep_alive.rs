//! An idle disk's link is kept alive, whatever the consumer does.

use std::{
    thread,
    time::{Duration, Instant},
};

use vddk::{
    Config, ConfigSource, CreateSpec, Disk, DiskType, KeepAlive, Library, LibraryOptions,
    OpenOptions, Progress, ReadMode, SectorBuf,
};

use crate::{
    double::{Double, Script},
    kit::{Kit, in_own_process},
    lies::HONEST,
};

const IDLE: Duration = Duration::from_millis(40);

/// Waits until the library saw more than `calls` of a function.
fn more_than(kit: &Kit, calls: usize, call: &str) {
    let begun = Instant::now();
    while kit.count(call) <= calls {
        assert!(begun.elapsed() < Duration::from_mins(1), "no more {call}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn with_disk(options: &OpenOptions, test: impl FnOnce(&Kit, Disk)) {
    with_disk_of(ConfigSource::Recommended, options, test);
}

fn with_disk_of(config: ConfigSource, options: &OpenOptions, test: impl FnOnce(&Kit, Disk)) {
    let kit = Kit::new();
    kit.set("journal_reads = true");
    let library = Library::load(LibraryOptions {
        config,
        ..kit.options()
    })
    .unwrap();
    let (snapshot, path) = kit.snapshot();
    let connection = library
        .connect(&kit.params(), &Kit::connect_options(&snapshot))
        .unwrap();
    let disk = connection.open(&path, options).unwrap();
    test(&kit, disk);
    connection.close().unwrap();
    assert!(library.close().unwrap());
}

#[test]
fn a_stalled_consumer_does_not_let_the_link_die() {
    in_own_process(
        "keep_alive::a_stalled_consumer_does_not_let_the_link_die",
        || {
            let options = OpenOptions {
                keep_alive: KeepAlive::After(IDLE),
                ..OpenOptions::default()
            };
            with_disk(&options, |kit, disk| {
                // Done long ago, and never fetched: the consumer is busy elsewhere.
                let stalled: Vec<_> = (0..4)
                    .map(|at| disk.read(at * 8, SectorBuf::new(8).unwrap()).unwrap())
                    .collect();
                more_than(kit, 4 + 3, "VixDiskLib_ReadAsync");
                assert_eq!(kit.count("VixDiskLib_Read"), 0, "the other way of reading");
                for (index, read) in stalled.into_iter().enumerate() {
                    let start = index * 8 * 512;
                    assert!(read.wait().unwrap()[..] == kit.image[start..start + 8 * 512]);
                }
                disk.close().unwrap();
            });
        },
    );
}

#[test]
fn a_synchronous_disk_is_kept_alive_synchronously() {
    in_own_process(
        "keep_alive::a_synchronous_disk_is_kept_alive_synchronously",
        || {
            let options = OpenOptions {
                keep_alive: KeepAlive::After(IDLE),
                reads: ReadMode::Synchronous,
                ..OpenOptions::default()
            };
            with_disk(&options, |kit, disk| {
                more_than(kit, 2, "VixDiskLib_Read");
                assert_eq!(kit.count("VixDiskLib_ReadAsync"), 0);
                disk.close().unwrap();
            });
        },
    );
}

/// Settings in which a link lives for so long.
fn time_out_of(ms: u32) -> ConfigSource {
    let config = Config::empty().nfc_read_time_out_ms(ms).build();
    ConfigSource::Settings(config.unwrap())
}

#[test]
fn a_disk_by_the_network_is_kept_alive_unless_told_otherwise() {
    in_own_process(
        "keep_alive::a_disk_by_the_network_is_kept_alive_unless_told_otherwise",
        || {
            with_disk_of(time_out_of(150), &OpenOptions::default(), |kit, disk| {
                more_than(kit, 3, "VixDiskLib_ReadAsync");
                disk.close().unwrap();
            });
        },
    );
}

#[test]
fn a_local_disk_needs_no_keep_alive() {
    in_own_process("keep_alive::a_local_disk_needs_no_keep_alive", || {
        let kit = Kit::new();
        kit.set("journal_reads = true");
        let library = Library::load(LibraryOptions {
            config: time_out_of(30),
            ..kit.options()
        })
        .unwrap();
        let connection = library.connect_local(false).unwrap();
        let path = kit.folder().join("local.vmdk");
        let path = path.to_str().unwrap();
        let spec = CreateSpec::new(DiskType::MonolithicSparse, 128);
        connection.create(path, &spec, Progress::none()).unwrap();
        let disk = connection.open(path, &OpenOptions::default()).unwrap();
        thread::sleep(10 * Duration::from_millis(30));
        disk.close().unwrap();
        // Counted by this crate: the journal of a local disk might leave reads out.
        let mut reads = library.calls();
        reads.retain(|(symbol, _)| symbol.name.starts_with("VixDiskLib_ReadA"));
        assert!(reads.len() == 1 && reads[0].1 == 0, "{reads:?}");
        connection.close().unwrap();
        assert!(library.close().unwrap());
    });
}

#[test]
fn no_keep_alive_falls_between_the_last_wait_and_the_close() {
    for seed in 0..if cfg!(miri) { 2 } else { 200 } {
        let double = Double::start(Script {
            seed: Some(seed),
            ..HONEST
        });
        let options = OpenOptions {
            keep_alive: KeepAlive::After(Duration::from_nanos(1)),
            ..OpenOptions::default()
        };
        let disk = double.open(&options).unwrap();
        Double::wait_for_calls("VixDiskLib_ReadAsync", 3);
        disk.close().unwrap();
        let calls = ["ReadAsync", "Wait", "Close"].map(|name| format!("VixDiskLib_{name}"));
        let calls = Double::calls_of(&calls.each_ref().map(String::as_str));
        assert_eq!(
            calls[calls.len() - 2..],
            ["VixDiskLib_Wait", "VixDiskLib_Close"]
        );
        double.end();
    }
}

#[test]
fn nothing_is_read_where_it_is_off() {
    in_own_process("keep_alive::nothing_is_read_where_it_is_off", || {
        let options = OpenOptions {
            keep_alive: KeepAlive::Off,
            ..OpenOptions::default()
        };
        with_disk(&options, |kit, disk| {
            thread::sleep(3 * IDLE);
            disk.close().unwrap();
            assert_eq!(kit.count("VixDiskLib_ReadAsync"), 0);
        });
    });
}
