//! The reserve: bytes that are given up when a folder or a bucket with a quota is full, so that `forget` and `prune` can
//! write the little they must before they can free anything.

use bytes::Bytes;
use serde::Serialize;

use super::Store;
use crate::repo::cipher::random;
use crate::repo::error::Error;
use crate::repo::key::Keys;
use crate::repo::name::RESERVE;

/// Enough for a thousand tombstones on a file system with blocks of 4 KiB.
const RESERVE_BYTES: usize = 4 << 20;

impl Store {
    /// Makes the reserve where there is none, if that can be done: nothing depends on it.
    pub(crate) async fn keep_reserve(&self) {
        if let Err(error) = self.make_reserve().await {
            tracing::warn!(%error, "there is no reserve");
        }
    }

    async fn make_reserve(&self) -> Result<(), Error> {
        if !self.reserved {
            return Ok(());
        }
        match self.size(RESERVE).await {
            Err(Error::Missing { .. }) => {}
            size => return size.map(|_| ()),
        }
        // Random, so that nothing stores it in less.
        let mut bytes = vec![0; RESERVE_BYTES];
        let seed = random::<32>()?;
        blake3::Hasher::new_keyed(&seed)
            .finalize_xof()
            .fill(&mut bytes);
        self.put(RESERVE, bytes.into()).await
    }

    /// Writes an object. When the store is full the reserve is given up, and it is tried once more.
    pub(crate) async fn put_or_spend(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        match self.put(name, bytes.clone()).await {
            Err(error) if error.is_full() && self.spend_reserve().await => {
                self.put(name, bytes).await
            }
            put => put,
        }
    }

    /// As [`Store::put_or_spend`], a sealed JSON object.
    pub(crate) async fn put_sealed_or_spend<T: Serialize>(
        &self,
        keys: &Keys,
        name: &str,
        value: &T,
        limit_bytes: u64,
    ) -> Result<(), Error> {
        let object = super::sealed_json(keys, name, value, limit_bytes)?;
        self.put_or_spend(name, object.into()).await
    }

    /// Gives the reserve up. False when there is none.
    pub(crate) async fn spend_reserve(&self) -> bool {
        match self.delete(RESERVE).await {
            Ok(()) => {
                tracing::warn!("the store is full; its reserve is given up");
                true
            }
            Err(error) => {
                tracing::debug!(%error, "there is no reserve to give up");
                false
            }
        }
    }
}
