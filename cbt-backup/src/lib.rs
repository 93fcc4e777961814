//! Agentless backup of VMware virtual machines by Changed Block Tracking.
//!
//! - [`vsphere`]: the SOAP client.
//! - [`repo`]: the repository: packs, nodes and roots.
//! - [`engine`]: backup and restore; the only part that knows both, and VDDK.
//! - [`cli`] and [`commands`]: the program.
//!
//! `vsphere` and `repo` do not know each other.

#![forbid(unsafe_code)]

mod bucket;
pub mod cli;
pub mod commands;
pub mod engine;
mod program;
pub mod repo;
pub mod secret;
mod tls;
pub mod vsphere;
mod whole_file;

pub use program::run;
