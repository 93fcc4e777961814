//! Sessions: announce, put blocks, commit one root. Order of writing: repository-format.md section 10.

mod begin;
mod commit;
mod dedup;
mod disk;
mod leaf;
mod presence;
mod put;
mod spec;
mod stream;
mod upload;

pub use begin::Session;
pub use spec::{
    Committed, DiskOutcome, DiskSlot, DiskSpec, NewFile, ParentDisk, PutOutcome, RootInfo,
    SessionOptions, SessionSpec,
};
