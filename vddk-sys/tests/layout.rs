//! Sizes and offsets written by hand from the VDDK API reference, chapter 2, so that a slip in the
//! header or in the generator shows.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::mem::{align_of, offset_of, size_of};

use vddk_sys::{
    VIX_ASYNC, VIX_E_DISK_OUTOFRANGE, VixDiskLibAdapterType, VixDiskLibBlock, VixDiskLibBlockList,
    VixDiskLibConnectParams, VixDiskLibCreateParams, VixDiskLibCredType, VixDiskLibDatastoreSpec,
    VixDiskLibDiskType, VixDiskLibGeometry, VixDiskLibInfo, VixDiskLibSessionIdCreds,
    VixDiskLibSpecType, VixDiskLibUidPasswdCreds, VixDiskLibVStorageObjectSpec, VixError,
};

#[test]
fn connect_params() {
    assert_eq!(size_of::<VixDiskLibConnectParams>(), 128);
    assert_eq!(align_of::<VixDiskLibConnectParams>(), 8);
    let offsets = [
        (offset_of!(VixDiskLibConnectParams, vmxSpec), 0),
        (offset_of!(VixDiskLibConnectParams, serverName), 8),
        (offset_of!(VixDiskLibConnectParams, thumbPrint), 16),
        (offset_of!(VixDiskLibConnectParams, privateUse), 24),
        (offset_of!(VixDiskLibConnectParams, credType), 32),
        (offset_of!(VixDiskLibConnectParams, creds), 40),
        (offset_of!(VixDiskLibConnectParams, port), 64),
        (offset_of!(VixDiskLibConnectParams, nfcHostPort), 68),
        (offset_of!(VixDiskLibConnectParams, vimApiVer), 72),
        (offset_of!(VixDiskLibConnectParams, reserved), 80),
        (offset_of!(VixDiskLibConnectParams, state), 88),
        (offset_of!(VixDiskLibConnectParams, spec), 96),
        (offset_of!(VixDiskLibConnectParams, specType), 120),
    ];
    for (found, wanted) in offsets {
        assert_eq!(found, wanted);
    }
    // Members of the unions, from the start of the whole structure.
    assert_eq!(40 + offset_of!(VixDiskLibUidPasswdCreds, userName), 40);
    assert_eq!(40 + offset_of!(VixDiskLibUidPasswdCreds, password), 48);
    assert_eq!(40 + offset_of!(VixDiskLibSessionIdCreds, cookie), 40);
    assert_eq!(40 + offset_of!(VixDiskLibSessionIdCreds, userName), 48);
    assert_eq!(40 + offset_of!(VixDiskLibSessionIdCreds, key), 56);
    assert_eq!(96 + offset_of!(VixDiskLibVStorageObjectSpec, id), 96);
    assert_eq!(
        96 + offset_of!(VixDiskLibVStorageObjectSpec, datastoreMoRef),
        104
    );
    assert_eq!(96 + offset_of!(VixDiskLibVStorageObjectSpec, ssId), 112);
    assert_eq!(96 + offset_of!(VixDiskLibDatastoreSpec, datastoreMoRef), 96);
    assert_eq!(96 + offset_of!(VixDiskLibDatastoreSpec, diskFolder), 104);
}

#[test]
fn info_and_create_params() {
    assert_eq!(
        (
            size_of::<VixDiskLibGeometry>(),
            align_of::<VixDiskLibGeometry>()
        ),
        (12, 4)
    );
    assert_eq!(size_of::<VixDiskLibInfo>(), 64);
    assert_eq!(offset_of!(VixDiskLibInfo, physGeo), 12);
    assert_eq!(offset_of!(VixDiskLibInfo, capacity), 24);
    assert_eq!(offset_of!(VixDiskLibInfo, adapterType), 32);
    assert_eq!(offset_of!(VixDiskLibInfo, numLinks), 36);
    assert_eq!(offset_of!(VixDiskLibInfo, parentFileNameHint), 40);
    assert_eq!(offset_of!(VixDiskLibInfo, uuid), 48);
    assert_eq!(offset_of!(VixDiskLibInfo, logicalSectorSize), 56);
    assert_eq!(offset_of!(VixDiskLibInfo, physicalSectorSize), 60);

    assert_eq!(size_of::<VixDiskLibCreateParams>(), 32);
    assert_eq!(offset_of!(VixDiskLibCreateParams, adapterType), 4);
    assert_eq!(offset_of!(VixDiskLibCreateParams, hwVersion), 8);
    assert_eq!(offset_of!(VixDiskLibCreateParams, capacity), 16);
    assert_eq!(offset_of!(VixDiskLibCreateParams, logicalSectorSize), 24);
    assert_eq!(offset_of!(VixDiskLibCreateParams, physicalSectorSize), 28);
}

#[test]
fn block_list() {
    assert_eq!(size_of::<VixDiskLibBlock>(), 16);
    assert_eq!(offset_of!(VixDiskLibBlock, length), 8);
    assert_eq!(
        (
            size_of::<VixDiskLibBlockList>(),
            align_of::<VixDiskLibBlockList>()
        ),
        (24, 8)
    );
    assert_eq!(offset_of!(VixDiskLibBlockList, blocks), 8);
}

#[test]
fn numbers() {
    assert_eq!(size_of::<VixError>(), 8);
    assert_eq!(VIX_ASYNC, 25000);
    assert_eq!(VIX_E_DISK_OUTOFRANGE, 16007);
    assert_eq!(VixDiskLibCredType::VIXDISKLIB_CRED_UID.0, 1);
    assert_eq!(VixDiskLibSpecType::VIXDISKLIB_SPEC_DATASTORE.0, 2);
    assert_eq!(VixDiskLibDiskType::VIXDISKLIB_DISK_VMFS_THIN.0, 7);
    assert_eq!(VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_UNKNOWN.0, 256);
    assert_eq!(size_of::<VixDiskLibSpecType>(), 4);
}
