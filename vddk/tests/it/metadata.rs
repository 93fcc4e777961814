//! The disk database of remote and local disks.

use std::time::Duration;

use lab::Fault;
use vddk::{Error, Library, LibraryOptions, OpenOptions, SectorBuf};

use crate::kit::{Kit, in_own_process};

#[test]
fn every_key_of_a_remote_disk_has_a_value() {
    in_own_process("metadata::every_key_of_a_remote_disk_has_a_value", || {
        let kit = Kit::new();
        let library = kit.load();
        let (snapshot, path) = kit.snapshot();
        let connection = library
            .connect(&kit.params(), &Kit::connect_options(&snapshot))
            .unwrap();
        let disk = connection.open(&path, &OpenOptions::default()).unwrap();
        // In flight when the keys are asked for: it is let end first.
        let read = disk.read(0, SectorBuf::new(128).unwrap()).unwrap();
        let keys = disk.metadata_keys().unwrap();
        read.wait().unwrap();
        assert!(keys.iter().any(|key| key == "adapterType"), "{keys:?}");
        for key in &keys {
            let value = disk.metadata(key).unwrap();
            assert!(value.is_some(), "{key} has no value");
        }
        let adapter = disk.metadata("adapterType").unwrap();
        assert_eq!(adapter.as_deref(), Some("lsilogic"));
        assert_eq!(disk.metadata("no.such.key").unwrap(), None);
        assert!(matches!(disk.metadata("a\0b"), Err(Error::Argument { .. })));
        disk.close().unwrap();
    });
}

#[test]
fn a_length_that_grows_is_asked_for_again_and_an_error_is_told() {
    in_own_process(
        "metadata::a_length_that_grows_is_asked_for_again_and_an_error_is_told",
        || {
            let kit = Kit::new();
            // The second question is the one with a buffer.
            let fault = |nth, count, code| Fault {
                call: "VixDiskLib_ReadMetadata".to_owned(),
                nth: Some(nth),
                count: Some(count),
                code: Some(code),
                ..Fault::default()
            };
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();

            kit.fault(fault(2, 1, 24));
            let adapter = disk.metadata("adapterType").unwrap();
            assert_eq!(adapter.as_deref(), Some("lsilogic"));
            assert_eq!(kit.count("VixDiskLib_ReadMetadata"), 3);

            kit.fault(fault(2, 0, 24));
            let error = disk.metadata("adapterType").unwrap_err();
            assert!(matches!(error, Error::UnusableAnswer { .. }), "{error}");
            assert_eq!(kit.count("VixDiskLib_ReadMetadata"), 3 + 5);

            kit.fault(fault(1, 1, 7));
            let error = disk.metadata("adapterType").unwrap_err();
            assert_eq!(error.code().unwrap().0, 7);
            assert!(error.to_string().contains(&path), "{error}");
            disk.close().unwrap();
        },
    );
}

#[test]
fn a_library_without_metadata_says_so() {
    in_own_process("metadata::a_library_without_metadata_says_so", || {
        let kit = Kit::new();
        kit.hide("VixDiskLib_GetMetadataKeys");
        let library = kit.load();
        let (snapshot, path) = kit.snapshot();
        let connection = library
            .connect(&kit.params(), &Kit::connect_options(&snapshot))
            .unwrap();
        let disk = connection.open(&path, &OpenOptions::default()).unwrap();
        let error = disk.metadata_keys().unwrap_err();
        assert!(matches!(
            error,
            Error::MissingFunction {
                function: "VixDiskLib_GetMetadataKeys",
                ..
            }
        ));
        assert!(disk.metadata("adapterType").unwrap().is_some());
        disk.close().unwrap();
    });
}

#[test]
fn a_question_that_is_never_answered_gives_the_disk_up() {
    in_own_process(
        "metadata::a_question_that_is_never_answered_gives_the_disk_up",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_GetMetadataKeys".to_owned(),
                delay_ms: Some(60_000),
                ..Fault::default()
            });
            let options = LibraryOptions {
                call_limit: Duration::from_secs(1),
                ..kit.options()
            };
            let library = Library::load(options).unwrap();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            let error = disk.metadata_keys().unwrap_err();
            assert!(matches!(error, Error::Stuck { .. }), "{error}");
            // The control thread is still in the library with the handle: no worker may use it.
            let read = disk.read(0, SectorBuf::new(8).unwrap());
            assert!(matches!(read, Err(Error::Poisoned { .. })), "{read:?}");
            let closed = disk.close();
            assert!(matches!(closed, Err(Error::Poisoned { .. })), "{closed:?}");
            assert_eq!(kit.count("VixDiskLib_Close"), 0);
        },
    );
}
