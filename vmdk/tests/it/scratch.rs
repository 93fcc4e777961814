//! A folder for one test, and short ways to use disks in it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use vmdk::{CreateOptions, Disk, DiskKind, Error, OpenOptions};

pub(crate) const READ: OpenOptions = OpenOptions {
    write: false,
    single_link: false,
};
pub(crate) const WRITE: OpenOptions = OpenOptions {
    write: true,
    single_link: false,
};
pub(crate) const ALONE: OpenOptions = OpenOptions {
    write: true,
    single_link: true,
};

pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn flat(&self, name: &str, sectors: u64) -> Disk {
        vmdk::create_vmfs_flat(&self.path(name), &CreateOptions::new(sectors)).unwrap()
    }

    pub(crate) fn sparse(&self, name: &str, sectors: u64) -> Disk {
        vmdk::create_monolithic_sparse(&self.path(name), &CreateOptions::new(sectors)).unwrap()
    }

    pub(crate) fn create(&self, name: &str, kind: DiskKind, sectors: u64) -> Disk {
        vmdk::create(&self.path(name), kind, &CreateOptions::new(sectors)).unwrap()
    }

    /// The files in the folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.0.path()).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort_unstable();
        files
    }

    pub(crate) fn child(&self, parent: &str, name: &str) -> Disk {
        vmdk::create_child(&self.path(parent), &self.path(name)).unwrap()
    }

    pub(crate) fn open(&self, name: &str, options: OpenOptions) -> Result<Disk, Error> {
        Disk::open(&self.path(name), options)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Changes bytes of a file in place.
    pub(crate) fn patch(&self, name: &str, offset_bytes: usize, new: &[u8]) {
        let mut content = fs::read(self.path(name)).unwrap();
        content[offset_bytes..offset_bytes + new.len()].copy_from_slice(new);
        self.write(name, content);
    }

    /// Replaces text in a file, which keeps its length.
    pub(crate) fn replace(&self, name: &str, old: &str, new: &str) {
        assert_eq!(old.len(), new.len());
        let content = fs::read(self.path(name)).unwrap();
        let mut windows = content.windows(old.len());
        let offset_bytes = windows.position(|window| window == old.as_bytes());
        self.patch(name, offset_bytes.unwrap(), new.as_bytes());
    }
}

/// The whole disk.
pub(crate) fn all(disk: &Disk) -> Vec<u8> {
    let mut content = vec![0xaa; (disk.capacity_sectors() * 512) as usize];
    disk.read_at(0, &mut content).unwrap();
    content
}

pub(crate) fn sectors(count: usize, byte: u8) -> Vec<u8> {
    vec![byte; count * 512]
}
