//! AES-256-GCM with keys that are used for one object each. Format: repository-format.md section 1.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::error::Error;

/// Length of a tag in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// The tag does not fit: wrong key, wrong name or place, or damaged bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// A key with its cipher. The caller keeps nonces unique; here each key belongs to one object.
pub(crate) struct Cipher(LessSafeKey);

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(***)")
    }
}

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are the cipher's key length");
        Self(LessSafeKey::new(key))
    }

    /// Seals `buffer[from..]` in place and appends the tag. `nonce` is a blob's offset, or 0.
    pub(crate) fn seal(
        &self,
        nonce: u64,
        aad: &[u8],
        buffer: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), Error> {
        let tag = self
            .0
            .seal_in_place_separate_tag(make_nonce(nonce), Aad::from(aad), &mut buffer[from..])
            .map_err(|_| Error::machine("sealing", "input too long"))?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens `sealed` in place and returns the plaintext part of it.
    pub(crate) fn open<'a>(
        &self,
        nonce: u64,
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Refused> {
        self.0
            .open_in_place(make_nonce(nonce), Aad::from(aad), sealed)
            .map_err(|_| Refused)
    }
}

fn make_nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Bytes from the system's random source, in memory that wipes itself.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new()
        .fill(bytes.as_mut())
        .map_err(|_| Error::machine("the system's random source", "no bytes"))?;
    Ok(bytes)
}
