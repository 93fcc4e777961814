//! Reading, writing, asynchronous requests, allocated blocks.

use std::time::Duration;

use vddk::SectorBuf;
use vddk_sys::{
    VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED, VIX_E_DISK_OUTOFRANGE, VIX_E_FILE_READ_ONLY,
    VIX_E_INVALID_ARG, VIXDISKLIB_FLAG_OPEN_READ_ONLY, VIXDISKLIB_FLAG_OPEN_UNBUFFERED,
    VIXDISKLIB_MAX_CHUNK_NUMBER, VIXDISKLIB_MIN_CHUNK_SIZE,
};

use super::Check;
use crate::raw::{Api, Local, No, SECTORS, Seen, expect, failed, is, ok};

const CHUNK: u64 = VIXDISKLIB_MIN_CHUNK_SIZE as u64;

fn filled(sectors: usize, byte: u8) -> Result<SectorBuf, No> {
    let mut buf = SectorBuf::new(sectors)?;
    buf.fill(byte);
    Ok(buf)
}

/// The same disk, opened again for reading.
fn reopened(api: &Api, disk: &Local) -> Result<vddk_sys::VixDiskLibHandle, No> {
    ok(api.close(disk.handle))?;
    api.open(disk.connection, &disk.path, VIXDISKLIB_FLAG_OPEN_READ_ONLY)
        .map_err(failed("Open"))
}

/// What a question that breaks a rule is answered.
fn refused(api: &Api, start: u64, sectors: u64, chunk: u64) -> Seen {
    let disk = api.local(0)?;
    match api.allocated(disk.handle, start, sectors, chunk)? {
        Ok(runs) => Err(No::Deviates(format!("success with {} runs", runs.len()))),
        Err(code) => expect(code, VIX_E_INVALID_ARG),
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "data.written-reads-back",
        source: "1.7",
        expected: "what was written reads back after the disk was closed, the rest is zeros",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.write(disk.handle, 100, &filled(3, 7)?))?;
            ok(api.write(disk.handle, SECTORS - 1, &filled(1, 9)?))?;
            let handle = reopened(api, &disk)?;
            let mut buf = filled(SECTORS as usize, 0xEE)?;
            ok(api.read(handle, 0, &mut buf))?;
            let right = buf.chunks(512).enumerate().all(|(sector, bytes)| {
                let wanted = match sector as u64 {
                    100..=102 => 7,
                    last if last == SECTORS - 1 => 9,
                    _ => 0,
                };
                bytes.iter().all(|byte| *byte == wanted)
            });
            is(
                right,
                format!("every byte of {SECTORS} sectors right: {right}"),
            )
        },
    },
    Check {
        name: "data.read-past-the-end",
        source: "1.7",
        expected: "reading past the capacity gives 16007",
        run: |api, _| {
            let disk = api.local(0)?;
            let code = api.read(disk.handle, SECTORS - 1, &mut filled(2, 0)?);
            expect(code, VIX_E_DISK_OUTOFRANGE)
        },
    },
    Check {
        name: "data.write-past-the-end",
        source: "1.7",
        expected: "writing past the capacity gives 16007",
        run: |api, _| {
            let disk = api.local(0)?;
            let code = api.write(disk.handle, SECTORS, &filled(1, 0)?);
            expect(code, VIX_E_DISK_OUTOFRANGE)
        },
    },
    Check {
        name: "data.write-read-only-open",
        source: "2.4, 3.2",
        expected: "writing to a disk that was opened read-only gives 11",
        run: |api, _| {
            let disk = api.local(0)?;
            let handle = reopened(api, &disk)?;
            expect(api.write(handle, 0, &filled(1, 1)?), VIX_E_FILE_READ_ONLY)
        },
    },
    Check {
        name: "data.write-read-only-connection",
        source: "1.5",
        expected: "a read-only connection opens read-only: writing gives 11",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.close(disk.handle))?;
            let connection = api.connect_local(true).map_err(failed("ConnectEx"))?;
            match api.open(connection, &disk.path, 0) {
                Ok(handle) => expect(api.write(handle, 0, &filled(1, 1)?), VIX_E_FILE_READ_ONLY),
                Err(code) => expect(code, VIX_E_FILE_READ_ONLY),
            }
        },
    },
    Check {
        name: "data.unbuffered",
        source: "2.4, 7.5",
        expected: "an unbuffered disk reads into a buffer aligned to 4096",
        run: |api, _| {
            let disk = api.local(VIXDISKLIB_FLAG_OPEN_UNBUFFERED)?;
            expect(api.read(disk.handle, 0, &mut filled(8, 1)?), 0)
        },
    },
    Check {
        name: "data.async-is-accepted",
        source: "1.7",
        expected: "ReadAsync gives 25000, and its completion comes once with 0",
        run: |api, _| {
            let disk = api.local(0)?;
            let handle = reopened(api, &disk)?;
            let asked = api.read_async(handle, 0, filled(64, 0xEE)?).accepted()?;
            let (result, bytes) = asked
                .result(Duration::from_secs(30))
                .ok_or_else(|| No::Deviates("no completion in 30 s".to_owned()))?;
            ok(result)?;
            ok(api.wait(handle))?;
            let more = asked.result(Duration::ZERO).is_some();
            is(
                !more && bytes.iter().all(|byte| *byte == 0),
                format!("a second completion: {more}"),
            )
        },
    },
    Check {
        name: "data.wait",
        source: "1.7",
        expected: "Wait returns after the completions of all requests of the handle",
        run: |api, _| {
            let disk = api.local(0)?;
            let handle = reopened(api, &disk)?;
            let asked: Vec<_> = (0..4)
                .map(|index| {
                    api.read_async(handle, index * 256, filled(256, 1)?)
                        .accepted()
                })
                .collect::<Result<_, No>>()?;
            ok(api.wait(handle))?;
            let came = asked
                .iter()
                .filter_map(|asked| asked.result(Duration::ZERO));
            let came = came.count();
            is(came == 4, format!("{came} of 4 completions"))
        },
    },
    Check {
        name: "data.async-past-the-end",
        source: "1.7",
        expected: "ReadAsync past the capacity fails with 16007, in the call or the completion",
        run: |api, _| {
            let disk = api.local(0)?;
            let handle = reopened(api, &disk)?;
            let asked = api.read_async(handle, SECTORS, filled(2, 0)?);
            if !asked.is_accepted() {
                return expect(asked.code, VIX_E_DISK_OUTOFRANGE);
            }
            ok(api.wait(handle))?;
            let (result, _) = asked
                .result(Duration::ZERO)
                .ok_or_else(|| No::Deviates("no completion".to_owned()))?;
            expect(result, VIX_E_DISK_OUTOFRANGE)
        },
    },
    Check {
        name: "data.mixed-modes",
        source: "7.2",
        expected: "a synchronous read after an asynchronous one on a handle gives 26000",
        run: |api, _| {
            let disk = api.local(0)?;
            let handle = reopened(api, &disk)?;
            api.read_async(handle, 0, filled(8, 0)?).accepted()?;
            ok(api.wait(handle))?;
            let code = api.read(handle, 0, &mut filled(8, 0)?);
            expect(code, VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED)
        },
    },
    Check {
        name: "data.allocated",
        source: "7.4",
        expected: "allocated runs are sorted, whole chunks, inside the range, and hold the data",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.write(disk.handle, 5 * CHUNK + 1, &filled(1, 7)?))?;
            let handle = reopened(api, &disk)?;
            let askable = SECTORS / CHUNK * CHUNK;
            let runs = api
                .allocated(handle, 0, askable, CHUNK)?
                .map_err(failed("QueryAllocatedBlocks"))?;
            let mut from = 0;
            let mut right = true;
            for (start, length) in &runs {
                right &= *start >= from && start % CHUNK == 0 && length % CHUNK == 0;
                from = start + length;
            }
            let holds = runs
                .iter()
                .any(|(start, length)| (*start..start + length).contains(&(5 * CHUNK + 1)));
            is(right && holds && from <= askable, format!("{runs:?}"))
        },
    },
    Check {
        name: "data.allocated-none",
        source: "7.4",
        expected: "an empty sparse disk has an empty list, which is an object all the same",
        run: |api, _| {
            let disk = api.local(0)?;
            let askable = SECTORS / CHUNK * CHUNK;
            let runs = api
                .allocated(disk.handle, 0, askable, CHUNK)?
                .map_err(failed("QueryAllocatedBlocks"))?;
            is(runs.is_empty(), format!("{runs:?}"))
        },
    },
    Check {
        name: "data.allocated-unaligned-start",
        source: "7.4",
        expected: "a start that is no multiple of the chunk gives 3",
        run: |api, _| refused(api, 1, CHUNK, CHUNK),
    },
    Check {
        name: "data.allocated-unaligned-length",
        source: "7.4",
        expected: "a length that is no multiple of the chunk gives 3",
        run: |api, _| refused(api, 0, CHUNK + 1, CHUNK),
    },
    Check {
        name: "data.allocated-small-chunk",
        source: "7.4",
        expected: "a chunk below 128 sectors gives 3",
        run: |api, _| refused(api, 0, CHUNK, CHUNK / 2),
    },
    Check {
        name: "data.allocated-too-many-chunks",
        source: "7.4",
        expected: "more than 524288 chunks give 3",
        run: |api, _| {
            let chunks = u64::from(VIXDISKLIB_MAX_CHUNK_NUMBER) + 1;
            refused(api, 0, chunks * CHUNK, CHUNK)
        },
    },
    Check {
        name: "data.allocated-past-the-end",
        source: "7.4",
        expected: "a range that ends past the capacity gives 3",
        run: |api, _| refused(api, 0, SECTORS.next_multiple_of(CHUNK), CHUNK),
    },
];
