//! What is wrong with a configuration.

use std::{io, path::PathBuf};

/// A configuration for VDDK that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read the VDDK configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too long to be a configuration.
    #[error("the VDDK configuration {} is longer than {max_bytes} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The longest allowed.
        max_bytes: u64,
    },
    /// The private file for the library cannot be written.
    #[error("failed to write a VDDK configuration to {}", .path.display())]
    Write {
        /// The file or its folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is no setting, or a value that does not fit.
    #[error("line {line} of the VDDK configuration: {reason}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A value that does not fit.
    #[error("VDDK setting {key}: {reason}")]
    Value {
        /// The setting.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A name that is none.
    #[error("{name:?} cannot be the name of a VDDK setting")]
    Name {
        /// The name.
        name: String,
    },
    /// A setting that is there twice: which one counts is not documented.
    #[error("the VDDK setting {key} is there twice")]
    Twice {
        /// The setting.
        key: String,
    },
    /// More memory than VDDK takes: `Open` would fail (VDDK API reference, section 5).
    #[error(
        "{count} NFC buffers of {buffer_bytes} bytes are more than 16 MiB, with which no disk could be opened"
    )]
    AioBuffers {
        /// Bytes of one.
        buffer_bytes: u64,
        /// How many.
        count: u32,
    },
}
