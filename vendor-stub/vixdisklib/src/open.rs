//! `Open` and `Close`.

use std::ffi::{CStr, c_char};
use std::path::Path;
use std::ptr;

use lab::{DiskHold, PowerState};
use vddk_sys::{self as sys, VixDiskLibConnection, VixDiskLibHandle, VixError};

use crate::async_io::{self, Engine};
use crate::boundary;
use crate::change;
use crate::connection::{self, Connection, Target};
use crate::disk::{self, DISKS, Disk};
use crate::error::Failure;
use crate::image::Image;
use crate::library;
use crate::log;
use crate::text;
use crate::transport;
use crate::va_list::Arg;

const KNOWN_FLAGS: u32 = sys::VIXDISKLIB_FLAG_OPEN_UNBUFFERED
    | sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK
    | sys::VIXDISKLIB_FLAG_OPEN_READ_ONLY
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ
    | sys::VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ;

/// What was opened.
pub(crate) struct Opened {
    pub(crate) disk: vmdk::Disk,
    transport: &'static CStr,
    hold: Option<DiskHold>,
}

/// Opens a disk: a local file by its absolute path, or a disk of the VM by its datastore path.
/// Here the thumbprint is checked and the transport chosen.
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
        let path = unsafe { text::required(path, "path") }?;
        call.note("path", path);
        if handle.is_null() {
            return Err(Failure::argument("diskHandle is null"));
        }
        if flags & !KNOWN_FLAGS != 0 {
            return Err(Failure::argument(format!("unknown open flags {flags:#x}")));
        }
        let opener = connection::get(connection)?;
        let read_only = opener.read_only || flags & sys::VIXDISKLIB_FLAG_OPEN_READ_ONLY != 0;
        let single_link = flags & sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK != 0;
        let opened = match &opener.target {
            None => open_local(path, read_only, single_link),
            Some(target) => open_managed(&opener, target, path, read_only, single_link),
        }?;
        let unbuffered = flags & sys::VIXDISKLIB_FLAG_OPEN_UNBUFFERED != 0;
        let image = Image::new(opened.disk, read_only, unbuffered);
        let engine = Engine::of(&library, opener.target.as_ref(), opened.transport)?;
        let number = DISKS.add(|number| {
            Disk::new(
                number,
                connection.addr(),
                path.to_owned(),
                opened.transport,
                image,
                engine,
                opened.hold,
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

/// Opens a disk to copy it: a local one with all its links, or one of the connection's VM.
pub(crate) fn for_reading(connection: &Connection, path: &str) -> Result<Opened, Failure> {
    match &connection.target {
        None => open_local(path, true, false),
        Some(target) => open_managed(connection, target, path, true, false),
    }
}

fn say_opened(path: &str, transport: &CStr) {
    let path = log::c_text(path);
    let args = [Arg::Text(&path), Arg::Text(transport)];
    log::info(c"VixDiskLib: opened %s, transport %s\n", &args);
}

fn open_local(path: &str, read_only: bool, single_link: bool) -> Result<Opened, Failure> {
    let path = Path::new(path);
    if !path.is_absolute() {
        let message = format!("{} is no absolute path", path.display());
        return Err(Failure::new(sys::VIX_E_FILE_NOT_FOUND, message));
    }
    let options = vmdk::OpenOptions {
        write: !read_only,
        single_link,
    };
    Ok(Opened {
        disk: vmdk::Disk::open(path, options)?,
        transport: transport::FILE,
        hold: None,
    })
}

fn open_managed(
    connection: &Connection,
    target: &Target,
    path: &str,
    read_only: bool,
    single_link: bool,
) -> Result<Opened, Failure> {
    if single_link {
        let message = "a single link of a managed disk";
        return Err(Failure::new(
            sys::VIX_E_NOT_SUPPORTED_ON_REMOTE_OBJECT,
            message,
        ));
    }
    if !read_only {
        let message = "writing to managed disks is not offered";
        return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
    }
    check_thumbprint(target)?;
    let Target {
        lab, vm, snapshot, ..
    } = target;
    let snapshot = snapshot.as_deref();
    let file = lab.resolve_disk(vm, snapshot, path)?;
    check_state(target, path)?;
    let transport = transport::choose(&connection.transports)?;
    library::current()?.config.aio.check()?;
    let hold = lab.disk_lock(&file)?;
    let disk = vmdk::Disk::open(&file, vmdk::OpenOptions::default())?;
    Ok(Opened {
        disk,
        transport,
        hold: Some(hold),
    })
}

/// Compares the thumbprint of the connection with that of the lab's certificate. Nobody trusts
/// that certificate, so none given is as bad as a wrong one.
fn check_thumbprint(target: &Target) -> Result<(), Failure> {
    let actual = target.lab.thumbprint_sha1()?;
    let expected = target.thumbprint.as_deref().unwrap_or_default();
    if actual.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    if !is_thumbprint(expected) {
        log::warn(c"VixDiskLibVim: Wrong X.509 certificate format\n", &[]);
    }
    let (actual, expected) = (log::c_text(&actual), log::c_text(expected));
    log::info(
        c"VixDiskLibVim: the server's certificate is not the one expected: actual thumbprint=%s expected=%s\n",
        &[Arg::Text(&actual), Arg::Text(&expected)],
    );
    Err(Failure::new(
        sys::VIX_E_FAIL,
        "failed to open the disk by NFC",
    ))
}

/// True for 20 pairs of hexadecimal digits with colons between.
fn is_thumbprint(text: &str) -> bool {
    let pairs: Vec<&str> = text.split(':').collect();
    let is_pair =
        |pair: &&str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    pairs.len() == 20 && pairs.iter().all(is_pair)
}

/// Refuses what a host refuses: disks of a running VM without a snapshot, independent disks.
fn check_state(target: &Target, path: &str) -> Result<(), Failure> {
    let vm = target.lab.vm(&target.vm)?;
    let snapshot = target.snapshot.as_deref();
    if snapshot.is_none() && vm.power_state != PowerState::PoweredOff {
        let message = format!(
            "{path} is in use: {} is running and no snapshot is named",
            vm.moref
        );
        return Err(Failure::new(sys::VIX_E_FILE_ACCESS_ERROR, message));
    }
    let Some(snapshot) = snapshot else {
        return Ok(());
    };
    let frozen = vm.snapshot(snapshot).ok_or_else(|| {
        let message = format!("snapshot {snapshot} is gone");
        Failure::new(sys::VIX_E_SNAPSHOT_NOTFOUND, message)
    })?;
    let mut independent = frozen.disks.iter().filter(|disk| disk.is_independent());
    if independent.any(|disk| disk.chain.iter().any(|link| link.file == path)) {
        let message = format!("{path} is an independent disk, which a snapshot does not hold");
        return Err(Failure::new(sys::VIX_E_FAIL, message));
    }
    Ok(())
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
        disk::close(&disk);
        disk.image.flush()?;
        Ok(sys::VIX_OK)
    })
}

#[cfg(test)]
mod tests {
    use super::is_thumbprint;

    #[test]
    fn a_thumbprint_is_twenty_pairs() {
        let good = vec!["aB"; 20].join(":");
        assert!(is_thumbprint(&good));
        assert!(!is_thumbprint(&good[1..]));
        assert!(!is_thumbprint(&vec!["AB"; 32].join(":")));
        assert!(!is_thumbprint(&good.replace('B', "G")));
        assert!(!is_thumbprint(""));
    }
}
