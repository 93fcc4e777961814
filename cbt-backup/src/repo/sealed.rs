//! Small sealed objects. Format: repository-format.md section 5.

use super::cipher::{TAG_BYTES, random};
use super::codec;
use super::error::Error;
use super::key::Keys;

const MAGIC: &[u8; 4] = b"cbtO";
const HEADER_BYTES: usize = 32;
const SUITE: u8 = 1;
const LEVEL: i32 = 3;

/// Seals `plaintext` under `name`, with fresh salt.
pub(crate) fn seal(keys: &Keys, name: &str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let plain_bytes = u32::try_from(plaintext.len())
        .map_err(|_| Error::machine("sealing", "object too large"))?;
    let salt = random::<16>()?;
    let mut object = Vec::new();
    object.extend_from_slice(MAGIC);
    object.extend_from_slice(&[0, 0, SUITE, 0]);
    object.extend_from_slice(salt.as_ref());
    object.extend_from_slice(&plain_bytes.to_le_bytes());
    object.extend_from_slice(&[0; 4]);
    let aad = [&object, name.as_bytes()].concat();
    object.extend_from_slice(&codec::compress(plaintext, LEVEL)?);
    keys.object_cipher(&salt, name)
        .seal(0, &aad, &mut object, HEADER_BYTES)?;
    Ok(object)
}

/// Opens what [`seal`] made under the same name.
///
/// # Errors
/// `Damaged`, also for a plaintext above `limit_bytes`, which is not allocated.
pub(crate) fn open(
    keys: &Keys,
    name: &str,
    object: &[u8],
    limit_bytes: u64,
) -> Result<Vec<u8>, Error> {
    let bad = |what: &str| Error::damaged(name, what);
    let (header, sealed) = object
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or_else(|| bad("it is too short"))?;
    if sealed.len() < TAG_BYTES || !header.starts_with(MAGIC) {
        return Err(bad("it is not a sealed object"));
    }
    if header[4..8] != [0, 0, SUITE, 0] {
        return Err(bad("its version or suite is unknown"));
    }
    let (mut salt, mut length) = ([0; 16], [0; 4]);
    salt.copy_from_slice(&header[8..24]);
    length.copy_from_slice(&header[24..28]);
    let plain_bytes = u32::from_le_bytes(length);
    if u64::from(plain_bytes) > limit_bytes {
        return Err(bad("its plaintext is larger than it may be"));
    }
    let aad = [header.as_slice(), name.as_bytes()].concat();
    let mut sealed = sealed.to_vec();
    let packed = keys
        .object_cipher(&salt, name)
        .open(0, &aad, &mut sealed)
        .map_err(|_| bad("its seal does not fit"))?;
    codec::expand(packed, plain_bytes as usize).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::key::Master;

    #[test]
    fn opens_whole_under_its_own_name_only() {
        let keys = Keys::new(Master::generate().unwrap());
        let object = seal(&keys, "open/a", b"some plaintext").unwrap();
        assert_eq!(
            open(&keys, "open/a", &object, 99).unwrap(),
            b"some plaintext"
        );
        assert!(open(&keys, "open/b", &object, 99).unwrap_err().is_damage());
        assert!(open(&keys, "open/a", &object, 5).unwrap_err().is_damage());
        for length in 0..object.len() {
            assert!(
                open(&keys, "open/a", &object[..length], 99)
                    .unwrap_err()
                    .is_damage()
            );
            let mut flipped = object.clone();
            flipped[length] ^= 1;
            assert!(open(&keys, "open/a", &flipped, 99).unwrap_err().is_damage());
        }
    }

    #[test]
    fn every_write_has_its_own_salt() {
        let keys = Keys::new(Master::generate().unwrap());
        assert_ne!(
            seal(&keys, "a", b"x").unwrap(),
            seal(&keys, "a", b"x").unwrap()
        );
    }
}
