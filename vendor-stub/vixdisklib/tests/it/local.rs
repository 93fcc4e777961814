//! Local VMDK files.

use std::path::Path;
use std::ptr::null_mut;

use vddk_sys::VixDiskLibInfo;
use vixDiskLib::*;

use crate::harness::*;

const UNBUFFERED: u32 = vddk_sys::VIXDISKLIB_FLAG_OPEN_UNBUFFERED;
const SINGLE_LINK: u32 = vddk_sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK;

/// A flat disk of 1000 sectors with 0x44 in sector 1, and a child with 0x55 in sector 2.
fn chain(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (base, child) = (folder.join("base.vmdk"), folder.join("child.vmdk"));
    let mut options = vmdk::CreateOptions::new(1000);
    options.adapter = vmdk::Adapter::LsiLogic;
    options.uuid = Some("60 00 C2 9a 00 11 22 33-44 55 66 77 88 99 aa bb".into());
    let mut disk = vmdk::create_vmfs_flat(&base, &options).unwrap();
    disk.write_at(1, &[0x44; 512]).unwrap();
    drop(disk);
    let mut disk = vmdk::create_child(&base, &child).unwrap();
    disk.write_at(2, &[0x55; 512]).unwrap();
    (base, child)
}

#[test]
fn a_local_chain_is_read_by_its_absolute_path() {
    in_own_process("local::a_local_chain_is_read_by_its_absolute_path", || {
        let folder = tempfile::tempdir().unwrap();
        let (base, child) = chain(folder.path());
        assert_eq!(init((6, 5), None), 0);
        // SAFETY: zeroed parameters are valid.
        let zeroed = unsafe { VixDiskLib_AllocateConnectParams() };
        let connection = connect_raw(zeroed, true, None, None).unwrap();
        let disk = open_file(connection, &child, READ_ONLY).unwrap();
        assert_eq!(transport(disk), "file");
        let data = read(disk, 0, 4).unwrap();
        let firsts: Vec<u8> = data.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(firsts, [0, 0x44, 0x55, 0]);
        let single = open_file(connection, &base, READ_ONLY | SINGLE_LINK).unwrap();
        assert_eq!(read(single, 2, 1).unwrap(), [0; 512]);
        assert_eq!((close(disk), close(single)), (0, 0));

        assert_eq!(open(connection, "base.vmdk", READ_ONLY), Err(4), "relative");
        assert_eq!(open(connection, "[ds] a/a.vmdk", READ_ONLY), Err(4));
        let missing = folder.path().join("missing.vmdk");
        assert_eq!(open_file(connection, &missing, READ_ONLY), Err(4));
        assert_eq!(open_file(connection, &base, 1 << 30), Err(3), "flags");
        let text = folder.path().join("text.vmdk");
        std::fs::write(&text, "no disk").unwrap();
        assert!(open_file(connection, &text, READ_ONLY).is_err());
        assert_eq!(disconnect(connection), 0);
        exit();
    });
}

#[test]
fn reads_and_writes_keep_to_the_disk_and_to_the_rights() {
    in_own_process(
        "local::reads_and_writes_keep_to_the_disk_and_to_the_rights",
        || {
            let folder = tempfile::tempdir().unwrap();
            let (base, _) = chain(folder.path());
            assert_eq!(init((6, 5), None), 0);
            let connection = connect_local(false);
            let disk = open_file(connection, &base, 0).unwrap();
            assert_eq!(write(disk, 999, &[0x66; 512]), 0);
            // SAFETY: an open handle.
            assert_eq!(unsafe { VixDiskLib_Flush(disk) }, 0);
            assert_eq!(read(disk, 999, 1).unwrap(), [0x66; 512]);
            assert_eq!(read(disk, 999, 2), Err(16007));
            assert_eq!(read(disk, 1000, 1), Err(16007));
            assert_eq!(write(disk, 999, &[0; 1024]), 16007);
            // SAFETY: refused before the buffer is looked at.
            let code = unsafe { VixDiskLib_Read(disk, u64::MAX, 2, null_mut()) };
            assert_eq!(code, 16007);
            // SAFETY: a null buffer is refused.
            assert_eq!(unsafe { VixDiskLib_Read(disk, 0, 1, null_mut()) }, 3);
            assert_eq!(close(disk), 0);
            assert_eq!(close(disk), 1000, "closed already");
            assert_eq!(read(disk, 0, 1), Err(1000));

            let disk = open_file(connection, &base, READ_ONLY).unwrap();
            assert_eq!(write(disk, 0, &[1; 512]), 11, "by the flag");
            assert_eq!(close(disk), 0);
            let connection = connect_local(true);
            let disk = open_file(connection, &base, UNBUFFERED).unwrap();
            assert_eq!(write(disk, 0, &[1; 512]), 11, "by the connection");
            let mut buffer = vec![0_u8; 2048];
            let aligned = buffer.as_mut_ptr().align_offset(512);
            for (offset, code) in [(aligned, 0), (aligned + 1, 3)] {
                let place = buffer[offset..].as_mut_ptr();
                // SAFETY: at most 512 + 1 + 512 bytes of 2048 are used.
                assert_eq!(unsafe { VixDiskLib_Read(disk, 0, 1, place) }, code);
            }
            exit();
        },
    );
}

#[test]
fn info_outlives_its_disk() {
    in_own_process("local::info_outlives_its_disk", || {
        let folder = tempfile::tempdir().unwrap();
        let (base, child) = chain(folder.path());
        assert_eq!(init((6, 5), None), 0);
        let connection = connect_local(true);
        let get = |path: &Path| {
            let disk = open_file(connection, path, READ_ONLY).unwrap();
            let mut info: *mut VixDiskLibInfo = null_mut();
            // SAFETY: the out pointer is writable.
            assert_eq!(unsafe { VixDiskLib_GetInfo(disk, &raw mut info) }, 0);
            // SAFETY: a null out pointer is refused.
            assert_eq!(unsafe { VixDiskLib_GetInfo(disk, null_mut()) }, 3);
            assert_eq!(close(disk), 0);
            info
        };
        let (of_base, of_child) = (get(&base), get(&child));
        assert_eq!(disconnect(connection), 0);

        // SAFETY: the object lives until it is freed.
        let info = unsafe { *of_base };
        assert_eq!(
            (info.capacity, info.numLinks, info.adapterType.0),
            (1000, 1, 3)
        );
        assert_eq!(
            (info.logicalSectorSize, info.physicalSectorSize),
            (512, 512)
        );
        assert!(info.parentFileNameHint.is_null());
        // SAFETY: not null, and it lives with the object.
        let uuid = unsafe { std::ffi::CStr::from_ptr(info.uuid) };
        assert!(uuid.to_str().unwrap().starts_with("60 00 C2 9a"));

        // SAFETY: the object lives until it is freed.
        let info = unsafe { *of_child };
        assert_eq!((info.capacity, info.numLinks), (1000, 2));
        // SAFETY: not null, and it lives with the object.
        let hint = unsafe { std::ffi::CStr::from_ptr(info.parentFileNameHint) };
        assert!(hint.to_str().unwrap().ends_with("base.vmdk"));
        for info in [of_base, of_child, of_child, null_mut()] {
            // SAFETY: nobody uses them; one comes twice, which the library survives.
            unsafe { VixDiskLib_FreeInfo(info) };
        }
        let mut none = null_mut();
        // SAFETY: the out pointer is writable.
        let code = unsafe { VixDiskLib_GetInfo(null_mut(), &raw mut none) };
        assert_eq!(code, 1000);
        exit();
    });
}

#[test]
fn without_a_lab_there_is_no_server() {
    in_own_process("local::without_a_lab_there_is_no_server", || {
        let site = Site::new();
        assert_eq!(init((6, 5), None), 0);
        assert_eq!(connect(&site.params(), true, None, None), Err(18000));
        let empty = Params {
            vmx_spec: Some(String::new()),
            server: None,
            thumbprint: None,
            ..site.params()
        };
        assert_eq!(connect(&empty, true, None, None), Err(3), "empty, not null");
        assert_eq!(
            connect_raw(std::ptr::null(), true, Some("snapshot-1"), None),
            Err(3)
        );
        assert!(connect_raw(std::ptr::null(), true, Some(""), None).is_ok());
        exit();
    });
}
