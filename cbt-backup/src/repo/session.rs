//! Sessions: announce, put blocks, commit one root. Order of writing: repository-format.md section 10.

mod begin;
mod checkpoint;
mod commit;
mod compact;
mod copied;
mod dedup;
mod disk;
mod fold;
mod leaf;
mod moved;
mod patch;
mod presence;
mod publish;
mod put;
mod row;
mod spec;
mod stream;
mod times;
mod undelete;
mod upload;

pub use begin::Session;
pub(crate) use put::StoredForm;
pub use row::{RowInterval, SessionRow};
pub use spec::{
    Committed, DiskOutcome, DiskSlot, DiskSpec, NewFile, ParentDisk, PutOutcome, RootInfo,
    SessionOptions, SessionSpec,
};
pub use times::PutTimes;
