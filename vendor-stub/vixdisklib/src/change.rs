//! Making and changing disks ("VDDK API reference", 1.9).

mod attach;
mod copy;
mod create;
mod files;
mod maintain;
mod place;
mod progress;
mod spec;

pub use attach::{VixDiskLib_Attach, VixDiskLib_IsAttachPossible};
pub use copy::VixDiskLib_Clone;
pub use create::{VixDiskLib_Create, VixDiskLib_CreateChild};
pub use files::{VixDiskLib_Grow, VixDiskLib_Rename, VixDiskLib_Unlink};
pub use maintain::{
    VixDiskLib_CheckRepair, VixDiskLib_Defragment, VixDiskLib_Shrink,
    VixDiskLib_SpaceNeededForClone,
};

pub(crate) use attach::{close_parents, is_attached};
