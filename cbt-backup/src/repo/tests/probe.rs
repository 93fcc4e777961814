//! The probe finds each promise that a store breaks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use crate::repo::error::Error;
use crate::repo::store::{ProbeOutcome, Store};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// A listing does not show the last write.
    ListsLate,
    /// What was read once is read again, whatever was written since.
    Caches,
    /// A write is seen when half of it is there.
    Tears,
    /// A removed object can still be listed and read.
    KeepsSilently,
    /// Removing is refused.
    Keeps,
    /// What is not there is "forbidden".
    Forbids,
    /// A listing takes its prefix for the beginning of a name.
    ListsByLetters,
    /// The range is ignored.
    WholeOnly,
    /// There is no room.
    Full,
}

#[derive(Debug)]
struct Liar {
    inner: Arc<InMemory>,
    lie: Lie,
    cache: Mutex<BTreeMap<Path, Bytes>>,
    last: Mutex<Option<Path>>,
    calls: AtomicUsize,
}

impl fmt::Display for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Liar {
    fn forbidden(path: &Path) -> StoreError {
        StoreError::PermissionDenied {
            path: path.to_string(),
            source: "403".into(),
        }
    }
}

#[async_trait]
impl ObjectStore for Liar {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = Some(to.clone());
        if self.lie == Lie::Full {
            return Err(StoreError::Generic {
                store: "liar",
                source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            });
        }
        if self.lie == Lie::Tears {
            let whole: Bytes = payload.clone().into();
            let half = whole.slice(..whole.len() / 2);
            self.inner.put(to, half.into()).await?;
            tokio::task::yield_now().await;
        }
        self.inner.put_opts(to, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, mut options: GetOptions) -> Result<GetResult> {
        if self.lie == Lie::WholeOnly {
            options.range = None;
        }
        if self.lie == Lie::Caches {
            let cached = self.cache.lock().unwrap().get(from).cloned();
            if let Some(cached) = cached {
                self.inner.put(from, cached.into()).await?;
            } else if let Ok(answer) = self.inner.get(from).await {
                let content = answer.bytes().await?;
                self.cache.lock().unwrap().insert(from.clone(), content);
            }
        }
        match self.inner.get_opts(from, options).await {
            Err(StoreError::NotFound { .. }) if self.lie == Lie::Forbids => {
                Err(Self::forbidden(from))
            }
            other => other,
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.lie {
            Lie::KeepsSilently => paths,
            Lie::Keeps => paths
                .and_then(|path| async move { Err(Self::forbidden(&path)) })
                .boxed(),
            _ => self.inner.delete_stream(paths),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let last = self.last.lock().unwrap().take();
        let late = self.lie == Lie::ListsLate;
        let prefix = prefix.cloned().unwrap_or_default();
        if self.lie == Lie::ListsByLetters {
            let all = self.inner.list(None);
            let begins = move |meta: &ObjectMeta| {
                let begins = meta.location.as_ref().starts_with(prefix.as_ref());
                std::future::ready(begins)
            };
            return all.try_filter(begins).boxed();
        }
        let shown = move |meta: &ObjectMeta| {
            std::future::ready(!(late && last.as_ref() == Some(&meta.location)))
        };
        self.inner.list(Some(&prefix)).try_filter(shown).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn liar(lie: Lie) -> (Store, Arc<InMemory>) {
    let inner = Arc::new(InMemory::new());
    let liar = Liar {
        inner: Arc::clone(&inner),
        lie,
        cache: Mutex::default(),
        last: Mutex::default(),
        calls: AtomicUsize::new(0),
    };
    (Store::with_objects(Arc::new(liar), "liar"), inner)
}

#[tokio::test]
async fn an_honest_store_is_fit_and_left_empty() {
    let (store, inner) = liar(Lie::None);
    let report = store.demand_fit(&store).await.unwrap();
    assert_eq!(report.checks.len(), 8);
    for check in &report.checks {
        assert_eq!(check.outcome, ProbeOutcome::Kept, "{}", check.promise);
    }
    assert!(inner.list(None).next().await.is_none());
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().display().to_string();
    let (store, other) = (
        Store::open(&address).unwrap(),
        Store::open(&address).unwrap(),
    );
    store.demand_fit(&other).await.unwrap();
    assert_eq!(store.any().await.unwrap(), None);
    let left = std::fs::read_dir(folder.path().join("probe")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_broken_promise_is_named() {
    for (lie, promise) in [
        (Lie::ListsLate, "a finished write is in the next listing"),
        (Lie::Caches, "a second write replaces the first at once"),
        (Lie::Tears, "nobody ever sees a half-written object"),
        (Lie::KeepsSilently, "a removed object is gone at once"),
        (Lie::Forbids, "what is not there is told as missing"),
        (Lie::ListsByLetters, "a folder's listing ends at its border"),
        (Lie::WholeOnly, "a part of an object can be read"),
    ] {
        let (store, _) = liar(lie);
        match store.demand_fit(&store).await {
            Err(Error::UnfitStore { promise: named, .. }) => assert_eq!(named, promise, "{lie:?}"),
            other => panic!("{lie:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_store_that_keeps_objects_is_fit_with_a_note() {
    let (store, _) = liar(Lie::Keeps);
    let report = store.demand_fit(&store).await.unwrap();
    let noted = |outcome: &ProbeOutcome| matches!(outcome, ProbeOutcome::Noted(_));
    assert_eq!(
        report
            .checks
            .iter()
            .filter(|check| noted(&check.outcome))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_full_store_is_no_unfit_one() {
    let (store, _) = liar(Lie::Full);
    let error = store.probe(&store).await.unwrap_err();
    assert!(error.is_not_writable(), "{error:?}");
}
