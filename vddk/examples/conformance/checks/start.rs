//! Loading, starting, error texts, parameters.

use vddk_sys::{Function, VixDiskLibConnectParams};

use super::Check;
use crate::raw::{No, expect_one_of, is, log_lines, ok, text_of};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "start.symbols",
        source: "10.1",
        expected: "the 19 functions that nbdkit needs, and more",
        run: |api, _| {
            let found = api.symbols().found();
            let missing: Vec<_> = found
                .iter()
                .filter(|(_, found)| !found)
                .map(|(symbol, _)| symbol.name)
                .collect();
            Ok(match missing.len() {
                0 => "all 43 functions".to_owned(),
                _ => format!("all but {}", missing.join(", ")),
            })
        },
    },
    Check {
        name: "start.soname",
        source: "6.1",
        expected: "an interface number from 6 to 9",
        run: |api, _| {
            let major = api.major();
            is(
                major.is_some_and(|major| (6..=9).contains(&major)),
                format!("{major:?}"),
            )
        },
    },
    Check {
        name: "start.interface-6.5",
        source: "1.3",
        expected: "InitEx accepts interface 6.5",
        run: |api, _| expect_one_of(api.init_as(6, 5), &[0]),
    },
    Check {
        name: "start.interface-too-new",
        source: "1.3",
        expected: "InitEx refuses an interface newer than the library",
        run: |api, _| {
            let code = api.init_as(99, 0);
            is(code != 0, format!("code {}", code & 0xFFFF))
        },
    },
    Check {
        name: "start.again-after-failure",
        source: "1.3",
        expected: "InitEx may be repeated after it failed",
        run: |api, _| {
            if api.init_as(99, 0) == 0 {
                return Err(No::Skip("interface 99 was accepted".to_owned()));
            }
            expect_one_of(api.init_as(6, 5), &[0])
        },
    },
    Check {
        name: "start.error-text-before-init",
        source: "1.3",
        expected: "GetErrorText works before InitEx",
        run: |api, _| {
            let text = api.error_text(4);
            is(
                text.as_ref().is_some_and(|text| !text.is_empty()),
                format!("{text:?}"),
            )
        },
    },
    Check {
        name: "start.error-text-unknown-code",
        source: "1.10",
        expected: "GetErrorText survives a code that does not exist",
        run: |api, _| Ok(format!("{:?}", api.error_text(0xDEAD_BEEF_0000_FFF0))),
    },
    Check {
        name: "start.free-error-text-null",
        source: "1.10",
        expected: "FreeErrorText accepts NULL",
        run: |api, _| {
            // SAFETY: the fact that is checked; a crash ends this process only.
            unsafe { api.symbols().VixDiskLib_FreeErrorText(std::ptr::null_mut()) };
            Ok("it returned".to_owned())
        },
    },
    Check {
        name: "start.params-before-init",
        source: "1.3, 1.4",
        expected: "AllocateConnectParams works before InitEx and gives 128 zeroed bytes",
        run: |api, _| {
            // SAFETY: takes nothing.
            let params = unsafe { api.symbols().VixDiskLib_AllocateConnectParams() }?;
            if params.is_null() {
                return Err(No::Deviates("NULL".to_owned()));
            }
            let size = size_of::<VixDiskLibConnectParams>();
            // SAFETY: releases with this function allocate 128 bytes (reference, 2.1), and all of
            // them are initialised, for they are zeroed.
            let bytes = unsafe { std::slice::from_raw_parts(params.cast::<u8>(), size) };
            let zeroed = bytes.iter().all(|byte| *byte == 0);
            // SAFETY: from AllocateConnectParams, freed once.
            unsafe { api.symbols().VixDiskLib_FreeConnectParams(params) };
            is(zeroed, format!("{size} bytes, zeroed: {zeroed}"))
        },
    },
    Check {
        name: "start.cleanup-null",
        source: "1.5",
        expected: "Cleanup with NULL parameters before InitEx does not crash",
        run: |api, _| {
            let (mut cleaned, mut remaining) = (0, 0);
            // SAFETY: the fact that is checked; a crash ends this process only.
            let code = unsafe {
                api.symbols().VixDiskLib_Cleanup(
                    std::ptr::null(),
                    &raw mut cleaned,
                    &raw mut remaining,
                )
            }?;
            Ok(format!("code {}", code & 0xFFFF))
        },
    },
    Check {
        name: "start.transport-modes",
        source: "1.3",
        expected: "a colon list of known words, with file and nbdssl",
        run: |api, _| {
            api.init()?;
            // SAFETY: takes nothing, and the library is started.
            let list = text_of(unsafe { api.symbols().VixDiskLib_ListTransportModes() }?);
            let list = list.ok_or(No::Deviates("NULL".to_owned()))?;
            let known = ["file", "san", "hotadd", "nbdssl", "nbd"];
            let words: Vec<_> = list.split(':').collect();
            let fits = words.iter().all(|word| known.contains(word))
                && words.contains(&"file")
                && words.contains(&"nbdssl");
            is(fits, list.clone())
        },
    },
    Check {
        name: "start.log-lines",
        source: "6.6",
        expected: "the library logs through the functions given, mostly with a newline at the end",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.close(disk.handle))?;
            let (lines, last) = log_lines();
            is(lines > 0, format!("{lines} lines, the last {last:?}"))
        },
    },
    Check {
        name: "start.exit",
        source: "1.3",
        expected: "Exit returns after everything was closed",
        run: |api, _| {
            let disk = api.local(0)?;
            ok(api.close(disk.handle))?;
            ok(api.disconnect(disk.connection))?;
            // SAFETY: nothing is open any more, and this thread called InitEx.
            unsafe { api.symbols().VixDiskLib_Exit() };
            Ok("it returned".to_owned())
        },
    },
    Check {
        name: "start.symbol-pairs",
        source: "1.2",
        expected: "functions that belong together are both there or both missing",
        run: |api, _| {
            let pairs = [
                (
                    Function::VixDiskLib_QueryAllocatedBlocks,
                    Function::VixDiskLib_FreeBlockList,
                ),
                (
                    Function::VixDiskLib_PrepareForAccess,
                    Function::VixDiskLib_EndAccess,
                ),
            ];
            let odd: Vec<_> = pairs
                .iter()
                .filter(|(one, two)| api.symbols().has(*one) != api.symbols().has(*two))
                .map(|(one, _)| one.symbol().name)
                .collect();
            is(odd.is_empty(), format!("without a partner: {odd:?}"))
        },
    },
];
