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
//! What this crate does not do: it keeps no rule of the library's (order, threads, lifetimes,
//! buffers). The crate `vddk` does.
//!
//! The layouts are those of x86-64 Linux. Elsewhere the crate compiles, and [`load`] answers
//! [`LoadError::UnsupportedPlatform`].
//!
//! ```no_run
//! let library = vddk_sys::load(None)?;
//! println!("{} (interface {:?})", library.path().display(), library.major());
//! for (symbol, found) in library.symbols().found() {
//!     println!("{} since {}: {found}", symbol.name, symbol.since);
//! }
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
