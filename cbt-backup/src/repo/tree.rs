//! The tree of a disk: its shape, walking it, and copying the paths that changed.

mod cursor;
mod difference;
mod geometry;
mod rewrite;

pub(crate) use cursor::{TreeCursor, TreeItem};
pub(crate) use difference::{Against, Demand, Difference, TreeDifference};
pub use geometry::Geometry;
pub(crate) use rewrite::{BaseTree, NewNodes, NodePlace, NodeStore, rewrite};
