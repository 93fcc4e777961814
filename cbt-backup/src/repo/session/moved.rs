//! What a row of compacting sessions has moved so far, so that every blob and node moves once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, SessionId};
use crate::repo::name::PACK_LIMIT_BYTES;
use crate::repo::pack::{PlainLength, open_payload};
use crate::repo::pack_map::PackMap;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;
use crate::repo::usage::UsageChange;

/// A node that was written anew, and what its subtree gained and lost by that.
pub(super) struct MovedNode {
    pub(super) reference: Ref,
    pub(super) change: UsageChange,
}

/// Old places and new ones.
#[derive(Default)]
pub(super) struct Moved {
    pub(super) blobs: HashMap<(PackId, u32), Ref>,
    /// `None`: nothing below it moves.
    pub(super) nodes: HashMap<(PackId, u32), Option<Arc<MovedNode>>>,
    /// Lengths in bytes of the packs that were written.
    pub(super) packs: PackMap<u64>,
    pub(super) copied_blobs: u64,
    pub(super) copied_bytes: u64,
    /// The packs read last, of each kind.
    read: HashMap<PackKind, (PackId, Bytes)>,
}

impl Moved {
    /// The sessions whose packs later sessions build upon.
    pub(super) fn sessions(&self) -> HashSet<SessionId> {
        self.packs.sessions().collect()
    }

    /// Forgets what one session has moved.
    pub(super) fn forget_of(&mut self, session: SessionId) {
        self.blobs.retain(|_, new| new.session != session);
        self.nodes.retain(|_, new| {
            let new = new.as_ref();
            new.is_none_or(|new| new.reference.session != session)
        });
    }

    /// Forgets where things went: they are copied again where they are needed.
    pub(super) fn forget(&mut self) {
        self.blobs.clear();
        self.nodes.clear();
        self.packs = PackMap::default();
    }

    /// The stored form of a blob, checked. Whole packs are read, because neighbours follow.
    pub(super) async fn payload(
        &mut self,
        repo: &Repository,
        kind: PackKind,
        reference: &Ref,
        length: PlainLength,
    ) -> Result<Vec<u8>, Error> {
        let pack = reference.pack(kind);
        let bytes = match self.read.get(&kind) {
            Some((read, bytes)) if *read == pack => bytes.clone(),
            _ => {
                let bytes = repo
                    .store()
                    .get(&pack.to_string(), PACK_LIMIT_BYTES)
                    .await?;
                self.read.insert(kind, (pack, bytes.clone()));
                bytes
            }
        };
        let bad = || Error::damaged(&pack, "it ends before a blob of it does");
        let end = reference.end().ok_or_else(bad)? as usize;
        let sealed = bytes.get(reference.offset as usize..end).ok_or_else(bad)?;
        open_payload(repo.keys(), kind, reference, sealed, length)
    }
}
