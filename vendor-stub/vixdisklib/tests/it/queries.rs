//! Allocated blocks and metadata.

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use vddk_sys::{VixDiskLibBlock, VixDiskLibBlockList, VixDiskLibHandle};
use vixDiskLib::*;

use crate::harness::*;

/// `QueryAllocatedBlocks` and `FreeBlockList`.
pub(crate) fn allocated(
    disk: VixDiskLibHandle,
    start: u64,
    sectors: u64,
    chunk: u64,
) -> Result<Vec<(u64, u64)>, u64> {
    let mut list: *mut VixDiskLibBlockList = null_mut();
    // SAFETY: the out pointer is writable.
    let code =
        unsafe { VixDiskLib_QueryAllocatedBlocks(disk, start, sectors, chunk, &raw mut list) };
    if code != 0 {
        assert!(list.is_null());
        return Err(code);
    }
    assert!(!list.is_null(), "an empty list is an object too");
    // SAFETY: the list is valid until it is freed.
    let count = unsafe { (*list).numBlocks } as usize;
    // SAFETY: as above; no reference is made.
    let first = unsafe { &raw const (*list).blocks }.cast::<VixDiskLibBlock>();
    // SAFETY: the list has as many blocks as it says.
    let blocks = unsafe { std::slice::from_raw_parts(first, count) };
    let blocks = blocks
        .iter()
        .map(|block| (block.offset, block.length))
        .collect();
    // SAFETY: nobody uses the list any more.
    assert_eq!(unsafe { VixDiskLib_FreeBlockList(list) }, 0);
    // SAFETY: a double free, which the library survives.
    assert_eq!(unsafe { VixDiskLib_FreeBlockList(list) }, 3);
    Ok(blocks)
}

#[test]
fn allocated_blocks_follow_every_rule() {
    in_own_process("queries::allocated_blocks_follow_every_rule", || {
        let site = Site::new();
        site.init("");
        let (_, disk) = site.open_frozen();
        assert_eq!(allocated(disk, 0, 2048, 128), Ok(vec![(256, 128)]));
        assert_eq!(allocated(disk, 256, 128, 128), Ok(vec![(256, 128)]));
        assert_eq!(allocated(disk, 0, 2048, 512), Ok(vec![(0, 512)]));
        assert_eq!(allocated(disk, 0, 256, 128), Ok(vec![]));
        for (start, sectors, chunk) in [
            (1, 128, 128),
            (0, 129, 128),
            (0, 64, 64),
            (0, 0, 0),
            (0, 2048 + 128, 128),
            (2048, 128, 128),
            (0, 128 * 524_289, 128),
        ] {
            assert_eq!(
                allocated(disk, start, sectors, chunk),
                Err(3),
                "{start} {sectors} {chunk}"
            );
        }
        assert_eq!(allocated(null_mut(), 0, 128, 128), Err(1000));
        // SAFETY: a null out pointer is refused.
        let code = unsafe { VixDiskLib_QueryAllocatedBlocks(disk, 0, 128, 128, null_mut()) };
        assert_eq!(code, 3);
        // SAFETY: null is allowed.
        assert_eq!(unsafe { VixDiskLib_FreeBlockList(null_mut()) }, 0);
        exit();
        assert_eq!(
            site.journal("VixDiskLib_Exit")[0].args["unfreed_block_lists"],
            0
        );
    });
}

/// The sizing call and the copying call, as a backup program makes them.
pub(crate) fn sized(
    mut call: impl FnMut(*mut c_char, usize, *mut usize) -> u64,
) -> Result<Vec<u8>, u64> {
    let mut needed = 0;
    let code = call(null_mut(), 0, &raw mut needed);
    if code != 24 {
        return Err(code);
    }
    let mut buffer = vec![0xEE_u8; needed];
    assert_eq!(call(buffer.as_mut_ptr().cast(), needed - 1, null_mut()), 24);
    assert_eq!(call(buffer.as_mut_ptr().cast(), needed, null_mut()), 0);
    Ok(buffer)
}

#[test]
fn metadata_are_sized_then_copied() {
    in_own_process("queries::metadata_are_sized_then_copied", || {
        let site = Site::new();
        site.init("");
        let (_, disk) = site.open_frozen();
        let keys = sized(|buffer, length, needed| {
            // SAFETY: the buffer has the length given.
            unsafe { VixDiskLib_GetMetadataKeys(disk, buffer, length, needed) }
        })
        .unwrap();
        assert!(keys.ends_with(&[0, 0]), "an empty key ends the list");
        let keys: Vec<String> = keys[..keys.len() - 2]
            .split(|byte| *byte == 0)
            .map(|key| String::from_utf8(key.to_vec()).unwrap())
            .collect();
        assert!(keys.iter().any(|key| key == "adapterType"), "{keys:?}");

        let value = |key: &str| {
            let key = CString::new(key).unwrap();
            sized(|buffer, length, needed| {
                // SAFETY: the key is valid, the buffer has the length given.
                unsafe { VixDiskLib_ReadMetadata(disk, key.as_ptr(), buffer, length, needed) }
            })
        };
        assert_eq!(value("adapterType").unwrap(), b"lsilogic\0");
        for key in &keys {
            assert!(value(key).unwrap().ends_with(&[0]), "{key}");
        }
        assert_eq!(value("no.such.key"), Err(16052));
        // SAFETY: a null key is refused.
        let code = unsafe { VixDiskLib_ReadMetadata(disk, null(), null_mut(), 0, null_mut()) };
        assert_eq!(code, 3);
        exit();
    });
}
