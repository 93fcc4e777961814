//! First-class disks: disks that have an id of their own and belong to no VM.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vmdk::OpenOptions;

use crate::datastore_path::{DatastorePath, check_name};
use crate::guest::check_range;
use crate::home::home_datastore;
use crate::made::Made;
use crate::provision::make_files;
use crate::state::{read_json, write_json};
use crate::{DiskSpec, Error, Kind, Lab, random};

/// Folder of the lab with one file for each disk.
const STATE: &str = "first-class";
/// Folder of a datastore with the disks' files.
const FOLDER: &str = "fcd";

/// A first-class disk to make.
#[derive(Clone, Debug, Default)]
pub struct FirstClassDiskSpec {
    /// Its id, a name that a file can have; `None` = a new UUID, as vSphere gives.
    pub id: Option<String>,
    /// Name of its datastore; `None` = the first of the site.
    pub datastore: Option<String>,
    /// Capacity, a multiple of 512; 0 = that of the image.
    pub capacity_bytes: u64,
    /// A raw or VMDK image to copy in. It may be smaller than the capacity.
    pub image: Option<PathBuf>,
}

/// A first-class disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstClassDisk {
    /// Its id.
    pub id: String,
    /// Name of its datastore.
    pub datastore: String,
    /// Capacity, a multiple of 512.
    pub capacity_bytes: u64,
    /// Datastore paths of its links, base first; the last one takes the writes.
    pub chain: Vec<String>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<FirstClassSnapshot>,
}

/// A snapshot of a first-class disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstClassSnapshot {
    /// Its id, a UUID.
    pub id: String,
    /// Datastore path of the frozen link.
    pub file: String,
}

impl FirstClassDisk {
    /// Datastore path of the link to open: the frozen one of a snapshot, else the last. `None`
    /// without such a snapshot.
    pub fn link(&self, snapshot: Option<&str>) -> Option<&str> {
        let Some(id) = snapshot else {
            return self.chain.last().map(String::as_str);
        };
        let mut snapshots = self.snapshots.iter();
        let found = snapshots.find(|snapshot| snapshot.id == id)?;
        Some(&found.file)
    }
}

impl Lab {
    /// Makes a first-class disk as a thin VMFS flat file and copies an image in, zeros left out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] and [`Error::InvalidSpec`] for what the specification asks,
    /// [`Error::AlreadyExists`] for a disk of that id, [`Error::NotFound`] for an unknown datastore,
    /// [`Error::Disk`], [`Error::Io`].
    pub fn add_first_class_disk(&self, spec: FirstClassDiskSpec) -> Result<FirstClassDisk, Error> {
        let id = spec.id.map_or_else(random::uuid, Ok)?;
        check_name(&id)?;
        let _lock = self.lock()?;
        let site = self.load_site()?;
        let datastore = spec.datastore.map_or_else(|| home_datastore(&site), Ok)?;
        if site.datastore(&datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, datastore));
        }
        if self.state_file(&id).exists() {
            return Err(Error::AlreadyExists {
                kind: Kind::FirstClassDisk,
                id,
            });
        }
        self.make_folder(Path::new(STATE))?;
        self.make_folder(&Path::new("datastores").join(&datastore).join(FOLDER))?;
        let file = DatastorePath::new(&datastore, FOLDER, format!("{id}.vmdk"));
        let path = file.under(self.root());
        let content = DiskSpec {
            capacity_bytes: spec.capacity_bytes,
            image: spec.image,
            ..DiskSpec::default()
        };
        let mut made = Made::default();
        made.add(&path);
        made.add(file.sibling(format!("{id}-flat.vmdk")).under(self.root()));
        let capacity_bytes = make_files(&path, &content, &random::disk_uuid()?)?;
        let disk = FirstClassDisk {
            id,
            datastore,
            capacity_bytes,
            chain: vec![file.to_string()],
            snapshots: Vec::new(),
        };
        write_json(&self.state_file(&disk.id), &disk)?;
        made.keep();
        Ok(disk)
    }

    /// The first-class disk of that id.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a disk, [`Error::Io`], [`Error::Json`].
    pub fn first_class_disk(&self, id: &str) -> Result<FirstClassDisk, Error> {
        let not_found = || Error::not_found(Kind::FirstClassDisk, id);
        check_name(id).map_err(|_refused| not_found())?;
        read_json(&self.state_file(id))?.ok_or_else(not_found)
    }

    /// All first-class disks, ordered by id.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn first_class_disks(&self) -> Result<Vec<FirstClassDisk>, Error> {
        let folder = self.root().join(STATE);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", folder)(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(Error::io("list", &folder))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.map(str::to_owned));
        }
        ids.sort_unstable();
        ids.iter().map(|id| self.first_class_disk(id)).collect()
    }

    /// Makes a snapshot of a first-class disk: freezes its last link and puts a child over it.
    /// Returns the disk as it is then; its last snapshot is the new one.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a disk, [`Error::InUse`] while somebody has its last link
    /// open, [`Error::Disk`], [`Error::Io`].
    pub fn snapshot_first_class_disk(&self, id: &str) -> Result<FirstClassDisk, Error> {
        let _lock = self.lock()?;
        let mut disk = self.first_class_disk(id)?;
        let (frozen, parent) = self.last_link(&disk)?;
        let Some(_unused) = self.try_merging(&parent)? else {
            return Err(Error::InUse { path: parent });
        };
        let number = disk.snapshots.len() + 1;
        let child = DatastorePath::parse(&frozen)?.sibling(format!("{id}-{number:06}.vmdk"));
        let path = child.under(self.root());
        let mut made = Made::default();
        made.add(&path);
        vmdk::create_child(&parent, &path).map_err(Error::disk("make", &path))?;
        disk.chain.push(child.to_string());
        disk.snapshots.push(FirstClassSnapshot {
            id: random::uuid()?,
            file: frozen,
        });
        write_json(&self.state_file(id), &disk)?;
        made.keep();
        Ok(disk)
    }

    /// Writes to a first-class disk, past every library, as its user would. Offset and length are
    /// multiples of 512.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InUse`] while somebody has its last link open,
    /// [`Error::Unaligned`], [`Error::OutOfRange`], [`Error::Disk`].
    pub fn write_first_class_disk(
        &self,
        id: &str,
        offset_bytes: u64,
        data: &[u8],
    ) -> Result<(), Error> {
        let _lock = self.lock()?;
        let disk = self.first_class_disk(id)?;
        check_range(offset_bytes, data.len() as u64, disk.capacity_bytes)?;
        let (_, path) = self.last_link(&disk)?;
        let Some(_unused) = self.try_merging(&path)? else {
            return Err(Error::InUse { path });
        };
        let options = OpenOptions {
            write: true,
            ..OpenOptions::default()
        };
        vmdk::Disk::open(&path, options)
            .and_then(|mut disk| disk.write_at(offset_bytes / vmdk::SECTOR_BYTES, data))
            .map_err(Error::disk("write to", path))
    }

    /// Reads a first-class disk, or a snapshot of it, past every library.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a disk or snapshot, [`Error::Unaligned`],
    /// [`Error::OutOfRange`], [`Error::Disk`].
    pub fn read_first_class_disk(
        &self,
        id: &str,
        snapshot: Option<&str>,
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<(), Error> {
        let disk = self.first_class_disk(id)?;
        check_range(offset_bytes, buffer.len() as u64, disk.capacity_bytes)?;
        let missing = || Error::not_found(Kind::Snapshot, snapshot.unwrap_or_default());
        let path = self.path_of(disk.link(snapshot).ok_or_else(missing)?)?;
        vmdk::Disk::open(&path, OpenOptions::default())
            .and_then(|disk| disk.read_at(offset_bytes / vmdk::SECTOR_BYTES, buffer))
            .map_err(Error::disk("read", path))
    }

    /// The links of a first-class disk up to a file; `None` if none has it. The paths are those
    /// below the root of the lab.
    pub(crate) fn first_class_links(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
        for disk in self.first_class_disks()? {
            let links = disk.chain.iter().map(|link| self.path_of(link));
            let links = links.collect::<Result<Vec<_>, Error>>()?;
            if let Some(position) = links.iter().position(|link| link == path) {
                return Ok(Some(links[..=position].to_vec()));
            }
        }
        Ok(None)
    }

    /// Datastore path and file of the link that takes the writes.
    fn last_link(&self, disk: &FirstClassDisk) -> Result<(String, PathBuf), Error> {
        let missing = || Error::not_found(Kind::FirstClassDisk, disk.id.as_str());
        let link = disk.chain.last().ok_or_else(missing)?;
        Ok((link.clone(), self.path_of(link)?))
    }

    fn state_file(&self, id: &str) -> PathBuf {
        self.root().join(STATE).join(format!("{id}.json"))
    }
}
