//! Giving a disk up: what is left alone when VDDK may still write into a buffer.

use std::time::Duration;

use lab::Fault;
use vddk::{Error, OpenOptions, ReadMode, SectorBuf};

use crate::kit::{Kit, in_own_process};

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
            // Neither would be safe while VDDK may still write into the buffer.
            connection.close().unwrap();
            assert!(library.close().unwrap());
            for call in [
                "VixDiskLib_Close",
                "VixDiskLib_Disconnect",
                "VixDiskLib_Exit",
            ] {
                assert_eq!(kit.count(call), 0, "{call} was called");
            }
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
                .prepare_for_access(kit.params(), "cbt stuck")
                .unwrap();
            let (snapshot, path) = kit.snapshot();
            let connection = access.connect(&Kit::connect_options(&snapshot)).unwrap();
            let options = OpenOptions {
                reads: ReadMode::Synchronous,
                time_out: Duration::from_millis(50),
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
