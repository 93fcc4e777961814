//! A folder on this machine as a store.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{DirEntry, File, Metadata};
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, Extensions, GetOptions, GetResult, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use super::staged;
use crate::repo::error::Error;

/// No object stands deeper; it ends the walk round a link that leads to its own folder.
const MAX_DEPTH: usize = 6;

/// How names of data packs begin, below the folder of their session. Their deletions are not made durable one by
/// one. A pack is deleted when no root needs it, and no name is used again: one that a power cut brings back is
/// garbage for the next sweep. What else comes back would count: a key slot, a root without its tombstone, a pack
/// with the usage table of a root that was removed and would be taken for lost.
const DATA_PACK: &str = "d";

/// What file systems put into their root, for themselves.
const FILE_SYSTEMS_OWN: &str = "lost+found";

/// Opens the folder at `path`; `location` is what messages call it.
pub(super) fn open(path: &FilePath, location: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    if !path.is_dir() {
        return Err(Error::NoRepository {
            location: location.to_owned(),
        });
    }
    let objects = LocalFileSystem::new_with_prefix(path).map_err(|source| Error::Store {
        operation: "open",
        object: location.to_owned(),
        source: source.into(),
    })?;
    Ok(Arc::new(Folder {
        // Staged file, fsync, rename, fsync of the folder.
        files: objects.with_fsync(true),
        root: path.to_owned(),
        sync,
    }))
}

/// Makes durable which files are in a folder.
fn sync(folder: &FilePath) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // Somebody has removed it since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the folder where it is not there.
pub(super) fn create(path: &FilePath) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Folder {
        path: path.display().to_string(),
        source: Arc::new(source),
    })
}

/// Removes the folders of `name` that are empty, as far as the file system lets us: an object store has none.
pub(super) fn remove_empty(root: &FilePath, name: &str) {
    let folder = root.join(name);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&folder, &entry.file_name().to_string_lossy());
        }
    }
    // One that is not empty stays by itself.
    let _ = std::fs::remove_dir(&folder);
}

/// Removes the empty folders in the folders of sessions, points and the like. Others may write meanwhile: whoever finds
/// the folder of an object gone makes it again.
pub(super) fn remove_empty_below(root: &FilePath, kinds: &[&str]) {
    for kind in kinds {
        for entry in std::fs::read_dir(root.join(kind))
            .into_iter()
            .flatten()
            .flatten()
        {
            // Not through links: a folder may be a link to another disk.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name();
                remove_empty(&root.join(kind), &name.to_string_lossy());
            }
        }
    }
}

/// `LocalFileSystem` with a listing that odd names of other people's files do not stop, and with deletions that
/// last.
#[derive(Debug)]
struct Folder {
    files: LocalFileSystem,
    root: PathBuf,
    sync: fn(&FilePath) -> io::Result<()>,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if options.mode != PutMode::Overwrite || !options.attributes.is_empty() {
            return self.files.put_opts(to, payload, options).await;
        }
        let path = self.files.path_to_filesystem(to)?;
        let write = move || staged::write(&path, &payload);
        tokio::task::spawn_blocking(write)
            .await?
            .map_err(unreadable)?;
        Ok(PutResult {
            e_tag: None,
            version: None,
            extensions: Extensions::default(),
        })
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (root, sync) = (self.root.clone(), self.sync);
        let deleted = self.files.delete_stream(paths);
        deleted
            .and_then(move |path| {
                let folder = folder_to_sync(&root, &path);
                async move {
                    if let Some(folder) = folder {
                        let synced = tokio::task::spawn_blocking(move || sync(&folder)).await?;
                        // It is deleted, and a power cut may bring it back.
                        synced.map_err(unreadable)?;
                    }
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let root = self.root.clone();
        let prefix = prefix.map(Path::to_string).unwrap_or_default();
        let walked = async move {
            let walked = tokio::task::spawn_blocking(move || walk(&root, &prefix)).await?;
            Ok(stream::iter(walked?.into_iter().map(Ok)))
        };
        walked.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}

/// The folder that has to be synced once the object at `path` is deleted.
fn folder_to_sync(root: &FilePath, path: &Path) -> Option<PathBuf> {
    let (folder, name) = path.as_ref().rsplit_once('/').unwrap_or_default();
    let is_data_pack = folder.starts_with("pack/") && name.starts_with(DATA_PACK);
    (!is_data_pack).then(|| root.join(folder))
}

/// All objects below `prefix`, a folder of `root` or nothing.
fn walk(root: &FilePath, prefix: &str) -> Result<Vec<ObjectMeta>> {
    let mut found = Vec::new();
    let mut folders = VecDeque::from([(prefix.to_owned(), 0_usize)]);
    while let Some((folder, depth)) = folders.pop_front() {
        let entries = match std::fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(unreadable(error)),
        };
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let Some((name, path)) = object_path(&folder, &entry) else {
                continue;
            };
            // Through links: a folder may be a link to another disk.
            let metadata = match std::fs::metadata(entry.path()) {
                Ok(metadata) => metadata,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(unreadable(error)),
            };
            if metadata.is_dir() {
                let own = folder.is_empty() && name == FILE_SYSTEMS_OWN;
                if !own && depth < MAX_DEPTH {
                    folders.push_back((path.to_string(), depth + 1));
                }
            } else if metadata.is_file() && !is_staged(&name) {
                found.push(described(path, &metadata));
            }
        }
    }
    Ok(found)
}

/// Name and path of an entry; nothing for a name that no object can have.
fn object_path(folder: &str, entry: &DirEntry) -> Option<(String, Path)> {
    let name = entry.file_name().into_string().ok()?;
    let path = if folder.is_empty() {
        name.clone()
    } else {
        format!("{folder}/{name}")
    };
    Some((name, Path::parse(path).ok()?))
}

fn described(location: Path, metadata: &Metadata) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: metadata.modified().unwrap_or(std::time::UNIX_EPOCH).into(),
        size: metadata.len(),
        e_tag: None,
        version: None,
    }
}

/// True for `name#1`, a write that is going on or that was cut off.
fn is_staged(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Removed while we looked, never there, or a link that leads nowhere or round.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(ELOOP)
}

/// Too many links, one leading to the other (Linux's number).
const ELOOP: i32 = 40;

fn unreadable(source: io::Error) -> StoreError {
    StoreError::Generic {
        store: "folder",
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::path::Path as FilePath;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use object_store::local::LocalFileSystem;

    use super::Folder;
    use crate::repo::error::Error;
    use crate::repo::store::Store;

    #[tokio::test]
    async fn names_of_others_do_not_stop_a_listing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let store = Store::open(&path.display().to_string()).unwrap();
        store.put("open/x", Bytes::from_static(b"1")).await.unwrap();
        let open = path.join("open");
        // What an interrupted write leaves is no object.
        std::fs::write(open.join("y#1"), "half").unwrap();
        for name in [
            &b"a\xff"[..],
            b"line\nbreak",
            b"back\\slash",
            b"100%",
            b"..",
            b"\xe2\x80\xae",
        ] {
            let name = open.join(OsStr::from_bytes(name));
            if !name.exists() {
                std::fs::write(name, "odd").unwrap();
            }
        }
        symlink("/no/such/file", open.join("broken")).unwrap();
        symlink(".", open.join("loop")).unwrap();
        std::fs::create_dir_all(path.join("lost+found/deep")).unwrap();
        let found = store.list("open").await.unwrap();
        assert!(found.contains(&("open/x".to_owned(), 1)), "{found:?}");
        assert!(
            !found.iter().any(|(name, _)| name.contains('#')),
            "{found:?}"
        );
        assert_eq!(store.list("no/such").await.unwrap(), []);
        store.delete("open/x").await.unwrap();
        let error = store.delete("open/x").await.unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_name_cannot_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        let store = Store::open(&inner.display().to_string()).unwrap();
        for name in [
            "../secret",
            "/../secret",
            "open/../../secret",
            "..%2fsecret",
        ] {
            store.put(name, Bytes::from_static(b"w")).await.ok();
            let read = store.get(name, 10).await;
            assert!(read.is_err() || read.unwrap() == "w", "{name}");
        }
        let outside = std::fs::read_to_string(folder.path().join("secret")).unwrap();
        assert_eq!(outside, "s");
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().display().to_string()).unwrap();
        // A folder stands where the object would.
        std::fs::create_dir_all(folder.path().join("open/x/y")).unwrap();
        store
            .put("open/x", Bytes::from_static(b"1"))
            .await
            .unwrap_err();
        let left: Vec<_> = std::fs::read_dir(folder.path().join("open"))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
    #[tokio::test]
    async fn a_deletion_lasts_but_that_of_a_data_pack() {
        static SYNCED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let note = |path: &FilePath| {
            SYNCED.lock().unwrap().push(path.display().to_string());
            super::sync(path)
        };
        let objects = Folder {
            files: LocalFileSystem::new_with_prefix(root).unwrap(),
            root: root.to_owned(),
            sync: note,
        };
        let store = Store::with_objects(Arc::new(objects), "folder");
        let names = [
            "key/a",
            "fence/s/a.p",
            "pack/s/d00000000",
            "pack/s/n00000000",
            "config",
        ];
        for name in names {
            store.put(name, Bytes::from_static(b"1")).await.unwrap();
            store.delete(name).await.unwrap();
            assert!(!root.join(name).exists());
        }
        // What is not there is no deletion.
        store.delete("key/a").await.unwrap_err();
        let synced = std::mem::take(&mut *SYNCED.lock().unwrap());
        let wanted =
            ["key", "fence/s", "pack/s", ""].map(|folder| root.join(folder).display().to_string());
        assert_eq!(synced, wanted);
    }

    #[tokio::test]
    async fn a_deletion_that_may_not_last_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Folder {
            files: LocalFileSystem::new_with_prefix(folder.path()).unwrap(),
            root: folder.path().to_owned(),
            sync: |_| Err(io::ErrorKind::Other.into()),
        };
        let store = Store::with_objects(Arc::new(objects), "folder");
        store.put("key/a", Bytes::from_static(b"1")).await.unwrap();
        let error = store.delete("key/a").await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{error:?}");
    }
}
