//! Packs on their way to the store: a bounded number, and their buffers used again.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::repo::error::Error;
use crate::repo::id::PackId;
use crate::repo::pack::FinishedPack;
use crate::repo::pack_map::PackMap;
use crate::repo::repository::Repository;

/// Stores packs in the background. The first failure ends the session.
pub(super) struct Uploads {
    repo: Repository,
    handle: Handle,
    permits: Arc<Semaphore>,
    limit: u32,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    failed: Mutex<Option<Error>>,
    stored: Mutex<PackMap<u64>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Uploads {
    pub(super) fn new(repo: &Repository, handle: &Handle, limit: u32) -> Self {
        let limit = limit.max(1);
        Self {
            repo: repo.clone(),
            handle: handle.clone(),
            permits: Arc::new(Semaphore::new(limit as usize)),
            limit,
            shared: Arc::default(),
        }
    }

    /// Sends a pack off; waits while too many are on their way.
    pub(super) fn send(&self, pack: FinishedPack) -> Result<(), Error> {
        self.check()?;
        let permit = self
            .handle
            .block_on(Arc::clone(&self.permits).acquire_owned())
            .map_err(|error| Error::machine("the upload", &error))?;
        let (repo, shared) = (self.repo.clone(), Arc::clone(&self.shared));
        self.handle.spawn(async move {
            shared.store(&repo, pack).await;
            drop(permit);
        });
        Ok(())
    }

    /// Tells the failure of any upload so far.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &*lock(&self.shared.failed) {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Remembers a failure, so that all threads of the session stop.
    pub(super) fn fail(&self, error: &Error) {
        lock(&self.shared.failed).get_or_insert_with(|| error.clone());
    }

    /// Waits until nothing is on its way.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let all = self.handle.block_on(self.permits.acquire_many(self.limit));
        drop(all.map_err(|error| Error::machine("the upload", &error))?);
        self.check()
    }

    /// The packs that are stored, and their lengths in bytes.
    pub(super) fn stored(&self) -> PackMap<u64> {
        lock(&self.shared.stored).clone()
    }

    /// Length in bytes of a pack that is stored.
    pub(super) fn stored_bytes(&self, pack: PackId) -> Option<u64> {
        lock(&self.shared.stored).get(pack)
    }

    /// Says that a pack is stored that nobody has. False when it was said before.
    #[cfg(test)]
    pub(super) fn invent(&self, pack: PackId, bytes: u64) -> bool {
        lock(&self.shared.stored).insert(pack, bytes)
    }

    /// A buffer for the next pack: a used one if there is any.
    pub(super) fn buffer(&self) -> Vec<u8> {
        lock(&self.shared.buffers).pop().unwrap_or_default()
    }
}

impl Shared {
    async fn store(&self, repo: &Repository, pack: FinishedPack) {
        let FinishedPack { pack, bytes } = pack;
        let bytes = Bytes::from(bytes);
        match repo.store().put(&pack.to_string(), bytes.clone()).await {
            Ok(()) => {
                lock(&self.stored).insert(pack, bytes.len() as u64);
            }
            Err(error) => {
                lock(&self.failed).get_or_insert(error);
            }
        }
        // The store has let go of it by now; if not, this copy is not worth making.
        if bytes.is_unique() {
            lock(&self.buffers).push(Vec::from(bytes));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
