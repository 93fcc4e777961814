//! Backups, some in two sessions.

use super::ground::{BLOCKS, Content, HEARTBEAT, is_written, spec_of};
use super::worker::{Worker, accuse};
use crate::repo::tests::killed::tell;
use crate::repo::tests::site::{BLOCK_BYTES, Site, complete, info, options};
use crate::repo::{
    Committed, DiskSlot, Error, Point, PointKind, Session, SessionId, SessionOptions,
};

/// Longest time that a backup takes longer than it must.
const DAWDLE_MS: u64 = 500;

/// What a backup writes.
struct Plan {
    image: Vec<u8>,
    kind: PointKind,
    step: u64,
}

pub(super) fn session_options() -> SessionOptions {
    SessionOptions {
        heartbeat: HEARTBEAT,
        fence_interval: HEARTBEAT,
        fence_looks: 50,
        ..options()
    }
}

impl Worker {
    pub(super) fn write(&mut self, vm: u64) {
        let fenced = self.fenced();
        let (repo, runtime) = (&self.ground.site.repo, &self.ground.site.runtime);
        let begin = repo.begin(spec_of(vm), runtime.handle(), session_options());
        let session = match runtime.block_on(begin) {
            Ok(session) => session,
            Err(error) => accuse("a backup did not begin", &error),
        };
        let mut sessions = vec![session.id()];
        match self.back_up(session, vm, &mut sessions) {
            Ok((made, step)) => tell(&format!("point {} {vm} {step}", made.point)),
            Err(Error::Fenced { .. }) => tell("count backups fenced"),
            Err(Error::FenceUndecided { .. }) => tell("count backups left undecided"),
            // One that slept through its fence may meet anything.
            Err(error) => {
                let now = self.fenced();
                if sessions.iter().any(|session| now.contains(session)) {
                    tell("count backups fenced");
                } else if sessions.len() > 1 && now != fenced {
                    // The second session failed before it could tell its name.
                    tell("count backups fenced");
                } else if matches!(error, Error::PointNotFound { .. }) && sessions.len() > 1 {
                    // The other writer of the VM has dropped the partial point.
                    tell("count backups without their partial point");
                } else {
                    accuse("a backup failed", &error);
                }
            }
        }
    }

    fn back_up(
        &mut self,
        session: Session,
        vm: u64,
        sessions: &mut Vec<SessionId>,
    ) -> Result<(Committed, u64), Error> {
        let whole = |point: &&Point| point.root.kind != PointKind::Partial;
        let parent = session.parents().iter().find(whole);
        let old = parent.map(|parent| Content::of(parent).step);
        let step = old.map_or(0, |old| old + 1);
        let parent = parent.map(Point::id);
        let plan = Plan {
            image: Content { vm, step }.image(),
            kind: parent.map_or(PointKind::Full, |_| PointKind::Incremental),
            step,
        };
        let filled = self.fill(session, &plan, parent.zip(old), vm, sessions)?;
        let committed = filled.commit(info(plan.kind, step.cast_signed()))?;
        Ok((committed, step))
    }

    /// Puts what has changed, some of it in a second session.
    fn fill(
        &mut self,
        session: Session,
        plan: &Plan,
        parent: Option<(crate::repo::PointId, u64)>,
        vm: u64,
        sessions: &mut Vec<SessionId>,
    ) -> Result<Session, Error> {
        let disk = Site::disk(parent.map(|(point, _)| point), plan.image.len() as u64);
        let slot = match session.add_disk(disk) {
            Ok(slot) => slot,
            Err(error) => return abandoned(session, error),
        };
        let mut work: Vec<u64> = match parent {
            Some((_, old)) => {
                let written =
                    |block: &u64| (old + 1..=plan.step).any(|step| is_written(vm, *block, step));
                (0..BLOCKS).filter(written).collect()
            }
            None => (0..BLOCKS).collect(),
        };
        let unreadable = session.unreadable_blocks(slot);
        let unreadable = unreadable
            .iter()
            .flat_map(|run| run.first..run.first + run.blocks);
        work.extend(unreadable);
        work.sort_unstable();
        work.dedup();
        let (first, second) = work.split_at(work.len() / 2);
        let mut session = put(session, slot, plan, first)?;
        self.dawdle(DAWDLE_MS);
        let mut again = Vec::new();
        if self.dice.throw(3) == 0 {
            sessions.push(session.id());
            let partial = info(plan.kind, plan.step.cast_signed());
            (session, _) = session.checkpoint(partial)?;
            sessions.push(session.id());
            // What a sweep may take meanwhile is to be put once more.
            let lost = session.unreadable_blocks(slot);
            again.extend(
                lost.iter()
                    .flat_map(|run| run.first..run.first + run.blocks),
            );
            tell("count partial points");
            self.dawdle(DAWDLE_MS);
        }
        again.extend(second);
        again.sort_unstable();
        again.dedup();
        let session = put(session, slot, plan, &again)?;
        session.set_disk_state(slot, complete());
        self.dawdle(DAWDLE_MS);
        Ok(session)
    }
}

fn put(session: Session, slot: DiskSlot, plan: &Plan, blocks: &[u64]) -> Result<Session, Error> {
    let geometry = session.geometry(slot);
    let mut blocks = blocks.iter();
    let outcome = blocks.try_for_each(|block| {
        let from = *block as usize * BLOCK_BYTES;
        let data = &plan.image[from..from + geometry.block_bytes(*block)];
        session.put(slot, *block, data).map(drop)
    });
    match outcome {
        Ok(()) => Ok(session),
        Err(error) => abandoned(session, error),
    }
}

fn abandoned<T>(session: Session, error: Error) -> Result<T, Error> {
    session.abandon();
    Err(error)
}
