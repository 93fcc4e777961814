//! Opens single blobs, and checks whole packs.

use super::footer::{self, BlobKind, FooterEntry, TRAILER_AAD_BYTES, TRAILER_BYTES, Trailer};
use super::header::{HEADER_BYTES, header};
use crate::repo::cipher::TAG_BYTES;
use crate::repo::codec;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::key::Keys;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;

/// How long a blob's plaintext may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlainLength {
    /// Exactly so many bytes.
    Exactly(usize),
    /// At most so many bytes.
    AtMost(usize),
}

/// Opens the blob `reference` from its sealed bytes and checks length and id.
///
/// # Errors
/// `Damaged`, with the blob's place.
pub(crate) fn open_blob(
    keys: &Keys,
    kind: PackKind,
    reference: &Ref,
    sealed: &mut [u8],
    length: PlainLength,
) -> Result<Vec<u8>, Error> {
    open_blob_into(keys, kind, reference, sealed, length, Vec::new())
}

/// As [`open_blob`], into a buffer that is used again: fresh ones of a block's size cost more than the seal.
pub(crate) fn open_blob_into(
    keys: &Keys,
    kind: PackKind,
    reference: &Ref,
    sealed: &mut [u8],
    length: PlainLength,
    buffer: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let packed = open_seal(keys, kind, reference, sealed)?;
    check_plain(keys, kind, reference, packed, length, buffer)
}

fn bad_blob(kind: PackKind, reference: &Ref, what: &str) -> Error {
    let (from, bytes) = (reference.offset, reference.length);
    let what = format!("{bytes} bytes at {from}: {what}");
    Error::damaged(&reference.pack(kind), what)
}

/// The payload of a blob.
fn open_seal<'a>(
    keys: &Keys,
    kind: PackKind,
    reference: &Ref,
    sealed: &'a mut [u8],
) -> Result<&'a [u8], Error> {
    if sealed.len() != reference.length as usize {
        return Err(bad_blob(kind, reference, "not all bytes are there"));
    }
    let pack = reference.pack(kind);
    let packed = keys
        .pack_cipher(pack)
        .open(u64::from(reference.offset), &header(pack), sealed)
        .map_err(|_| bad_blob(kind, reference, "the seal does not fit"))?;
    Ok(packed)
}

/// The plaintext of a payload, of the length and id it must have.
fn check_plain(
    keys: &Keys,
    kind: PackKind,
    reference: &Ref,
    packed: &[u8],
    length: PlainLength,
    mut plain: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let bad = |what: &str| bad_blob(kind, reference, what);
    expand(packed, reference.raw, length, &mut plain).map_err(bad)?;
    if keys.blob_id(&plain) != reference.id {
        return Err(bad("the content is not what was stored"));
    }
    Ok(plain)
}

/// As [`open_blob`], but gives the payload as it was stored before the plaintext, to be
/// sealed under other keys.
pub(crate) fn open_both<'a>(
    keys: &Keys,
    kind: PackKind,
    reference: &Ref,
    sealed: &'a mut [u8],
    length: PlainLength,
) -> Result<(&'a [u8], Vec<u8>), Error> {
    let payload = open_seal(keys, kind, reference, sealed)?;
    let plain = check_plain(keys, kind, reference, payload, length, Vec::new())?;
    Ok((payload, plain))
}

/// As [`open_blob`], but gives the payload as it was stored, to be sealed again elsewhere.
pub(crate) fn open_payload(
    keys: &Keys,
    kind: PackKind,
    reference: &Ref,
    sealed: &[u8],
    length: PlainLength,
) -> Result<Vec<u8>, Error> {
    let mut sealed = sealed.to_vec();
    let (payload, _) = open_both(keys, kind, reference, &mut sealed, length)?;
    Ok(payload.to_vec())
}

/// Sum of the sealed lengths of a pack's blobs, as its trailer tells it.
///
/// # Errors
/// `Missing`, `Damaged`, `Store`.
pub(crate) async fn blob_bytes(
    repo: &Repository,
    pack: PackId,
    pack_bytes: u64,
) -> Result<u64, Error> {
    let name = pack.to_string();
    let from = pack_bytes
        .checked_sub(TRAILER_BYTES as u64)
        .ok_or_else(|| Error::damaged(&pack, "it is too short"))?;
    let bytes = repo.store().get_range(&name, from..pack_bytes).await?;
    let trailer: &[u8; TRAILER_BYTES] = bytes
        .first_chunk()
        .ok_or_else(|| Error::damaged(&pack, "it is too short"))?;
    let trailer =
        Trailer::decode(&header(pack), trailer).map_err(|what| Error::damaged(&pack, what))?;
    let blobs = u64::from(trailer.footer_offset).checked_sub(HEADER_BYTES as u64);
    blobs.ok_or_else(|| Error::damaged(&pack, "its trailer does not fit its length"))
}

/// Longest footer of a single blob, and the trailer.
const SHORT_END_BYTES: u64 = 512;

/// The usage table of a pack that holds nothing else; `None` for every other pack.
///
/// # Errors
/// `Missing`, `Damaged`, `Store`.
pub(crate) async fn table_of(
    repo: &Repository,
    pack: PackId,
    pack_bytes: u64,
) -> Result<Option<Ref>, Error> {
    if pack_bytes < (HEADER_BYTES + TRAILER_BYTES) as u64 {
        return Err(Error::damaged(&pack, "it is too short"));
    }
    let from = pack_bytes.saturating_sub(SHORT_END_BYTES);
    let end = repo
        .store()
        .get_range(&pack.to_string(), from..pack_bytes)
        .await?;
    only_table(repo.keys(), pack, pack_bytes, &end).map_err(|what| Error::damaged(&pack, what))
}

/// As [`table_of`], of the pack's last bytes.
fn only_table(
    keys: &Keys,
    pack: PackId,
    pack_bytes: u64,
    end: &[u8],
) -> Result<Option<Ref>, &'static str> {
    let header = header(pack);
    let (body, trailer_bytes) = end
        .split_last_chunk::<TRAILER_BYTES>()
        .ok_or("it is too short")?;
    let trailer = Trailer::decode(&header, trailer_bytes)?;
    if trailer.pack_bytes != pack_bytes {
        return Err("its trailer does not fit its length");
    }
    if trailer.blobs != 1 {
        return Ok(None);
    }
    let footer = body.len().checked_sub(trailer.footer_bytes as usize);
    let mut sealed = footer
        .and_then(|from| body.get(from..))
        .ok_or("its footer is longer than that of one blob")?
        .to_vec();
    let aad = [header.as_slice(), &trailer_bytes[..TRAILER_AAD_BYTES]].concat();
    let plain = keys
        .pack_cipher(pack)
        .open(u64::from(trailer.footer_offset), &aad, &mut sealed)
        .map_err(|_| "the seal of its footer does not fit")?;
    let entries = footer::decode(plain, 1)?;
    let Some(entry) = entries
        .first()
        .filter(|entry| entry.kind == BlobKind::Usage)
    else {
        return Ok(None);
    };
    let reference = Ref {
        session: pack.session,
        seq: pack.seq,
        offset: HEADER_BYTES as u32,
        length: entry.length,
        raw: entry.raw,
        id: entry.id,
    };
    match reference.end() {
        Some(end) if end == trailer.footer_offset => Ok(Some(reference)),
        _ => Err("its blobs do not fill it"),
    }
}

fn expand(
    packed: &[u8],
    raw: bool,
    length: PlainLength,
    plain: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let (limit_bytes, exact) = match length {
        PlainLength::Exactly(bytes) => (bytes, true),
        PlainLength::AtMost(bytes) => (bytes, false),
    };
    let plain_bytes = if raw {
        packed.len()
    } else {
        codec::content_bytes(packed, limit_bytes as u64)?
    };
    if plain_bytes > limit_bytes || (exact && plain_bytes != limit_bytes) {
        return Err("its plaintext has another length than it must");
    }
    if raw {
        plain.clear();
        plain.extend_from_slice(packed);
        Ok(())
    } else {
        codec::expand_into(packed, plain_bytes, plain)
    }
}

/// One blob of a checked pack.
#[derive(Debug)]
pub(crate) struct CheckedBlob {
    pub(crate) offset: u32,
    /// What is wrong with it, if anything.
    pub(crate) damage: Option<String>,
}

/// Checks a whole pack: header, trailer, footer, and every blob with seal and id.
///
/// # Errors
/// `Damaged` when the pack's own structure is; damage of blobs is told blob by blob.
pub(crate) fn check_pack(
    keys: &Keys,
    pack: PackId,
    bytes: &[u8],
    max_plain_bytes: usize,
) -> Result<Vec<CheckedBlob>, Error> {
    let entries = read_footer(keys, pack, bytes).map_err(|what| Error::damaged(&pack, what))?;
    let mut offset = HEADER_BYTES as u32;
    let mut checked = Vec::with_capacity(entries.len());
    for FooterEntry {
        length, raw, id, ..
    } in entries
    {
        let (session, seq) = (pack.session, pack.seq);
        let reference = Ref {
            session,
            seq,
            offset,
            length,
            raw,
            id,
        };
        // `read_footer` has shown that the lengths fill the pack exactly.
        let mut sealed = bytes[offset as usize..][..length as usize].to_vec();
        let limit = PlainLength::AtMost(max_plain_bytes);
        let opened = open_blob(keys, pack.kind, &reference, &mut sealed, limit);
        checked.push(CheckedBlob {
            offset,
            damage: opened.err().map(|error| error.to_string()),
        });
        offset += length;
    }
    Ok(checked)
}

/// The footer of a whole pack, whose blobs fill the pack without gaps.
fn read_footer(keys: &Keys, pack: PackId, bytes: &[u8]) -> Result<Vec<FooterEntry>, &'static str> {
    let header = header(pack);
    if !bytes.starts_with(&header) {
        return Err("its header is not its own");
    }
    let (body, trailer_bytes) = bytes
        .split_last_chunk::<TRAILER_BYTES>()
        .ok_or("it is too short")?;
    let trailer = Trailer::decode(&header, trailer_bytes)?;
    let from = trailer.footer_offset as usize;
    if trailer.pack_bytes != bytes.len() as u64
        || from < HEADER_BYTES
        || from + trailer.footer_bytes as usize != body.len()
    {
        return Err("its trailer does not fit its length");
    }
    let aad = [header.as_slice(), &trailer_bytes[..TRAILER_AAD_BYTES]].concat();
    let mut sealed = body[from..].to_vec();
    let plain = keys
        .pack_cipher(pack)
        .open(from as u64, &aad, &mut sealed)
        .map_err(|_| "the seal of its footer does not fit")?;
    let entries = footer::decode(plain, trailer.blobs as usize)?;
    let mut end = HEADER_BYTES as u64;
    for entry in &entries {
        if entry.length as usize <= TAG_BYTES {
            return Err("its footer has a blob without content");
        }
        end += u64::from(entry.length);
    }
    if end == from as u64 {
        Ok(entries)
    } else {
        Err("its blobs do not fill it")
    }
}

#[cfg(test)]
mod tests {
    use super::super::NO_DISK;
    use super::super::writer::{NewBlob, PackWriter};
    use super::*;
    use crate::repo::id::SessionId;
    use crate::repo::key::Master;

    type Blobs = Vec<(Ref, Vec<u8>)>;

    fn sample(keys: &Keys) -> (PackId, Vec<u8>, Blobs) {
        let pack = PackId {
            kind: PackKind::Data,
            session: SessionId::generate(),
            seq: 2,
        };
        let mut writer = PackWriter::new(keys, pack, Vec::new(), 1 << 20);
        let blobs = [vec![1; 4096], b"tiny".to_vec(), vec![9; 70]];
        let refs = blobs.map(|plain| {
            let packed = codec::compress(&plain, 1).unwrap();
            let raw = packed.len() >= plain.len();
            let blob = NewBlob {
                kind: BlobKind::Block,
                disk: NO_DISK,
                number: 0,
                id: keys.blob_id(&plain),
                raw,
                payload: if raw { &plain } else { &packed },
            };
            (writer.add(blob).unwrap(), plain)
        });
        (pack, writer.finish().unwrap().bytes, refs.to_vec())
    }

    #[test]
    fn blobs_come_back_and_only_at_their_place() {
        let keys = Keys::new(Master::generate().unwrap());
        let (_, bytes, refs) = sample(&keys);
        let open = |reference: &Ref, length| {
            let range = reference.offset as usize..reference.end().unwrap() as usize;
            let mut sealed = bytes[range].to_vec();
            open_blob(&keys, PackKind::Data, reference, &mut sealed, length)
        };
        for (reference, plain) in &refs {
            let exactly = PlainLength::Exactly(plain.len());
            assert_eq!(&open(reference, exactly).unwrap(), plain);
            for wrong in [
                Ref {
                    id: [0; 32],
                    ..*reference
                },
                Ref {
                    seq: 3,
                    ..*reference
                },
                Ref {
                    raw: !reference.raw,
                    ..*reference
                },
                Ref {
                    offset: reference.offset + 1,
                    ..*reference
                },
                Ref {
                    length: reference.length - 1,
                    ..*reference
                },
            ] {
                assert!(open(&wrong, exactly).unwrap_err().is_damage());
            }
            let less = PlainLength::AtMost(plain.len() - 1);
            assert!(open(reference, less).unwrap_err().is_damage());
        }
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_found() {
        let keys = Keys::new(Master::generate().unwrap());
        let (pack, bytes, refs) = sample(&keys);
        let good = |bytes: &[u8]| {
            let checked = check_pack(&keys, pack, bytes, 4096);
            checked.is_ok_and(|blobs| {
                assert_eq!(blobs.len(), refs.len());
                blobs.iter().all(|blob| blob.damage.is_none())
            })
        };
        assert!(good(&bytes));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(!good(&flipped), "byte {at}");
            assert!(!good(&bytes[..at]), "cut at {at}");
        }
    }
}
