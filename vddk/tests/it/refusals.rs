//! Local disks, and arguments that never reach the library.

use vddk::{Error, Library, LibraryOptions, LoadError, OpenOptions, SectorBuf};
use vmdk::CreateOptions;

use crate::kit::{Kit, in_own_process};

#[test]
fn a_local_vmdk_is_read_by_file_transport() {
    in_own_process("refusals::a_local_vmdk_is_read_by_file_transport", || {
        let kit = Kit::new();
        let path = kit.folder().join("local.vmdk");
        let mut made = vmdk::create_monolithic_sparse(&path, &CreateOptions::new(2048)).unwrap();
        made.write_at(100, &[9; 512]).unwrap();
        made.flush().unwrap();
        drop(made);
        let library = kit.load();
        let connection = library.connect_local(true).unwrap();
        let disk = connection
            .open(path.to_str().unwrap(), &OpenOptions::default())
            .unwrap();
        assert_eq!(disk.transport_mode().as_str(), "file");
        let buf = disk
            .read(100, SectorBuf::new(2).unwrap())
            .unwrap()
            .wait()
            .unwrap();
        assert!(
            buf[..512].iter().all(|byte| *byte == 9) && buf[512..].iter().all(|byte| *byte == 0)
        );
        disk.close().unwrap();
    });
}

#[test]
fn identities_and_paths_that_do_not_fit_are_refused_here() {
    in_own_process(
        "refusals::identities_and_paths_that_do_not_fit_are_refused_here",
        || {
            let kit = Kit::new();
            let library = kit.load();
            for identity in ["", "a\0b", &"x".repeat(51)] {
                let refused = library.prepare_for_access(&kit.params(), identity);
                assert!(
                    matches!(refused, Err(Error::Argument { .. })),
                    "{identity:?}"
                );
            }
            assert_eq!(kit.count("VixDiskLib_PrepareForAccess"), 0);
            let connection = library.connect_local(true).unwrap();
            assert!(matches!(
                connection.open("a\0b", &OpenOptions::default()),
                Err(Error::Argument { .. })
            ));
            assert_eq!(kit.count("VixDiskLib_Open"), 0);
        },
    );
}

#[test]
fn a_library_that_is_not_there_lists_every_place() {
    let options = LibraryOptions {
        location: Some("/no/such/kit".into()),
        ..LibraryOptions::default()
    };
    match Library::load(options) {
        Err(Error::Load(LoadError::NotFound { tried })) => assert_eq!(tried.len(), 8),
        other => panic!("{other:?}"),
    }
}
