//! The one address type. Format: repository-format.md section 7.

use serde::{Deserialize, Serialize};

use super::cipher::TAG_BYTES;
use super::id::{PackId, PackKind, SessionId, hex_bytes};
use super::pack::HEADER_BYTES;

/// Place and id of a blob: a block, a node, a usage table or a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Ref {
    /// The session that wrote the pack.
    pub session: SessionId,
    /// Number of the pack.
    pub seq: u32,
    /// Offset in the pack, in bytes.
    pub offset: u32,
    /// Sealed length in bytes.
    pub length: u32,
    /// Stored without compression.
    pub raw: bool,
    /// Keyed hash of the plaintext.
    #[serde(with = "hex_bytes")]
    pub id: [u8; 32],
}

impl Ref {
    /// The pack this points into. Blocks are in data packs, all else in node packs.
    pub fn pack(&self, kind: PackKind) -> PackId {
        PackId {
            kind,
            session: self.session,
            seq: self.seq,
        }
    }

    /// The byte after the blob, when offset and length are possible at all.
    pub(crate) fn end(&self) -> Option<u32> {
        let possible = self.offset as usize >= HEADER_BYTES && self.length as usize > TAG_BYTES;
        self.offset.checked_add(self.length).filter(|_| possible)
    }
}
