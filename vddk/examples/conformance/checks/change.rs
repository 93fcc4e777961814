//! Making and changing local disks.

use std::{ffi::c_void, path::Path};

use vddk::SectorBuf;
use vddk_sys::{
    Bool, VIX_E_DISK_CID_MISMATCH, VIX_E_FILE_ALREADY_EXISTS, VIXDISKLIB_FLAG_OPEN_READ_ONLY,
    VIXDISKLIB_FLAG_OPEN_SINGLE_LINK, VixDiskLibDiskType,
};

use super::Check;
use crate::raw::{Api, Local, No, SECTORS, Seen, c_path, create_params, expect, failed, is, ok};

const SPARSE: VixDiskLibDiskType = VixDiskLibDiskType::VIXDISKLIB_DISK_MONOLITHIC_SPARSE;

/// Counts the calls of a progress function.
unsafe extern "C" fn progress(data: *mut c_void, percent: i32) -> Bool {
    // SAFETY: the data is a counter of the caller's, which lives through the call.
    let (calls, last) = unsafe { &mut *data.cast::<(u32, i32)>() };
    *calls += 1;
    *last = percent;
    1
}

fn byte_at(api: &Api, handle: vddk_sys::VixDiskLibHandle, sector: u64) -> Result<u8, No> {
    let mut buf = SectorBuf::new(1)?;
    ok(api.read(handle, sector, &mut buf))?;
    Ok(buf[0])
}

fn put(api: &Api, handle: vddk_sys::VixDiskLibHandle, sector: u64, byte: u8) -> Result<(), No> {
    let mut buf = SectorBuf::new(1)?;
    buf.fill(byte);
    ok(api.write(handle, sector, &buf))
}

fn open(
    api: &Api,
    disk: &Local,
    path: &Path,
    flags: u32,
) -> Result<vddk_sys::VixDiskLibHandle, No> {
    api.open(disk.connection, path, flags)
        .map_err(failed("Open"))
}

/// A disk with byte 7 in sector 10, and a child of it; both closed.
fn chain(api: &Api) -> Result<(Local, std::path::PathBuf), No> {
    let disk = api.local(0)?;
    put(api, disk.handle, 10, 7)?;
    let child = api.file("child.vmdk");
    let path = c_path(&child);
    // SAFETY: the parent is open, the path lives through the call, no progress is wanted.
    ok(unsafe {
        api.symbols().VixDiskLib_CreateChild(
            disk.handle,
            path.as_ptr(),
            SPARSE,
            None,
            std::ptr::null_mut(),
        )
    }?)?;
    ok(api.close(disk.handle))?;
    Ok((disk, child))
}

fn create_kind(api: &Api, kind: VixDiskLibDiskType) -> Seen {
    api.init()?;
    let connection = api.connect_local(false).map_err(failed("ConnectEx"))?;
    let path = api.file("made.vmdk");
    ok(api.create(connection, &path, SECTORS, kind))?;
    let handle = api.open(connection, &path, 0).map_err(failed("Open"))?;
    put(api, handle, SECTORS - 1, 5)?;
    let byte = byte_at(api, handle, SECTORS - 1)?;
    ok(api.close(handle))?;
    is(byte == 5, format!("made, written, read {byte}"))
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "change.create-sparse",
        source: "1.9",
        expected: "a monolithic sparse disk can be made and used",
        run: |api, _| create_kind(api, SPARSE),
    },
    Check {
        name: "change.create-flat",
        source: "1.9",
        expected: "a monolithic flat disk can be made and used",
        run: |api, _| create_kind(api, VixDiskLibDiskType::VIXDISKLIB_DISK_MONOLITHIC_FLAT),
    },
    Check {
        name: "change.create-split-sparse",
        source: "1.9",
        expected: "a split sparse disk can be made and used",
        run: |api, _| create_kind(api, VixDiskLibDiskType::VIXDISKLIB_DISK_SPLIT_SPARSE),
    },
    Check {
        name: "change.create-split-flat",
        source: "1.9",
        expected: "a split flat disk can be made and used",
        run: |api, _| create_kind(api, VixDiskLibDiskType::VIXDISKLIB_DISK_SPLIT_FLAT),
    },
    Check {
        name: "change.create-existing",
        source: "1.9",
        expected: "making a disk over a file that exists gives 12",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.close(disk.handle))?;
            let code = api.create(disk.connection, &disk.path, SECTORS, SPARSE);
            expect(code, VIX_E_FILE_ALREADY_EXISTS)
        },
    },
    Check {
        name: "change.child-reads-through",
        source: "1.9",
        expected: "a child reads what its parent holds, and keeps its own writes",
        run: |api, _| {
            let (disk, child) = chain(api)?;
            let handle = open(api, &disk, &child, 0)?;
            put(api, handle, 11, 8)?;
            let seen = (byte_at(api, handle, 10)?, byte_at(api, handle, 11)?);
            ok(api.close(handle))?;
            let parent = open(api, &disk, &disk.path, VIXDISKLIB_FLAG_OPEN_READ_ONLY)?;
            let below = byte_at(api, parent, 11)?;
            is(
                seen == (7, 8) && below == 0,
                format!("child {seen:?}, parent {below}"),
            )
        },
    },
    Check {
        name: "change.parent-written-after-child",
        source: "1.9",
        expected: "a child whose parent was written afterwards does not open: 16008",
        run: |api, _| {
            let (disk, child) = chain(api)?;
            let parent = open(api, &disk, &disk.path, 0)?;
            put(api, parent, 12, 9)?;
            ok(api.close(parent))?;
            match api.open(disk.connection, &child, VIXDISKLIB_FLAG_OPEN_READ_ONLY) {
                Ok(_) => Err(No::Deviates("it was opened".to_owned())),
                Err(code) => expect(code, VIX_E_DISK_CID_MISMATCH),
            }
        },
    },
    Check {
        name: "change.attach",
        source: "1.9",
        expected: "Attach makes a single link stand for the chain",
        run: |api, _| {
            let (disk, child) = chain(api)?;
            let read_only = VIXDISKLIB_FLAG_OPEN_READ_ONLY;
            let parent = open(api, &disk, &disk.path, read_only)?;
            let single = read_only | VIXDISKLIB_FLAG_OPEN_SINGLE_LINK;
            let link = open(api, &disk, &child, single)?;
            let alone = byte_at(api, link, 10)?;
            // SAFETY: both handles are open; afterwards only the child's is used and closed.
            ok(unsafe { api.symbols().VixDiskLib_Attach(parent, link) }?)?;
            let whole = byte_at(api, link, 10)?;
            ok(api.close(link))?;
            is(
                (alone, whole) == (0, 7),
                format!("before {alone}, after {whole}"),
            )
        },
    },
    Check {
        name: "change.clone",
        source: "1.9",
        expected: "Clone copies every byte and calls the progress function up to 100",
        run: |api, _| {
            let disk = api.local(0)?;
            put(api, disk.handle, 10, 7)?;
            ok(api.close(disk.handle))?;
            let target = api.file("copy.vmdk");
            let (source_path, target_path) = (c_path(&disk.path), c_path(&target));
            let params = create_params(SECTORS, SPARSE);
            let mut told = (0_u32, 0_i32);
            // SAFETY: the connection is open; paths, parameters and counter live through the call.
            ok(unsafe {
                api.symbols().VixDiskLib_Clone(
                    disk.connection,
                    target_path.as_ptr(),
                    disk.connection,
                    source_path.as_ptr(),
                    &raw const params,
                    Some(progress),
                    (&raw mut told).cast(),
                    0,
                )
            }?)?;
            let copy = open(api, &disk, &target, VIXDISKLIB_FLAG_OPEN_READ_ONLY)?;
            let byte = byte_at(api, copy, 10)?;
            is(
                byte == 7 && told.0 > 0 && told.1 == 100,
                format!("byte {byte}, {} calls, the last {} %", told.0, told.1),
            )
        },
    },
    Check {
        name: "change.grow",
        source: "1.9",
        expected: "Grow makes a disk larger: old data stays, new sectors are zeros",
        run: |api, _| {
            let disk = api.local(0)?;
            put(api, disk.handle, SECTORS - 1, 7)?;
            ok(api.close(disk.handle))?;
            let path = c_path(&disk.path);
            // SAFETY: the connection is open, the path lives through the call.
            ok(unsafe {
                api.symbols().VixDiskLib_Grow(
                    disk.connection,
                    path.as_ptr(),
                    2 * SECTORS,
                    1,
                    None,
                    std::ptr::null_mut(),
                )
            }?)?;
            let handle = open(api, &disk, &disk.path, VIXDISKLIB_FLAG_OPEN_READ_ONLY)?;
            let seen = (
                byte_at(api, handle, SECTORS - 1)?,
                byte_at(api, handle, 2 * SECTORS - 1)?,
            );
            is(seen == (7, 0), format!("{seen:?}"))
        },
    },
    Check {
        name: "change.rename-and-unlink",
        source: "1.9",
        expected: "Rename moves a disk, Unlink removes all of its files",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.close(disk.handle))?;
            let renamed = api.file("renamed.vmdk");
            let (from, to) = (c_path(&disk.path), c_path(&renamed));
            // SAFETY: both paths live through the call.
            ok(unsafe { api.symbols().VixDiskLib_Rename(from.as_ptr(), to.as_ptr()) }?)?;
            let moved = !disk.path.exists() && renamed.exists();
            // SAFETY: the connection is open, the path lives through the call.
            ok(unsafe {
                api.symbols()
                    .VixDiskLib_Unlink(disk.connection, to.as_ptr())
            }?)?;
            let gone = !renamed.exists();
            is(moved && gone, format!("moved: {moved}, gone: {gone}"))
        },
    },
    Check {
        name: "change.check",
        source: "1.9",
        expected: "CheckRepair finds nothing wrong with a new disk",
        run: |api, _| {
            let disk = api.local(0)?;
            put(api, disk.handle, 10, 7)?;
            ok(api.close(disk.handle))?;
            let path = c_path(&disk.path);
            // SAFETY: the connection is open, the path lives through the call.
            expect(
                unsafe {
                    api.symbols()
                        .VixDiskLib_CheckRepair(disk.connection, path.as_ptr(), 0)
                }?,
                0,
            )
        },
    },
    Check {
        name: "change.space-needed",
        source: "1.9",
        expected: "a flat clone of a sparse disk needs at least its capacity in bytes",
        run: |api, _| {
            let disk = api.local(0)?;
            let mut bytes = 0;
            // SAFETY: the handle is open, the counter is ours.
            ok(unsafe {
                api.symbols().VixDiskLib_SpaceNeededForClone(
                    disk.handle,
                    VixDiskLibDiskType::VIXDISKLIB_DISK_MONOLITHIC_FLAT,
                    &raw mut bytes,
                )
            }?)?;
            is(bytes >= SECTORS * 512, format!("{bytes} bytes"))
        },
    },
];
