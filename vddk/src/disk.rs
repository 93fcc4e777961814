//! An open disk.

use std::{
    cell::Cell,
    ffi::CString,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use vddk_sys::{
    Symbols, VIXDISKLIB_FLAG_OPEN_READ_ONLY, VixDiskLibConnectParam, VixDiskLibHandleStruct,
};

use crate::{
    AllocatedMap, DiskInfo, Error, PendingRead, SECTOR_BYTES, SectorBuf, TransportMode, blocks,
    callback,
    connection::ConnectionInner,
    control::{Control, Raw, check},
    idle::Idle,
    info,
    read::Request,
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
    /// How long a read may take before the disk is given up.
    pub time_out: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            reads: ReadMode::Asynchronous,
            in_flight: 4,
            request_bytes: 2 * 1024 * 1024,
            time_out: Duration::from_mins(15),
        }
    }
}

/// What the disk, its worker and its pending reads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: String,
    connection: Arc<ConnectionInner>,
    poisoned: AtomicBool,
}

impl Shared {
    pub(crate) fn symbols(&self) -> &'static Symbols {
        self.connection.library.control.loaded().symbols()
    }

    pub(crate) fn control(&self) -> &Control {
        &self.connection.library.control
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Gives the disk up: VDDK may write into a buffer at any time from now on.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
        self.connection.abandon();
    }
}

/// An open disk, read-only.
///
/// It can move between threads but not be shared: VixDiskLib wants one thread at a time on a
/// handle, and the disk's own worker is that thread.
#[derive(Debug)]
pub struct Disk {
    handle: Raw<VixDiskLibHandleStruct>,
    worker: Option<Worker>,
    pace: Pace,
    info: DiskInfo,
    transport: TransportMode,
    shared: Arc<Shared>,
    /// `Cell` is Send but not Sync: so is the disk.
    _one_thread: PhantomData<Cell<()>>,
}

impl Disk {
    pub(crate) fn open(
        connection: &Arc<ConnectionInner>,
        raw: Raw<VixDiskLibConnectParam>,
        path: &str,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let pace = pace_of(options)?;
        let c_path = CString::new(path).map_err(|_| Error::Argument {
            what: "a disk path with a NUL byte".to_owned(),
        })?;
        let path = path.to_owned();
        let major = connection.library.control.loaded().major();
        let path_there = path.clone();
        let (handle, info, transport) =
            connection
                .library
                .control
                .run("VixDiskLib_Open", move |symbols| {
                    let raw = raw;
                    let since = callback::mark();
                    let mut handle = std::ptr::null_mut();
                    // SAFETY: the connection is open, as `connection` shows; the path lives through the
                    // call; the library stores a handle, or nothing, in `handle`.
                    let result = unsafe {
                        symbols.VixDiskLib_Open(
                            raw.0,
                            c_path.as_ptr(),
                            VIXDISKLIB_FLAG_OPEN_READ_ONLY,
                            &raw mut handle,
                        )
                    };
                    check(
                        symbols,
                        "VixDiskLib_Open",
                        Some(&path_there),
                        Some(since),
                        result,
                    )?;
                    let facts = info::get(symbols, handle, &path_there, major)
                        .and_then(|info| Ok((info, transport_of(symbols, Raw(handle))?)));
                    match facts {
                        Ok((info, transport)) => Ok((Raw(handle), info, transport)),
                        Err(error) => {
                            // SAFETY: the handle was opened above and nobody else knows it.
                            unsafe { symbols.VixDiskLib_Close(handle) };
                            Err(error)
                        }
                    }
                })??;
        let shared = Arc::new(Shared {
            path,
            connection: Arc::clone(connection),
            poisoned: AtomicBool::new(false),
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
            _one_thread: PhantomData,
        })
    }

    /// Facts of the disk.
    #[doc(alias = "VixDiskLib_GetInfo")]
    pub fn info(&self) -> &DiskInfo {
        &self.info
    }

    /// The transport that was really chosen.
    #[doc(alias = "VixDiskLib_GetTransportMode")]
    pub fn transport_mode(&self) -> TransportMode {
        self.transport
    }

    /// The path it was opened by.
    pub fn path(&self) -> &str {
        &self.shared.path
    }

    /// Begins to read `buffer.sectors()` sectors from `start_sector` on.
    ///
    /// Blocks while as many reads wait as may be in flight.
    ///
    /// # Errors
    /// [`Error::Argument`] for a range that leaves the disk, [`Error::Poisoned`] after a read that
    /// never completed. What the library says comes from [`PendingRead::wait`].
    #[doc(alias = "VixDiskLib_ReadAsync")]
    #[doc(alias = "VixDiskLib_Read")]
    pub fn read(&self, start_sector: u64, buffer: SectorBuf) -> Result<PendingRead, Error> {
        let sectors = buffer.sectors() as u64;
        let fits = start_sector
            .checked_add(sectors)
            .is_some_and(|end| end <= self.info.capacity_sectors);
        if !fits {
            return Err(Error::Argument {
                what: format!(
                    "reading {sectors} sectors from sector {start_sector} of {}, which has {}",
                    self.shared.path, self.info.capacity_sectors
                ),
            });
        }
        if self.shared.is_poisoned() {
            return Err(Error::Poisoned {
                object: self.shared.path.clone(),
            });
        }
        let (request, answer) = Request::new(start_sector, buffer, self.pace.pieces(sectors));
        self.worker()?.read(request)?;
        Ok(PendingRead {
            answer,
            shared: Arc::clone(&self.shared),
            time_out: self.pace.time_out,
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
    pub fn allocated_blocks(&mut self) -> Result<AllocatedMap, Error> {
        self.worker()?.drain()?;
        let capacity_sectors = self.info.capacity_sectors;
        blocks::query(
            &self.shared.connection.library.control,
            self.handle,
            &self.shared.path,
            capacity_sectors,
        )
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
    pub(crate) fn idle(&mut self) -> Result<Idle<'_>, Error> {
        self.worker()?.drain()?;
        Ok(Idle {
            handle: self.handle,
            shared: &self.shared,
        })
    }

    fn worker(&self) -> Result<&Worker, Error> {
        self.worker.as_ref().ok_or(Error::ThreadEnded)
    }

    fn close_inner(&mut self) -> Result<(), Error> {
        let Some(worker) = self.worker.take() else {
            return Ok(());
        };
        let drained = worker.drain();
        drop(worker);
        if self.shared.is_poisoned() {
            return Err(Error::Poisoned {
                object: self.shared.path.clone(),
            });
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
