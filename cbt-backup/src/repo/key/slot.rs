//! A key slot: the master key, wrapped with one secret.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{KdfParams, Keys, Master, secret::RepositoryKey};
use crate::repo::{
    cipher::{Cipher, TAG_BYTES, random},
    config::Config,
    error::Error,
    id::{ObjectId, hex, hex_bytes, unhex_all},
    name::{ObjectName, SMALL_LIMIT_BYTES},
    sealed,
};

const KDF: &str = "argon2id";

/// What a slot is opened with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotKind {
    /// A passphrase.
    Passphrase,
    /// A recovery passphrase, made by the program.
    Recovery,
    /// The content of a key file.
    KeyFile,
}

impl SlotKind {
    /// Its name in the format and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery",
            Self::KeyFile => "key-file",
        }
    }
}

impl fmt::Display for SlotKind {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery passphrase",
            Self::KeyFile => "key file",
        })
    }
}

/// What is said about a slot to who has opened the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) label: String,
    /// Id of the slot's other fields, so that damage shows to who does not hold its secret.
    #[serde(default)]
    pub(super) slot: Option<String>,
    /// A copy of the object `config`. Slots of earlier programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Config>,
}

/// A wrapped master key: the object `key/<slot>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeySlot {
    version: u32,
    pub(super) kind: SlotKind,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    #[serde(with = "hex_bytes")]
    salt: [u8; 16],
    #[serde(with = "hex_bytes")]
    sealed: [u8; 32 + TAG_BYTES],
    /// The repository's id, for when `config` is lost: without it the key cannot be unwrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<ObjectId>,
    about: String,
}

/// The fields that must be understood before the others are read.
#[derive(Deserialize)]
struct Form {
    version: u32,
    kind: String,
    kdf: String,
}

/// Where a slot belongs: repository and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) repository: ObjectId,
    pub(super) slot: ObjectId,
}

impl Place {
    fn aad(self, kind: SlotKind) -> String {
        let Self { repository, slot } = self;
        format!("cbt-backup key {slot} {repository} {}", kind.name())
    }

    /// The name of the object.
    pub(super) fn name(self) -> String {
        ObjectName::Key(self.slot).to_string()
    }
}

impl KeySlot {
    /// Wraps the master key for the holder of `key`. Takes the time the parameters ask for.
    pub(super) fn wrap(
        keys: &Keys,
        place: Place,
        key: &RepositoryKey,
        params: KdfParams,
        about: &About,
    ) -> Result<Self, Error> {
        let salt = *random::<16>()?;
        let wrapping = params.wrapping_key(key.bytes_of_own_kind(), &salt)?;
        let mut buffer = Vec::with_capacity(32 + TAG_BYTES);
        buffer.extend_from_slice(keys.master.0.as_ref());
        Cipher::new(&wrapping).seal(0, place.aad(key.kind()).as_bytes(), &mut buffer, 0)?;
        let mut sealed = [0; 32 + TAG_BYTES];
        sealed.copy_from_slice(&buffer);
        let mut slot = Self {
            version: 0,
            kind: key.kind(),
            kdf: KDF.to_owned(),
            memory_kib: params.memory_kib,
            passes: params.passes,
            lanes: params.lanes,
            salt,
            sealed,
            repository: about.config.is_some().then_some(place.repository),
            about: String::new(),
        };
        let about = About {
            slot: Some(slot.id(keys)),
            ..about.clone()
        };
        let about = serde_json::to_vec(&about).map_err(|error| Error::machine("JSON", &error))?;
        slot.about = hex(&sealed::seal(keys, &place.name(), &about)?);
        Ok(slot)
    }

    /// Keyed hash of all that is not said about it.
    fn id(&self, keys: &Keys) -> String {
        let Self {
            memory_kib,
            passes,
            lanes,
            ..
        } = self;
        let kind = self.kind.name();
        let mut fields = format!("{kind} {memory_kib} {passes} {lanes} ").into_bytes();
        fields.extend_from_slice(&self.salt);
        fields.extend_from_slice(&self.sealed);
        hex(&keys.blob_id(&fields))
    }

    /// Reads a slot and checks that its parameters are bearable; `None` for one of a form that
    /// this program does not know.
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Option<Self>, Error> {
        let bad = |error: serde_json::Error| Error::damaged(name, error.to_string());
        let form: Form = serde_json::from_slice(bytes).map_err(bad)?;
        let kinds = [SlotKind::Passphrase, SlotKind::Recovery, SlotKind::KeyFile];
        let known = kinds.iter().any(|kind| kind.name() == form.kind);
        if form.version != 0 || form.kdf != KDF || !known {
            return Ok(None);
        }
        let slot: Self = serde_json::from_slice(bytes).map_err(bad)?;
        slot.params()
            .check()
            .map_err(|error| Error::damaged(name, error.to_string()))?;
        Ok(Some(slot))
    }

    pub(super) fn params(&self) -> KdfParams {
        KdfParams {
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        }
    }

    /// The master key, or `None` when the secret is not this slot's.
    pub(super) fn unwrap_key(
        &self,
        place: Place,
        key: &RepositoryKey,
    ) -> Result<Option<Master>, Error> {
        let Some(secret) = key.secret_for(self.kind) else {
            return Ok(None);
        };
        let wrapping = self.params().wrapping_key(&secret, &self.salt)?;
        let mut sealed = self.sealed;
        let aad = place.aad(self.kind);
        let opened = Cipher::new(&wrapping).open(0, aad.as_bytes(), &mut sealed);
        Ok(opened.ok().and_then(|plain| {
            let master = <&[u8; 32]>::try_from(&*plain).ok().map(Master::from_plain);
            plain.zeroize();
            master
        }))
    }

    /// What is said about it.
    pub(super) fn about(&self, keys: &Keys, place: Place) -> Result<About, Error> {
        let name = place.name();
        let bad = |what: &str| Error::damaged(&name, what);
        let object = unhex_all(&self.about).ok_or_else(|| bad("its words are no hex digits"))?;
        let plain = sealed::open(keys, &name, &object, SMALL_LIMIT_BYTES)?;
        let about: About =
            serde_json::from_slice(&plain).map_err(|error| bad(&error.to_string()))?;
        // Who writes a copy of `config` names the repository as well.
        let named = about.config.is_some().then_some(place.repository);
        match &about.slot {
            Some(id) if *id != self.id(keys) => Err(bad("it is not what was written")),
            _ if self.repository != named => Err(bad("it does not name its repository")),
            _ => Ok(about),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const CHEAP: KdfParams = KdfParams {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    fn about() -> About {
        About {
            label: "office".to_owned(),
            slot: None,
            config: None,
        }
    }

    fn text(text: &str) -> RepositoryKey {
        RepositoryKey::passphrase(&Secret::new(text.to_owned()))
    }

    fn place() -> Place {
        Place {
            repository: ObjectId::generate(),
            slot: ObjectId::generate(),
        }
    }

    fn parsed(slot: &KeySlot) -> KeySlot {
        let json = serde_json::to_vec(slot).unwrap();
        KeySlot::parse("key/x", &json).unwrap().unwrap()
    }

    #[test]
    fn a_slot_opens_with_its_secret_at_its_place_only() {
        let keys = Keys::new(Master::generate().unwrap());
        let here = place();
        let wrapped = KeySlot::wrap(&keys, here, &text("correct horse"), CHEAP, &about()).unwrap();
        let wrapped = parsed(&wrapped);
        let opens = |place, word: &str| {
            let master = wrapped.unwrap_key(place, &text(word)).unwrap();
            master.is_some_and(|master| Keys::new(master).same_master(&keys))
        };
        assert!(opens(here, "correct horse"));
        assert!(!opens(here, "correct horsf"));
        let (repository, slot) = (ObjectId::generate(), ObjectId::generate());
        assert!(!opens(Place { slot, ..here }, "correct horse"));
        assert!(!opens(Place { repository, ..here }, "correct horse"));
        assert_eq!(wrapped.about(&keys, here).unwrap().label, "office");
        assert!(wrapped.about(&keys, Place { slot, ..here }).is_err());
    }

    #[test]
    fn damage_shows_to_who_does_not_hold_the_secret() {
        let keys = Keys::new(Master::generate().unwrap());
        let here = place();
        let sound = KeySlot::wrap(&keys, here, &text("x"), CHEAP, &about()).unwrap();
        for change in [
            |slot: &mut KeySlot| slot.sealed[5] ^= 1,
            |slot: &mut KeySlot| slot.salt[0] ^= 1,
            |slot: &mut KeySlot| slot.passes += 1,
            |slot: &mut KeySlot| slot.kind = SlotKind::Recovery,
            |slot: &mut KeySlot| slot.repository = Some(ObjectId::generate()),
        ] {
            let mut slot = sound.clone();
            change(&mut slot);
            assert!(slot.about(&keys, here).unwrap_err().is_damage());
        }
    }

    #[test]
    fn a_slot_of_another_kind_is_not_tried_and_a_changed_kind_does_not_open() {
        let keys = Keys::new(Master::generate().unwrap());
        let here = place();
        let word = "x".repeat(40);
        let mut slot = KeySlot::wrap(&keys, here, &text(&word), CHEAP, &about()).unwrap();
        let file = RepositoryKey::key_file(word.into_bytes().into()).unwrap();
        assert!(slot.unwrap_key(here, &file).unwrap().is_none());
        slot.kind = SlotKind::KeyFile;
        assert!(slot.unwrap_key(here, &file).unwrap().is_none());
    }

    #[test]
    fn a_recovery_passphrase_is_taken_where_a_passphrase_is_asked_for() {
        let keys = Keys::new(Master::generate().unwrap());
        let here = place();
        let (key, shown) = RepositoryKey::new_recovery().unwrap();
        let slot = KeySlot::wrap(&keys, here, &key, CHEAP, &about()).unwrap();
        let typed = text(&shown.expose().to_lowercase().replace('-', ""));
        assert!(slot.unwrap_key(here, &typed).unwrap().is_some());
        assert!(slot.unwrap_key(here, &text("another")).unwrap().is_none());
    }

    #[test]
    fn unbearable_parameters_are_refused_before_they_cost() {
        let keys = Keys::new(Master::generate().unwrap());
        let slot = KeySlot::wrap(&keys, place(), &text("x"), CHEAP, &about()).unwrap();
        for change in [
            |s: &mut KeySlot| s.memory_kib = u32::MAX,
            |s: &mut KeySlot| s.passes = 0,
            |s: &mut KeySlot| s.lanes = 1000,
        ] {
            let mut slot = slot.clone();
            change(&mut slot);
            let json = serde_json::to_vec(&slot).unwrap();
            assert!(KeySlot::parse("key/x", &json).unwrap_err().is_damage());
        }
    }

    #[test]
    fn slots_of_a_later_form_are_passed_over() {
        for later in [
            r#"{"version": 1, "kind": "passphrase", "kdf": "argon2id"}"#,
            r#"{"version": 0, "kind": "hsm", "kdf": "argon2id", "token": 3}"#,
            r#"{"version": 0, "kind": "passphrase", "kdf": "md5"}"#,
        ] {
            assert!(KeySlot::parse("key/x", later.as_bytes()).unwrap().is_none());
        }
        assert!(KeySlot::parse("key/x", b"{}").unwrap_err().is_damage());
    }
}
