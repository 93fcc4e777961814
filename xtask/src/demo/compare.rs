//! Two files, byte by byte.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;

use crate::output::bytes;

const CHUNK_BYTES: u64 = 1 << 20;

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every byte is the same.
    Identical { compared_bytes: u64 },
    /// One file is longer.
    Length {
        expected_bytes: u64,
        found_bytes: u64,
    },
    /// Some bytes are not the same.
    Differs {
        first_offset_bytes: u64,
        differing_bytes: u64,
    },
}

impl Verdict {
    pub(crate) fn is_identical(self) -> bool {
        matches!(self, Self::Identical { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identical { compared_bytes } => {
                write!(f, "identical ({})", bytes(*compared_bytes))
            }
            Self::Length {
                expected_bytes,
                found_bytes,
            } => {
                write!(f, "{found_bytes} bytes long, not {expected_bytes}")
            }
            Self::Differs {
                first_offset_bytes,
                differing_bytes,
            } => {
                write!(
                    f,
                    "{differing_bytes} bytes differ, the first at {first_offset_bytes}"
                )
            }
        }
    }
}

/// Compares a file with what it must be.
///
/// # Errors
///
/// When one of them cannot be read.
pub(crate) fn compare(expected: &Path, found: &Path) -> anyhow::Result<Verdict> {
    let open = |path: &Path| -> anyhow::Result<(File, u64)> {
        let file =
            File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    let (expected, expected_bytes) = open(expected)?;
    let (found, found_bytes) = open(found)?;
    if expected_bytes != found_bytes {
        return Ok(Verdict::Length {
            expected_bytes,
            found_bytes,
        });
    }
    let mut first = None;
    let mut differing_bytes = 0;
    let (mut left, mut right) = (vec![0; CHUNK_BYTES as usize], vec![0; CHUNK_BYTES as usize]);
    for start in (0..expected_bytes).step_by(CHUNK_BYTES as usize) {
        let length = CHUNK_BYTES.min(expected_bytes - start) as usize;
        expected.read_exact_at(&mut left[..length], start)?;
        found.read_exact_at(&mut right[..length], start)?;
        if left[..length] == right[..length] {
            continue;
        }
        let pairs = left[..length].iter().zip(&right[..length]);
        for (offset, _) in (start..)
            .zip(pairs)
            .filter(|(_, (left, right))| left != right)
        {
            first = first.or(Some(offset));
            differing_bytes += 1;
        }
    }
    Ok(match first {
        None => Verdict::Identical {
            compared_bytes: expected_bytes,
        },
        Some(first_offset_bytes) => Verdict::Differs {
            first_offset_bytes,
            differing_bytes,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_byte_in_the_last_chunk_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (left, right) = (folder.path().join("left"), folder.path().join("right"));
        let mut data = vec![7; CHUNK_BYTES as usize * 2 + 5];
        let length = data.len() as u64;
        fs::write(&left, &data).unwrap();
        fs::write(&right, &data).unwrap();
        let verdict = compare(&left, &right).unwrap();
        assert_eq!(
            verdict,
            Verdict::Identical {
                compared_bytes: length
            }
        );
        assert!(verdict.is_identical());

        *data.last_mut().unwrap() = 8;
        fs::write(&right, &data).unwrap();
        let verdict = compare(&left, &right).unwrap();
        assert_eq!(
            verdict,
            Verdict::Differs {
                first_offset_bytes: length - 1,
                differing_bytes: 1
            }
        );

        data.pop();
        fs::write(&right, &data).unwrap();
        let verdict = compare(&left, &right).unwrap();
        assert_eq!(
            verdict,
            Verdict::Length {
                expected_bytes: length,
                found_bytes: length - 1
            }
        );
        assert!(!verdict.is_identical());
    }
}
