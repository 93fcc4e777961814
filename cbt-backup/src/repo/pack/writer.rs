//! Fills one pack in memory.

use super::footer::{self, FooterEntry, TRAILER_AAD_BYTES, TRAILER_BYTES, Trailer};
use super::header::{HEADER_BYTES, header};
use super::{BlobKind, MAX_BLOBS};
use crate::repo::cipher::{Cipher, TAG_BYTES};
use crate::repo::error::Error;
use crate::repo::id::PackId;
use crate::repo::key::Keys;
use crate::repo::reference::Ref;

/// A blob to be written: what it is, and its payload in stored form.
#[derive(Clone, Copy)]
pub(crate) struct NewBlob<'a> {
    pub(crate) kind: BlobKind,
    pub(crate) disk: u8,
    pub(crate) number: u64,
    pub(crate) id: [u8; 32],
    pub(crate) raw: bool,
    pub(crate) payload: &'a [u8],
}

/// A pack that is being filled.
pub(crate) struct PackWriter {
    pack: PackId,
    header: [u8; HEADER_BYTES],
    cipher: Cipher,
    buffer: Vec<u8>,
    entries: Vec<FooterEntry>,
    target_bytes: usize,
}

/// A pack ready to be stored.
pub(crate) struct FinishedPack {
    pub(crate) pack: PackId,
    pub(crate) bytes: Vec<u8>,
}

impl PackWriter {
    /// Starts a pack in `buffer`, which is emptied and used again.
    pub(crate) fn new(keys: &Keys, pack: PackId, mut buffer: Vec<u8>, target_bytes: usize) -> Self {
        let header = header(pack);
        buffer.clear();
        buffer.extend_from_slice(&header);
        let cipher = keys.pack_cipher(pack);
        Self {
            pack,
            header,
            cipher,
            buffer,
            entries: Vec::new(),
            target_bytes,
        }
    }

    /// True when the pack has its size and the next blob belongs into another.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= self.target_bytes || self.entries.len() >= MAX_BLOBS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Seals a blob into the pack.
    pub(crate) fn add(&mut self, blob: NewBlob<'_>) -> Result<Ref, Error> {
        let too_large = |_| Error::machine("sealing", "pack too large");
        let from = self.buffer.len();
        let offset = u32::try_from(from).map_err(too_large)?;
        let length = u32::try_from(blob.payload.len() + TAG_BYTES).map_err(too_large)?;
        self.buffer.extend_from_slice(blob.payload);
        self.cipher
            .seal(u64::from(offset), &self.header, &mut self.buffer, from)?;
        let NewBlob {
            kind,
            disk,
            number,
            id,
            raw,
            ..
        } = blob;
        self.entries.push(FooterEntry {
            length,
            raw,
            kind,
            disk,
            number,
            id,
        });
        Ok(Ref {
            session: self.pack.session,
            seq: self.pack.seq,
            offset,
            length,
            raw,
            id,
        })
    }

    /// Writes footer and trailer.
    pub(crate) fn finish(mut self) -> Result<FinishedPack, Error> {
        let from = self.buffer.len();
        let plain = footer::encode(&self.entries)?;
        let footer_bytes = plain.len() + TAG_BYTES;
        let trailer = Trailer {
            footer_offset: u32::try_from(from)
                .map_err(|_| Error::machine("sealing", "pack too large"))?,
            footer_bytes: footer_bytes as u32,
            blobs: self.entries.len() as u32,
            pack_bytes: (from + footer_bytes + TRAILER_BYTES) as u64,
        }
        .encode(&self.header);
        let aad = [self.header.as_slice(), &trailer[..TRAILER_AAD_BYTES]].concat();
        self.buffer.extend_from_slice(&plain);
        self.cipher
            .seal(from as u64, &aad, &mut self.buffer, from)?;
        self.buffer.extend_from_slice(&trailer);
        Ok(FinishedPack {
            pack: self.pack,
            bytes: self.buffer,
        })
    }
}
