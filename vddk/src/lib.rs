//! Safe layer over VMware's VixDiskLib, the library of the Virtual Disk Development Kit (VDDK).
//!
//! The kit is proprietary and not part of this crate: it is loaded at run time from where the
//! user unpacked it (see `vddk_sys`).
//!
//! # The order is a chain of types
//!
//! | type | begins with | ends with |
//! |---|---|---|
//! | [`Library`] | `InitEx` | `Exit` |
//! | [`Access`] | `PrepareForAccess` | `EndAccess` |
//! | [`Connection`] | `ConnectEx` | `Disconnect` |
//! | [`Disk`] | `Open` | `Wait`, `Close` |
//!
//! Each is made from the one above it, keeps it alive, and has a `close` that reports the error.
//! Dropping does the same and logs a failure. An [`Access`] exists only against a vCenter: local
//! disks and a bare ESXi host are connected from the [`Library`] itself.
//!
//! # What this crate does for you
//!
//! - It keeps the thread rules of the Programming Guide (8.0, "Multiple Threads and VixDiskLib"):
//!   one control thread makes every call that opens, closes or connects; one worker thread per
//!   disk moves its data. Callers on any thread talk to both. Error texts and the structures of
//!   logins, which any thread may ask for, are asked for where they are needed; inside a progress
//!   callback the library is not called at all. A control call that does not return is given up, and
//!   undone should it ever return; what is closed meanwhile is closed then, in the right order.
//! - Buffers are [`SectorBuf`]s: aligned to 4096 bytes, whole sectors, owned by the request while
//!   VDDK may touch them. Requests are split to a size that every transport takes.
//! - A read or write is a [`Pending`]: wait for it, await it on any runtime, or drop it. A
//!   completion may come inside the call, later, or out of order. One that never comes fails the
//!   request after a time-out; its buffer is kept for ever, and disk, connection and library are
//!   not closed. A write that failed after its caller left is told by the next flush or close.
//! - The list of transports is always named, and SAN only where the caller states that the disks
//!   lie on shared VMFS ([`DiskFacts`]): VixDiskLib does not check that.
//! - VDDK is started with the settings that its guide advises ([`Config`]), and an idle disk's link
//!   is kept alive within their time-outs.
//! - Errors carry the operation, the code with its name, VDDK's text, what may help ([`Retry`]), and
//!   what is known of causes and remedies.
//! - Log lines go to `tracing`.
//!
//! # What it does not do
//!
//! - It makes no snapshot and knows nothing of vSphere: that is the caller's part.
//! - It does not set `LD_LIBRARY_PATH`, which VDDK needs from the start of the process
//!   ([`library_folder`] tells the value).
//! - It does not contain VDDK's crashes: run it in a process of its own where that matters.
//!
//! # Example
//!
//! ```no_run
//! use vddk::{ConnectOptions, ConnectParams, Library, LibraryOptions, OpenOptions, Secret};
//!
//! let library = Library::load(LibraryOptions::default())?;
//! let params = ConnectParams::builder()
//!     .server("vcenter.example")
//!     .thumbprint("AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD")
//!     .user("backup@vsphere.local", Secret::new("password".to_owned()))
//!     .vm_moref("vm-16")
//!     .build()?;
//! let access = library.prepare_for_access(&params, "my-backup 42")?;
//! let connection = access.connect(&ConnectOptions::read_only("snapshot-47", "nbdssl".parse()?))?;
//! let disk = connection.open("[datastore1] vm/vm.vmdk", &OpenOptions::default())?;
//! let buf = disk.read(0, vddk::SectorBuf::new(128)?)?.wait()?;
//! println!("{} sectors by {}", disk.info().capacity_sectors, disk.transport_mode());
//! # drop(buf);
//! disk.close()?;
//! connection.close()?;
//! access.close()?;
//! library.close()?;
//! # Ok::<(), vddk::Error>(())
//! ```
//!
//! Whole programs are in `examples`, numbered from loading the library to copying a VM's disk.
#![doc = include_str!("../FUNCTIONS.md")]

mod access;
mod answer;
mod attach;
mod blocks;
mod buffer;
mod callback;
mod clone;
mod code;
mod config;
mod connection;
mod contained;
mod control;
mod create;
mod disk;
mod disk_path;
mod error;
mod given_up;
mod idle;
mod info;
mod library;
mod local_disk;
mod metadata;
mod open_options;
mod params;
mod pending;
mod progress;
mod request;
mod secret;
mod shared;
mod target;
mod transport;
mod watch;
mod worker;
pub mod wrapped;
mod writable;

pub use access::Access;
pub use blocks::{AllocatedMap, Assumed};
pub use buffer::SectorBuf;
pub use clone::Existing;
pub use code::{Code, Kind, Retry};
pub use config::{Config, ConfigBuilder, ConfigError, ConfigSource};
pub use connection::{ConnectOptions, Connection};
pub use create::{AdapterType, ChildType, CreateSpec, DiskType, HwVersion};
pub use disk::Disk;
pub use error::{CallError, Error, ThumbprintMismatch};
pub use info::{DiskGeometry, DiskInfo};
pub use library::{Cleanup, Library, LibraryOptions};
pub use local_disk::{Geometry, Repair};
pub use open_options::{Compression, KeepAlive, OpenOptions, ReadMode};
pub use params::{ConnectParams, ConnectParamsBuilder, SeenParams};
pub use pending::Pending;
pub use progress::{Percent, Progress};
pub use secret::Secret;
pub use target::Target;
pub use transport::{
    DiskFacts, Dropped, Impossible, Machine, Storage, TransportFallback, TransportMode,
    TransportModes, TransportPlan, TransportPolicy,
};
pub use vddk_sys::{LoadError, Report, SYMBOLS, Symbol, Tried, loader::library_folder};
pub use writable::WritableDisk;

/// Bytes in a sector. VixDiskLib counts in these on every disk, 4096-byte ones too.
pub const SECTOR_BYTES: usize = 512;

/// A run of sectors, 512 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SectorRange {
    /// The first sector.
    pub start_sector: u64,
    /// How many.
    pub sectors: u64,
}

impl SectorRange {
    /// The first sector behind the run; `u64::MAX` where it would not fit.
    pub fn end_sector(&self) -> u64 {
        self.start_sector.saturating_add(self.sectors)
    }
}
