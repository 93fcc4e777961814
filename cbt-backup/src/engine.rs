//! Backup and restore: the only part that knows vSphere, VDDK and the repository.
//!
//! - `base`, [`plan`], [`tracking`], `growth`, [`reverts`], `changed_map`, [`coverage`]: what is read of each disk, and the
//!   proof that the server's map of changed or allocated areas covers it.
//! - [`storage`]: what decides on the way to the disks.
//! - [`source`], [`pipeline`], [`target`]: how the bytes move; [`budget`]: what the disks in work share; [`binding`]: what they wait for.
//! - [`ledger`], [`undo`], [`vm_lock`]: what is changed outside, and how it is put back; `file_lock`: what processes share.
//! - [`description`], [`janitor`]: how what dead runs left is known, and undone.
//! - `access`: keeping the VM in place meanwhile; `hot_add`: keeping VDDK's clean-up and disks open by HotAdd apart.
//! - [`mod@audit`]: whether what vSphere says of the disks is true.
//! - [`mod@freeze`]: the snapshot that is read; [`saved`]: what is kept of the VM beside its disks.
//! - [`mod@backup`], [`disk_run`], [`mod@restore`]: the runs.
//! - [`session_memory`]: what a run may take.
//! - [`monitor`], [`recorder`]: what a run tells.

mod access;
pub mod audit;
pub mod backup;
mod base;
pub mod binding;
pub mod block_set;
pub mod budget;
mod changed_map;
pub mod coverage;
pub mod description;
pub mod disk_choice;
pub mod disk_run;
pub mod error;
mod file_lock;
pub mod freeze;
mod growth;
pub mod hook;
pub mod host;
mod hot_add;
pub mod janitor;
pub mod ledger;
pub mod monitor;
pub mod patience;
mod pause;
pub mod pipeline;
pub mod plan;
pub mod recorder;
pub mod restore;
pub mod reverts;
pub mod saved;
pub mod session_memory;
pub mod site;
pub mod source;
pub mod storage;
pub mod target;
pub mod tracking;
pub mod undo;
pub mod vm_lock;
pub mod wanted;

pub use access::{AccessOptions, AccessPolicy};
pub use audit::{Claim, ClaimAudit, DiskAudit, Precision, Scope};
pub use backup::{AuditReport, BackupOptions, BackupReport, OnBadMap, Purpose, audit, backup};
pub use binding::Stage;
pub use budget::{Budget, BudgetLimits};
pub use disk_choice::{DiskChoice, DiskName};
pub use disk_run::DiskReport;
pub use error::Error;
pub use freeze::QuiescePolicy;
pub use hook::{HookPolicy, Hooks};
pub use hot_add::HotAdd;
pub use janitor::{JanitorMode, JanitorOptions, JanitorReport, strays, tidy, unfinished_runs};
pub use monitor::{Event, Monitor, Severity};
pub use patience::Patience;
pub use pause::pause_until;
pub use restore::{RestoreOptions, RestoreReport, RestoredDisk, restore};
pub use reverts::RevertPolicy;
pub use session_memory::SessionMemory;
pub use site::Site;
pub use tracking::TrackingPolicy;
