//! Moving data: `Read`, `Write`, their asynchronous forms, `Flush` and `Wait`.

use std::ffi::c_void;
use std::sync::Arc;

use vddk_sys::{self as sys, VixDiskLibCompletionCB, VixDiskLibHandle, VixError};

use crate::async_io::{self, Job, Request};
use crate::boundary::{self, Call};
use crate::disk::{self, Disk};
use crate::error::Failure;
use crate::fault::Ordered;
use crate::journal::{Move, Tally};
use crate::library;

/// Reads sectors of 512 bytes, all or none.
///
/// # Safety
///
/// `buffer` must be null or writable for `sectors` times 512 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Read(
    handle: VixDiskLibHandle,
    start_sector: u64,
    sectors: u64,
    buffer: *mut u8,
) -> VixError {
    boundary::noted("VixDiskLib_Read", |call| {
        let range = (start_sector, sectors);
        note(call, handle, range);
        call.go()?;
        let (disk, length_bytes) = begin(call, handle, Move::Read, range, buffer)?;
        // SAFETY: checked not to be null; the caller promises the length.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length_bytes) };
        disk.engine
            .round_trip(length_bytes, || disk.image.read(start_sector, buffer))?;
        moved(call, &disk, Move::Read, length_bytes)?;
        Ok(sys::VIX_OK)
    })
}

/// Writes sectors of 512 bytes to a local disk that is open for writing.
///
/// # Safety
///
/// `buffer` must be null or readable for `sectors` times 512 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Write(
    handle: VixDiskLibHandle,
    start_sector: u64,
    sectors: u64,
    buffer: *const u8,
) -> VixError {
    boundary::noted("VixDiskLib_Write", |call| {
        let range = (start_sector, sectors);
        note(call, handle, range);
        let full = call.go_writing()?;
        let (disk, length_bytes) = begin(call, handle, Move::Write, range, buffer)?;
        // SAFETY: checked not to be null; the caller promises the length.
        let data = unsafe { std::slice::from_raw_parts(buffer, length_bytes) };
        if full {
            disk.image
                .write(start_sector, &data[..async_io::half(length_bytes)])?;
            return Err(Failure::new(sys::VIX_E_DISK_FULL, "the storage is full"));
        }
        disk.engine
            .round_trip(length_bytes, || disk.image.write(start_sector, data))?;
        moved(call, &disk, Move::Write, length_bytes)?;
        Ok(sys::VIX_OK)
    })
}

/// Asks for sectors of 512 bytes. Returns `VIX_ASYNC` exactly when the callback has come or will.
///
/// # Safety
///
/// `buffer` must be null or writable for `sectors` times 512 bytes and left alone until the
/// callback returned. The callback is called once, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_ReadAsync(
    handle: VixDiskLibHandle,
    start_sector: u64,
    sectors: u64,
    buffer: *mut u8,
    callback: VixDiskLibCompletionCB,
    callback_data: *mut c_void,
) -> VixError {
    boundary::noted("VixDiskLib_ReadAsync", |call| {
        let range = (start_sector, sectors);
        // SAFETY: the caller promises it.
        unsafe {
            submit(
                call,
                handle,
                Move::ReadAsync,
                range,
                buffer,
                callback,
                callback_data,
            )
        }
    })
}

/// Asks for sectors to be written to a local disk that is open for writing. Returns `VIX_ASYNC`
/// exactly when the callback has come or will.
///
/// # Safety
///
/// `buffer` must be null or readable for `sectors` times 512 bytes and unchanged until the
/// callback returned. The callback is called once, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_WriteAsync(
    handle: VixDiskLibHandle,
    start_sector: u64,
    sectors: u64,
    buffer: *const u8,
    callback: VixDiskLibCompletionCB,
    callback_data: *mut c_void,
) -> VixError {
    boundary::noted("VixDiskLib_WriteAsync", |call| {
        let range = (start_sector, sectors);
        let buffer = buffer.cast_mut();
        // SAFETY: the caller promises it; a write only reads the buffer.
        unsafe {
            submit(
                call,
                handle,
                Move::WriteAsync,
                range,
                buffer,
                callback,
                callback_data,
            )
        }
    })
}

/// Submits an asynchronous request.
///
/// # Safety
///
/// As [`VixDiskLib_ReadAsync`].
unsafe fn submit(
    call: &mut Call,
    handle: VixDiskLibHandle,
    kind: Move,
    range: (u64, u64),
    buffer: *mut u8,
    callback: VixDiskLibCompletionCB,
    callback_data: *mut c_void,
) -> Result<u32, Failure> {
    note(call, handle, range);
    call.go()?;
    let (disk, length_bytes) = begin(call, handle, kind, range, buffer)?;
    let callback = callback.ok_or_else(|| Failure::argument("the callback is null"))?;
    let job = Job {
        kind,
        start_sector: range.0,
        length_bytes,
        fault: Ordered::next_callback(kind.name()),
        about: call.noted().clone(),
    };
    // Counted before the callback can come: a program may wait for that and then look.
    moved(call, &disk, kind, length_bytes)?;
    // SAFETY: not null; the caller promises the length, the time and the callback.
    let request = unsafe { Request::new(job, buffer, callback, callback_data) };
    disk.engine.submit(&disk.image, request)?;
    Ok(sys::VIX_ASYNC)
}

/// Notes what a request is about.
fn note(call: &mut Call, handle: VixDiskLibHandle, (start_sector, sectors): (u64, u64)) {
    call.note("handle", handle.addr());
    call.note("start_sector", start_sector);
    call.note("sectors", sectors);
}

/// Checks a request, and gives the disk and the length of the buffer in bytes.
fn begin(
    call: &mut Call,
    handle: VixDiskLibHandle,
    kind: Move,
    (start_sector, sectors): (u64, u64),
    buffer: *const u8,
) -> Result<(Arc<Disk>, usize), Failure> {
    let disk = disk::get(handle)?;
    call.note("path", disk.path.as_str());
    disk.claim(kind)?;
    let write = matches!(kind, Move::Write | Move::WriteAsync);
    let length_bytes = disk.image.check(start_sector, sectors, buffer, write)?;
    Ok((disk, length_bytes))
}

/// Sums a call up, unless each shall be in the journal.
fn moved(call: &mut Call, disk: &Disk, kind: Move, length_bytes: usize) -> Result<(), Failure> {
    if !library::current()?.script.journal_reads {
        disk.tally.add(kind, length_bytes as u64);
        call.leave_out();
    }
    Ok(())
}

/// Brings written data to the files.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Flush(handle: VixDiskLibHandle) -> VixError {
    boundary::ending("VixDiskLib_Flush", |call| {
        call.note("handle", handle.addr());
        disk::get(handle)?.image.flush()?;
        Ok(sys::VIX_OK)
    })
}

/// Returns after all callbacks of the disk have returned.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Wait(handle: VixDiskLibHandle) -> VixError {
    boundary::ending("VixDiskLib_Wait", |call| {
        call.note("handle", handle.addr());
        async_io::refuse_in_callback()?;
        let disk = disk::get_even_lost(handle)?;
        disk.engine.wait();
        Tally::write(&disk.about(), disk.tally.take());
        disk.engine.check_link()?;
        Ok(sys::VIX_OK)
    })
}
