//! Any bytes as a footer, for the fuzz targets alone.

use super::footer::{self, TRAILER_BYTES, Trailer};
use super::header::{HEADER_BYTES, header};
use super::{MAX_BLOBS, check_pack};
use crate::repo::codec;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, SessionId};
use crate::repo::key::Keys;

/// Longest plaintext of a blob that is tried.
const MAX_PLAIN_BYTES: usize = 1 << 20;
/// The largest pack that is made for a footer.
const MAX_BODY_BYTES: u32 = 1 << 16;

/// Reads the plaintext of a footer of `blobs` entries. What is read is written as it was, up to its
/// compression.
pub(crate) fn plain(blobs: u16, bytes: &[u8]) {
    if let Ok(entries) = footer::decode(bytes, blobs.into()) {
        assert!(entries.len() <= MAX_BLOBS);
        let again = footer::encode(&entries).expect("what was read can be written");
        assert_eq!(footer::decode(&again, entries.len()).as_ref(), Ok(&entries));
    }
}

/// Reads a footer whose columns and ids these are; so what is tried gets past the compression.
pub(crate) fn columns(blobs: u8, columns: &[u8]) {
    if let Ok(packed) = codec::compress(columns, 1) {
        let ids = vec![7; usize::from(blobs) * 32];
        let length = (packed.len() as u32).to_le_bytes();
        plain(blobs.into(), &[&length, packed.as_slice(), &ids].concat());
    }
}

/// Checks a whole pack that ends with this footer, sealed as its own, and with any trailer.
///
/// # Errors
/// That of sealing; the pack may be refused.
pub(crate) fn pack(keys: &Keys, blobs: u16, body_bytes: u32, plain: &[u8]) -> Result<(), Error> {
    let session = SessionId::from_bytes([1; 16]);
    let pack = PackId {
        kind: PackKind::Data,
        session,
        seq: 3,
    };
    let header = header(pack);
    let offset = HEADER_BYTES as u32 + body_bytes % MAX_BODY_BYTES;
    let mut bytes = header.to_vec();
    bytes.resize(offset as usize, 0);
    let mut trailer = Trailer {
        footer_offset: offset,
        footer_bytes: (plain.len() + crate::repo::cipher::TAG_BYTES) as u32,
        blobs: blobs.into(),
        pack_bytes: 0,
    };
    trailer.pack_bytes = u64::from(offset) + u64::from(trailer.footer_bytes) + TRAILER_BYTES as u64;
    let trailer = trailer.encode(&header);
    let aad = [&header[..], &trailer[..footer::TRAILER_AAD_BYTES]].concat();
    bytes.extend_from_slice(plain);
    keys.pack_cipher(pack)
        .seal(offset.into(), &aad, &mut bytes, offset as usize)?;
    bytes.extend_from_slice(&trailer);
    if let Ok(checked) = check_pack(keys, pack, &bytes, MAX_PLAIN_BYTES) {
        assert_eq!(checked.len(), usize::from(blobs));
    }
    Ok(())
}

/// Reads a trailer, and a pack that is any bytes.
pub(crate) fn raw(keys: &Keys, bytes: &[u8]) {
    let session = SessionId::from_bytes([1; 16]);
    let pack = PackId {
        kind: PackKind::Node,
        session,
        seq: 0,
    };
    let header = header(pack);
    if let Some((trailer, _)) = bytes.split_first_chunk::<TRAILER_BYTES>() {
        let _ = Trailer::decode(&header, trailer);
    }
    let whole = [&header, bytes].concat();
    assert!(check_pack(keys, pack, &whole, MAX_PLAIN_BYTES).is_err());
}
