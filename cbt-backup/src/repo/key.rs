//! The master key, its slots, and what is derived from it. Format: repository-format.md section 4.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::cipher::{Cipher, TAG_BYTES, random};
use super::error::Error;
use super::id::{ObjectId, PackId, VmKey, hex_bytes};

const KDF: &str = "argon2id";

/// How hard it is to try a passphrase.
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
    fn check(self) -> Result<(), Error> {
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

    fn wrapping_key(
        self,
        passphrase: &[u8],
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.check()?;
        let bad = |error: argon2::Error| Error::machine("the key derivation", &error);
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(bad)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, key.as_mut())
            .map_err(bad)?;
        Ok(key)
    }
}

/// A wrapped master key: the object `key/<slot>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeySlot {
    version: u32,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    #[serde(with = "hex_bytes")]
    salt: [u8; 16],
    #[serde(with = "hex_bytes")]
    sealed: [u8; 32 + TAG_BYTES],
}

fn slot_aad(repository: ObjectId, slot: ObjectId) -> String {
    format!("cbt-backup key {slot} {repository}")
}

impl KeySlot {
    /// Wraps `master` for the holder of `passphrase`. Takes the time the parameters ask for.
    pub(crate) fn wrap(
        master: &Master,
        repository: ObjectId,
        slot: ObjectId,
        passphrase: &[u8],
        params: KdfParams,
    ) -> Result<Self, Error> {
        let salt = *random::<16>()?;
        let key = params.wrapping_key(passphrase, &salt)?;
        let mut buffer = Vec::with_capacity(32 + TAG_BYTES);
        buffer.extend_from_slice(master.0.as_ref());
        Cipher::new(&key).seal(0, slot_aad(repository, slot).as_bytes(), &mut buffer, 0)?;
        let mut sealed = [0; 32 + TAG_BYTES];
        sealed.copy_from_slice(&buffer);
        let KdfParams {
            memory_kib,
            passes,
            lanes,
        } = params;
        Ok(Self {
            version: 0,
            kdf: KDF.to_owned(),
            memory_kib,
            passes,
            lanes,
            salt,
            sealed,
        })
    }

    /// Reads a slot and checks that its parameters are bearable.
    pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let slot: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::damaged(name, error.to_string()))?;
        if slot.version != 0 || slot.kdf != KDF {
            return Err(Error::damaged(name, "unknown version or key derivation"));
        }
        slot.params()
            .check()
            .map_err(|error| Error::damaged(name, error.to_string()))?;
        Ok(slot)
    }

    fn params(&self) -> KdfParams {
        KdfParams {
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        }
    }

    /// The master key, or `None` when the passphrase is not this slot's.
    pub(crate) fn unwrap_key(
        &self,
        repository: ObjectId,
        slot: ObjectId,
        passphrase: &[u8],
    ) -> Result<Option<Master>, Error> {
        let key = self.params().wrapping_key(passphrase, &self.salt)?;
        let mut sealed = self.sealed;
        let aad = slot_aad(repository, slot);
        let opened = Cipher::new(&key).open(0, aad.as_bytes(), &mut sealed);
        Ok(opened.ok().map(|plain| {
            let mut master = Zeroizing::new([0; 32]);
            master.copy_from_slice(plain);
            plain.zeroize();
            Master(master)
        }))
    }
}

/// The key that all others come from.
pub(crate) struct Master(Zeroizing<[u8; 32]>);

impl Master {
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

    const CHEAP: KdfParams = KdfParams {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    #[test]
    fn a_slot_opens_with_its_passphrase_at_its_place_only() {
        let (repository, slot) = (ObjectId::generate(), ObjectId::generate());
        let master = Master::generate().unwrap();
        let secret = b"correct horse";
        let wrapped = KeySlot::wrap(&master, repository, slot, secret, CHEAP).unwrap();
        let json = serde_json::to_vec(&wrapped).unwrap();
        let wrapped = KeySlot::parse("key/x", &json).unwrap();
        let open = |repository, slot, text: &str| {
            wrapped
                .unwrap_key(repository, slot, text.as_bytes())
                .unwrap()
                .map(|m| *m.0)
        };
        assert_eq!(open(repository, slot, "correct horse"), Some(*master.0));
        assert_eq!(open(repository, slot, "correct horsf"), None);
        assert_eq!(
            open(repository, ObjectId::generate(), "correct horse"),
            None
        );
        assert_eq!(open(ObjectId::generate(), slot, "correct horse"), None);
    }

    #[test]
    fn unbearable_parameters_are_refused_before_they_cost() {
        let master = Master::generate().unwrap();
        let id = ObjectId::generate();
        let secret = b"x";
        let slot = KeySlot::wrap(&master, id, id, secret, CHEAP).unwrap();
        for change in [
            |s: &mut KeySlot| s.memory_kib = u32::MAX,
            |s: &mut KeySlot| s.passes = 0,
            |s: &mut KeySlot| s.lanes = 1000,
            |s: &mut KeySlot| s.version = 1,
            |s: &mut KeySlot| s.kdf = "md5".to_owned(),
        ] {
            let mut slot = slot.clone();
            change(&mut slot);
            let json = serde_json::to_vec(&slot).unwrap();
            assert!(KeySlot::parse("key/x", &json).unwrap_err().is_damage());
        }
    }

    #[test]
    fn vm_keys_ignore_case_and_depend_on_the_master_key() {
        let keys = Keys::new(Master::generate().unwrap());
        assert_eq!(keys.vm_key("AB", "CD"), keys.vm_key("ab", "cd"));
        assert_ne!(keys.vm_key("ab", "cd"), keys.vm_key("abc", "d"));
        let others = Keys::new(Master::generate().unwrap());
        assert_ne!(keys.vm_key("ab", "cd"), others.vm_key("ab", "cd"));
    }
}
