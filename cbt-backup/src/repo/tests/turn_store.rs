//! A store that several actors share and at whose door each operation waits for its turn. Who is
//! next is chosen by a seed; an actor can be killed at any operation.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use tokio::sync::oneshot;

/// Who may go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<(Mutex<Door>, Condvar)>);

#[derive(Debug, Default)]
struct Door {
    /// Operations that wait, by actor. An actor that is at work elsewhere has an empty list.
    waiting: BTreeMap<usize, Vec<oneshot::Sender<bool>>>,
}

/// A small generator of numbers: the same seed gives the same choices.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

impl Turns {
    /// Adds an actor, who must leave by [`Turns::leave`].
    pub(super) fn enter(&self, actor: usize) {
        let (door, changed) = &*self.0;
        door.lock().unwrap().waiting.insert(actor, Vec::new());
        changed.notify_all();
    }

    /// The actor has ended. What it still has on its way fails.
    pub(super) fn leave(&self, actor: usize) {
        let (door, changed) = &*self.0;
        door.lock().unwrap().waiting.remove(&actor);
        changed.notify_all();
    }

    async fn wait(&self, actor: usize) -> Result<()> {
        let receiver = {
            let (door, changed) = &*self.0;
            let mut door = door.lock().unwrap();
            let (sender, receiver) = oneshot::channel();
            match door.waiting.get_mut(&actor) {
                Some(waiting) => waiting.push(sender),
                None => return Err(killed()),
            }
            changed.notify_all();
            receiver
        };
        match receiver.await {
            Ok(true) => Ok(()),
            _ => Err(killed()),
        }
    }

    /// Lets one operation after the other through until all actors have left. Each time all who are
    /// there wait, one is chosen. Returns how many were let through.
    pub(super) fn direct(&self, choices: &mut Choices, mut kill: Option<(usize, usize)>) -> usize {
        let (door, changed) = &*self.0;
        let mut done = 0;
        let mut dead = Vec::new();
        loop {
            let mut at_door = door.lock().unwrap();
            while at_door.waiting.values().any(Vec::is_empty) {
                at_door = changed.wait(at_door).unwrap();
            }
            if at_door.waiting.is_empty() {
                return done;
            }
            let actors: Vec<usize> = at_door.waiting.keys().copied().collect();
            let actor = actors[choices.below(actors.len())];
            let waiting = at_door.waiting.get_mut(&actor).unwrap();
            let operation = waiting.remove(choices.below(waiting.len()));
            if kill.is_some_and(|(victim, after)| victim == actor && done >= after) {
                dead.push(actor);
                kill = None;
            }
            done += 1;
            let lives = !dead.contains(&actor);
            drop(at_door);
            // Who has given its operation up is no longer waiting for it.
            let _ = operation.send(lives);
        }
    }
}

fn killed() -> StoreError {
    StoreError::Generic {
        store: "TurnStore",
        source: "the actor was killed".into(),
    }
}

/// The store as one actor sees it.
#[derive(Debug)]
pub(super) struct TurnStore {
    pub(super) inner: Arc<InMemory>,
    pub(super) turns: Turns,
    pub(super) actor: usize,
}

impl fmt::Display for TurnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnStore")
    }
}

#[async_trait]
impl ObjectStore for TurnStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.turns.wait(self.actor).await?;
        self.inner.put_opts(to, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.turns.wait(self.actor).await?;
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.turns.wait(self.actor).await?;
        self.inner.get_ranges(from, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, turns, actor) = (Arc::clone(&self.inner), self.turns.clone(), self.actor);
        paths
            .then(move |path| {
                let (inner, turns) = (Arc::clone(&inner), turns.clone());
                async move {
                    let path = path?;
                    turns.wait(actor).await?;
                    inner.delete(&path).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, turns, actor) = (Arc::clone(&self.inner), self.turns.clone(), self.actor);
        let prefix = prefix.cloned();
        let listed = async move {
            match turns.wait(actor).await {
                Ok(()) => inner.list(prefix.as_ref()),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        listed.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
