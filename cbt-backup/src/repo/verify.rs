//! Does the repository hold what it must? Invariants: repository-format.md section 10.

mod changed_areas;
mod content;
mod finding;
mod lost;
mod names;
mod quarantine;
mod run;
mod trees;

pub(crate) use finding::name_vms;
pub use finding::{Finding, Severity, VerifyCounts, VerifyLevel, VerifyMonitor, VerifyReport};
