//! The vim25 types this server speaks, read from one table.
//!
//! `schema/types.txt` is the single source of names, order and optionality; `schema/managed.txt`
//! names managed types with properties that are never set. The
//! reader of requests checks order with it, the writer of answers decides where
//! `xsi:type` is due, and the property collector tells an unset path from an
//! unknown one.

mod path;
mod table;
mod types;
mod version;

pub(crate) use path::{PathError, check_path, split_path};
pub(crate) use types::{Kind, Member, Method, Presence, TypeRef, schema};
pub(crate) use version::Version;
