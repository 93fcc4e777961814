//! Points copied to another repository.
//!
//! A copy is a writing session of the target (repository-format.md section 10), and a pinned reader of
//! the source. Block ids are keyed, so they are made anew; of a block only its compressed form is taken as
//! it is. What a point shares with one that was copied before is found by comparing their trees in the
//! source, so an increment costs what it has changed.

mod catalog;
mod disk;
mod ground;
mod losses;
mod measure;
mod options;
mod point;
mod run;
mod window;

pub(crate) use catalog::identity;
pub use options::{CopiedPoint, CopyMonitor, CopyOptions, CopyReport};
