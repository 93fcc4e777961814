//! What a session does for the copy of a point of another repository.

use tokio::runtime::Handle;

use super::begin::Session;
use super::put::StoredForm;
use super::spec::{
    Committed, DiskSlot, DiskSpec, PutOutcome, RootInfo, SessionOptions, SessionSpec,
};
use crate::repo::error::Error;
use crate::repo::ranges::BlockRange;
use crate::repo::repository::Repository;
use crate::repo::root::Origin;

impl Repository {
    /// As [`Repository::begin`], for the copy of a point.
    pub(crate) async fn begin_copy(
        &self,
        spec: SessionSpec,
        origin: Origin,
        handle: &Handle,
        options: SessionOptions,
    ) -> Result<Session, Error> {
        let mut session = self.begin(spec, handle, options).await?;
        session.origin = Some(origin);
        Ok(session)
    }
}

impl Session {
    /// The point that is being copied, if one is.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.origin
    }

    /// As [`Session::add_disk`], but when a partial parent is of an earlier copy, what that one has not
    /// covered is not said to be missing: whoever copies knows what it differs in.
    pub(crate) fn add_copied_disk(&self, spec: DiskSpec) -> Result<DiskSlot, Error> {
        self.add(spec, false)
    }

    /// As [`Session::put`], of a block whose stored form is known.
    pub(crate) fn put_stored(
        &self,
        slot: DiskSlot,
        block: u64,
        data: &[u8],
        stored: StoredForm<'_>,
    ) -> Result<PutOutcome, Error> {
        self.put_in_form(slot, block, data, Some(stored))
    }

    /// Says that blocks are lost. They are named in the root, and nobody takes them for zeros. Each
    /// block is put or lost once.
    pub(crate) fn put_unreadable(&self, slot: DiskSlot, range: BlockRange) -> Result<(), Error> {
        self.put_hole(slot, range.first, range.blocks)?;
        let disk = self.disk(slot);
        disk.work().unreadable.insert(range.first, range.blocks);
        Ok(())
    }

    /// Says that blocks are as they are in the parent, and will not be put. Those that the parent cannot
    /// supply are left open.
    pub(crate) fn keep(&self, slot: DiskSlot, range: BlockRange) -> Result<(), Error> {
        let disk = self.disk(slot);
        {
            let mut work = disk.work();
            let missing: Vec<BlockRange> = work.missing.runs_within(range).collect();
            if let Some(expected) = &mut work.expected {
                expected.remove(range.first, range.blocks);
            }
            work.open.remove(range.first, range.blocks);
            for run in missing {
                work.open.insert(run.first, run.blocks);
            }
        }
        self.fold(&disk, range.first, range.blocks)
    }

    /// Number of runs of blocks that are known to be lost.
    pub(crate) fn unreadable_runs(&self, slot: DiskSlot) -> usize {
        self.disk(slot).work().unreadable.runs().count()
    }

    /// Ends an unfinished copy. What was put becomes a partial point from which a later copy of the same
    /// point goes on; when that fails, or nothing was put, it is left to a prune. Blocking.
    pub(crate) fn end_unfinished(self, info: RootInfo) -> Option<Committed> {
        if self.put_bytes() == 0 || self.uploads.check().is_err() {
            self.abandon();
            return None;
        }
        let committed = self
            .prepare_or_abandon(info, true)
            .and_then(|(session, root, name)| session.publish(&root, &name));
        committed
            .inspect_err(|error| tracing::warn!(%error, "what was copied of a point is lost"))
            .ok()
    }
}
