//! Answers on their way into the file: page by page, and bounded.

use std::ops::Range;

use super::tiling::{GRAIN_BYTES, Page};
use super::{
    ANSWER_HEADER_BYTES, HEADER_BYTES, MAGIC, MAX_ANSWER_BYTES, MAX_ANSWERS, PAGES, VERSION,
};
use crate::repo::id::PointId;

/// An answer as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAnswer {
    form: u8,
    body: Vec<u8>,
}

impl SavedAnswer {
    /// False when only the grains that the areas touch are saved, since the pages took too much room.
    pub fn has_pages(&self) -> bool {
        self.form == PAGES
    }
}

/// Takes the pages of an answer one by one. It holds at most a mebibyte.
#[derive(Debug, Default)]
pub struct AnswerWriter {
    body: Body,
}

impl AnswerWriter {
    /// Adds the next page, whose areas are sorted.
    pub fn add(&mut self, page: &Page) {
        self.body.bytes_number(page.length_bytes);
        self.body.varint(page.areas.len() as u64);
        let mut before = page.start_bytes;
        for &(start_bytes, length_bytes) in &page.areas {
            self.body.bytes_number(start_bytes.saturating_sub(before));
            self.body.bytes_number(length_bytes);
            before = start_bytes;
            if self.body.is_full {
                return;
            }
        }
    }

    /// The answer. If its pages took too much room: the changed grains of `1 << grain_shift` bytes, which `runs`
    /// tells, or of larger ones that hold them.
    pub fn finish(
        self,
        capacity_bytes: u64,
        grain_shift: u8,
        runs: impl Iterator<Item = Range<u64>>,
    ) -> SavedAnswer {
        if !self.body.is_full {
            return SavedAnswer {
                form: PAGES,
                body: self.body.bytes,
            };
        }
        let mut form = grain_shift;
        while capacity_bytes.div_ceil(1 << form) > MAX_ANSWER_BYTES as u64 * 8 {
            form += 1;
        }
        let coarser = form - grain_shift;
        let mut body = vec![0; capacity_bytes.div_ceil(1 << form).div_ceil(8) as usize];
        for run in runs.filter(|run| !run.is_empty()) {
            for grain in run.start >> coarser..=(run.end - 1) >> coarser {
                body[(grain / 8) as usize] |= 1 << (grain % 8);
            }
        }
        SavedAnswer { form, body }
    }
}

/// The file of a disk: what it is built on, and the answers of what changed since. Of an answer the areas before the
/// byte that is named were read by an earlier run.
pub fn write(answers: &[(PointId, u64, SavedAnswer)]) -> Vec<u8> {
    let answers = &answers[..answers.len().min(MAX_ANSWERS)];
    let bodies = answers.iter().map(|(_, _, answer)| answer.body.len());
    let length = HEADER_BYTES + bodies.sum::<usize>() + answers.len() * ANSWER_HEADER_BYTES;
    let mut file = Vec::with_capacity(length);
    file.extend([MAGIC, VERSION, answers.len() as u8]);
    for (base, from_bytes, answer) in answers {
        file.extend(base.to_bytes());
        file.extend(from_bytes.to_le_bytes());
        file.push(answer.form);
        file.extend((answer.body.len() as u32).to_le_bytes());
        file.extend(&answer.body);
    }
    file
}

/// Numbers, up to a limit; then it is full, and empty.
#[derive(Debug, Default)]
struct Body {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Body {
    /// Whole grains take the least room.
    fn bytes_number(&mut self, bytes: u64) {
        let number = if bytes.is_multiple_of(GRAIN_BYTES) {
            bytes / GRAIN_BYTES * 2
        } else if bytes < 1 << 63 {
            bytes * 2 + 1
        } else {
            self.fill();
            return;
        };
        self.varint(number);
    }

    fn varint(&mut self, mut number: u64) {
        if self.is_full {
            return;
        }
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
        if self.bytes.len() > MAX_ANSWER_BYTES {
            self.fill();
        }
    }

    fn fill(&mut self) {
        self.bytes = Vec::new();
        self.is_full = true;
    }
}
