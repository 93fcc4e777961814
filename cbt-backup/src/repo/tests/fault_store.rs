//! A store that says it is full after a number of writes, and that can be held at a listing.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use tokio::sync::oneshot;

/// What the store is to do; shared with the test.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    writes_left: Arc<AtomicUsize>,
    hold: Arc<Mutex<Option<Hold>>>,
    packs_locked: Arc<AtomicBool>,
    rotten: Arc<Mutex<Option<String>>>,
}

/// One listing waits here.
#[derive(Debug)]
struct Hold {
    lists_before: usize,
    reached: mpsc::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self {
            writes_left: Arc::new(AtomicUsize::new(usize::MAX)),
            hold: Arc::default(),
            packs_locked: Arc::default(),
            rotten: Arc::default(),
        }
    }

    /// After so many writes the store is full.
    pub(super) fn writes(&self, writes: usize) {
        self.writes_left.store(writes, Ordering::SeqCst);
    }

    /// The object that lies on a bad sector.
    pub(super) fn rot(&self, name: Option<&str>) {
        *self.rotten.lock().unwrap() = name.map(str::to_owned);
    }

    fn heal(&self, path: &Path) {
        let mut rotten = self.rotten.lock().unwrap();
        rotten.take_if(|name| name.as_str() == path.as_ref());
    }

    fn check_rot(&self, path: &Path) -> Result<()> {
        let rotten = self.rotten.lock().unwrap();
        if rotten.as_deref() == Some(path.as_ref()) {
            return Err(StoreError::Generic {
                store: "FaultStore",
                source: Box::new(io::Error::from_raw_os_error(5)),
            });
        }
        Ok(())
    }

    /// Whether the store refuses to delete packs.
    pub(super) fn lock_packs(&self, locked: bool) {
        self.packs_locked.store(locked, Ordering::SeqCst);
    }

    /// Runs `work`, and `meanwhile` when `work` has made so many listings and wants the next one.
    /// Tells whether it came to that.
    pub(super) fn hold_at_list<T: Send>(
        &self,
        lists_before: usize,
        work: impl FnOnce() -> T + Send,
        meanwhile: impl FnOnce(),
    ) -> (T, bool) {
        let (reached, when_reached) = mpsc::channel();
        let (say_go_on, go_on) = oneshot::channel();
        let hold = Hold {
            lists_before,
            reached,
            go_on,
        };
        *self.hold.lock().unwrap() = Some(hold);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let outcome = work();
                // Not reached: this drops the sender.
                drop(self.hold.lock().unwrap().take());
                outcome
            });
            let held = when_reached.recv().is_ok();
            if held {
                meanwhile();
                say_go_on.send(()).unwrap();
            }
            (worker.join().unwrap(), held)
        })
    }

    fn take_hold(&self) -> Option<Hold> {
        let mut hold = self.hold.lock().unwrap();
        match hold.as_mut() {
            Some(Hold {
                lists_before: 0, ..
            }) => hold.take(),
            Some(hold) => {
                hold.lists_before -= 1;
                None
            }
            None => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct FaultStore {
    inner: Arc<InMemory>,
    faults: Faults,
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

impl FaultStore {
    pub(super) fn new(faults: &Faults) -> Self {
        Self::over(Arc::default(), faults)
    }

    pub(super) fn over(inner: Arc<InMemory>, faults: &Faults) -> Self {
        let faults = faults.clone();
        Self { inner, faults }
    }

    fn take_write(&self) -> Result<()> {
        let take = |left: usize| left.checked_sub(1);
        let taken = self
            .faults
            .writes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map(drop).map_err(|_| StoreError::Generic {
            store: "FaultStore",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        })
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.take_write()?;
        // It takes another sector.
        self.faults.heal(to);
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
        if !options.head {
            self.faults.check_rot(from)?;
        }
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.faults.check_rot(from)?;
        self.inner.get_ranges(from, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, locked) = (
            Arc::clone(&self.inner),
            Arc::clone(&self.faults.packs_locked),
        );
        let delete = move |path: Result<Path>| {
            let (inner, locked) = (Arc::clone(&inner), locked.load(Ordering::SeqCst));
            async move {
                let path = path?;
                if locked && path.as_ref().starts_with("pack/") {
                    return Err(StoreError::PermissionDenied {
                        path: path.to_string(),
                        source: "locked".into(),
                    });
                }
                inner.delete(&path).await?;
                Ok(path)
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let Some(hold) = self.faults.take_hold() else {
            return self.inner.list(prefix);
        };
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        let held = async move {
            hold.reached.send(()).unwrap();
            hold.go_on.await.unwrap();
            inner.list(prefix.as_ref())
        };
        held.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
