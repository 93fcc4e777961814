//! What opens a repository.

use std::fmt;

use zeroize::Zeroizing;

use super::{recovery, slot::SlotKind};
use crate::{repo::error::Error, secret::Secret};

/// Fewest bytes of a key file, so that it cannot be guessed.
const MIN_FILE_BYTES: usize = 32;
/// Most bytes of a key file; a longer one was named by mistake.
const MAX_FILE_BYTES: usize = 4096;

/// What opens a repository: a passphrase, or the content of a key file.
///
/// It wipes itself, and prints as what it is, never its bytes.
pub struct RepositoryKey {
    kind: SlotKind,
    bytes: Zeroizing<Vec<u8>>,
}

impl RepositoryKey {
    /// A passphrase. One that reads as a recovery passphrase is tried as such too.
    pub fn passphrase(text: &Secret) -> Self {
        Self {
            kind: SlotKind::Passphrase,
            bytes: Zeroizing::new(text.expose().as_bytes().to_vec()),
        }
    }

    /// The content of a key file, 32 to 4,096 bytes.
    ///
    /// # Errors
    /// `BadKeyFile` for another length.
    pub fn key_file(content: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        if !(MIN_FILE_BYTES..=MAX_FILE_BYTES).contains(&content.len()) {
            return Err(Error::BadKeyFile {
                found_bytes: content.len() as u64,
            });
        }
        Ok(Self {
            kind: SlotKind::KeyFile,
            bytes: content,
        })
    }

    /// A new recovery passphrase: the key, and the text to write down.
    ///
    /// # Errors
    /// `Machine` when the random source fails.
    pub fn new_recovery() -> Result<(Self, Secret), Error> {
        let text = recovery::generate()?;
        let bytes = recovery::normalise(text.expose())
            .ok_or_else(|| Error::machine("the recovery passphrase", "it is none"))?;
        let kind = SlotKind::Recovery;
        Ok((Self { kind, bytes }, text))
    }

    /// The kind of slot that is made for it.
    pub fn kind(&self) -> SlotKind {
        self.kind
    }

    /// The secret that a slot of its own kind is made with.
    pub(super) fn bytes_of_own_kind(&self) -> &[u8] {
        &self.bytes
    }

    /// The secret to try at a slot of `kind`; `None` when it can't be that slot's.
    pub(super) fn secret_for(&self, kind: SlotKind) -> Option<Zeroizing<Vec<u8>>> {
        if kind == self.kind {
            return Some(self.bytes.clone());
        }
        if (self.kind, kind) == (SlotKind::Passphrase, SlotKind::Recovery) {
            return recovery::normalise(std::str::from_utf8(&self.bytes).ok()?);
        }
        None
    }

    /// A copy, for a thread of its own.
    pub(super) fn duplicate(&self) -> Self {
        Self {
            kind: self.kind,
            bytes: self.bytes.clone(),
        }
    }
}

impl From<&Secret> for RepositoryKey {
    /// A passphrase.
    fn from(text: &Secret) -> Self {
        Self::passphrase(text)
    }
}

impl fmt::Debug for RepositoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositoryKey({}, ***)", self.kind)
    }
}
