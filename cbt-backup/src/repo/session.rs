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
mod mark;
mod moved;
mod old_block;
mod patch;
mod presence;
mod publish;
mod put;
mod row;
mod seed;
mod spec;
mod stream;
mod times;
mod undelete;
mod upload;
mod whole;

pub use begin::Session;
pub use mark::PointMark;
pub use old_block::OldBlock;
pub(crate) use put::StoredForm;
pub use row::{Asked, RowInterval, SETTLED_LIMIT, SessionRow};
pub use seed::SeedReport;
pub use spec::{
    Committed, DiskOutcome, DiskSlot, DiskSpec, NewFile, ParentDisk, PutOutcome, RootInfo,
    SessionOptions, SessionSpec,
};
pub use times::PutTimes;
