//! `cargo xtask`: what needs more than one cargo command.
//!
//! ```text
//! demo      a full and an incremental backup of two disks, restored and compared byte for byte
//! clients   programs of other people against the stand-in vCenter
//! bindings  vddk-sys/src/bindings.rs, made from the header
//! functions vddk/FUNCTIONS.md, made from the list of what vddk wraps
//! bench     reads through vddk against a plain pread loop, the repository against others, as ratios
//! man       the pages in doc/man/, made from the command lines' definitions
//! reader    the demo's repository, restored by a reader in Python
//! stores    the repository on Ceph's radosgw and on fake-gcs-server
//! check     the walks that are too slow for `cargo test`
//! miri      the pure parts of vddk under Miri
//! sanitize  the tests of the unsafe crates under AddressSanitizer and LeakSanitizer
//! ```

#![forbid(unsafe_code)]

mod bench;
mod bindings;
mod check;
mod cli;
mod clients;
mod demo;
mod folder;
mod functions;
mod generated;
mod man;
mod miri;
mod output;
mod python;
mod reader;
mod sanitize;
mod stage;
mod stores;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
