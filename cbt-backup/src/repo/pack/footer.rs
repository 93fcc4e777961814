//! The list of blobs at the end of a pack, and the trailer that finds it.

use super::MAX_BLOBS;
use super::header::HEADER_BYTES;
use crate::repo::codec;
use crate::repo::error::Error;

const MAGIC: &[u8; 4] = b"cbtF";
const LEVEL: i32 = 3;
const RAW: u8 = 1;
const COLUMNS_BYTES: usize = 4 + 1 + 1 + 8;

/// Length of the trailer in bytes.
pub(super) const TRAILER_BYTES: usize = 32;
/// The part of the trailer that the footer's AAD holds.
pub(super) const TRAILER_AAD_BYTES: usize = 20;
/// Disk number of a blob that belongs to none.
pub(crate) const NO_DISK: u8 = 255;

/// What a blob is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BlobKind {
    Block = 0,
    Node = 1,
    Usage = 2,
    File = 3,
}

/// What the footer says of one blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FooterEntry {
    pub(crate) length: u32,
    pub(crate) raw: bool,
    pub(crate) kind: BlobKind,
    pub(crate) disk: u8,
    pub(crate) number: u64,
    pub(crate) id: [u8; 32],
}

/// The footer's plaintext.
pub(super) fn encode(entries: &[FooterEntry]) -> Result<Vec<u8>, Error> {
    let mut columns = Vec::with_capacity(entries.len() * COLUMNS_BYTES);
    columns.extend(entries.iter().flat_map(|e| e.length.to_le_bytes()));
    columns.extend(
        entries
            .iter()
            .map(|e| (e.kind as u8) << 1 | u8::from(e.raw)),
    );
    columns.extend(entries.iter().map(|e| e.disk));
    columns.extend(entries.iter().flat_map(|e| e.number.to_le_bytes()));
    let packed = codec::compress(&columns, LEVEL)?;
    let mut plain = Vec::with_capacity(4 + packed.len() + entries.len() * 32);
    plain.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    plain.extend_from_slice(&packed);
    plain.extend(entries.iter().flat_map(|e| e.id));
    Ok(plain)
}

/// Reads a footer of `blobs` entries.
pub(super) fn decode(plain: &[u8], blobs: usize) -> Result<Vec<FooterEntry>, &'static str> {
    if blobs > MAX_BLOBS {
        return Err("its footer has too many entries");
    }
    let (packed_bytes, rest) = plain.split_first_chunk().ok_or("its footer is too short")?;
    let packed_bytes = u32::from_le_bytes(*packed_bytes) as usize;
    if rest.len() < packed_bytes || rest.len() - packed_bytes != blobs * 32 {
        return Err("its footer has not the length it must");
    }
    let (packed, ids) = rest.split_at(packed_bytes);
    let columns = codec::expand(packed, blobs * COLUMNS_BYTES)?;
    let (lengths, columns) = columns.split_at(blobs * 4);
    let (flags, columns) = columns.split_at(blobs);
    let (disks, numbers) = columns.split_at(blobs);
    let (lengths, _) = lengths.as_chunks::<4>();
    let (numbers, _) = numbers.as_chunks::<8>();
    let (ids, _) = ids.as_chunks::<32>();
    (0..blobs)
        .map(|i| {
            Ok(FooterEntry {
                length: u32::from_le_bytes(lengths[i]),
                raw: flags[i] & RAW != 0,
                kind: match flags[i] >> 1 {
                    0 => BlobKind::Block,
                    1 => BlobKind::Node,
                    2 => BlobKind::Usage,
                    3 => BlobKind::File,
                    _ => return Err("its footer has unknown flags"),
                },
                disk: disks[i],
                number: u64::from_le_bytes(numbers[i]),
                id: ids[i],
            })
        })
        .collect()
}

/// Where the footer is and how long all is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trailer {
    pub(super) footer_offset: u32,
    pub(super) footer_bytes: u32,
    pub(super) blobs: u32,
    pub(super) pack_bytes: u64,
}

impl Trailer {
    pub(super) fn encode(self, header: &[u8; HEADER_BYTES]) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[..4].copy_from_slice(&self.footer_offset.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.footer_bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.blobs.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.pack_bytes.to_le_bytes());
        let sum = checksum(header, &bytes[..TRAILER_AAD_BYTES]);
        bytes[20..24].copy_from_slice(&sum.to_le_bytes());
        bytes[28..].copy_from_slice(MAGIC);
        bytes
    }

    pub(super) fn decode(
        header: &[u8; HEADER_BYTES],
        bytes: &[u8; TRAILER_BYTES],
    ) -> Result<Self, &'static str> {
        if bytes[28..] != *MAGIC {
            return Err("its trailer is missing");
        }
        if bytes[24..28] != [0; 4] {
            return Err("its trailer has an unknown version");
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if word(20) != checksum(header, &bytes[..TRAILER_AAD_BYTES]) {
            return Err("the checksum of its trailer does not fit");
        }
        Ok(Self {
            footer_offset: word(0),
            footer_bytes: word(4),
            blobs: word(8),
            pack_bytes: u64::from(word(16)) << 32 | u64::from(word(12)),
        })
    }
}

fn checksum(header: &[u8], fields: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(fields);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(number: u64) -> FooterEntry {
        FooterEntry {
            length: number as u32 + 17,
            raw: number.is_multiple_of(2),
            kind: [
                BlobKind::Block,
                BlobKind::Node,
                BlobKind::Usage,
                BlobKind::File,
            ][number as usize % 4],
            disk: number as u8,
            number: number << 40,
            id: [number as u8; 32],
        }
    }

    #[test]
    fn footers_go_both_ways() {
        for blobs in [0, 1, 300] {
            let entries: Vec<_> = (0..blobs).map(entry).collect();
            let plain = encode(&entries).unwrap();
            assert_eq!(decode(&plain, entries.len()).unwrap(), entries);
            assert!(decode(&plain, entries.len() + 1).is_err());
            assert!(decode(&plain, MAX_BLOBS + 1).is_err());
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), blobs in 0_usize..5) {
            let _ = decode(&bytes, blobs);
        }

        #[test]
        fn changed_trailers_are_refused(at in 0_usize..32, flip in 1_u8..) {
            let header = [3; HEADER_BYTES];
            let trailer = Trailer { footer_offset: 64, footer_bytes: 20, blobs: 1, pack_bytes: 1 << 33 };
            let mut bytes = trailer.encode(&header);
            prop_assert_eq!(Trailer::decode(&header, &bytes), Ok(trailer));
            bytes[at] ^= flip;
            prop_assert!(Trailer::decode(&header, &bytes).is_err());
        }
    }
}
