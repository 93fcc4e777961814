//! The sweep: what no root needs goes, beside backups, restores and other sweeps.
//!
//! List, condemn, wait or fence, mark again, delete, clean. The crate `protocol` explores these steps
//! in every order; repository-format.md section 11 tells them in words. No lock and no clock decides: a
//! clock only says how long a dropped point lies in the bin.

mod clean;
mod fence;
mod lost;
mod mark;
mod options;
mod pins;
mod recount;
mod run;
mod unreadable;

pub use options::{MissedRoot, SweepMonitor, SweepOptions, SweepReport};
pub(super) use pins::Announced;
