//! The first 64 bytes of a pack, which are the AAD of everything in it.

use crate::repo::id::PackId;

/// Length of the header in bytes.
pub(crate) const HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 4] = b"cbtP";
const SUITE: u8 = 1;

/// The header; it follows from the pack's name alone.
pub(crate) fn header(pack: PackId) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[6] = pack.kind.letter();
    header[7] = SUITE;
    header[8..24].copy_from_slice(&pack.session.to_bytes());
    header[24..28].copy_from_slice(&pack.seq.to_le_bytes());
    header
}
