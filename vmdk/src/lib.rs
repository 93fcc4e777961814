//! VMDK disks in plain files: descriptors, extents, grain tables and child links.
//!
//! A VMDK disk is a chain of links. The last link holds what was written most
//! recently; what it does not hold is read from its parent, and so on down to
//! the base. Each link is a small text, the [`Descriptor`], and one or more
//! extents with the data.
//!
//! # What this crate does
//!
//! - It reads `monolithicFlat`, `vmfs`, `twoGbMaxExtentFlat`, `monolithicSparse`,
//!   `twoGbMaxExtentSparse` and `streamOptimized` disks and extents of zeros.
//! - It makes disks of every [`DiskKind`] ([`create`](create())) and sparse children over them
//!   ([`create_child`], [`Disk::create_child`]), writes to them and unmaps, and gives a child
//!   another parent ([`set_parent`]).
//! - It writes streams for transport ([`StreamWriter`], [`Disk::write_stream`]).
//! - It copies disks from any kind to any other ([`copy`](copy())), makes them larger ([`grow`](grow())), renames
//!   them ([`rename`]) and removes them ([`unlink`]).
//! - It gives space back ([`Disk::shrink`]), puts grains in order ([`Disk::defragment`]), finds and
//!   mends damage ([`check`](check())), and puts links together ([`Disk::attach`]).
//! - It checks names, sizes and content ids. Damage is an error, never a panic
//!   and never silent zeros.
//!
//! # What it does not do
//!
//! - It does not read `vmfsSparse` (COWD) and `seSparse` links or raw devices.
//! - It does not write compressed extents whose directory is behind their grains.
//! - It does not keep a disk in one folder. Extents are named within the folder of their descriptor,
//!   but a parent may be anywhere, and symbolic links are followed, as VMware's tools do. Who opens
//!   files of strangers does it in a place where there is nothing else to read. Pipes and devices
//!   are refused.
//! - It does not lock. One disk has one writer at a time; the caller sees to that.
//!   Nothing of the tables is cached, so a reader in another process sees a grain
//!   as soon as its table entry is written.
//!
//! # Example
//!
//! ```
//! use vmdk::{Adapter, CreateOptions, Disk, OpenOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let base = folder.path().join("app01.vmdk");
//! let child = folder.path().join("app01-000001.vmdk");
//! let mut options = CreateOptions::new(2048);
//! options.adapter = Adapter::LsiLogic;
//!
//! vmdk::create_vmfs_flat(&base, &options)?.write_at(0, &[7; 512])?;
//! vmdk::create_child(&base, &child)?.write_at(1, &[8; 512])?;
//!
//! let disk = Disk::open(&child, OpenOptions::default())?;
//! let mut both = [0; 1024];
//! disk.read_at(0, &mut both)?;
//! assert_eq!((both[0], both[512]), (7, 8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The format is described in VMware's note "Virtual Disk Format 5.0".

#![forbid(unsafe_code)]

mod backing_file;
mod chain;
mod check;
mod copy;
mod create;
mod descriptor;
mod disk;
mod error;
mod extent;
mod extent_cache;
mod extent_name;
mod files;
mod geometry;
mod grow;
mod header;
mod kind;
mod link;
mod new_files;
mod packed_grain;
mod progress;
mod rebuild;
mod run;
mod stream;

pub use check::{CheckReport, Problem, ProblemKind, check};
pub use copy::copy;
pub use create::{
    CreateOptions, create, create_child, create_monolithic_sparse, create_vmfs_flat, set_parent,
};
pub use descriptor::{
    CreateType, Descriptor, DescriptorError, Extent, ExtentAccess, ExtentKind, NO_PARENT,
};
pub use disk::{Disk, OpenOptions};
pub use error::Error;
pub use files::{rename, unlink};
pub use geometry::Adapter;
pub use grow::grow;
pub use kind::DiskKind;
pub use progress::Progress;
pub use run::SectorRun;
pub use stream::StreamWriter;

/// Bytes in one sector, the unit of every position in a VMDK.
pub const SECTOR_BYTES: u64 = 512;

/// The largest disk this crate opens or creates: 64 TiB, a little over VMware's own limit of 62 TiB.
pub const MAX_CAPACITY_SECTORS: u64 = 1 << 37;
