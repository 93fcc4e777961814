//! The master key, what is derived from it, and the slots that wrap it.
//!
//! Format: repository-format.md section 4.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod kdf;
mod recovery;
mod repair;
mod secret;
mod slot;
mod slots;

use zeroize::Zeroizing;

use super::cipher::{Cipher, random};
use super::error::Error;
use super::id::{PackId, VmKey};

pub use kdf::KdfParams;
pub use repair::ConfigRepair;
pub use secret::RepositoryKey;
pub use slot::SlotKind;
pub use slots::{KeySlotInfo, KeySlotState};

pub(crate) use slots::{OpenedBy, first_slot, unlock};

/// The key that all others come from.
pub(crate) struct Master(Zeroizing<[u8; 32]>);

impl Master {
    /// Takes over what a slot held.
    fn from_plain(plain: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*plain))
    }

    pub(crate) fn generate() -> Result<Self, Error> {
        Ok(Self(random()?))
    }

    fn derive(&self, purpose: &str, context: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(self.0.as_ref());
        for part in context {
            hasher.update(part);
        }
        Zeroizing::new(*hasher.finalize().as_bytes())
    }
}

/// The keys of an opened repository.
pub(crate) struct Keys {
    master: Master,
    block_id: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

impl Keys {
    pub(crate) fn new(master: Master) -> Self {
        let block_id = master.derive("cbt-backup 2026 block id", &[]);
        Self { master, block_id }
    }

    /// True when both come from one master key.
    fn same_master(&self, other: &Self) -> bool {
        self.master.0 == other.master.0
    }

    /// The id of a block, node, table or file.
    pub(crate) fn blob_id(&self, plaintext: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.block_id, plaintext).as_bytes()
    }

    pub(crate) fn vm_key(&self, vcenter_uuid: &str, vm_uuid: &str) -> VmKey {
        let key = self.master.derive("cbt-backup 2026 vm name", &[]);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(vcenter_uuid.to_ascii_lowercase().as_bytes());
        hasher.update(&[0]);
        hasher.update(vm_uuid.to_ascii_lowercase().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        VmKey::from_hash(first)
    }

    pub(crate) fn pack_cipher(&self, pack: PackId) -> Cipher {
        let context: [&[u8]; 3] = [
            &pack.session.to_bytes(),
            &[pack.kind.letter()],
            &pack.seq.to_le_bytes(),
        ];
        Cipher::new(&self.master.derive("cbt-backup 2026 pack", &context))
    }

    pub(crate) fn object_cipher(&self, salt: &[u8; 16], name: &str) -> Cipher {
        Cipher::new(
            &self
                .master
                .derive("cbt-backup 2026 object", &[salt, name.as_bytes()]),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vm_keys_ignore_case_and_depend_on_the_master_key() {
        let keys = Keys::new(Master::generate().unwrap());
        assert_eq!(keys.vm_key("AB", "CD"), keys.vm_key("ab", "cd"));
        assert_ne!(keys.vm_key("ab", "cd"), keys.vm_key("abc", "d"));
        let others = Keys::new(Master::generate().unwrap());
        assert_ne!(keys.vm_key("ab", "cd"), others.vm_key("ab", "cd"));
    }
}
