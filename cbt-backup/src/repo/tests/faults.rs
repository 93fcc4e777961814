//! A store that fails at a chosen write, and power cuts before the root.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::site::{BLOCK_BYTES, Site, content};
use crate::repo::VerifyLevel;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Takes a number of writes, then says that it is full.
#[derive(Debug)]
struct FullStore {
    inner: InMemory,
    writes_left: Arc<AtomicUsize>,
}

impl fmt::Display for FullStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FullStore")
    }
}

impl FullStore {
    fn take_write(&self) -> Result<()> {
        let take = |left: usize| left.checked_sub(1);
        let taken = self
            .writes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map(drop).map_err(|_| StoreError::Generic {
            store: "FullStore",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        })
    }
}

impl ObjectStore for FullStore {
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
        self.inner.list(prefix)
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

fn image(seed: u8) -> Vec<u8> {
    (0..30)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

#[test]
fn a_store_that_fills_up_at_any_write_costs_nothing_that_was_there() {
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let store = FullStore {
        inner: InMemory::new(),
        writes_left: Arc::clone(&left),
    };
    let site = Site::over(Arc::new(store), 2);
    let (first, second) = (image(1), image(101));
    let full = site.backup(&first, None, 1).unwrap();
    let blocks = || (0..30).collect::<Vec<u64>>();
    let mut failures = 0;
    for writes in 0.. {
        left.store(writes, Ordering::SeqCst);
        let outcome = site.backup(&second, Some((full, blocks())), 2);
        left.store(usize::MAX, Ordering::SeqCst);
        let repo = site.reopen().unwrap();
        let list = site.runtime.block_on(repo.points(None)).unwrap();
        let report = repo
            .verify(site.runtime.handle(), VerifyLevel::Full, &())
            .unwrap();
        assert!(
            report.findings.is_empty(),
            "after {writes} writes: {:?}",
            report.findings
        );
        assert!(site.restore(&repo, full).unwrap() == first);
        match outcome {
            Ok(point) => {
                assert_eq!(list.points.len(), 2);
                assert!(site.restore(&repo, point).unwrap() == second);
                break;
            }
            Err(error) => {
                failures += 1;
                assert!(error.is_not_writable(), "after {writes} writes: {error}");
                assert_eq!(list.points.len(), 1);
            }
        }
    }
    // The announcement, several data packs, node packs, the usage table and the root each failed once.
    assert!(failures > 8, "{failures}");
}

#[test]
fn a_session_that_dies_before_its_root_changes_no_point() {
    let site = Site::new(2);
    let (first, second) = (image(1), image(51));
    let full = site.backup(&first, None, 1).unwrap();
    let session = site.begin().unwrap();
    Site::fill(&session, &second, Some((full, (0..30).collect()))).unwrap();
    drop(session);
    let repo = site.reopen().unwrap();
    let list = site.runtime.block_on(repo.points(None)).unwrap();
    assert_eq!(list.points.len(), 1);
    assert_eq!(site.names("open").len(), 1);
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty());
    assert!(report.counts.garbage_packs > 0);
    // The next one succeeds, and so does one that says nothing of what it wrote.
    let next = site
        .backup(&second, Some((full, (0..30).collect())), 2)
        .unwrap();
    assert!(site.restore(&repo, next).unwrap() == second);
    let session = site.begin().unwrap();
    session.abandon();
    assert_eq!(site.names("open").len(), 1);
}
