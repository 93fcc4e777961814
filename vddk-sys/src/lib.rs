//! Raw bindings to VMware's VixDiskLib, the library of the Virtual Disk Development Kit (VDDK).
//!
//! The library is proprietary and is not part of this crate. It is loaded at run time, by path,
//! with [`load`]; nothing is linked. So one build works with every release from 6.5 to 9, and a
//! function that only newer releases have is simply absent from the table where it is missing.
//!
//! - [`bindings`]: structures, constants and callback types, made by bindgen from a header in our
//!   own words and committed. Feature `buildtime-bindgen` makes them afresh, against our header or,
//!   with `VDDK_INCLUDE_DIR`, against that of a real kit.
//! - [`symbols`]: the one list of the 43 functions, and the table of pointers made from it.
//! - [`loader`]: finds the library, opens it and fills the table.
//!
//! - [`Report`]: what a loaded library is and has.
//!
//! What this crate does not do: it keeps no rule of the library's (order, threads, lifetimes,
//! buffers). The crate `vddk` does. libvixMntapi is not bound.
//!
//! # Why at run time
//!
//! The library needs a licence of its own and its companions in `LD_LIBRARY_PATH`; a program linked
//! to it would not even start without. It may also be absent on purpose: what reads a repository
//! needs no VDDK.
//!
//! # Versions
//!
//! | VDDK | SONAME | what came with it |
//! |---|---|---|
//! | 6.5 | `libvixDiskLib.so.6` | `Wait`, the final form of the completion callback; the oldest that is loaded |
//! | 6.7 | `libvixDiskLib.so.6` | `QueryAllocatedBlocks`, `FreeBlockList`, `AllocateConnectParams`; 128 bytes of connect parameters |
//! | 7.0 | `libvixDiskLib.so.7` | sector sizes in `VixDiskLibInfo` and `VixDiskLibCreateParams` |
//! | 8.0 | `libvixDiskLib.so.8` | from 8.0.1 disks of a datastore (`dsSpec`) |
//! | 9.0 | `libvixDiskLib.so.9` | no change of the interface is known |
//!
//! (VDDK API reference, 0.4 and 1.2. None of it was checked against VMware's own files.)
//!
//! # Features
//!
//! `buildtime-bindgen` (off): needs libclang; see [`bindings`].
//!
//! # Platforms
//!
//! The layouts are those of x86-64 Linux. Elsewhere the crate compiles, and [`load`] answers
//! [`LoadError::UnsupportedPlatform`].
//!
//! # Example
//!
//! Each function is a method of its own name, and every call is counted.
//!
//! ```no_run
//! let library = vddk_sys::load(None)?;
//! print!("{}", library.report());
//! let symbols = library.symbols();
//! // SAFETY: any number may be asked for, in any state; the locale must be NULL.
//! let text = unsafe { symbols.VixDiskLib_GetErrorText(16_007, std::ptr::null()) };
//! // SAFETY: NULL, or a text of GetErrorText that is freed once.
//! unsafe { symbols.VixDiskLib_FreeErrorText(text) };
//! assert_eq!(symbols.calls().iter().map(|(_, count)| count).sum::<u64>(), 2);
//! # Ok::<(), vddk_sys::LoadError>(())
//! ```

/// Structures, constants and callback types, as bindgen makes them from the header.
#[allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the names are VMware's, documented in include/vixDiskLib.h"
)]
pub mod bindings {
    #[cfg(not(feature = "buildtime-bindgen"))]
    include!("bindings.rs");
    #[cfg(feature = "buildtime-bindgen")]
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

/// The C header that the committed bindings were made from, in our own words.
pub const HEADER: &str = include_str!("../include/vixDiskLib.h");

#[cfg(any(test, all(target_os = "linux", target_arch = "x86_64")))]
mod elf;
pub mod loader;
mod report;
pub mod symbols;

pub use bindings::*;
pub use loader::{LoadError, Loaded, Tried, load};
pub use report::Report;
pub use symbols::{Function, MissingFunction, SYMBOLS, Symbol, Symbols, functions};
