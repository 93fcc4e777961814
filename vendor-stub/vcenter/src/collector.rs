//! The property collector: filters in, object contents out, in pages or as updates.

mod asked;
mod difference;
mod filter;
mod page;
mod retrieve;
mod select;
mod update;
mod versions;
mod wait;

pub(crate) use filter::{Collector, Filter};
pub(crate) use page::{Pages, cancel, first_page, next_page};
pub(crate) use retrieve::{contents, fetch};
pub(crate) use update::Limits;
pub(crate) use wait::Wait;
