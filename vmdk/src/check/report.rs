//! What a check found.

use std::path::{Path, PathBuf};

/// Problems that are listed; the others are only counted.
const MAX_LISTED: usize = 1000;

/// What a check found, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The first 1000 problems.
    pub problems: Vec<Problem>,
    /// How many there are in all.
    pub found: u64,
    /// How many of them were mended.
    pub repaired: u64,
    /// Grains whose data could not be found again. They read as if they were never written.
    pub lost_grains: u64,
}

/// Something wrong with an extent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The extent.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: ProblemKind,
    /// Whether it was mended.
    pub repaired: bool,
}

/// What can be wrong with an extent. Grains and tables are counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Whoever wrote it last did not close it.
    #[error("it was not closed")]
    NotClosed,
    /// A directory does not tell where a table is.
    #[error("the {} has no usable entry for table {table}", directory_name(*redundant))]
    DirectoryEntry {
        /// The table.
        table: u64,
        /// In the redundant directory.
        redundant: bool,
    },
    /// The two copies of a table differ.
    #[error("the tables differ about grain {grain}")]
    CopiesDiffer {
        /// The grain.
        grain: u64,
    },
    /// A grain is said to be where none can be.
    #[error("grain {grain} is said to be at sector {sector}, where none can be")]
    Dangling {
        /// The grain.
        grain: u64,
        /// The sector of the file.
        sector: u32,
    },
    /// Two grains are at one place.
    #[error("grain {grain} is at sector {sector} as another is")]
    Doubled {
        /// The second grain that was found there.
        grain: u64,
        /// The sector of the file.
        sector: u32,
    },
    /// The file ends inside a grain.
    #[error("grain {grain} is cut short")]
    GrainCutShort {
        /// The grain.
        grain: u64,
    },
    /// A compressed grain cannot be unpacked.
    #[error("compressed grain {grain} is damaged")]
    Packed {
        /// The grain.
        grain: u64,
    },
    /// A flat file ends before its disk does.
    #[error("the file is too short")]
    FileCutShort,
}

fn directory_name(redundant: bool) -> &'static str {
    if redundant {
        "redundant directory"
    } else {
        "directory"
    }
}

impl CheckReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.found == 0
    }

    /// Whether all that was found was mended.
    pub fn is_repaired(&self) -> bool {
        self.found == self.repaired
    }

    pub(super) fn add(&mut self, path: &Path, kind: ProblemKind, repaired: bool) {
        self.found += 1;
        self.repaired += u64::from(repaired);
        if self.problems.len() < MAX_LISTED {
            self.problems.push(Problem {
                path: path.to_owned(),
                kind,
                repaired,
            });
        }
    }
}
