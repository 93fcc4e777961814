//! An open disk.

use std::{cell::Cell, ffi::CStr, sync::Arc, time::Instant};

use vddk_sys::{Symbols, VixDiskLibConnectParam, VixDiskLibHandleStruct};

use crate::{
    AllocatedMap, Assumed, DiskInfo, Error, KeepAlive, OpenOptions, Pending, SectorBuf,
    TransportFallback, TransportMode,
    answer::Taker,
    blocks, callback,
    connection::ConnectionInner,
    control::{Raw, check},
    disk_path,
    idle::Idle,
    info,
    request::{Answer, Failure, Request},
    shared::Shared,
    worker::{Pace, Worker},
};

/// An open disk.
///
/// It can move between threads but not be shared: VixDiskLib wants one thread at a time on a
/// handle, and the disk's own worker is that thread. It cannot be written to; a [`WritableDisk`]
/// can.
///
/// [`WritableDisk`]: crate::WritableDisk
#[derive(Debug)]
pub struct Disk {
    handle: Raw<VixDiskLibHandleStruct>,
    worker: Option<Worker>,
    pace: Pace,
    info: DiskInfo,
    transport: TransportMode,
    shared: Arc<Shared>,
    /// Something was written since the last flush.
    unflushed: Cell<bool>,
    /// Something was written since it was opened.
    written: Cell<bool>,
    single_link: bool,
}

/// What is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The name for people and errors.
    pub(crate) name: &'a str,
    /// The path for the library; a first-class disk has none.
    pub(crate) path: Option<&'a str>,
    pub(crate) write: bool,
}

impl Disk {
    pub(crate) fn open(
        connection: &Arc<ConnectionInner>,
        raw: Raw<VixDiskLibConnectParam>,
        wanted: Wanted<'_>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let mut pace = options.pace()?;
        let c_path = wanted
            .path
            .map(|path| disk_path::on(connection, path))
            .transpose()?;
        let major = connection.library.control.loaded().major();
        let flags = options.flags(wanted.write);
        let name = wanted.name.to_owned();
        let (opened, info, transport) = connection
            .library
            .control
            .run("VixDiskLib_Open", move |symbols| {
                open_handle(symbols, raw, c_path.as_deref(), flags, &name, major)
            })??;
        pace.keep_alive = match options.keep_alive {
            KeepAlive::After(idle) => Some(idle),
            KeepAlive::Automatic if transport.is_network() => {
                connection.library.keep_alive_interval()
            }
            KeepAlive::Automatic | KeepAlive::Off => None,
        };
        let handle = opened.keep();
        let shared = Arc::new(Shared::new(wanted.name, connection, options.time_out));
        // Threads that call VDDK are made after InitEx (guide 7.0, thread-local data).
        let worker = Worker::start(handle, Arc::clone(&shared), pace).inspect_err(|_| {
            let _ = close_handle(&shared, handle);
        })?;
        Ok(Self {
            handle,
            worker: Some(worker),
            pace,
            info,
            transport,
            shared,
            unflushed: Cell::new(false),
            written: Cell::new(false),
            single_link: options.single_link,
        })
    }

    /// Facts of the disk.
    #[doc(alias = "VixDiskLib_GetInfo")]
    #[doc(alias = "VixDiskLib_FreeInfo")]
    pub fn info(&self) -> &DiskInfo {
        &self.info
    }

    /// The transport that was really chosen.
    #[doc(alias = "VixDiskLib_GetTransportMode")]
    pub fn transport_mode(&self) -> TransportMode {
        self.transport
    }

    /// What to tell when the disk does not come by the transport that was wanted most; `None` when
    /// it does, or when the policy is [`TransportPolicy::Allow`](crate::TransportPolicy).
    pub fn transport_fallback(&self) -> Option<TransportFallback> {
        let plan = self.shared.connection().transports();
        plan.fallback(self.transport)
    }

    /// The path it was opened by, or the id of a first-class disk.
    pub fn path(&self) -> &str {
        &self.shared.path
    }

    /// Begins to read `buffer.sectors()` sectors from `start_sector` on.
    ///
    /// Blocks while as many requests wait as may be in flight.
    ///
    /// # Errors
    /// [`Error::Argument`] for a range that leaves the disk, [`Error::Poisoned`] after a request
    /// that never completed. What the library says comes from [`Pending::wait`].
    #[doc(alias = "VixDiskLib_ReadAsync")]
    #[doc(alias = "VixDiskLib_Read")]
    pub fn read(&self, start_sector: u64, buffer: SectorBuf) -> Result<Pending, Error> {
        let pieces = self.pieces("reading", start_sector, &buffer)?;
        self.begin(Request::read(start_sector, buffer, pieces))
    }

    /// Begins to write; [`WritableDisk`](crate::WritableDisk) calls it.
    pub(crate) fn write(&self, start_sector: u64, buffer: SectorBuf) -> Result<Pending, Error> {
        let pieces = self.pieces("writing", start_sector, &buffer)?;
        let failed = Arc::clone(&self.shared.failed_write);
        self.unflushed.set(true);
        self.written.set(true);
        self.begin(Request::write(start_sector, buffer, pieces, failed))
    }

    /// Brings what was written to the disk; [`WritableDisk`](crate::WritableDisk) calls it.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.worker()?.flush()?;
        self.unflushed.set(false);
        Ok(())
    }

    /// How many calls a request needs, if it stays inside the disk.
    fn pieces(&self, doing: &str, start_sector: u64, buffer: &SectorBuf) -> Result<usize, Error> {
        let sectors = buffer.sectors() as u64;
        let fits = start_sector
            .checked_add(sectors)
            .is_some_and(|end| end <= self.info.capacity_sectors);
        if !fits {
            return Err(Error::Argument {
                what: format!(
                    "{doing} {sectors} sectors from sector {start_sector} of {}, which has {}",
                    self.shared.path, self.info.capacity_sectors
                ),
            });
        }
        Ok(self.pace.pieces(sectors))
    }

    fn begin(&self, (request, answer): (Arc<Request>, Taker<Answer>)) -> Result<Pending, Error> {
        if self.shared.is_poisoned() {
            return Err(self.shared.error(Failure::Poisoned));
        }
        self.shared.begin(&request, Instant::now());
        self.worker()?.begin(request)?;
        Ok(Pending {
            answer,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Which areas of the disk are allocated (`VixDiskLib_QueryAllocatedBlocks`).
    ///
    /// Everything in flight ends first. Every rule of the query is kept; what cannot be asked, the
    /// end of the disk after the last whole 64 KiB, counts as allocated. Where the answer would not
    /// be true, on a single link, after writes and for local files, the library is not asked and the
    /// whole disk counts as allocated ([`AllocatedMap::assumed`]).
    ///
    /// # Errors
    /// [`Error::MissingFunction`] before VDDK 6.7, [`Error::Call`]: then read the whole disk.
    #[doc(alias = "VixDiskLib_QueryAllocatedBlocks")]
    #[doc(alias = "VixDiskLib_FreeBlockList")]
    pub fn allocated_blocks(&self) -> Result<AllocatedMap, Error> {
        blocks::query(self)
    }

    /// Why the library's map would not be true of this disk.
    pub(crate) fn assumed_allocated(&self) -> Option<Assumed> {
        if self.single_link {
            Some(Assumed::SingleLink)
        } else if self.written.get() {
            Some(Assumed::Written)
        } else {
            let local = self.shared.connection().is_local();
            local.then_some(Assumed::LocalFile)
        }
    }

    /// Waits for what is in flight and closes the disk (`VixDiskLib_Wait`, `VixDiskLib_Close`).
    ///
    /// # Errors
    /// [`Error::Call`]; [`Error::Poisoned`] when the disk was given up: it is then not closed;
    /// [`Error::Stuck`] while another call hangs: it is closed as soon as the library answers.
    #[doc(alias = "VixDiskLib_Close")]
    pub fn close(mut self) -> Result<(), Error> {
        self.close_inner()
    }

    /// Lets everything in flight end and lends the handle to the control thread's calls.
    pub(crate) fn idle(&self) -> Result<Idle<'_>, Error> {
        Ok(Idle {
            handle: self.handle,
            shared: &self.shared,
            _held: self.worker()?.hold()?,
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Ends the worker: from now on the control thread alone uses the handle.
    pub(crate) fn retire(mut self) -> Result<Retired, Error> {
        let worker = self.worker.take().ok_or(Error::ThreadEnded)?;
        let drained = worker.end(false);
        if self.shared.is_poisoned() {
            return Err(self.shared.error(Failure::Poisoned));
        }
        let retired = Retired {
            handle: Some(self.handle),
            shared: Arc::clone(&self.shared),
        };
        drained.map(|()| retired)
    }

    /// The library made something else of the disk, with these facts.
    pub(crate) fn has_changed(&mut self, info: DiskInfo) {
        self.info = info;
    }

    fn worker(&self) -> Result<&Worker, Error> {
        self.worker.as_ref().ok_or(Error::ThreadEnded)
    }

    fn close_inner(&mut self) -> Result<(), Error> {
        let Some(worker) = self.worker.take() else {
            return Ok(());
        };
        let drained = worker.end(self.unflushed.get());
        if self.shared.is_poisoned() {
            return Err(self.shared.error(Failure::Poisoned));
        }
        let closed = close_handle(&self.shared, self.handle);
        drained.and(closed)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.close_inner() {
            tracing::warn!(%error, "disk was not closed");
        }
    }
}

/// Closes a handle that no worker uses any more, or none uses yet.
fn close_handle(shared: &Shared, handle: Raw<VixDiskLibHandleStruct>) -> Result<(), Error> {
    let path = shared.path.clone();
    shared
        .connection()
        .library
        .control
        .undo("VixDiskLib_Close", move |symbols| {
            let handle = handle;
            // SAFETY: the handle is open, no other thread uses it, and it is closed once: by the one
            // place that takes the worker, or by the failing constructor. Its connection is ended
            // by a later job.
            let result = unsafe { symbols.VixDiskLib_Close(handle.0) };
            check(symbols, "VixDiskLib_Close", Some(&path), None, result)
        })
}

/// What is left of a disk without its worker. It is closed when dropped.
#[derive(Debug)]
pub(crate) struct Retired {
    handle: Option<Raw<VixDiskLibHandleStruct>>,
    shared: Arc<Shared>,
}

impl Retired {
    pub(crate) fn handle(&self) -> Raw<VixDiskLibHandleStruct> {
        self.handle.unwrap_or(Raw(std::ptr::null_mut()))
    }

    /// The handle is a part of another disk: it is never closed.
    pub(crate) fn belongs_to_another(mut self) {
        self.handle = None;
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.handle.take() {
            Some(handle) => close_handle(&self.shared, handle),
            None => Ok(()),
        }
    }
}

impl Drop for Retired {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "disk was not closed");
        }
    }
}

/// A handle on its way to its disk. One that does not arrive is closed, on the control thread.
struct Opened(Option<Raw<VixDiskLibHandleStruct>>, &'static Symbols);

impl Opened {
    fn keep(mut self) -> Raw<VixDiskLibHandleStruct> {
        self.0.take().unwrap_or(Raw(std::ptr::null_mut()))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            // SAFETY: `Open` gave the handle, nobody else knows it, and it is closed once. A value
            // that is not taken is dropped where it was made, which is the control thread.
            unsafe { self.1.VixDiskLib_Close(handle.0) };
        }
    }
}

/// Opens a disk and asks for its facts. Runs on the control thread, which ends the connection in a
/// later job of its own.
fn open_handle(
    symbols: &'static Symbols,
    connection: Raw<VixDiskLibConnectParam>,
    path: Option<&CStr>,
    flags: u32,
    name: &str,
    major: Option<u32>,
) -> Result<(Opened, DiskInfo, TransportMode), Error> {
    let since = callback::mark();
    let mut handle = std::ptr::null_mut();
    let path = path.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the connection is open, for its owner lent it when this job was queued, and it ends in
    // a later one; the path is NULL or lives through the call; the library stores a handle, or
    // nothing, in `handle`.
    let result = unsafe { symbols.VixDiskLib_Open(connection.0, path, flags, &raw mut handle) };
    check(symbols, "VixDiskLib_Open", Some(name), Some(since), result)?;
    let opened = Opened(Some(Raw(handle)), symbols);
    let info = info::get(symbols, handle, name, major)?;
    let transport = transport_of(symbols, Raw(handle))?;
    Ok((opened, info, transport))
}

fn transport_of(
    symbols: &Symbols,
    handle: Raw<VixDiskLibHandleStruct>,
) -> Result<TransportMode, Error> {
    // SAFETY: the handle is open.
    let pointer = unsafe { symbols.VixDiskLib_GetTransportMode(handle.0) };
    // SAFETY: NULL or a static string of the library.
    let text = unsafe { info::text(pointer) };
    let text = text.as_deref();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::UnusableAnswer {
            function: "VixDiskLib_GetTransportMode",
            what: match text {
                Some(text) => format!("the unknown transport {text:?}"),
                None => "no transport".to_owned(),
            },
        })
}

#[cfg(test)]
mod tests {
    use super::Disk;
    static_assertions::assert_impl_all!(Disk: Send);
    static_assertions::assert_not_impl_any!(Disk: Sync);
}
