//! Compression: one zstd frame that carries its content size, bounded before allocation.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::error::Error;

thread_local! {
    /// Making one costs as much as a twentieth of a block's expansion.
    static EXPANDER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

#[expect(clippy::needless_pass_by_value, reason = "the form map_err wants")]
fn failed(error: std::io::Error) -> Error {
    Error::machine("compression", &error)
}

/// Compresses at `level`.
pub(crate) fn compress(plaintext: &[u8], level: i32) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(plaintext, level).map_err(failed)
}

/// Expands to exactly `plain_bytes`. The caller has bounded that number.
pub(crate) fn expand(packed: &[u8], plain_bytes: usize) -> Result<Vec<u8>, &'static str> {
    let mut plain = Vec::new();
    expand_into(packed, plain_bytes, &mut plain)?;
    Ok(plain)
}

/// As [`expand`], into a buffer that is used again.
pub(crate) fn expand_into(
    packed: &[u8],
    plain_bytes: usize,
    plain: &mut Vec<u8>,
) -> Result<(), &'static str> {
    plain.clear();
    plain.reserve_exact(plain_bytes);
    // The buffer may be larger than asked for, so the length is compared afterwards.
    EXPANDER.with_borrow_mut(|expander| {
        let expander = match expander {
            Some(expander) => expander,
            None => expander.insert(Decompressor::new().map_err(|_| "no decompressor")?),
        };
        let expanded = expander.decompress_to_buffer(packed, plain);
        expanded.map_err(|_| "it does not decompress")
    })?;
    if plain.len() == plain_bytes {
        return Ok(());
    }
    Err("its plaintext has another length than it must")
}

/// The content size that the frame names, if it is at most `limit_bytes`.
pub(crate) fn content_bytes(packed: &[u8], limit_bytes: u64) -> Result<usize, &'static str> {
    let size = Decompressor::upper_bound(packed).ok_or("it names no content size")?;
    if u64::try_from(size).is_ok_and(|size| size <= limit_bytes) {
        return Ok(size);
    }
    Err("its plaintext is larger than it may be")
}

/// A compressor and its output buffer, both used again and again.
pub(crate) struct Packer {
    compressor: Compressor<'static>,
    output: Vec<u8>,
}

impl Packer {
    pub(crate) fn new(level: i32) -> Result<Self, Error> {
        Ok(Self {
            compressor: Compressor::new(level).map_err(failed)?,
            output: Vec::new(),
        })
    }

    /// The compressed form, or `None` when it saves less than 3 %.
    pub(crate) fn pack(&mut self, plaintext: &[u8]) -> Result<Option<&[u8]>, Error> {
        self.output.clear();
        self.output
            .reserve(zstd::zstd_safe::compress_bound(plaintext.len()));
        self.compressor
            .compress_to_buffer(plaintext, &mut self.output)
            .map_err(failed)?;
        let saves = self.output.len() < plaintext.len() - plaintext.len() / 32;
        Ok(saves.then_some(&self.output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_fit() {
        let plain = vec![7; 5000];
        let packed = compress(&plain, 1).unwrap();
        assert_eq!(expand(&packed, 5000).unwrap(), plain);
        assert!(expand(&packed, 4999).is_err());
        assert!(expand(&packed, 5001).is_err());
        assert!(expand(&packed[..packed.len() - 1], 5000).is_err());
        assert_eq!(content_bytes(&packed, 5000), Ok(5000));
        assert!(content_bytes(&packed, 4999).is_err());
        assert!(content_bytes(b"no frame", 4999).is_err());
    }

    #[test]
    fn what_does_not_shrink_stays_raw() {
        let mut packer = Packer::new(1).unwrap();
        let mut noise = vec![0; 4096];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert!(packer.pack(&noise).unwrap().is_none());
        assert!(packer.pack(&[1; 4096]).unwrap().is_some());
    }
}
