//! The store under a repository: names to bytes, with bounded reads and our own errors.

mod address;
#[cfg(feature = "cloud")]
mod aws_profile;
#[cfg(feature = "cloud")]
mod cloud;
mod failure;
mod limit;
mod local;
mod mount;
mod probe;
mod reserve;
mod said;
mod staged;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::address::StoreAddress;
pub(super) use self::failure::{is_full, is_passing};
pub use self::limit::StoreLimits;
use self::probe::PROBE_FOLDER;
pub use self::probe::{ProbeCheck, ProbeOutcome, ProbeReport};
pub use self::said::StoreSaid;
use super::error::Error;
use super::key::Keys;
use super::sealed;

/// Where objects are kept. Cheap to clone.
///
/// The store must show every finished PUT and DELETE to each later GET and LIST.
///
/// Below it stands [`ObjectStore`], whose seven calls are the seam between the repository and
/// the world: a folder, a cloud, memory, or a test that lets calls fail.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    location: String,
    /// Where it is, when it is a folder.
    folder: Option<PathBuf>,
    /// Some room in it is held back for when it is full.
    reserved: bool,
}

/// Without what the store was opened with: there are credentials in it.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.location).finish()
    }
}

impl Store {
    /// Opens the store at `address`: a folder, `file://` and an absolute path, or with the feature
    /// `cloud` an address of the form `s3://bucket/prefix?parameter=value`, `az://` or `gs://`.
    /// Nothing is sent to a cloud yet.
    ///
    /// # Errors
    /// `UnsupportedAddress`, `BadAddress`; `NoRepository` when the folder is not there; `Folder`.
    pub fn open(address: &str) -> Result<Self, Error> {
        let mut place = None;
        let objects = match address.parse()? {
            StoreAddress::Local(folder) => {
                let objects = local::open(&folder, address)?;
                place = Some(folder);
                objects
            }
            #[cfg(feature = "cloud")]
            StoreAddress::Cloud(cloud) => cloud::open(&cloud, address)?,
            #[cfg(not(feature = "cloud"))]
            StoreAddress::Cloud(_) => {
                return Err(Error::UnsupportedAddress {
                    address: address.to_owned(),
                    scheme: "cloud".to_owned(),
                });
            }
        };
        Ok(Self {
            folder: place,
            reserved: true,
            ..Self::with_objects(objects, address)
        })
    }

    /// As [`Store::open`], but makes the folder when it is not there. A bucket is not made.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn create(address: &str) -> Result<Self, Error> {
        if let StoreAddress::Local(folder) = address.parse()? {
            local::create(&folder)?;
        }
        Self::open(address)
    }

    /// The same store, with at most so many bytes a second each way.
    #[must_use]
    pub fn limited(self, limits: &StoreLimits) -> Self {
        Self {
            objects: limit::limited(self.objects, limits),
            ..self
        }
    }

    /// A store over any implementation; `location` is what messages call it.
    pub fn with_objects(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self {
            objects,
            location: location.to_owned(),
            folder: None,
            reserved: false,
        }
    }

    /// The same with a reserve, as what was opened by an address has.
    #[cfg(test)]
    pub(super) fn with_reserve(self) -> Self {
        let reserved = true;
        Self { reserved, ..self }
    }

    /// What stands below, for tests that reach past us.
    #[cfg(test)]
    pub(super) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// True for a folder.
    pub fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// What messages call this store.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Reads a whole object of at most `limit_bytes`; a larger one is refused unread.
    pub(crate) async fn get(&self, name: &str, limit_bytes: u64) -> Result<Bytes, Error> {
        let failed = |source| failure::of_read("read", name, source);
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
            Err(source) => match self.size(name).await {
                Ok(size_bytes) if size_bytes < range.end => Err(too_short(name, &range)),
                Err(missing @ Error::Missing { .. }) => Err(missing),
                _ => Err(failure::of_read("read", name, source)),
            },
        }
    }

    /// Writes a whole object; durable when this returns.
    pub(crate) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let payload = PutPayload::from_bytes(bytes);
        let put = self.objects.put(&Path::from(name), payload).await;
        put.map(drop)
            .map_err(|source| failure::of_write(name, source))
    }

    /// The size of an object in bytes.
    pub(crate) async fn size(&self, name: &str) -> Result<u64, Error> {
        let head = self.objects.head(&Path::from(name)).await;
        head.map(|meta| meta.size)
            .map_err(|source| failure::of_read("read", name, source))
    }

    /// Removes an object. `DeleteRefused` means that the store keeps it for now: later, then.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), Error> {
        let deleted = self.objects.delete(&Path::from(name)).await;
        deleted.map_err(|source| failure::of_delete(name, source))
    }

    /// Removes what writes left that were cut off, where it is known that nobody writes it any more.
    /// Returns how many files went.
    pub(crate) async fn remove_cut_writes(&self) -> Result<u64, Error> {
        let Some(folder) = self.folder.clone() else {
            return Ok(0);
        };
        let removed = tokio::task::spawn_blocking(move || staged::remove_dead(&folder)).await;
        removed.map_err(|error| Error::machine("the removal of cut writes", &error))
    }

    /// Names and sizes in bytes of all objects in the folder `prefix`, or of all (`""`).
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Error> {
        let path = Path::from(prefix);
        let failed = |source| failure::of_list(prefix, source);
        self.objects
            .list((!prefix.is_empty()).then_some(&path))
            .map_ok(|meta| (meta.location.to_string(), meta.size))
            .try_collect()
            .await
            .map_err(failed)
    }

    /// One object, if there is any but what a probe that was cut off left.
    pub(crate) async fn any(&self) -> Result<Option<String>, Error> {
        let mut objects = self.objects.list(None);
        loop {
            let next = objects.try_next().await;
            let next = next.map_err(|source| failure::of_list(&self.location, source))?;
            match next.map(|meta| meta.location.to_string()) {
                Some(name) if is_probe(&name) => {}
                other => return Ok(other),
            }
        }
    }

    /// What to know of the file system, for a folder on one that is not simply fit.
    fn notes(&self) -> Option<String> {
        match self.location.parse() {
            Ok(StoreAddress::Local(folder)) => mount::notes(&folder),
            _ => None,
        }
    }

    /// Removes `folder` and what is in it as far as that is empty, where a folder is more than a part of a
    /// name. Nobody may write into it meanwhile.
    fn remove_empty_folders(&self, folder: &str) {
        if let Some(root) = &self.folder {
            local::remove_empty(root, folder);
        }
    }

    /// Removes the empty folders that deletions left, where a folder is more than a part of a name.
    pub(crate) async fn remove_emptied_folders(&self) -> Result<(), Error> {
        let Some(root) = self.folder.clone() else {
            return Ok(());
        };
        let remove = move || local::remove_empty_below(&root, &["fence", "pack", "point"]);
        let removed = tokio::task::spawn_blocking(remove).await;
        removed.map_err(|error| Error::machine("the removal of empty folders", &error))
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

    /// Writes a sealed JSON object. One that no reader would read is not written.
    pub(crate) async fn put_sealed<T: Serialize>(
        &self,
        keys: &Keys,
        name: &str,
        value: &T,
        limit_bytes: u64,
    ) -> Result<(), Error> {
        let object = sealed_json(keys, name, value, limit_bytes)?;
        self.put(name, object.into()).await
    }
}

/// A sealed JSON object; an error for one that no reader would read.
fn sealed_json<T: Serialize>(
    keys: &Keys,
    name: &str,
    value: &T,
    limit_bytes: u64,
) -> Result<Vec<u8>, Error> {
    let too_large = |bytes: &[u8]| Error::WouldBeTooLarge {
        object: name.to_owned(),
        size_bytes: bytes.len() as u64,
        limit_bytes,
    };
    let plain = serde_json::to_vec(value).map_err(|error| Error::machine("JSON", &error))?;
    if plain.len() as u64 > limit_bytes {
        return Err(too_large(&plain));
    }
    let object = sealed::seal(keys, name, &plain)?;
    if object.len() as u64 > limit_bytes {
        return Err(too_large(&object));
    }
    Ok(object)
}

/// True for an object of a probe that was cut off.
pub(crate) fn is_probe(name: &str) -> bool {
    name.split('/').next() == Some(PROBE_FOLDER)
}

fn too_short(name: &str, range: &Range<u64>) -> Error {
    Error::damaged(name, format!("it ends before byte {}", range.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folders_or_refused_by_name() {
        let error = Store::open("ftp://bucket/x").unwrap_err();
        assert!(error.to_string().contains("ftp"), "{error}");
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
}
