//! Connecting to local files, opening, facts of a disk, the disk database.

use vddk_sys::{
    VIX_E_BUFFER_TOOSMALL, VIX_E_DISK_KEY_NOTFOUND, VIX_E_FILE_NOT_FOUND, VIX_E_INVALID_ARG,
    VIXDISKLIB_FLAG_OPEN_READ_ONLY, VixDiskLibConnectParams,
};

use super::Check;
use crate::raw::{Api, Local, No, SECTORS, Seen, expect, failed, is, ok};

/// Capacity in sectors, links, and both sector sizes from SONAME 7 on.
type Facts = (u64, i32, Option<(u32, u32)>);

/// What `GetInfo` tells, copied.
fn info(api: &Api, disk: &Local) -> Result<Facts, No> {
    let mut info = std::ptr::null_mut();
    // SAFETY: the handle is open.
    ok(unsafe { api.symbols().VixDiskLib_GetInfo(disk.handle, &raw mut info) })?;
    if info.is_null() {
        return Err(No::Deviates("success and no object".to_owned()));
    }
    // SAFETY: the object is the library's until it is freed.
    let capacity = unsafe { (*info).capacity };
    // SAFETY: as above.
    let links = unsafe { (*info).numLinks };
    let sizes = if api.major().is_some_and(|major| major >= 7) {
        // SAFETY: from 7.0 on the object has this field (reference, 2.2).
        let logical = unsafe { (*info).logicalSectorSize };
        // SAFETY: as above.
        Some((logical, unsafe { (*info).physicalSectorSize }))
    } else {
        None
    };
    // SAFETY: freed once.
    unsafe { api.symbols().VixDiskLib_FreeInfo(info) };
    Ok((capacity, links, sizes))
}

/// All keys of a disk.
fn keys(api: &Api, disk: &Local) -> Result<Vec<String>, No> {
    let (_, required) = api.metadata_keys(disk.handle, &mut [])?;
    let mut buf = vec![0; required.min(1 << 20)];
    let (code, _) = api.metadata_keys(disk.handle, &mut buf)?;
    ok(code)?;
    Ok(buf
        .split(|byte| *byte == 0)
        .take_while(|key| !key.is_empty())
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect())
}

fn two_steps(ask: impl Fn(&mut [u8]) -> Result<(u64, usize), No>) -> Seen {
    let (code, required) = ask(&mut [])?;
    expect(code, VIX_E_BUFFER_TOOSMALL)?;
    let (code, _) = ask(&mut vec![0; required.min(1 << 20)])?;
    ok(code)?;
    is(required > 0, format!("code 24, then {required} bytes"))
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "disk.connect-zeroed",
        source: "1.5",
        expected: "ConnectEx accepts zeroed parameters for local files",
        run: |api, _| {
            api.init()?;
            let connection = api.connect_local(true).map_err(failed("ConnectEx"))?;
            expect(api.disconnect(connection), 0)
        },
    },
    Check {
        name: "disk.connect-empty-string",
        source: "1.5",
        expected: "ConnectEx refuses an empty string in local parameters with code 3",
        run: |api, _| {
            api.init()?;
            // SAFETY: all-zero is valid: NULL pointers and numbers.
            let mut params: VixDiskLibConnectParams = unsafe { std::mem::zeroed() };
            let mut empty = [0];
            params.serverName = empty.as_mut_ptr();
            match api.connect_with(&params, true, None, None) {
                Ok(_) => Err(No::Deviates("it was accepted".to_owned())),
                Err(code) => expect(code, VIX_E_INVALID_ARG),
            }
        },
    },
    Check {
        name: "disk.missing-file",
        source: "3.2",
        expected: "opening a file that is not there gives code 4",
        run: |api, _| {
            api.init()?;
            let connection = api.connect_local(true).map_err(failed("ConnectEx"))?;
            match api.open(
                connection,
                &api.file("no.vmdk"),
                VIXDISKLIB_FLAG_OPEN_READ_ONLY,
            ) {
                Ok(_) => Err(No::Deviates("it was opened".to_owned())),
                Err(code) => expect(code, VIX_E_FILE_NOT_FOUND),
            }
        },
    },
    Check {
        name: "disk.transport-of-file",
        source: "4.1",
        expected: "a local disk's transport is file",
        run: |api, _| {
            let disk = api.local(0)?;
            let mode = api.transport(disk.handle);
            is(mode.as_deref() == Some("file"), format!("{mode:?}"))
        },
    },
    Check {
        name: "disk.info",
        source: "2.2",
        expected: "GetInfo tells the capacity that Create was given, and one link",
        run: |api, _| {
            let disk = api.local(0)?;
            let (capacity, links, _) = info(api, &disk)?;
            is(
                (capacity, links) == (SECTORS, 1),
                format!("{capacity} sectors, {links} links"),
            )
        },
    },
    Check {
        name: "disk.sector-sizes",
        source: "2.2",
        expected: "from SONAME 7 on both sector sizes are powers of two from 512 on",
        run: |api, _| {
            let disk = api.local(0)?;
            let (_, _, sizes) = info(api, &disk)?;
            let Some((logical, physical)) = sizes else {
                return Err(No::Skip(
                    "the object has no such fields before 7".to_owned(),
                ));
            };
            let fits = |size: u32| size >= 512 && size.is_power_of_two();
            is(
                fits(logical) && fits(physical),
                format!("{logical}, {physical}"),
            )
        },
    },
    Check {
        name: "disk.info-outlives-close",
        source: "10.3",
        expected: "GetInfo's object can be freed after Close and Disconnect",
        run: |api, _| {
            let disk = api.local(0)?;
            let mut object = std::ptr::null_mut();
            // SAFETY: the handle is open.
            ok(unsafe {
                api.symbols()
                    .VixDiskLib_GetInfo(disk.handle, &raw mut object)
            })?;
            ok(api.close(disk.handle))?;
            ok(api.disconnect(disk.connection))?;
            // SAFETY: the fact that is checked; bareos relies on it.
            let capacity = unsafe { (*object).capacity };
            // SAFETY: freed once.
            unsafe { api.symbols().VixDiskLib_FreeInfo(object) };
            is(capacity == SECTORS, format!("{capacity} sectors"))
        },
    },
    Check {
        name: "disk.metadata-keys-two-steps",
        source: "1.8",
        expected: "GetMetadataKeys gives 24 and the length without a buffer, then the keys",
        run: |api, _| {
            let disk = api.local(0)?;
            two_steps(|buf| api.metadata_keys(disk.handle, buf))
        },
    },
    Check {
        name: "disk.metadata-two-steps",
        source: "1.8",
        expected: "ReadMetadata gives 24 and the length without a buffer, then the value",
        run: |api, _| {
            let disk = api.local(0)?;
            two_steps(|buf| api.read_metadata(disk.handle, c"adapterType", buf))
        },
    },
    Check {
        name: "disk.metadata-usual-keys",
        source: "1.8",
        expected: "adapterType and the geometry are among the keys of a new disk",
        run: |api, _| {
            let disk = api.local(0)?;
            let keys = keys(api, &disk)?;
            let usual = ["adapterType", "geometry.cylinders", "geometry.heads"];
            let there = usual.iter().all(|key| keys.iter().any(|one| one == key));
            is(there, keys.join(", "))
        },
    },
    Check {
        name: "disk.metadata-unknown-key",
        source: "1.8",
        expected: "an unknown key gives 16052",
        run: |api, _| {
            let disk = api.local(0)?;
            let (code, _) = api.read_metadata(disk.handle, c"no.such.key", &mut [])?;
            expect(code, VIX_E_DISK_KEY_NOTFOUND)
        },
    },
    Check {
        name: "disk.metadata-written",
        source: "1.8",
        expected: "a key that was written reads back, also after the disk was closed",
        run: |api, _| {
            let disk = api.local(0)?;
            // SAFETY: the handle is open for writing; both strings are static.
            ok(unsafe {
                api.symbols().VixDiskLib_WriteMetadata(
                    disk.handle,
                    c"conformance.key".as_ptr(),
                    c"a value".as_ptr(),
                )
            }?)?;
            ok(api.close(disk.handle))?;
            let flags = VIXDISKLIB_FLAG_OPEN_READ_ONLY;
            let again = api
                .open(disk.connection, &disk.path, flags)
                .map_err(failed("Open"))?;
            let mut buf = [0; 64];
            let (code, _) = api.read_metadata(again, c"conformance.key", &mut buf)?;
            ok(code)?;
            let text = String::from_utf8_lossy(&buf);
            let text = text.trim_end_matches('\0');
            is(text == "a value", text.to_owned())
        },
    },
];
