//! An open disk.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};
use vddk_sys::{self as sys, VixDiskLibHandle};

use crate::async_io::Engine;
use crate::change;
use crate::error::Failure;
use crate::handles::Handles;
use crate::image::Image;
use crate::journal::{Move, Tally};
use crate::lease::Lease;
use crate::log;
use crate::va_list::Arg;

/// An open disk.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Its own handle.
    pub(crate) handle: usize,
    /// Handle of its connection.
    pub(crate) connection: usize,
    /// The path it was opened by.
    pub(crate) path: String,
    /// The transport chosen.
    pub(crate) transport: &'static CStr,
    /// The data.
    pub(crate) image: Arc<Image>,
    /// Asynchronous requests.
    pub(crate) engine: Engine,
    /// What was moved.
    pub(crate) tally: Tally,
    /// Whether synchronous (1) or asynchronous (2) calls move data; 0 = none yet.
    mode: AtomicU8,
    opened: Instant,
    /// What is kept from others; `None` once the disk is closed.
    lease: Mutex<Option<Lease>>,
}

/// The open disks of this process.
pub(crate) static DISKS: Handles<Disk> = Handles::new(0xD0_0000);

/// The disk behind a handle.
///
/// # Errors
///
/// `VIX_E_INVALID_HANDLE` for null and for one that is not open.
/// The code of its loss when its link to the host was lost ("VDDK API reference", 3.3).
pub(crate) fn get(handle: VixDiskLibHandle) -> Result<Arc<Disk>, Failure> {
    let disk = get_even_lost(handle)?;
    disk.engine.check_link()?;
    Ok(disk)
}

/// As [`get`], for what works without a link.
///
/// # Errors
///
/// `VIX_E_INVALID_HANDLE` for null and for one that is not open.
pub(crate) fn get_even_lost(handle: VixDiskLibHandle) -> Result<Arc<Disk>, Failure> {
    DISKS
        .get(handle.addr())
        .ok_or_else(|| Failure::new(sys::VIX_E_INVALID_HANDLE, "the disk is not open"))
}

/// Cuts the link of a disk, if one of that handle is open.
pub(crate) fn lose_link(handle: usize, code: u32) {
    if let Some(disk) = DISKS.get(handle) {
        disk.engine.lose_link(code);
    }
}

impl Disk {
    /// A disk that was just opened.
    pub(crate) fn new(
        handle: usize,
        connection: usize,
        path: String,
        transport: &'static CStr,
        image: Image,
        engine: Engine,
        lease: Lease,
    ) -> Self {
        Self {
            handle,
            connection,
            path,
            transport,
            image: Arc::new(image),
            engine,
            tally: Tally::default(),
            mode: AtomicU8::new(0),
            opened: Instant::now(),
            lease: Mutex::new(Some(lease)),
        }
    }

    /// Notes how data are moved.
    ///
    /// # Errors
    ///
    /// 26000 once the other way was used on this handle.
    pub(crate) fn claim(&self, kind: Move) -> Result<(), Failure> {
        if let Some(lease) = &*self.lease.lock().unwrap_or_else(PoisonError::into_inner) {
            lease.heard();
        }
        let mine = match kind {
            Move::Read | Move::Write => 1,
            Move::ReadAsync | Move::WriteAsync => 2,
        };
        let claimed = self
            .mode
            .compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire);
        match claimed {
            Err(found) if found != mine => Err(Failure::new(
                sys::VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED,
                "synchronous and asynchronous calls on one handle",
            )),
            _ => Ok(()),
        }
    }

    /// What a journal line says about the disk.
    pub(crate) fn about(&self) -> Map<String, Value> {
        let mut about = Map::new();
        about.insert("handle".into(), self.handle.into());
        about.insert("path".into(), self.path.as_str().into());
        about
    }
}

/// Ends a disk that was taken out of [`DISKS`]: waits for its requests, joins its thread, brings
/// written data to the files and ends its lease.
///
/// # Errors
///
/// What failed first; the disk is closed all the same.
pub(crate) fn close(disk: &Disk) -> Result<(), Failure> {
    disk.engine.stop();
    change::close_parents(disk.handle);
    let moved = disk.tally.take();
    let calls = moved.iter().map(|(_, _, count, _)| count).sum();
    let bytes = moved.iter().map(|(_, _, _, bytes)| bytes).sum();
    Tally::write(&disk.about(), moved);
    let flushed = disk.image.flush();
    let lease = disk
        .lease
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let ended = lease.map_or(Ok(()), |lease| lease.end(&disk.image));
    let path = log::c_text(&disk.path);
    log::info(
        c"VixDiskLib: closed %s, since the last Wait %lu requests, %lu bytes; open for %.3f s\n",
        &[
            Arg::Text(&path),
            Arg::Number(calls),
            Arg::Number(bytes),
            Arg::Real(disk.opened.elapsed().as_secs_f64()),
        ],
    );
    flushed.and(ended)
}

/// As [`close`], where nobody can be told what failed but the log.
pub(crate) fn close_late(disk: &Disk) {
    if let Err(failure) = close(disk) {
        let (path, message) = (log::c_text(&disk.path), log::c_text(&failure.message));
        let args = [Arg::Text(&path), Arg::Text(&message)];
        log::warn(c"VixDiskLib: closing %s: %s\n", &args);
    }
}
