//! A store that says it is full after a number of writes, and that can be held at a listing.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use tokio::sync::oneshot;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What the store is to do; shared with the test.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    writes_left: Arc<AtomicUsize>,
    hold: Arc<Mutex<Option<Hold>>>,
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
        }
    }

    /// After so many writes the store is full.
    pub(super) fn writes(&self, writes: usize) {
        self.writes_left.store(writes, Ordering::SeqCst);
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
        Self {
            inner: Arc::default(),
            faults: faults.clone(),
        }
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

impl ObjectStore for FaultStore {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        to: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Answer<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            self.take_write()?;
            self.inner.put_opts(to, payload, options).await
        })
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        to: &'b Path,
        options: PutMultipartOptions,
    ) -> Answer<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_multipart_opts(to, options)
    }

    fn get_opts<'a, 'b, 'c>(&'a self, from: &'b Path, options: GetOptions) -> Answer<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.get_opts(from, options)
    }

    fn get_ranges<'a, 'b, 'c, 'd>(
        &'a self,
        from: &'b Path,
        ranges: &'c [Range<u64>],
    ) -> Answer<'d, Vec<Bytes>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.inner.get_ranges(from, ranges)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
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

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Answer<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'd>(
        &'a self,
        from: &'b Path,
        to: &'c Path,
        options: CopyOptions,
    ) -> Answer<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.inner.copy_opts(from, to, options)
    }
}
