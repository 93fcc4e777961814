//! Whether what vSphere says of a disk is true: a sample of what it calls unchanged or unallocated is read and
//! compared with the last point.
//!
//! - [`sample`]: how many blocks, which, and what can be said then.
//! - `claims`: what is claimed of each block, and the count of what held.
//! - `disk`: reading and comparing.
//! - `due`: when it is time for one on the way.

pub mod claims;
mod disk;
mod due;
pub mod sample;

/// The event of a disk that was audited while it was backed up.
pub(in crate::engine) const AUDITED: &str = "audited";

/// The event of a disk of which something was found wrong.
pub(in crate::engine) const MISMATCH: &str = "audit-mismatch";

pub(in crate::engine) use self::disk::Comparison;
pub use self::{
    claims::{Claim, ClaimAudit, DiskAudit},
    sample::{Precision, Scope},
};
