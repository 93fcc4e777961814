//! Giving a disk up: what is left alone when VDDK may still write into a buffer.

use std::time::{Duration, Instant};

use lab::Fault;
use vddk::{Connection, Error, Library, OpenOptions, ReadMode, SectorBuf};

use crate::kit::{Kit, in_own_process};

/// Closes what a given-up disk came from: each says so, and nothing is pulled from under VDDK.
fn nothing_is_ended(kit: &Kit, connection: Connection, library: Library) {
    let closed = connection.close();
    assert!(
        matches!(&closed, Err(Error::Poisoned { object }) if object == "127.0.0.1"),
        "{closed:?}"
    );
    assert!(!library.close().unwrap(), "the library was not ended");
    for call in [
        "VixDiskLib_Close",
        "VixDiskLib_Disconnect",
        "VixDiskLib_FreeConnectParams",
        "VixDiskLib_Exit",
    ] {
        assert_eq!(kit.count(call), 0, "{call} was called");
    }
}

/// Waits for what happens on another thread, for a minute at most.
fn wait_for(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never happens");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_completion_that_does_not_come_gives_the_disk_up() {
    in_own_process(
        "giving_up::a_completion_that_does_not_come_gives_the_disk_up",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_ReadAsync.callback".to_owned(),
                nth: Some(1),
                delay_ms: Some(3_000),
                ..Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let options = OpenOptions {
                time_out: Duration::from_millis(50),
                ..OpenOptions::default()
            };
            let disk = connection.open(&path, &options).unwrap();
            let late = disk.read(0, SectorBuf::new(8).unwrap()).unwrap().wait();
            assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
            let next = disk.read(8, SectorBuf::new(8).unwrap());
            assert!(matches!(next, Err(Error::Poisoned { .. })), "{next:?}");
            let closed = disk.close();
            assert!(matches!(closed, Err(Error::Poisoned { .. })), "{closed:?}");
            nothing_is_ended(&kit, connection, library);
        },
    );
}

#[test]
fn a_call_that_does_not_return_gives_the_disk_up_and_nobody_waits_for_it() {
    in_own_process(
        "giving_up::a_call_that_does_not_return_gives_the_disk_up_and_nobody_waits_for_it",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_Read".to_owned(),
                delay_ms: Some(60_000),
                ..Fault::default()
            });
            let library = kit.load();
            let access = library
                .prepare_for_access(&kit.params(), "cbt stuck")
                .unwrap();
            let (snapshot, path) = kit.snapshot();
            let connection = access.connect(&Kit::connect_options(&snapshot)).unwrap();
            let options = OpenOptions {
                reads: ReadMode::Synchronous,
                // Long enough that the call was made: a read that still waits for its worker is
                // dropped, and nothing is stuck then.
                time_out: Duration::from_secs(1),
                ..OpenOptions::default()
            };
            let disk = connection.open(&path, &options).unwrap();
            let late = disk.read(0, SectorBuf::new(8).unwrap()).unwrap().wait();
            assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
            let closed = disk.close();
            assert!(matches!(closed, Err(Error::Poisoned { .. })), "{closed:?}");
            // The stuck thread keeps the access alive; it can still be ended by its identity.
            drop(connection);
            assert!(access.close().is_err());
            library.end_access(&kit.params(), "cbt stuck").unwrap();
            assert!(kit.lab.vm(&kit.vm).unwrap().disabled_methods.is_empty());
            assert_eq!(kit.count("VixDiskLib_Close"), 0);
        },
    );
}

#[test]
fn success_in_place_of_acceptance_gives_the_disk_up_and_is_told_at_once() {
    in_own_process(
        "giving_up::success_in_place_of_acceptance_gives_the_disk_up_and_is_told_at_once",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_ReadAsync".to_owned(),
                nth: Some(2),
                code: Some(0),
                ..Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            // Three pieces: the second gets the answer that says neither yes nor no.
            let options = OpenOptions {
                request_bytes: 4096,
                ..OpenOptions::default()
            };
            let disk = connection.open(&path, &options).unwrap();
            // The time-out is a quarter of an hour: the answer does not wait for it.
            let read = disk.read(0, SectorBuf::new(24).unwrap()).unwrap().wait();
            let error = read.unwrap_err().to_string();
            assert!(error.contains("neither accepted nor refused"), "{error}");
            let next = disk.read(8, SectorBuf::new(8).unwrap());
            assert!(matches!(next, Err(Error::Poisoned { .. })), "{next:?}");
            let closed = disk.close();
            assert!(matches!(closed, Err(Error::Poisoned { .. })), "{closed:?}");
            nothing_is_ended(&kit, connection, library);
        },
    );
}

#[test]
fn a_login_that_does_not_return_is_given_up_and_undone_when_it_does() {
    in_own_process(
        "giving_up::a_login_that_does_not_return_is_given_up_and_undone_when_it_does",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_ConnectEx".to_owned(),
                delay_ms: Some(1_500),
                ..Fault::default()
            });
            let options = vddk::LibraryOptions {
                call_limit: Duration::from_millis(500),
                ..kit.options()
            };
            let library = Library::load(options).unwrap();
            let (snapshot, _) = kit.snapshot();
            let options = Kit::connect_options(&snapshot);
            let is_stuck = |error: Error| match error {
                Error::Stuck { function } => assert_eq!(function, "VixDiskLib_ConnectEx"),
                other => panic!("{other}"),
            };
            is_stuck(library.connect(&kit.params(), &options).unwrap_err());
            // Refused at once, not queued behind the call that hangs.
            is_stuck(library.cleanup(&kit.params()).unwrap_err());
            assert_eq!(kit.count("VixDiskLib_Cleanup"), 0);
            wait_for(|| kit.count("VixDiskLib_Disconnect") == 1);
            // All is well again.
            wait_for(|| library.cleanup(&kit.params()).is_ok());
            assert!(library.close().unwrap());
        },
    );
}

#[test]
fn a_close_that_does_not_return_in_time_is_not_overtaken() {
    in_own_process(
        "giving_up::a_close_that_does_not_return_in_time_is_not_overtaken",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_Close".to_owned(),
                delay_ms: Some(1_500),
                ..Fault::default()
            });
            let options = vddk::LibraryOptions {
                call_limit: Duration::from_millis(500),
                ..kit.options()
            };
            let library = Library::load(options).unwrap();
            let (snapshot, path) = kit.snapshot();
            let options = Kit::connect_options(&snapshot);
            let connection = library.connect(&kit.params(), &options).unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            let closed = disk.close();
            assert!(matches!(closed, Err(Error::Stuck { .. })), "{closed:?}");
            let closed = connection.close();
            assert!(matches!(closed, Err(Error::Stuck { .. })), "{closed:?}");
            // The control thread works again, and all is ended as if nothing had been.
            wait_for(|| library.cleanup(&kit.params()).is_ok());
            assert!(library.close().unwrap());
            let ends = [
                "VixDiskLib_Close",
                "VixDiskLib_Disconnect",
                "VixDiskLib_Exit",
            ];
            let mut calls = kit.calls();
            calls.retain(|call| ends.contains(&call.as_str()));
            assert_eq!(calls, ends);
        },
    );
}

#[test]
fn a_start_that_does_not_return_is_the_last_one() {
    in_own_process(
        "giving_up::a_start_that_does_not_return_is_the_last_one",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_InitEx".to_owned(),
                delay_ms: Some(1_500),
                ..Fault::default()
            });
            let options = vddk::LibraryOptions {
                call_limit: Duration::from_millis(500),
                ..kit.options()
            };
            for _ in 0..2 {
                match Library::load(options.clone()).unwrap_err() {
                    Error::Stuck { function } => assert_eq!(function, "VixDiskLib_InitEx"),
                    other => panic!("{other}"),
                }
            }
            // It returns, and what it began is ended; a second start is refused all the same.
            wait_for(|| kit.count("VixDiskLib_Exit") == 1);
            let refused = Library::load(kit.options());
            assert!(matches!(refused, Err(Error::Stuck { .. })), "{refused:?}");
            assert_eq!(kit.count("VixDiskLib_InitEx"), 1);
        },
    );
}
