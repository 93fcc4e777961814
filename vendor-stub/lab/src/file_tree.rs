//! Files and folders on datastores as a file manager makes, moves, copies, deletes and lists them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::datastore_path::{DatastorePath, is_plain};
use crate::{DatastoreKind, Disk, Error, Kind, Lab, PowerState, Site};

/// How many folders are listed at most.
const MAX_FOLDERS: usize = 10_000;

/// A file or folder on a datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name in its folder.
    pub name: String,
    /// Is it a folder?
    pub is_folder: bool,
    /// Length in bytes; 0 for a folder.
    pub size_bytes: u64,
    /// When it was changed last, RFC 3339 in UTC.
    pub modified: String,
    /// The file itself.
    pub path: PathBuf,
}

/// A folder with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderListing {
    /// Datastore path of the folder, with a slash at its end unless it is the root.
    pub folder: String,
    /// What is in it, by name.
    pub entries: Vec<FileEntry>,
}

/// A checked place on a datastore, perhaps its root.
#[derive(Debug)]
struct Place {
    datastore: String,
    /// The names below the root.
    names: Vec<String>,
    path: PathBuf,
}

impl Place {
    /// Is it one that can be made or removed?
    fn refuse_root(&self) -> Result<(), Error> {
        if self.names.is_empty() {
            return Err(Error::InvalidSpec {
                what: "name",
                reason: "the root of a datastore".into(),
            });
        }
        Ok(())
    }

    fn text(&self) -> String {
        format!("[{}] {}", self.datastore, self.names.join("/"))
    }

    fn folder_text(&self) -> String {
        if self.names.is_empty() {
            return format!("[{}]", self.datastore);
        }
        self.text() + "/"
    }
}

impl Lab {
    /// Makes a folder; with `parents` those above it too.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for an unknown datastore, a folder above that is not there, and for what
    /// is no datastore path; [`Error::AlreadyExists`]; [`Error::NoTopFolder`] where the kind of the
    /// datastore has no folders in its root; [`Error::Io`].
    pub fn make_datastore_folder(&self, path: &str, parents: bool) -> Result<(), Error> {
        let (_lock, site) = (self.lock()?, self.load_site()?);
        let place = self.place(&site, path)?;
        place.refuse_root()?;
        let kind = site.datastore(&place.datastore).map(|found| found.kind);
        let has_no_top = kind.is_some_and(DatastoreKind::has_no_top_folders);
        let top = place.path.ancestors().nth(place.names.len() - 1);
        if has_no_top && top.is_none_or(|top| !top.is_dir()) {
            return Err(Error::NoTopFolder { path: place.text() });
        }
        self.make_folder_at(&place, parents)
    }

    /// Makes a folder in the root of a datastore, also of a kind that has none there by the way of
    /// plain files. Returns its datastore path.
    ///
    /// # Errors
    ///
    /// As [`Lab::make_datastore_folder`].
    pub fn make_top_folder(&self, datastore: &str, name: &str) -> Result<String, Error> {
        let (_lock, site) = (self.lock()?, self.load_site()?);
        let place = self.place(&site, &format!("[{datastore}] {name}"))?;
        place.refuse_root()?;
        self.make_folder_at(&place, false)?;
        Ok(place.text())
    }

    fn make_folder_at(&self, place: &Place, parents: bool) -> Result<(), Error> {
        if place.path.exists() {
            return Err(exists(place));
        }
        if parents {
            return fs::create_dir_all(&place.path).map_err(Error::io("make folder", &place.path));
        }
        self.refuse_without_folder(place)?;
        fs::create_dir(&place.path).map_err(Error::io("make folder", &place.path))
    }

    /// Deletes a file, or a folder with all that is in it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Locked`] while a running VM or a reader has a file of it,
    /// [`Error::Io`].
    pub fn delete_datastore_file(&self, path: &str) -> Result<(), Error> {
        let (_lock, site) = (self.lock()?, self.load_site()?);
        let place = self.place(&site, path)?;
        place.refuse_root()?;
        refuse_missing(&place)?;
        self.refuse_locked(&place)?;
        remove(&place.path)
    }

    /// Moves a file or a folder. With `force` it takes the place of what is there.
    ///
    /// # Errors
    ///
    /// As [`Lab::delete_datastore_file`], for both places; [`Error::AlreadyExists`] without `force`.
    pub fn move_datastore_file(&self, from: &str, to: &str, force: bool) -> Result<(), Error> {
        let (_lock, site) = (self.lock()?, self.load_site()?);
        let (from, to) = self.both(&site, (from, to), force)?;
        self.refuse_locked(&from)?;
        if to.path.exists() {
            remove(&to.path)?;
        }
        fs::rename(&from.path, &to.path).map_err(Error::io("move", &from.path))
    }

    /// Copies a file or a folder. With `force` it takes the place of what is there.
    ///
    /// # Errors
    ///
    /// As [`Lab::move_datastore_file`].
    pub fn copy_datastore_file(&self, from: &str, to: &str, force: bool) -> Result<(), Error> {
        let (_lock, site) = (self.lock()?, self.load_site()?);
        let (from, to) = self.both(&site, (from, to), force)?;
        if to.path.exists() {
            remove(&to.path)?;
        }
        copy(&from.path, &to.path)
    }

    /// Lists a folder; with `below` also all folders below it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for an unknown datastore or folder, [`Error::Io`].
    pub fn list_datastore(&self, path: &str, below: bool) -> Result<Vec<FolderListing>, Error> {
        let site = self.load_site()?;
        let first = self.place(&site, path)?;
        if !first.path.is_dir() {
            return Err(Error::not_found(Kind::File, path));
        }
        let (mut listed, mut open) = (Vec::new(), vec![first]);
        while let Some(place) = open.pop().filter(|_| listed.len() < MAX_FOLDERS) {
            let entries = entries(&place.path)?;
            if below {
                let folders = entries.iter().rev().filter(|entry| entry.is_folder);
                open.extend(folders.map(|entry| Place {
                    datastore: place.datastore.clone(),
                    names: [place.names.as_slice(), std::slice::from_ref(&entry.name)].concat(),
                    path: entry.path.clone(),
                }));
            }
            let folder = place.folder_text();
            listed.push(FolderListing { folder, entries });
        }
        Ok(listed)
    }

    /// The place of a datastore path, which may end with a slash or name a root.
    fn place(&self, site: &Site, path: &str) -> Result<Place, Error> {
        let not_found = || Error::not_found(Kind::File, path);
        let rest = path.strip_prefix('[').ok_or_else(not_found)?;
        let (datastore, rest) = rest.split_once(']').ok_or_else(not_found)?;
        if site.datastore(datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, datastore));
        }
        let rest = rest.trim_start().trim_end_matches('/');
        let names: Vec<String> = match rest {
            "" => Vec::new(),
            rest => rest.split('/').map(str::to_owned).collect(),
        };
        if !names.iter().all(|name| is_plain(name)) {
            return Err(not_found());
        }
        let mut path = self.root().join("datastores").join(datastore);
        path.extend(&names);
        Ok(Place {
            datastore: datastore.into(),
            names,
            path,
        })
    }

    /// Where something is and where it shall go.
    fn both(
        &self,
        site: &Site,
        (from, to): (&str, &str),
        force: bool,
    ) -> Result<(Place, Place), Error> {
        let (from, to) = (self.place(site, from)?, self.place(site, to)?);
        from.refuse_root()?;
        to.refuse_root()?;
        refuse_missing(&from)?;
        if to.path.starts_with(&from.path) {
            return Err(exists(&to));
        }
        if to.path.exists() {
            if !force {
                return Err(exists(&to));
            }
            self.refuse_locked(&to)?;
        }
        self.refuse_without_folder(&to)?;
        Ok((from, to))
    }

    fn refuse_without_folder(&self, place: &Place) -> Result<(), Error> {
        let folder = place.path.parent().unwrap_or(self.root());
        if folder.is_dir() {
            Ok(())
        } else {
            Err(Error::not_found(Kind::File, place.text()))
        }
    }

    /// Fails while a running VM or a reader has a file there.
    fn refuse_locked(&self, place: &Place) -> Result<(), Error> {
        let locked = |file: &str| Err(Error::Locked { file: file.into() });
        for vm in self.load_vms()? {
            let runs = vm.power_state == PowerState::PoweredOn;
            if runs && self.path_of(&vm.vmx_path)?.starts_with(&place.path) {
                return locked(&vm.vmx_path);
            }
            for link in vm.disks.iter().filter_map(Disk::top) {
                for file in self.files_of_link(&link.file)? {
                    if !file.starts_with(&place.path) {
                        continue;
                    }
                    if runs || self.try_merging(&self.path_of(&link.file)?)?.is_none() {
                        return locked(&link.file);
                    }
                }
            }
        }
        self.refuse_held_below(&place.path)
    }

    /// Fails while somebody has a disk open that no VM has.
    fn refuse_held_below(&self, path: &Path) -> Result<(), Error> {
        let inside = if path.is_dir() {
            entries(path)?.into_iter().map(|entry| entry.path).collect()
        } else {
            vec![path.to_path_buf()]
        };
        for file in inside {
            let is_disk = file.extension().is_some_and(|ending| ending == "vmdk");
            if is_disk && self.try_merging(&file)?.is_none() {
                let name = DatastorePath::of_file(self.root(), &file);
                let file = name.map_or_else(|| file.display().to_string(), |name| name.to_string());
                return Err(Error::Locked { file });
            }
        }
        Ok(())
    }
}

impl DatastoreKind {
    /// Has it no folders in its root for plain files ("vSphere API reference", 2.12)?
    pub fn has_no_top_folders(self) -> bool {
        matches!(self, Self::Vsan | Self::Vvol)
    }
}

fn exists(place: &Place) -> Error {
    Error::AlreadyExists {
        kind: Kind::File,
        id: place.text(),
    }
}

fn refuse_missing(place: &Place) -> Result<(), Error> {
    if place.path.exists() {
        Ok(())
    } else {
        Err(Error::not_found(Kind::File, place.text()))
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(Error::io("remove", path))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut open = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = open.pop() {
        if from.is_dir() {
            fs::create_dir(&to).map_err(Error::io("make folder", &to))?;
            for entry in entries(&from)? {
                open.push((entry.path, to.join(entry.name)));
            }
        } else {
            fs::copy(&from, &to).map_err(Error::io("copy", &from))?;
        }
    }
    Ok(())
}

/// What is in a folder, by name. Hidden files are the lab's own.
fn entries(folder: &Path) -> Result<Vec<FileEntry>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !is_plain(&name) {
            continue;
        }
        let look = Error::io("look at", entry.path());
        let metadata = entry.metadata().map_err(look)?;
        let modified = metadata
            .modified()
            .map_err(Error::io("look at", entry.path()))?;
        let modified = jiff::Timestamp::try_from(modified).unwrap_or_default();
        found.push(FileEntry {
            name,
            is_folder: metadata.is_dir(),
            size_bytes: if metadata.is_dir() { 0 } else { metadata.len() },
            modified: modified.to_string(),
            path: entry.path(),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
