//! An open disk.

use std::{
    cell::Cell,
    ffi::CStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use vddk_sys::{
    Symbols, VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ, VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ,
    VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB, VIXDISKLIB_FLAG_OPEN_READ_ONLY,
    VIXDISKLIB_FLAG_OPEN_SINGLE_LINK, VIXDISKLIB_FLAG_OPEN_UNBUFFERED, VixDiskLibConnectParam,
    VixDiskLibHandleStruct,
};

use crate::{
    AllocatedMap, DiskInfo, Error, Pending, SECTOR_BYTES, SectorBuf, TransportFallback,
    TransportMode,
    answer::Taker,
    blocks, callback,
    connection::ConnectionInner,
    control::{Control, Raw, check},
    disk_path,
    idle::Idle,
    info,
    request::{Answer, FailedWrite, Failure, Request},
    watch::Begun,
    worker::{Pace, Worker},
};

/// How reads reach the library. Both never happen on one handle: it would answer error 26000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// `VixDiskLib_ReadAsync`, several in flight. Where the library does not offer it, which its
    /// answer to the first one tells, the disk is read as by [`ReadMode::Synchronous`].
    #[default]
    Asynchronous,
    /// `VixDiskLib_Read`, one after another.
    Synchronous,
}

/// How a disk is opened and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// How reads are made.
    pub reads: ReadMode,
    /// Calls in flight at once, 1 to 64.
    pub in_flight: usize,
    /// Longest single call, in bytes; whole sectors. Above 2 MiB NBD through vCenter fails.
    pub request_bytes: usize,
    /// How long a read or write may take before the disk is given up.
    pub time_out: Duration,
    /// How an idle disk's link is kept alive.
    pub keep_alive: KeepAlive,
    /// No caching by this machine (`O_DIRECT` for file, SAN and HotAdd).
    pub unbuffered: bool,
    /// Only this link of the chain: what it does not hold reads as zeros, and holes mean nothing.
    /// ESXi refuses it for its own disks.
    pub single_link: bool,
    /// Compression on the way, for NBDSSL.
    pub compression: Option<Compression>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            reads: ReadMode::Asynchronous,
            in_flight: 4,
            request_bytes: 2 * 1024 * 1024,
            time_out: Duration::from_mins(15),
            keep_alive: KeepAlive::default(),
            unbuffered: false,
            single_link: false,
            compression: None,
        }
    }
}

impl OpenOptions {
    fn flags(&self, write: bool) -> u32 {
        let mut flags = 0;
        if !write {
            flags |= VIXDISKLIB_FLAG_OPEN_READ_ONLY;
        }
        if self.unbuffered {
            flags |= VIXDISKLIB_FLAG_OPEN_UNBUFFERED;
        }
        if self.single_link {
            flags |= VIXDISKLIB_FLAG_OPEN_SINGLE_LINK;
        }
        flags
            | match self.compression {
                None => 0,
                Some(Compression::Zlib) => VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB,
                Some(Compression::FastLz) => VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ,
                Some(Compression::SkipZ) => VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ,
            }
    }
}

/// When the first sector of an idle disk is read, so that nobody takes its link for dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepAlive {
    /// On NBD and NBDSSL, after less than half the shortest time-out of VDDK's configuration.
    #[default]
    Automatic,
    /// After this idleness, by any transport.
    After(Duration),
    /// Never.
    Off,
}

/// Compression of the data on an NBDSSL link; servers from vSphere 6.5 on can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zlib.
    Zlib,
    /// FastLZ.
    FastLz,
    /// Runs of zeros are left out.
    SkipZ,
}

/// What the disk, its worker and its pending requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: String,
    connection: Arc<ConnectionInner>,
    poisoned: AtomicBool,
    pub(crate) time_out: Duration,
    /// What was begun and not answered.
    pub(crate) begun: Arc<Begun>,
    /// The first write that failed since the last flush.
    pub(crate) failed_write: Arc<FailedWrite>,
}

impl Shared {
    pub(crate) fn symbols(&self) -> &'static Symbols {
        self.connection.library.control.loaded().symbols()
    }

    pub(crate) fn control(&self) -> &Control {
        &self.connection.library.control
    }

    pub(crate) fn connection(&self) -> &ConnectionInner {
        &self.connection
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// From now on the request is answered in time, if by nothing else then by giving the disk up.
    pub(crate) fn begin(self: &Arc<Self>, request: &Arc<Request>, now: Instant) {
        // A time-out behind the end of the clock never comes.
        if let Some(deadline) = now.checked_add(self.time_out) {
            self.connection.library.watch.over(self, request, deadline);
        }
    }

    /// Gives the disk up: VDDK may touch a buffer at any time from now on. `why` is told to the
    /// oldest request; those behind it are failed with it, for none of them may ever end.
    pub(crate) fn poison(&self, why: Failure) {
        self.mark_poisoned();
        for (index, request) in self.begun.take().into_iter().enumerate() {
            request.fail_now(if index == 0 { why } else { Failure::Poisoned });
        }
    }

    /// As [`Shared::poison`], for what one request met.
    pub(crate) fn poison_for(&self, request: &Request, why: Failure) {
        self.mark_poisoned();
        request.fail_now(why);
        self.poison(Failure::Poisoned);
    }

    fn mark_poisoned(&self) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            self.connection.abandon();
        }
    }
}

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
        let mut pace = pace_of(options)?;
        let c_path = wanted
            .path
            .map(|path| disk_path::on(connection, path))
            .transpose()?;
        let major = connection.library.control.loaded().major();
        let flags = options.flags(wanted.write);
        let name = wanted.name.to_owned();
        let connection_there = Arc::clone(connection);
        let (opened, info, transport) =
            connection
                .library
                .control
                .run("VixDiskLib_Open", move |symbols| {
                    // Kept until the call has returned, however late: it is not disconnected before.
                    let _connection = connection_there;
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
        let shared = Arc::new(Shared {
            path: wanted.name.to_owned(),
            connection: Arc::clone(connection),
            poisoned: AtomicBool::new(false),
            time_out: options.time_out,
            begun: Arc::default(),
            failed_write: Arc::default(),
        });
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
        let plan = self.shared.connection.transports();
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
    /// end of the disk after the last whole 64 KiB, counts as allocated.
    ///
    /// # Errors
    /// [`Error::MissingFunction`] before VDDK 6.7, [`Error::Call`]: then read the whole disk.
    #[doc(alias = "VixDiskLib_QueryAllocatedBlocks")]
    #[doc(alias = "VixDiskLib_FreeBlockList")]
    pub fn allocated_blocks(&self) -> Result<AllocatedMap, Error> {
        blocks::query(self)
    }

    /// Waits for what is in flight and closes the disk (`VixDiskLib_Wait`, `VixDiskLib_Close`).
    ///
    /// # Errors
    /// [`Error::Call`], or [`Error::Poisoned`] when the disk was given up: it is then not closed.
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
        let drained = worker.drain();
        drop(worker);
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
        let drained = if self.unflushed.get() {
            worker.flush()
        } else {
            worker.drain()
        };
        drop(worker);
        if self.shared.is_poisoned() {
            return Err(self.shared.error(Failure::Poisoned));
        }
        let closed = close_handle(&self.shared, self.handle);
        if let Err(Error::Stuck { .. }) = closed {
            // The handle stays open, so its connection must not be ended over it.
            self.shared.connection.abandon();
        }
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
        .connection
        .library
        .control
        .run("VixDiskLib_Close", move |symbols| {
            let handle = handle;
            // SAFETY: the handle is open, no other thread uses it, and it is closed once: by the one
            // place that takes the worker, or by the failing constructor.
            let result = unsafe { symbols.VixDiskLib_Close(handle.0) };
            check(symbols, "VixDiskLib_Close", Some(&path), None, result)
        })?
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

/// Opens a disk and asks for its facts. Runs on the control thread.
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
    // SAFETY: the connection is open, for the caller holds it; the path is NULL or lives through
    // the call; the library stores a handle, or nothing, in `handle`.
    let result = unsafe { symbols.VixDiskLib_Open(connection.0, path, flags, &raw mut handle) };
    check(symbols, "VixDiskLib_Open", Some(name), Some(since), result)?;
    let opened = Opened(Some(Raw(handle)), symbols);
    let info = info::get(symbols, handle, name, major)?;
    let transport = transport_of(symbols, Raw(handle))?;
    Ok((opened, info, transport))
}

fn pace_of(options: &OpenOptions) -> Result<Pace, Error> {
    let sectors = options.request_bytes / SECTOR_BYTES;
    if !options.request_bytes.is_multiple_of(SECTOR_BYTES) || sectors == 0 {
        return Err(Error::Argument {
            what: format!("requests of {} bytes", options.request_bytes),
        });
    }
    if !(1..=64).contains(&options.in_flight) {
        return Err(Error::Argument {
            what: format!(
                "{} reads in flight (1 to 64 are allowed)",
                options.in_flight
            ),
        });
    }
    Ok(Pace {
        mode: options.reads,
        in_flight: options.in_flight,
        piece_sectors: sectors as u64,
        time_out: options.time_out,
        keep_alive: None,
    })
}

fn transport_of(
    symbols: &Symbols,
    handle: Raw<VixDiskLibHandleStruct>,
) -> Result<TransportMode, Error> {
    // SAFETY: the handle is open.
    let pointer = unsafe { symbols.VixDiskLib_GetTransportMode(handle.0) };
    // SAFETY: NULL or a static string of the library.
    let text = unsafe { info::text(pointer) };
    text.as_deref().unwrap_or("(none)").parse()
}

#[cfg(test)]
mod tests {
    use super::{Disk, OpenOptions, pace_of};
    static_assertions::assert_impl_all!(Disk: Send);
    static_assertions::assert_not_impl_any!(Disk: Sync);

    #[test]
    fn unfit_options_are_refused() {
        let fit = OpenOptions::default();
        assert!(pace_of(&fit).is_ok());
        for unfit in [
            OpenOptions {
                request_bytes: 0,
                ..fit
            },
            OpenOptions {
                request_bytes: 1000,
                ..fit
            },
            OpenOptions {
                in_flight: 0,
                ..fit
            },
            OpenOptions {
                in_flight: 65,
                ..fit
            },
        ] {
            assert!(pace_of(&unfit).is_err(), "{unfit:?}");
        }
    }
}
