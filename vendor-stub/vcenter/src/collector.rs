//! The property collector: filters in, object contents out, in pages.

mod page;
mod retrieve;
mod select;

pub(crate) use page::{cancel, first_page, next_page};
pub(crate) use retrieve::{fetch, retrieve};
