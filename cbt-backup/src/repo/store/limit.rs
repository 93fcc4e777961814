//! A limit on the bytes a second to and from a store.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::time::Instant;

use crate::bucket::Bucket;

/// How much may flow, in bytes a second; without a value as much as can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreLimits {
    /// To the store.
    pub upload_bytes_per_second: Option<NonZeroU64>,
    /// From the store.
    pub download_bytes_per_second: Option<NonZeroU64>,
}

/// `objects` behind `limits`.
pub(super) fn limited(objects: Arc<dyn ObjectStore>, limits: &StoreLimits) -> Arc<dyn ObjectStore> {
    if *limits == StoreLimits::default() {
        return objects;
    }
    let gate = |rate: Option<NonZeroU64>| rate.map(|rate| Arc::new(Gate::new(rate)));
    Arc::new(Limited {
        objects,
        upload: gate(limits.upload_bytes_per_second),
        download: gate(limits.download_bytes_per_second),
    })
}

/// A bucket with the clock that fills it.
#[derive(Debug)]
struct Gate {
    bucket: Mutex<Bucket>,
    start: Instant,
}

impl Gate {
    fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(bytes_per_second)),
            start: Instant::now(),
        }
    }

    async fn pass(&self, bytes: u64) {
        let now = self.start.elapsed();
        let wait = {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(now, bytes)
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// A store behind gates. An object waits as a whole before it is sent; what is read waits piece by piece.
#[derive(Debug)]
struct Limited {
    objects: Arc<dyn ObjectStore>,
    upload: Option<Arc<Gate>>,
    download: Option<Arc<Gate>>,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Limited {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if let Some(gate) = &self.upload {
            gate.pass(payload.content_length() as u64).await;
        }
        self.objects.put_opts(to, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        let answer = self.objects.get_opts(from, options).await?;
        let Some(gate) = self.download.clone() else {
            return Ok(answer);
        };
        let (meta, range) = (answer.meta.clone(), answer.range.clone());
        let (attributes, extensions) = (answer.attributes.clone(), answer.extensions.clone());
        let pieces = answer.into_stream().and_then(move |piece: Bytes| {
            let gate = Arc::clone(&gate);
            async move {
                gate.pass(piece.len() as u64).await;
                Ok(piece)
            }
        });
        Ok(GetResult {
            payload: GetResultPayload::Stream(pieces.boxed()),
            meta,
            range,
            attributes,
            extensions,
        })
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(gate) = &self.download {
            let bytes = ranges
                .iter()
                .map(|range| range.end.saturating_sub(range.start));
            gate.pass(bytes.sum()).await;
        }
        self.objects.get_ranges(from, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use object_store::memory::InMemory;

    use super::*;
    use crate::repo::store::Store;

    #[tokio::test]
    async fn what_goes_through_is_the_same_and_is_counted() {
        let rate = NonZeroU64::new(1 << 40).unwrap();
        let limits = StoreLimits {
            upload_bytes_per_second: Some(rate),
            download_bytes_per_second: Some(rate),
        };
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let gates = Limited {
            objects: Arc::clone(&memory),
            upload: Some(Arc::new(Gate::new(rate))),
            download: Some(Arc::new(Gate::new(rate))),
        };
        let (upload, download) = (
            gates.upload.clone().unwrap(),
            gates.download.clone().unwrap(),
        );
        let spent = |gate: &Gate| gate.bucket.lock().unwrap().empty_at();
        let store = Store::with_objects(Arc::new(gates), "memory");
        store
            .put("open/x", Bytes::from(vec![7; 10_000]))
            .await
            .unwrap();
        let after_put = spent(&upload);
        assert!(after_put >= Duration::from_nanos(9));
        assert_eq!(spent(&download), Duration::ZERO);
        assert_eq!(store.get("open/x", 10_000).await.unwrap().len(), 10_000);
        assert_eq!(
            store.get_range("open/x", 5..9).await.unwrap(),
            "\x07\x07\x07\x07"
        );
        assert!(spent(&download) >= Duration::from_nanos(9));
        assert_eq!(spent(&upload), after_put);
        let same = limited(Arc::clone(&memory), &StoreLimits::default());
        assert!(Arc::ptr_eq(&same, &memory));
        let both = Store::with_objects(memory, "memory").limited(&limits);
        assert_eq!(both.list("open").await.unwrap().len(), 1);
    }
}
