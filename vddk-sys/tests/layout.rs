//! Sizes, offsets and constants written by hand from the VDDK API reference, chapter 2, so that a
//! slip in the header or in the generator shows.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::mem::{align_of, offset_of, size_of};

use vddk_sys::{
    Bool, VIX_ASYNC, VIX_OK, VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ,
    VIXDISKLIB_FLAG_OPEN_COMPRESSION_MASK, VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ,
    VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB, VIXDISKLIB_FLAG_OPEN_READ_ONLY,
    VIXDISKLIB_FLAG_OPEN_SINGLE_LINK, VIXDISKLIB_FLAG_OPEN_UNBUFFERED, VIXDISKLIB_HWVERSION_ESX4X,
    VIXDISKLIB_HWVERSION_ESX30, VIXDISKLIB_HWVERSION_ESX50, VIXDISKLIB_HWVERSION_ESX51,
    VIXDISKLIB_HWVERSION_ESX55, VIXDISKLIB_HWVERSION_ESX60, VIXDISKLIB_HWVERSION_ESX65,
    VIXDISKLIB_HWVERSION_WORKSTATION_4, VIXDISKLIB_HWVERSION_WORKSTATION_5,
    VIXDISKLIB_HWVERSION_WORKSTATION_6, VIXDISKLIB_MAX_CHUNK_NUMBER, VIXDISKLIB_MIN_CHUNK_SIZE,
    VIXDISKLIB_SECTOR_SIZE, VixDiskLibAdapterType as Adapter, VixDiskLibBlock, VixDiskLibBlockList,
    VixDiskLibCompletionCB, VixDiskLibConnectParams, VixDiskLibConnection, VixDiskLibCreateParams,
    VixDiskLibCredType as Cred, VixDiskLibCreds, VixDiskLibDatastoreSpec,
    VixDiskLibDiskType as Disk, VixDiskLibGenericLogFunc, VixDiskLibGeometry, VixDiskLibHandle,
    VixDiskLibInfo, VixDiskLibProgressFunc, VixDiskLibSectorType, VixDiskLibSessionIdCreds,
    VixDiskLibSpec, VixDiskLibSpecType as Spec, VixDiskLibUidPasswdCreds,
    VixDiskLibVStorageObjectSpec, VixError,
};

/// Asserts size, alignment, and the offset of every field of a structure.
macro_rules! layout {
    ($name:ident: size $size:literal, align $align:literal; $( $field:ident $offset:literal ),* $(,)?) => {
        assert_eq!(size_of::<$name>(), $size, "size of {}", stringify!($name));
        assert_eq!(align_of::<$name>(), $align, "alignment of {}", stringify!($name));
        $(
            assert_eq!(
                offset_of!($name, $field), $offset,
                "offset of {}.{}", stringify!($name), stringify!($field),
            );
        )*
    };
}

#[test]
fn connect_params() {
    layout!(VixDiskLibConnectParams: size 128, align 8;
        vmxSpec 0, serverName 8, thumbPrint 16, privateUse 24, credType 32, creds 40, port 64,
        nfcHostPort 68, vimApiVer 72, reserved 80, state 88, spec 96, specType 120);
    layout!(VixDiskLibCreds: size 24, align 8; uid 0, sessionId 0, ticketId 0);
    layout!(VixDiskLibUidPasswdCreds: size 16, align 8; userName 0, password 8);
    layout!(VixDiskLibSessionIdCreds: size 24, align 8; cookie 0, userName 8, key 16);
    layout!(VixDiskLibSpec: size 24, align 8; vStorageObjSpec 0, dsSpec 0);
    layout!(VixDiskLibVStorageObjectSpec: size 24, align 8; id 0, datastoreMoRef 8, ssId 16);
    layout!(VixDiskLibDatastoreSpec: size 16, align 8; datastoreMoRef 0, diskFolder 8);
}

#[test]
fn info_and_create_params() {
    layout!(VixDiskLibGeometry: size 12, align 4; cylinders 0, heads 4, sectors 8);
    layout!(VixDiskLibInfo: size 64, align 8;
        biosGeo 0, physGeo 12, capacity 24, adapterType 32, numLinks 36, parentFileNameHint 40,
        uuid 48, logicalSectorSize 56, physicalSectorSize 60);
    layout!(VixDiskLibCreateParams: size 32, align 8;
        diskType 0, adapterType 4, hwVersion 8, capacity 16, logicalSectorSize 24,
        physicalSectorSize 28);
}

#[test]
fn block_list() {
    layout!(VixDiskLibBlock: size 16, align 8; offset 0, length 8);
    layout!(VixDiskLibBlockList: size 24, align 8; numBlocks 0, blocks 8);
}

#[test]
fn base_types() {
    assert_eq!(size_of::<VixError>(), 8);
    assert_eq!(size_of::<VixDiskLibSectorType>(), 8);
    assert_eq!(size_of::<Bool>(), 1);
    assert_eq!(size_of::<VixDiskLibHandle>(), 8);
    assert_eq!(size_of::<VixDiskLibConnection>(), 8);
    // Pointers to functions, of which the missing one is null.
    assert_eq!(size_of::<VixDiskLibGenericLogFunc>(), 8);
    assert_eq!(size_of::<VixDiskLibProgressFunc>(), 8);
    assert_eq!(size_of::<VixDiskLibCompletionCB>(), 8);
    assert_eq!(size_of::<Cred>(), 4);
    assert_eq!(size_of::<Spec>(), 4);
    assert_eq!(size_of::<Disk>(), 4);
    assert_eq!(size_of::<Adapter>(), 4);
}

#[test]
fn enumerations() {
    assert_eq!(Cred::VIXDISKLIB_CRED_UID.0, 1);
    assert_eq!(Cred::VIXDISKLIB_CRED_SESSIONID.0, 2);
    assert_eq!(Cred::VIXDISKLIB_CRED_TICKETID.0, 3);
    assert_eq!(Cred::VIXDISKLIB_CRED_SSPI.0, 4);
    assert_eq!(Cred::VIXDISKLIB_CRED_UNKNOWN.0, 256);
    assert_eq!(Spec::VIXDISKLIB_SPEC_VMX.0, 0);
    assert_eq!(Spec::VIXDISKLIB_SPEC_VSTORAGE_OBJECT.0, 1);
    assert_eq!(Spec::VIXDISKLIB_SPEC_DATASTORE.0, 2);
    assert_eq!(Disk::VIXDISKLIB_DISK_MONOLITHIC_SPARSE.0, 1);
    assert_eq!(Disk::VIXDISKLIB_DISK_MONOLITHIC_FLAT.0, 2);
    assert_eq!(Disk::VIXDISKLIB_DISK_SPLIT_SPARSE.0, 3);
    assert_eq!(Disk::VIXDISKLIB_DISK_SPLIT_FLAT.0, 4);
    assert_eq!(Disk::VIXDISKLIB_DISK_VMFS_FLAT.0, 5);
    assert_eq!(Disk::VIXDISKLIB_DISK_STREAM_OPTIMIZED.0, 6);
    assert_eq!(Disk::VIXDISKLIB_DISK_VMFS_THIN.0, 7);
    assert_eq!(Disk::VIXDISKLIB_DISK_VMFS_SPARSE.0, 8);
    assert_eq!(Disk::VIXDISKLIB_DISK_UNKNOWN.0, 256);
    assert_eq!(Adapter::VIXDISKLIB_ADAPTER_IDE.0, 1);
    assert_eq!(Adapter::VIXDISKLIB_ADAPTER_SCSI_BUSLOGIC.0, 2);
    assert_eq!(Adapter::VIXDISKLIB_ADAPTER_SCSI_LSILOGIC.0, 3);
    assert_eq!(Adapter::VIXDISKLIB_ADAPTER_UNKNOWN.0, 256);
}

#[test]
fn constants() {
    assert_eq!((VIX_OK, VIX_ASYNC), (0, 25_000));
    assert_eq!(VIXDISKLIB_SECTOR_SIZE, 512);
    assert_eq!(VIXDISKLIB_MIN_CHUNK_SIZE, 128);
    assert_eq!(VIXDISKLIB_MAX_CHUNK_NUMBER, 524_288);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_UNBUFFERED, 1);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_SINGLE_LINK, 2);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_READ_ONLY, 4);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB, 16);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ, 32);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ, 64);
    assert_eq!(VIXDISKLIB_FLAG_OPEN_COMPRESSION_MASK, 16 | 32 | 64);
    assert_eq!(VIXDISKLIB_HWVERSION_WORKSTATION_4, 3);
    assert_eq!(VIXDISKLIB_HWVERSION_WORKSTATION_5, 4);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX30, 4);
    assert_eq!(VIXDISKLIB_HWVERSION_WORKSTATION_6, 6);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX4X, 7);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX50, 8);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX51, 9);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX55, 10);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX60, 11);
    assert_eq!(VIXDISKLIB_HWVERSION_ESX65, 13);
}
