//! How often a compaction waits for a distant store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::compaction::all_that_is_not_full;
use super::site::{BLOCK_BYTES, Site, content};
use super::sweep::at_once;

/// Counts reads of node packs, and how often one began while no other was on its way.
#[derive(Debug, Default)]
struct Trips {
    on_the_way: AtomicUsize,
    reads: AtomicUsize,
    rounds: AtomicUsize,
}

/// A store that answers late.
#[derive(Debug)]
struct DistantStore {
    inner: InMemory,
    trips: Arc<Trips>,
}

impl fmt::Display for DistantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DistantStore")
    }
}

#[async_trait]
impl ObjectStore for DistantStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
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
        if from.as_ref().contains("/n") {
            self.trips.reads.fetch_add(1, Ordering::SeqCst);
            if self.trips.on_the_way.fetch_add(1, Ordering::SeqCst) == 0 {
                self.trips.rounds.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.trips.on_the_way.fetch_sub(1, Ordering::SeqCst);
        }
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(from, ranges).await
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

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[test]
fn nodes_are_read_side_by_side() {
    const BLOCKS: u64 = 32 * 32;
    let trips = Arc::new(Trips::default());
    let store = DistantStore {
        inner: InMemory::new(),
        trips: Arc::clone(&trips),
    };
    let site = Site::over(Arc::new(store), 5);
    let image = |seed: u64| {
        let blocks = (0..BLOCKS).flat_map(move |block| {
            let mut bytes = content(1, BLOCK_BYTES);
            bytes[..8].copy_from_slice(&(block + seed).to_le_bytes());
            bytes
        });
        blocks.collect::<Vec<u8>>()
    };
    let first = image(0);
    let full = site.backup(&first, None, 1).unwrap();
    // Of each leaf a few blocks stay, so every leaf is rewritten and every pack has garbage.
    let changed: Vec<u64> = (0..BLOCKS).filter(|block| block % 8 != 0).collect();
    let mut second = image(BLOCKS);
    for block in (0..BLOCKS as usize).step_by(8) {
        let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
        second[range.clone()].copy_from_slice(&first[range]);
    }
    let next = site.backup(&second, Some((full, changed)), 2).unwrap();
    let dropped = site.repo.drop_point(full, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
    swept.unwrap();

    let repo = site.reopen().unwrap();
    for count in [&trips.reads, &trips.rounds] {
        count.store(0, Ordering::SeqCst);
    }
    let options = all_that_is_not_full();
    let handle = site.runtime.handle();
    let compacted = repo.compact(handle, "", &options, &()).unwrap();
    assert_eq!(compacted.rewritten, [next]);
    let reads = trips.reads.load(Ordering::SeqCst);
    let rounds = trips.rounds.load(Ordering::SeqCst);
    println!("{reads} reads of node packs in {rounds} rounds");
    assert!(
        reads > 33 && rounds * 2 < reads,
        "{reads} reads, {rounds} rounds"
    );
    assert!(site.restore(&site.reopen().unwrap(), next).unwrap() == second);
}
