//! The object `config`, written again from a key slot.

use super::{
    Keys, RepositoryKey,
    slot::Place,
    slots::{off_the_runtime, read, slot_ids},
};
use crate::repo::{
    config::Config,
    error::Error,
    name::{CONFIG, SMALL_LIMIT_BYTES},
    repository::Repository,
    store::Store,
};

/// What became of `config`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigRepair {
    /// It is what the key slot says.
    Sound,
    /// It was lost or damaged, and is written again.
    Written,
}

impl Repository {
    /// Compares the object `config` with the copy in the key slot that `key` opens, and writes it
    /// again where it is lost or damaged. A `config` that asks for something this program does not know is left alone.
    ///
    /// # Errors
    /// `NoRepository`, `WrongKey`; `NoConfigCopy` when all slots were made by an earlier program, `NoCopyOpened` when some were;
    /// `FormatTooNew`, `NeedsFeature`, `NotWritable`, `Store`.
    pub async fn repair_config(
        store: &Store,
        key: impl Into<RepositoryKey>,
    ) -> Result<ConfigRepair, Error> {
        let saved = saved_config(store, &key.into()).await?;
        let found = match store.get(CONFIG, SMALL_LIMIT_BYTES).await {
            Ok(bytes) => Config::parse(&bytes),
            Err(error) => Err(error),
        };
        match found {
            Ok(config) => {
                config.check_writable()?;
                if config == saved {
                    return Ok(ConfigRepair::Sound);
                }
            }
            Err(error) if !error.is_damage() => return Err(error),
            Err(error) => tracing::warn!(%error, "config is written again"),
        }
        store.put(CONFIG, saved.encode()?.into()).await?;
        let bytes = store.get(CONFIG, SMALL_LIMIT_BYTES).await?;
        if Config::parse(&bytes)? == saved {
            Ok(ConfigRepair::Written)
        } else {
            Err(Error::damaged(CONFIG, "it is not what was written"))
        }
    }

    /// What stands for a `config` that is not there: a repository that lost it, or none.
    pub(crate) async fn without_config(store: &Store) -> Error {
        let location = store.location().to_owned();
        match slot_ids(store).await {
            Ok(slots) if !slots.is_empty() => Error::ConfigLost { location },
            _ => Error::NoRepository { location },
        }
    }
}

/// The copy of `config` in the slot that `key` opens.
async fn saved_config(store: &Store, key: &RepositoryKey) -> Result<Config, Error> {
    let ids = slot_ids(store).await?;
    if ids.is_empty() {
        let location = store.location().to_owned();
        return Err(Error::NoRepository { location });
    }
    let (mut slots, mut damaged) = (Vec::new(), Vec::new());
    let mut without = 0;
    for slot in &ids {
        // The place only names the object here; the slot itself says which repository it is of.
        let named = Place {
            repository: *slot,
            slot: *slot,
        };
        match read(store, named).await {
            Ok((_, Some(found))) => match found.repository {
                Some(repository) => slots.push((
                    Place {
                        repository,
                        ..named
                    },
                    found,
                )),
                None => without += 1,
            },
            Ok((_, None)) => without += 1,
            Err(error) if error.is_damage() => damaged.push(*slot),
            Err(error) => return Err(error),
        }
    }
    let wrong = match (slots.len(), without) {
        (_, 0) => Error::WrongKey {
            what: key.kind(),
            slots: ids.len(),
            damaged,
        },
        (0, _) => Error::NoConfigCopy,
        (with_copy, without) => Error::NoCopyOpened {
            what: key.kind(),
            with_copy,
            without,
        },
    };
    let key = key.duplicate();
    off_the_runtime(move || {
        for (place, slot) in slots {
            if let Some(master) = slot.unwrap_key(place, &key)? {
                let about = slot.about(&Keys::new(master), place)?;
                return about.config.ok_or(Error::NoConfigCopy);
            }
        }
        Err(wrong)
    })
    .await
}
