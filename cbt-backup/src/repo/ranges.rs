//! Ranges of blocks.

use serde::{Deserialize, Serialize};

/// A run of blocks of one disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockRange {
    /// Number of the first block.
    pub first: u64,
    /// Number of blocks.
    pub blocks: u64,
}
