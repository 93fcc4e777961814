//! Any bytes as a key slot, for the fuzz targets alone.

use super::slot::{KeySlot, Place};
use super::{Keys, Master};
use crate::repo::id::ObjectId;

/// Keys that are the same each time.
pub(crate) fn keys() -> Keys {
    Keys::new(Master::from_plain(&[5; 32]))
}

/// Reads a slot. What is taken asks for bearable work, and its words are sealed or refused.
pub(crate) fn slot(keys: &Keys, bytes: &[u8]) {
    if let Ok(Some(slot)) = KeySlot::parse("key/x", bytes) {
        assert!(slot.params().check().is_ok());
        let id = ObjectId::from_bytes([3; 16]);
        let place = Place {
            repository: id,
            slot: id,
        };
        assert!(slot.about(keys, place).is_err());
    }
}
