//! The packs of one kind of a session, one after the other.

use std::time::Instant;

use super::times::TimeCounter;
use super::upload::Uploads;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, SessionId};
use crate::repo::key::Keys;
use crate::repo::pack::{NewBlob, PackWriter};
use crate::repo::reference::Ref;

/// Fills pack after pack.
pub(super) struct PackStream {
    kind: PackKind,
    session: SessionId,
    target_bytes: usize,
    next_seq: u32,
    writer: Option<PackWriter>,
}

impl PackStream {
    pub(super) fn new(kind: PackKind, session: SessionId, target_bytes: usize) -> Self {
        Self {
            kind,
            session,
            target_bytes,
            next_seq: 0,
            writer: None,
        }
    }

    /// Writes a blob. Blocks while too many packs are on their way.
    pub(super) fn add(
        &mut self,
        keys: &Keys,
        uploads: &Uploads,
        times: &TimeCounter,
        blob: NewBlob<'_>,
    ) -> Result<Ref, Error> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.start(keys, uploads)?,
        };
        let reference = writer.add(blob)?;
        if writer.is_full() {
            let pack = writer.finish()?;
            let begun = Instant::now();
            uploads.send(pack)?;
            times.store(begun);
        } else {
            self.writer = Some(writer);
        }
        Ok(reference)
    }

    /// Sends the pack that is being filled, if any.
    pub(super) fn flush(&mut self, uploads: &Uploads) -> Result<(), Error> {
        match self.writer.take() {
            Some(writer) if !writer.is_empty() => uploads.send(writer.finish()?),
            _ => Ok(()),
        }
    }

    fn start(&mut self, keys: &Keys, uploads: &Uploads) -> Result<PackWriter, Error> {
        let pack = PackId {
            kind: self.kind,
            session: self.session,
            seq: self.next_seq,
        };
        // A number is never used twice: the pack's key depends on it.
        self.next_seq = self.next_seq.checked_add(1).ok_or(Error::OutOfRange {
            what: "packs of a session",
            value: u64::from(u32::MAX),
        })?;
        Ok(PackWriter::new(
            keys,
            pack,
            uploads.buffer(),
            self.target_bytes,
        ))
    }
}
