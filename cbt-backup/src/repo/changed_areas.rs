//! What the server said of a disk's changes: the rules that an answer keeps, and the file of a point
//! that holds it. Format: repository-format.md section 8.1.

mod reader;
#[cfg(test)]
mod tests;
mod tiling;
mod writer;

pub(crate) use reader::{BadFile, ReadAnswer, contradiction, read};
pub use tiling::{BadPages, Page, Tiling, Totals};
pub use writer::{AnswerWriter, SavedAnswer, write};

/// Most bytes of one saved answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Most answers that one disk rests on: a run that goes on from one that died asks twice.
const MAX_ANSWERS: usize = 2;
/// Magic, version and number of answers.
const HEADER_BYTES: usize = 3;
/// Base, first byte, form and length of an answer.
const ANSWER_HEADER_BYTES: usize = 16 + 8 + 1 + 4;

const MAGIC: u8 = b'C';
const VERSION: u8 = 0;
/// The form of an answer that is saved page by page. Other forms are the size of their grains.
const PAGES: u8 = 0;

/// What the file of a disk is called.
pub(crate) fn file_name(device_key: i32) -> String {
    format!("changed-areas-{device_key}")
}
