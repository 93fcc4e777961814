//! Sessions that could still commit: wait until they are gone, or fence those that are dead.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::lost::HeldRoot;
use super::pins::Announced;
use super::run::Sweep;
use crate::repo::error::Error;
use crate::repo::id::SessionId;
use crate::repo::lost_root::LostRoot;
use crate::repo::name::{ObjectName, RootName};

/// What a session has left that does not move.
enum Trace {
    Root,
    /// A table without a root, for some time.
    Held(HeldRoot),
    /// Nothing that makes a point, or nothing any more.
    None,
}

/// Longest time without a look whether to stop.
const NAP: Duration = Duration::from_millis(500);

impl Sweep<'_> {
    /// Returns when none of the sessions that are announced now can commit any more, or when it was
    /// told not to wait so long. Sessions that begin later know the list of this sweep.
    pub(super) async fn settle_writers(&mut self) -> Result<bool, Error> {
        let mut before = self.repo.announcements().await?;
        let mut looks = 1;
        loop {
            self.forget_committed(&mut before).await?;
            if before.is_empty() {
                return Ok(true);
            }
            let writers = writers(&before);
            if !writers.is_empty() {
                if self.options.max_looks.is_some_and(|most| looks >= most) {
                    self.report.still_open = writers;
                    return Ok(false);
                }
                self.monitor.waiting(&writers);
            }
            self.nap().await?;
            looks += 1;
            let now = self.repo.announcements().await?;
            let (same, moved) = compare(before, now);
            for (session, announced) in same {
                if announced.may_write() {
                    self.fence(session).await?;
                } else {
                    self.idle_readers.push((session, announced.bytes));
                }
            }
            before = moved;
            if writers_are_gone(&before) {
                return Ok(true);
            }
        }
    }

    /// A session whose root is there takes over nothing more: the second mark sees all it needs. One
    /// that was fenced for good makes no point.
    async fn forget_committed(
        &mut self,
        announced: &mut BTreeMap<SessionId, Announced>,
    ) -> Result<(), Error> {
        let candidates: Vec<SessionId> = announced.keys().copied().collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let committed = self.sessions_with_roots().await?;
        let fenced = self.repo.fenced_sessions().await?;
        for session in candidates {
            if fenced.contains(&session) {
                announced.remove(&session);
            } else if committed.contains(&session) {
                announced.remove(&session);
                self.remove_open_unless_fenced(session).await?;
            }
        }
        Ok(())
    }

    /// Proposes a fence, and makes it final only after it has seen that there is neither root nor table: with a table
    /// there may have been a root that is lost.
    async fn fence(&mut self, session: SessionId) -> Result<(), Error> {
        let fence = |last| {
            let sweep = self.id;
            let name = ObjectName::Fence {
                session,
                sweep,
                last,
            };
            name.to_string()
        };
        let (proposal, last) = (fence(false), fence(true));
        let store = self.repo.store().clone();
        store.put_or_spend(&proposal, Bytes::new()).await?;
        let found = self.trace_of(session).await;
        if let Ok(Trace::None) = found {
            // From here on the proposal stays: the final fence may be there though this fails.
            store.put_or_spend(&last, Bytes::new()).await?;
            self.report.fenced.push(session);
            return Ok(());
        }
        self.remove(&proposal).await?;
        match found? {
            Trace::Root => self.remove_open_unless_fenced(session).await?,
            Trace::Held(root) => self.held.push(root),
            Trace::None => {}
        }
        Ok(())
    }

    /// Looks for the root of a session, then for its table.
    async fn trace_of(&self, session: SessionId) -> Result<Trace, Error> {
        let roots = self.root_names().await?;
        if roots.iter().any(|root| root.session == session) {
            return Ok(Trace::Root);
        }
        let Some(root) = LostRoot::of_announced(self.repo, session, &roots).await? else {
            return Ok(Trace::None);
        };
        let noticed_ms = self.noticed_ms(session).await?;
        Ok(if self.is_held(noticed_ms) {
            Trace::Held(HeldRoot { root, noticed_ms })
        } else {
            Trace::None
        })
    }

    /// Removes what a session left whose root is there, unless some sweep is about to decide on it.
    async fn remove_open_unless_fenced(&mut self, session: SessionId) -> Result<(), Error> {
        let fences = self.repo.store().list(&format!("fence/{session}")).await?;
        if fences.is_empty() {
            let name = ObjectName::Open(session).to_string();
            self.report.leftovers_removed += u64::from(self.remove(&name).await?);
        }
        Ok(())
    }

    async fn sessions_with_roots(&self) -> Result<HashSet<SessionId>, Error> {
        let roots = self.root_names().await?;
        Ok(roots.into_iter().map(|root| root.session).collect())
    }

    async fn root_names(&self) -> Result<Vec<RootName>, Error> {
        let names = self.repo.store().list("point").await?;
        let roots = names
            .iter()
            .filter_map(|(name, _)| match ObjectName::parse(name) {
                Some(ObjectName::Root(root)) => Some(root),
                _ => None,
            });
        Ok(roots.collect())
    }

    pub(super) async fn nap(&self) -> Result<(), Error> {
        let mut left = self.options.look_interval;
        loop {
            self.check_stop()?;
            let nap = left.min(NAP);
            tokio::time::sleep(nap).await;
            left -= nap;
            if left.is_zero() {
                return Ok(());
            }
        }
    }
}

fn writers(announced: &BTreeMap<SessionId, Announced>) -> Vec<SessionId> {
    let writers = announced.iter().filter(|(_, open)| open.may_write());
    writers.map(|(session, _)| *session).collect()
}

fn writers_are_gone(announced: &BTreeMap<SessionId, Announced>) -> bool {
    announced.values().all(|open| !open.may_write())
}

/// Those of `before` that did not change, and those that did. Who is gone or came later is in neither.
fn compare(
    before: BTreeMap<SessionId, Announced>,
    mut now: BTreeMap<SessionId, Announced>,
) -> (
    BTreeMap<SessionId, Announced>,
    BTreeMap<SessionId, Announced>,
) {
    let (mut same, mut moved) = (BTreeMap::new(), BTreeMap::new());
    for (session, old) in before {
        match now.remove(&session) {
            Some(new) if new.bytes == old.bytes => same.insert(session, new),
            Some(new) => moved.insert(session, new),
            None => None,
        };
    }
    (same, moved)
}
