//! The store under a repository: names to bytes, with bounded reads and our own errors.

use std::error::Error as _;
use std::io;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{self, Error};
use super::key::Keys;
use super::sealed;

/// Where objects are kept. Cheap to clone.
///
/// The store must show every finished PUT and DELETE to each later GET and LIST.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    location: String,
}

impl Store {
    /// Opens the store at `address`: a folder, or `file://` and an absolute path.
    ///
    /// # Errors
    /// `UnsupportedAddress`; `NoRepository` when the folder is not there; `Folder`.
    pub fn open(address: &str) -> Result<Self, Error> {
        let folder = local_folder(address)?;
        if !folder.is_dir() {
            return Err(Error::NoRepository {
                location: address.to_owned(),
            });
        }
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|source| Error::Store {
            operation: "open",
            object: address.to_owned(),
            source: Arc::new(source),
        })?;
        Ok(Self::with_objects(
            Arc::new(objects.with_fsync(true)),
            address,
        ))
    }

    /// As [`Store::open`], but makes the folder when it is not there.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn create(address: &str) -> Result<Self, Error> {
        let folder = local_folder(address)?;
        std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
            path: folder.display().to_string(),
            source: Arc::new(source),
        })?;
        Self::open(address)
    }

    /// A store over any implementation; `location` is what messages call it.
    pub fn with_objects(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self {
            objects,
            location: location.to_owned(),
        }
    }

    /// What messages call this store.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Reads a whole object of at most `limit_bytes`; a larger one is refused unread.
    pub(crate) async fn get(&self, name: &str, limit_bytes: u64) -> Result<Bytes, Error> {
        let failed = |source| store_error("read", name, source);
        let answer = self
            .objects
            .get_opts(&Path::from(name), GetOptions::default())
            .await
            .map_err(failed)?;
        let size_bytes = answer.meta.size;
        if size_bytes > limit_bytes {
            return Err(Error::TooLarge {
                object: name.to_owned(),
                size_bytes,
                limit_bytes,
            });
        }
        answer.bytes().await.map_err(failed)
    }

    /// Reads exactly `range` of an object. The caller has bounded its length.
    pub(crate) async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let path = Path::from(name);
        match self.objects.get_range(&path, range.clone()).await {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
            Ok(_) => Err(too_short(name, &range)),
            Err(source) => match self.objects.head(&path).await {
                Ok(meta) if meta.size < range.end => Err(too_short(name, &range)),
                Err(object_store::Error::NotFound { .. }) => Err(Error::Missing {
                    object: name.to_owned(),
                }),
                _ => Err(store_error("read", name, source)),
            },
        }
    }

    /// Writes a whole object; durable when this returns.
    pub(crate) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let payload = PutPayload::from_bytes(bytes);
        match self.objects.put(&Path::from(name), payload).await {
            Ok(_) => Ok(()),
            Err(source) if refuses_data(&source) => Err(Error::NotWritable {
                object: name.to_owned(),
                source: Arc::new(source),
            }),
            Err(source) => Err(store_error("write", name, source)),
        }
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), Error> {
        let deleted = self.objects.delete(&Path::from(name)).await;
        deleted.map_err(|source| store_error("delete", name, source))
    }

    /// Names and sizes in bytes of all objects in the folder `prefix`, or of all (`""`).
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Error> {
        let path = Path::from(prefix);
        let failed = |source| store_error("list", prefix, source);
        self.objects
            .list((!prefix.is_empty()).then_some(&path))
            .map_ok(|meta| (meta.location.to_string(), meta.size))
            .try_collect()
            .await
            .map_err(failed)
    }

    /// One object, if there is any.
    pub(crate) async fn any(&self) -> Result<Option<String>, Error> {
        let first = self.objects.list(None).try_next().await;
        let first = first.map_err(|source| store_error("list", &self.location, source))?;
        Ok(first.map(|meta| meta.location.to_string()))
    }

    /// Reads a sealed JSON object.
    pub(crate) async fn get_sealed<T: DeserializeOwned>(
        &self,
        keys: &Keys,
        name: &str,
        limit_bytes: u64,
    ) -> Result<T, Error> {
        let object = self.get(name, limit_bytes).await?;
        let plain = sealed::open(keys, name, &object, limit_bytes)?;
        serde_json::from_slice(&plain).map_err(|error| Error::damaged(name, error.to_string()))
    }

    /// Writes a sealed JSON object.
    pub(crate) async fn put_sealed<T: Serialize>(
        &self,
        keys: &Keys,
        name: &str,
        value: &T,
    ) -> Result<(), Error> {
        let plain = serde_json::to_vec(value).map_err(|error| Error::machine("JSON", &error))?;
        let object = sealed::seal(keys, name, &plain)?;
        self.put(name, object.into()).await
    }
}

fn local_folder(address: &str) -> Result<&FilePath, Error> {
    match address.split_once("://") {
        None => Ok(FilePath::new(address)),
        Some(("file", path)) if path.starts_with('/') => Ok(FilePath::new(path)),
        Some((scheme, _)) => Err(Error::UnsupportedAddress {
            address: address.to_owned(),
            scheme: scheme.to_owned(),
        }),
    }
}

fn too_short(name: &str, range: &Range<u64>) -> Error {
    Error::damaged(name, format!("it ends before byte {}", range.end))
}

fn store_error(operation: &'static str, name: &str, source: object_store::Error) -> Error {
    if let object_store::Error::NotFound { .. } = source {
        return Error::Missing {
            object: name.to_owned(),
        };
    }
    Error::Store {
        operation,
        object: name.to_owned(),
        source: Arc::new(source),
    }
}

/// True when the store says that it takes no data, whatever the data is.
fn refuses_data(error: &object_store::Error) -> bool {
    if let object_store::Error::PermissionDenied { .. } = error {
        return true;
    }
    let mut cause = error.source();
    while let Some(next) = cause {
        let kind = next.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind.is_some_and(error::refuses_data) {
            return true;
        }
        cause = next.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folders_or_refused_by_name() {
        let error = Store::open("s3://bucket/x").unwrap_err();
        assert!(error.to_string().contains("s3"), "{error}");
        assert!(matches!(error, Error::UnsupportedAddress { .. }));
        assert!(matches!(
            Store::open("/no/such/folder"),
            Err(Error::NoRepository { .. })
        ));
        let folder = tempfile::tempdir().unwrap();
        let address = format!("file://{}/new", folder.path().display());
        assert!(Store::create(&address).is_ok());
        assert!(folder.path().join("new").is_dir());
        let forbidden = Store::create("/proc/self/repository").unwrap_err();
        assert!(matches!(forbidden, Error::Folder { .. }));
    }

    #[tokio::test]
    async fn reads_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().display().to_string()).unwrap();
        store
            .put("open/x", Bytes::from_static(b"0123456789"))
            .await
            .unwrap();
        assert_eq!(store.get("open/x", 10).await.unwrap(), "0123456789");
        assert!(matches!(
            store.get("open/x", 9).await,
            Err(Error::TooLarge {
                size_bytes: 10,
                limit_bytes: 9,
                ..
            })
        ));
        assert_eq!(store.get_range("open/x", 2..4).await.unwrap(), "23");
        assert!(
            store
                .get_range("open/x", 8..11)
                .await
                .unwrap_err()
                .is_damage()
        );
        assert!(
            store
                .get_range("open/x", 20..21)
                .await
                .unwrap_err()
                .is_damage()
        );
        assert!(matches!(
            store.get_range("open/y", 0..1).await,
            Err(Error::Missing { .. })
        ));
        assert_eq!(
            store.list("open").await.unwrap(),
            [("open/x".to_owned(), 10)]
        );
        store.delete("open/x").await.unwrap();
        assert_eq!(store.any().await.unwrap(), None);
    }

    #[test]
    fn a_full_disk_is_found_in_the_chain() {
        let full = io::Error::new(io::ErrorKind::StorageFull, "disk full");
        let error = object_store::Error::Generic {
            store: "test",
            source: Box::new(full),
        };
        assert!(refuses_data(&error));
        let other = object_store::Error::Generic {
            store: "test",
            source: "odd".into(),
        };
        assert!(!refuses_data(&other));
    }
}
