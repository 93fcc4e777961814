//! Are the packs a disk would build upon still there, at their full length?

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::begin::Session;
use super::put::lock;
use crate::repo::condemned::Condemned;
use crate::repo::error::Error;
use crate::repo::id::{PackId, SessionId};
use crate::repo::name::ObjectName;
use crate::repo::pack_map::PackMap;
use crate::repo::usage::Needs;

const LISTS_AT_ONCE: usize = 8;

/// Packs in the store, of the sessions that were asked for. Each session is listed once.
#[derive(Default)]
pub(super) struct StoredPacks {
    listed: HashSet<SessionId>,
    lengths_bytes: PackMap<u64>,
}

impl Session {
    /// The packs a disk that needs `needs` must not build upon: those that are condemned, and
    /// those of its own that are lost or have another length than they must.
    pub(super) async fn avoided(
        &self,
        label: &str,
        needs: &Needs,
    ) -> Result<Arc<Condemned>, Error> {
        self.list_packs(needs).await?;
        let lost: Vec<PackId> = {
            let stored = lock(&self.stored_packs);
            let wrong = needs.iter().filter(|(pack, need)| {
                stored.lengths_bytes.get(*pack) != Some(need.pack_bytes)
                    && !self.condemned.contains(*pack)
            });
            wrong.map(|(pack, _)| pack).collect()
        };
        let Some(first) = lost.iter().min() else {
            return Ok(Arc::clone(&self.condemned));
        };
        tracing::warn!(
            disk = label,
            packs = lost.len(),
            %first,
            "packs of the last point are lost or damaged: what was in them is read again"
        );
        Ok(Arc::new(self.condemned.with(lost)))
    }

    /// Lists the packs of the sessions `needs` names, as far as they are not listed yet.
    async fn list_packs(&self, needs: &Needs) -> Result<(), Error> {
        let mut sessions: HashSet<SessionId> = needs.sessions().collect();
        {
            let stored = lock(&self.stored_packs);
            sessions.retain(|session| !stored.listed.contains(session));
        }
        let mut lists = stream::iter(sessions)
            .map(|session| async move {
                let list = self.repo.store().list(&format!("pack/{session}")).await?;
                Ok::<_, Error>((session, list))
            })
            .buffer_unordered(LISTS_AT_ONCE);
        while let Some((session, list)) = lists.try_next().await? {
            let mut stored = lock(&self.stored_packs);
            for (name, size_bytes) in list {
                if let Some(ObjectName::Pack(pack)) = ObjectName::parse(&name) {
                    stored.lengths_bytes.insert(pack, size_bytes);
                }
            }
            stored.listed.insert(session);
        }
        Ok(())
    }
}
