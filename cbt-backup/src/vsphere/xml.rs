//! The reader of answers: a pull reader that trusts nothing.
//!
//! A parser walks down the tree with [`Reader::children`] and takes what it knows; whatever it
//! leaves is skipped. As each level sees its own children only, an element inside another of
//! the same name cannot be mistaken for it.

mod error;
mod reader;
mod short;

pub use error::XmlError;
pub(crate) use reader::{Node, Reader, Space, Tag};
pub(crate) use short::short;
