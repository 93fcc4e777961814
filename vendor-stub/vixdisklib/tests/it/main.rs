//! What a stand-in library must do ("VDDK API reference", 10.5), called function by function.
//!
//! The library can be initialised once a process, so tests that do run in processes of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod asynchronous;
mod before_start;
mod changes;
mod checklist;
mod configuration;
mod exports;
mod faults;
mod harness;
mod left_over;
mod lies;
mod loaded;
mod local;
mod local_disk;
mod maintenance;
mod managed;
mod params;
mod performance;
mod queries;
mod sanitizer;
mod specs;
mod transports;
mod writing;
