//! Does the repository hold what it must? Invariants: repository-format.md section 10.

mod content;
mod finding;
mod names;
mod run;
mod trees;

pub use finding::{Finding, Severity, VerifyCounts, VerifyLevel, VerifyMonitor, VerifyReport};
