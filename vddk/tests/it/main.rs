//! The safe layer against the stand-in library, loaded by path as VMware's would be.
//!
//! VixDiskLib is started once in a process, so every test runs in a process of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod blocks;
mod changing;
mod compile_fail;
mod config;
mod conformance;
mod double;
mod examples;
mod futures;
mod giving_up;
mod growth;
mod keep_alive;
mod kit;
mod late;
mod lies;
mod local_chains;
mod local_disks;
mod metadata;
mod panics;
mod reads;
mod refusals;
mod sanitizer;
mod targets;
mod transports;
mod without_vm;
mod writes;
