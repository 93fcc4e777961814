//! The slots of a repository: which there are, one more, one less.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use super::{
    KdfParams, Keys, RepositoryKey,
    slot::{About, KeySlot, Place, SlotKind},
};
use crate::repo::{
    config::Config,
    error::Error,
    id::ObjectId,
    name::{CONFIG, ObjectName, SMALL_LIMIT_BYTES},
    repository::Repository,
    store::Store,
};

/// Slots that are tried; more are not made.
const MAX_SLOTS: usize = 16;
/// Longest label in bytes.
const MAX_LABEL_BYTES: usize = 200;

/// One slot, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySlotInfo {
    /// Its id, the name of its object.
    pub id: ObjectId,
    /// What it is.
    #[serde(flatten)]
    pub state: KeySlotState,
    /// The repository was opened by it.
    pub opened_by: bool,
    /// It holds a copy of `config`, for `key repair`. Slots of earlier programs do not.
    pub holds_config: bool,
    /// The copy of `config` in it.
    #[serde(skip)]
    pub(crate) config: Option<Config>,
}

/// What a slot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum KeySlotState {
    /// A slot as it should be.
    Usable {
        /// What opens it.
        kind: SlotKind,
        /// What its maker called it.
        label: String,
    },
    /// A later program made it; this one can't use it.
    Unknown,
    /// It cannot be read.
    Damaged {
        /// Why.
        why: String,
    },
}

/// The slot that opened a repository, with its bytes: it can be put back.
#[derive(Debug)]
pub(crate) struct OpenedBy(Mutex<SlotText>);

/// The object of a slot.
#[derive(Clone, Debug)]
pub(crate) struct SlotText {
    pub(crate) id: ObjectId,
    pub(crate) bytes: Bytes,
}

impl OpenedBy {
    pub(crate) fn new(slot: SlotText) -> Self {
        Self(Mutex::new(slot))
    }

    fn get(&self) -> SlotText {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, slot: SlotText) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = slot;
    }
}

/// Makes the first slot of a new repository, not yet stored.
pub(crate) async fn first_slot(
    keys: Keys,
    config: &Config,
    key: &RepositoryKey,
    kdf: KdfParams,
) -> Result<(Keys, SlotText), Error> {
    let (key, config) = (key.duplicate(), config.clone());
    off_the_runtime(move || {
        let made = make(&keys, &config, &key, kdf, "made with the repository")?;
        Ok((keys, made))
    })
    .await
}

/// Finds a slot that `key` opens.
pub(crate) async fn unlock(
    store: &Store,
    repository: ObjectId,
    key: &RepositoryKey,
) -> Result<(Keys, OpenedBy), Error> {
    let mut slots = Vec::new();
    let mut damaged = Vec::new();
    let listed = slot_ids(store).await?;
    for id in &listed {
        let place = Place {
            repository,
            slot: *id,
        };
        match read(store, place).await {
            Ok((text, Some(slot))) => slots.push((place, text, slot)),
            Ok((_, None)) => {}
            Err(error) if error.is_damage() => damaged.push((*id, error)),
            Err(error) => return Err(error),
        }
    }
    if slots.is_empty() {
        let object = "key".to_owned();
        return Err(match damaged.pop() {
            Some((_, error)) => error,
            None if listed.is_empty() => Error::Missing { object },
            None => Error::NeedsFeature {
                object,
                feature: "key slots of a later form".to_owned(),
            },
        });
    }
    let named = slots.iter().map(|(.., slot)| slot.repository);
    if let Some(named) = other_repository(repository, named) {
        let what = format!("it names repository {repository}, and its key slots {named}");
        return Err(Error::damaged(CONFIG, what));
    }
    let wrong = Error::WrongKey {
        what: key.kind(),
        slots: listed.len(),
        damaged: damaged.into_iter().map(|(id, _)| id).collect(),
    };
    let key = key.duplicate();
    off_the_runtime(move || {
        for (place, text, slot) in slots {
            if let Some(master) = slot.unwrap_key(place, &key)? {
                return Ok((Keys::new(master), OpenedBy::new(text)));
            }
        }
        Err(wrong)
    })
    .await
}

impl Repository {
    /// The key slots, oldest first.
    ///
    /// # Errors
    /// `Store`. What is wrong with one slot is said in its row.
    pub async fn key_slots(&self) -> Result<Vec<KeySlotInfo>, Error> {
        let opened_by = self.opened_by().get().id;
        let mut infos = Vec::new();
        for id in slot_ids(self.store()).await? {
            let place = self.place(id);
            let mut config = None;
            let state = match read(self.store(), place).await {
                Ok((_, Some(slot))) => match slot.about(self.keys(), place) {
                    Ok(about) => {
                        config = about.config;
                        KeySlotState::Usable {
                            kind: slot.kind,
                            label: about.label,
                        }
                    }
                    Err(error) => damaged(&error),
                },
                Ok((_, None)) => KeySlotState::Unknown,
                Err(error) if error.is_damage() => damaged(&error),
                Err(error) => return Err(error),
            };
            infos.push(KeySlotInfo {
                id,
                state,
                opened_by: id == opened_by,
                holds_config: config.is_some(),
                config,
            });
        }
        Ok(infos)
    }

    /// Adds a slot, reads it back and opens it.
    ///
    /// # Errors
    /// `TooManyKeySlots`, `BadLabel`, `NotWritable`, `Store`; `Damaged` when what was stored does
    /// not open.
    pub async fn add_key(
        &self,
        key: &RepositoryKey,
        label: &str,
        kdf: KdfParams,
    ) -> Result<ObjectId, Error> {
        Ok(self.add_slot(key, label, kdf).await?.id)
    }

    /// Removes a slot. The one that the repository was opened by stays.
    ///
    /// # Errors
    /// `KeySlotInUse`, `KeySlotNotFound`, `Store`. `KeySlotPutBack` when somebody else removed the
    /// slot in use at the same time: without it nobody could open the repository.
    pub async fn remove_key(&self, id: ObjectId) -> Result<(), Error> {
        let own = self.opened_by().get();
        if own.id == id {
            return Err(Error::KeySlotInUse { slot: id });
        }
        if !slot_ids(self.store()).await?.contains(&id) {
            return Err(Error::KeySlotNotFound {
                wanted: id.to_string(),
                matches: 0,
            });
        }
        self.store()
            .delete(&ObjectName::Key(id).to_string())
            .await?;
        if slot_ids(self.store()).await?.contains(&own.id) {
            return Ok(());
        }
        let name = ObjectName::Key(own.id).to_string();
        self.store().put(&name, own.bytes).await?;
        Err(Error::KeySlotPutBack { slot: own.id })
    }

    /// Puts a new slot in the place of the one that the repository was opened by.
    ///
    /// # Errors
    /// Those of [`Repository::add_key`], and then nothing has changed. `KeySlotKept` when the
    /// new slot is there and the old one cannot be removed.
    pub async fn replace_key(
        &self,
        key: &RepositoryKey,
        label: &str,
        kdf: KdfParams,
    ) -> Result<ObjectId, Error> {
        let old = self.opened_by().get().id;
        let new = self.add_slot(key, label, kdf).await?;
        let id = new.id;
        self.opened_by().set(new);
        match self.remove_key(old).await {
            // Not found: somebody else was faster.
            Ok(()) | Err(Error::KeySlotNotFound { .. }) => Ok(id),
            Err(source) => Err(Error::KeySlotKept {
                new: id,
                old,
                source: Box::new(source),
            }),
        }
    }

    /// The slot whose id begins with `prefix`.
    ///
    /// # Errors
    /// `KeySlotNotFound` when it is none or several, `Store`.
    pub async fn find_key(&self, prefix: &str) -> Result<ObjectId, Error> {
        let wanted = prefix.to_ascii_uppercase();
        let mut ids = slot_ids(self.store()).await?;
        ids.retain(|id| id.to_string().starts_with(&wanted));
        match ids[..] {
            [id] if !wanted.is_empty() => Ok(id),
            _ => Err(Error::KeySlotNotFound {
                wanted: prefix.to_owned(),
                matches: ids.len(),
            }),
        }
    }

    async fn add_slot(
        &self,
        key: &RepositoryKey,
        label: &str,
        kdf: KdfParams,
    ) -> Result<SlotText, Error> {
        if label.len() > MAX_LABEL_BYTES || label.chars().any(char::is_control) {
            return Err(Error::BadLabel);
        }
        let slots = slot_ids(self.store()).await?.len();
        if slots >= MAX_SLOTS {
            return Err(Error::TooManyKeySlots { slots });
        }
        let (repository, copy) = (self.clone(), key.duplicate());
        let label = label.to_owned();
        let make = move || make(repository.keys(), repository.config(), &copy, kdf, &label);
        let made = off_the_runtime(make).await?;
        let place = self.place(made.id);
        self.store().put(&place.name(), made.bytes.clone()).await?;
        let (_, stored) = read(self.store(), place).await?;
        let (repository, copy) = (self.clone(), key.duplicate());
        let opens = off_the_runtime(move || {
            let Some(stored) = stored else {
                return Ok(false);
            };
            let master = stored.unwrap_key(place, &copy)?;
            Ok(master.is_some_and(|master| Keys::new(master).same_master(repository.keys())))
        })
        .await?;
        if opens {
            return Ok(made);
        }
        Err(Error::damaged(
            &place.name(),
            "it does not open after it was stored",
        ))
    }

    fn place(&self, slot: ObjectId) -> Place {
        Place {
            repository: self.config().id,
            slot,
        }
    }
}

fn make(
    keys: &Keys,
    config: &Config,
    key: &RepositoryKey,
    kdf: KdfParams,
    label: &str,
) -> Result<SlotText, Error> {
    let id = ObjectId::generate();
    let place = Place {
        repository: config.id,
        slot: id,
    };
    let about = About {
        label: label.to_owned(),
        slot: None,
        config: Some(config.clone()),
    };
    let slot = KeySlot::wrap(keys, place, key, kdf, &about)?;
    let bytes = serde_json::to_vec(&slot).map_err(|error| Error::machine("JSON", &error))?;
    Ok(SlotText {
        id,
        bytes: bytes.into(),
    })
}

/// The repository that all slots name which name one, when it is another than `config` names.
fn other_repository(
    repository: ObjectId,
    named: impl Iterator<Item = Option<ObjectId>>,
) -> Option<ObjectId> {
    let mut other = None;
    for named in named {
        if named? == repository {
            return None;
        }
        other = named;
    }
    other
}

/// The slots that are there, oldest first; no more than are ever made.
pub(super) async fn slot_ids(store: &Store) -> Result<Vec<ObjectId>, Error> {
    let listed = store.list("key").await?;
    let mut ids: Vec<_> = listed
        .iter()
        .filter_map(|(name, _)| match ObjectName::parse(name) {
            Some(ObjectName::Key(slot)) => Some(slot),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids.truncate(MAX_SLOTS);
    Ok(ids)
}

pub(super) async fn read(
    store: &Store,
    place: Place,
) -> Result<(SlotText, Option<KeySlot>), Error> {
    let name = place.name();
    let bytes = store.get(&name, SMALL_LIMIT_BYTES).await?;
    let slot = KeySlot::parse(&name, &bytes)?;
    let id = place.slot;
    Ok((SlotText { id, bytes }, slot))
}

fn damaged(error: &Error) -> KeySlotState {
    KeySlotState::Damaged {
        why: error.to_string(),
    }
}

/// Key derivation takes a while on purpose: not on a thread that others wait for.
pub(super) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(Error::machine("the key derivation", &error)))
}
