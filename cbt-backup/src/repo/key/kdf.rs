//! How a secret becomes a wrapping key.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::repo::error::Error;

/// How hard it is to try a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KdfParams {
    /// Memory in KiB, 8 to 1,048,576.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 16.
    pub passes: u32,
    /// Lanes, 1 to 4.
    pub lanes: u32,
}

impl Default for KdfParams {
    /// 64 MiB, three passes, one lane.
    fn default() -> Self {
        Self {
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 1,
        }
    }
}

impl KdfParams {
    pub(super) fn check(self) -> Result<(), Error> {
        let bounds = [
            ("KDF memory in KiB", self.memory_kib, 8..=1 << 20),
            ("KDF passes", self.passes, 1..=16),
            ("KDF lanes", self.lanes, 1..=4),
        ];
        for (what, value, range) in bounds {
            if !range.contains(&value) {
                return Err(Error::OutOfRange {
                    what,
                    value: value.into(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn wrapping_key(
        self,
        secret: &[u8],
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.check()?;
        let bad = |error: argon2::Error| Error::machine("the key derivation", &error);
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(bad)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(secret, salt, key.as_mut())
            .map_err(bad)?;
        Ok(key)
    }
}
