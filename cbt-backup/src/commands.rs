//! The commands, one file each.

pub mod audit;
pub mod backup;
pub mod cbt;
pub mod copy;
pub mod forget;
pub mod info;
pub mod init;
pub mod janitor;
pub mod key;
pub mod list;
pub mod man;
pub mod privileges;
pub mod prune;
pub mod restore;
pub mod run;
pub mod show;
pub mod space;
pub mod undelete;
pub mod verify;
pub mod vms;

mod context;
mod failures;
mod site;

pub use context::Context;
