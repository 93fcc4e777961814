//! The tree of a disk: its shape, walking it, and copying the paths that changed.

mod cursor;
mod difference;
mod geometry;
mod outside;
mod rewrite;

pub(crate) use cursor::{TreeCursor, TreeItem};
pub(crate) use difference::{Against, Demand, Difference, TreeDifference};
pub use geometry::Geometry;
pub(crate) use outside::different_outside;
pub(crate) use rewrite::{BaseTree, NewNodes, NodePlace, NodeStore, rewrite};
