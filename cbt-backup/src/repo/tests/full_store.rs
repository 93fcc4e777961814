//! A store that is full: what drops points and takes their packs must work there.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

type Result<T, E = StoreError> = std::result::Result<T, E>;

use super::site::{BLOCK_BYTES, Site, cheap, content, passphrase};
use super::sweep::at_once;
use crate::repo::name::RESERVE;
use crate::repo::{Error, PointId, Repository, Store, SweepReport};

/// A store that holds so many bytes.
#[derive(Debug)]
struct SizedStore {
    inner: InMemory,
    limit_bytes: Arc<AtomicU64>,
}

impl fmt::Display for SizedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SizedStore")
    }
}

impl SizedStore {
    async fn used_bytes(&self) -> Result<u64> {
        let all: Vec<_> = self.inner.list(None).try_collect().await?;
        Ok(all.iter().map(|meta| meta.size).sum())
    }
}

#[async_trait]
impl ObjectStore for SizedStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let bytes = payload.content_length() as u64;
        if self.used_bytes().await? + bytes > self.limit_bytes.load(Ordering::SeqCst) {
            return Err(StoreError::Generic {
                store: "SizedStore",
                source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
            });
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

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Bytes>> {
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

/// A bucket with one point, and how much it takes.
fn site() -> (Site, PointId, Arc<AtomicU64>) {
    let limit_bytes = Arc::new(AtomicU64::new(u64::MAX));
    let objects = Arc::new(SizedStore {
        inner: InMemory::new(),
        limit_bytes: Arc::clone(&limit_bytes),
    });
    let store = Store::with_objects(Arc::clone(&objects) as _, "sized");
    let (site, point) = with_a_point(store.with_reserve());
    (site, point, limit_bytes)
}

/// A repository with one point.
fn with_a_point(store: Store) -> (Site, PointId) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let objects = store.objects();
    let secret = passphrase();
    let init = Repository::init(store, &secret, cheap(2));
    let repo = runtime.block_on(init).unwrap();
    let site = Site {
        runtime,
        objects,
        repo,
    };
    let image: Vec<u8> = (0..30)
        .flat_map(|block| content(block * 2 + 1, BLOCK_BYTES))
        .collect();
    let point = site.backup(&image, None, 1).unwrap();
    (site, point)
}

fn used_bytes(site: &Site) -> u64 {
    let names = site.names("").into_iter();
    names.map(|name| site.read(&name).len() as u64).sum()
}

fn has_reserve(site: &Site) -> bool {
    site.names("").iter().any(|name| name == RESERVE)
}

fn sweep(site: &Site) -> Result<SweepReport, Error> {
    site.runtime.block_on(site.repo.sweep(at_once(), &()))
}

fn forget(site: &Site, point: PointId) -> Result<(), Error> {
    let forgotten = site.repo.forget_point(point, "", "", 0);
    site.runtime.block_on(forgotten)
}

#[test]
fn a_full_store_can_be_emptied() {
    let (site, point, limit_bytes) = site();
    assert!(has_reserve(&site));
    // Not a byte more.
    limit_bytes.store(used_bytes(&site), Ordering::SeqCst);
    let image = content(3, 3 * BLOCK_BYTES);
    let failed = site.backup(&image, None, 2).unwrap_err();
    assert!(failed.is_not_writable(), "{failed}");
    assert!(has_reserve(&site), "no backup takes it");

    forget(&site, point).unwrap();
    assert!(!has_reserve(&site));
    assert!(sweep(&site).unwrap().packs_deleted > 0);
    assert!(has_reserve(&site), "there is room for it again");
    let next = site.backup(&image, None, 3).unwrap();
    assert!(site.restore(&site.repo, next).unwrap() == image);
}

#[test]
fn a_prune_gives_the_reserve_up_as_well() {
    let (site, point, limit_bytes) = site();
    forget(&site, point).unwrap();
    limit_bytes.store(used_bytes(&site), Ordering::SeqCst);
    assert!(sweep(&site).unwrap().packs_deleted > 0);
    assert!(has_reserve(&site));
}

#[test]
fn without_a_reserve_a_full_store_stays_full_and_whole() {
    let (site, point, limit_bytes) = site();
    site.delete(RESERVE);
    limit_bytes.store(used_bytes(&site), Ordering::SeqCst);
    let failed = forget(&site, point).unwrap_err();
    assert!(failed.is_full(), "{failed}");
    assert!(site.restore(&site.repo, point).is_ok());
    // Where there is no room the reserve is left out, and a prune is no failure for that.
    assert_eq!(sweep(&site).unwrap().packs_deleted, 0);
    assert!(!has_reserve(&site));
}

#[test]
#[ignore = "needs an empty folder on a file system of a few MiB: CBT_SMALL_FOLDER"]
fn a_full_file_system_can_be_emptied() {
    let folder = std::env::var("CBT_SMALL_FOLDER").expect("CBT_SMALL_FOLDER");
    let (site, point) = with_a_point(Store::open(&folder).unwrap());
    assert!(has_reserve(&site));
    // Others take the rest of it, to the last byte.
    let filler = std::path::Path::new(&folder).join("lost+found");
    std::fs::create_dir(&filler).unwrap();
    for length in [1 << 16, 1 << 12, 1] {
        for number in 0.. {
            let file = filler.join(format!("{length} {number}"));
            if std::fs::write(&file, vec![1; length]).is_err() {
                std::fs::remove_file(&file).ok();
                break;
            }
        }
    }
    let failed = site.backup(&content(3, 3 * BLOCK_BYTES), None, 2);
    assert!(failed.unwrap_err().is_full());
    let failed = site
        .runtime
        .block_on(site.repo.drop_point(point, "", "", 0));
    assert!(failed.unwrap_err().is_full());
    assert!(has_reserve(&site));

    forget(&site, point).unwrap();
    assert!(!has_reserve(&site));
    assert!(sweep(&site).unwrap().packs_deleted > 0);
    std::fs::remove_dir_all(&filler).unwrap();
    sweep(&site).unwrap();
    assert!(has_reserve(&site));
}

#[test]
#[ignore = "needs a bucket with a quota of a few MiB: cargo xtask stores"]
fn a_full_bucket_can_be_emptied() {
    let address = super::real_store::place("CBT_BACKUP_TEST_STORE");
    let (site, point) = with_a_point(Store::open(&address).unwrap());
    assert!(has_reserve(&site));
    // Others take the rest of it. A gateway counts in steps of 4 KiB.
    let store = Store::open(&address).unwrap();
    let mut fillers = Vec::new();
    for length in [1 << 20, 1 << 16, 1 << 12, 1] {
        for number in 0.. {
            let name = format!("probe/{length}-{number}");
            let put = store.put(&name, content(1, length).into());
            match site.runtime.block_on(put) {
                Ok(()) => fillers.push(name),
                Err(error) => {
                    assert!(error.is_full(), "{error}");
                    break;
                }
            }
        }
    }
    let failed = site.backup(&content(3, 3 * BLOCK_BYTES), None, 2);
    assert!(failed.unwrap_err().is_not_writable());
    let failed = site
        .runtime
        .block_on(site.repo.drop_point(point, "", "", 0));
    assert!(failed.unwrap_err().is_full());
    assert!(has_reserve(&site));

    forget(&site, point).unwrap();
    assert!(!has_reserve(&site));
    assert!(sweep(&site).unwrap().packs_deleted > 0);
    for name in fillers {
        site.runtime.block_on(store.delete(&name)).unwrap();
    }
    sweep(&site).unwrap();
    assert!(has_reserve(&site));
}
