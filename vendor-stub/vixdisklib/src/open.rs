//! `Open` and `Close`.

mod local;
mod managed;
mod of_vm;
mod thumbprint;
mod without_vm;

use std::ffi::{CStr, c_char};
use std::ptr;

use vddk_sys::{self as sys, VixDiskLibConnection, VixDiskLibHandle, VixError};

use crate::async_io::{self, Engine};
use crate::boundary;
use crate::change;
use crate::connection::{self, Connection};
use crate::disk::{self, DISKS, Disk};
use crate::error::Failure;
use crate::image::Image;
use crate::lease::Lease;
use crate::library;
use crate::log;
use crate::text;
use crate::va_list::Arg;

pub(crate) use without_vm::file_in_folder;

const KNOWN_FLAGS: u32 = sys::VIXDISKLIB_FLAG_OPEN_UNBUFFERED
    | sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK
    | sys::VIXDISKLIB_FLAG_OPEN_READ_ONLY
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ;

const COMPRESSION: u32 = sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ;

/// What was opened.
pub(crate) struct Opened {
    pub(crate) disk: vmdk::Disk,
    pub(crate) transport: &'static CStr,
    /// What is kept from others as long as the disk is open.
    pub(crate) lease: Lease,
    /// Buffers must be aligned, whether the caller asked for it or not.
    pub(crate) aligned: bool,
    /// The transport does not reach the data: they read as zeros, and writes fail.
    pub(crate) out_of_reach: bool,
}

/// How to open a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) read_only: bool,
    pub(crate) single_link: bool,
    /// One of the flags for compression was given.
    pub(crate) compressed: bool,
}

impl Manner {
    const READING: Self = Self {
        read_only: true,
        single_link: false,
        compressed: false,
    };

    fn of(connection: &Connection, flags: u32) -> Self {
        let has = |flag: u32| flags & flag != 0;
        Self {
            read_only: connection.read_only || has(sys::VIXDISKLIB_FLAG_OPEN_READ_ONLY),
            single_link: has(sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK),
            compressed: has(COMPRESSION),
        }
    }
}

/// Opens a disk: a local file by its absolute path, a disk of the VM or the folder by its datastore
/// path, or the first-class disk that the connection is for, whatever the path. Here the thumbprint is checked and the transport chosen.
///
/// # Safety
///
/// `path` must be null or valid, `handle` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Open(
    connection: VixDiskLibConnection,
    path: *const c_char,
    flags: u32,
    handle: *mut VixDiskLibHandle,
) -> VixError {
    boundary::code("VixDiskLib_Open", |call| {
        let library = library::current()?;
        call.note("connection", connection.addr());
        call.note("flags", flags);
        // SAFETY: the caller promises it.
        let path = unsafe { text::optional(path, "path") }?;
        call.note("path", path);
        if handle.is_null() {
            return Err(Failure::argument("diskHandle is null"));
        }
        if flags & !KNOWN_FLAGS != 0 {
            return Err(Failure::argument(format!("unknown open flags {flags:#x}")));
        }
        let opener = connection::get(connection)?;
        let path = opener.disk_name(path)?;
        let manner = Manner::of(&opener, flags);
        let opened = open(&opener, path, manner)?;
        let unbuffered = flags & sys::VIXDISKLIB_FLAG_OPEN_UNBUFFERED != 0;
        let mut image = Image::new(opened.disk, manner.read_only, unbuffered || opened.aligned);
        if opened.out_of_reach {
            image.put_out_of_reach();
        }
        let engine = Engine::of(&library, opener.target.as_ref(), opened.transport)?;
        let number = DISKS.add(|number| {
            Disk::new(
                number,
                connection.addr(),
                path.to_owned(),
                opened.transport,
                image,
                engine,
                opened.lease,
            )
        });
        call.note("handle", number);
        call.note("transport", opened.transport.to_str().unwrap_or_default());
        // SAFETY: not null, and the caller promises the rest.
        unsafe { handle.write(ptr::without_provenance_mut(number)) };
        say_opened(path, opened.transport);
        Ok(sys::VIX_OK)
    })
}

/// Opens a disk to copy it: a local one with all its links, or one of what the connection is for.
pub(crate) fn for_reading(connection: &Connection, path: &str) -> Result<Opened, Failure> {
    open(connection, path, Manner::READING)
}

fn open(connection: &Connection, path: &str, manner: Manner) -> Result<Opened, Failure> {
    match &connection.target {
        None => local::open(path, manner),
        Some(target) => managed::open(connection, target, path, manner),
    }
}

fn say_opened(path: &str, transport: &CStr) {
    let path = log::c_text(path);
    let args = [Arg::Text(&path), Arg::Text(transport)];
    log::info(c"VixDiskLib: opened %s, transport %s\n", &args);
}

/// Closes a disk, after all its requests are done.
///
/// # Safety
///
/// No call may be running on the disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Close(handle: VixDiskLibHandle) -> VixError {
    boundary::ending("VixDiskLib_Close", |call| {
        call.note("handle", handle.addr());
        async_io::refuse_in_callback()?;
        if change::is_attached(handle.addr()) {
            // It belongs to its child ("VDDK API reference", 1.9).
            call.note("ignored", true);
            return Ok(sys::VIX_OK);
        }
        let Some(disk) = DISKS.remove(handle.addr()) else {
            let message = "the disk is not open";
            return Err(Failure::new(sys::VIX_E_INVALID_HANDLE, message));
        };
        call.note("path", disk.path.as_str());
        // For ever, if a callback never comes; `Exit` does not wait for such.
        disk.engine.wait();
        disk::close(&disk)?;
        Ok(sys::VIX_OK)
    })
}
