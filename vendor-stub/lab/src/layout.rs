//! The files of a VM, as `layoutEx` tells them ("vSphere API reference", 3.5).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::datastore_path::DatastorePath;
use crate::{Disk, Error, Lab, Vm};

/// Bytes of the blocks that a file system counts in.
const BLOCK_BYTES: u64 = 512;

/// A file of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutFile {
    /// Number within the layout, from 0.
    pub key: i32,
    /// Datastore path.
    pub name: String,
    /// One of the words of `VirtualMachineFileLayoutExFileType`.
    pub kind: &'static str,
    /// What it takes on the datastore, in bytes.
    pub size_bytes: u64,
}

/// The files of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLayout {
    /// Device key of the disk.
    pub device_key: i32,
    /// Keys of the files of each link, base first.
    pub chain: Vec<Vec<i32>>,
}

/// The files of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotLayout {
    /// Moref of the snapshot.
    pub moref: String,
    /// Key of its .vmsn file; -1 = it has none.
    pub data_key: i32,
    /// Key of its .vmem file; -1 = it has none.
    pub memory_key: i32,
    /// The disks as of then.
    pub disks: Vec<DiskLayout>,
}

/// All files of a VM that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLayout {
    /// The files.
    pub files: Vec<LayoutFile>,
    /// Which of them the disks use.
    pub disks: Vec<DiskLayout>,
    /// Which of them the snapshots use.
    pub snapshots: Vec<SnapshotLayout>,
}

/// A layout that grows.
struct Builder<'a> {
    lab: &'a Lab,
    layout: FileLayout,
    /// Keys of the files of a link, by the path of its descriptor.
    links: BTreeMap<String, Vec<i32>>,
}

impl Lab {
    /// The files of a VM, as far as they exist.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it names what is no datastore path.
    pub fn file_layout(&self, vm: &Vm) -> Result<FileLayout, Error> {
        let mut builder = Builder {
            lab: self,
            layout: FileLayout::default(),
            links: BTreeMap::new(),
        };
        for (ending, kind) in [
            ("vmx", "config"),
            ("nvram", "nvram"),
            ("vmsd", "snapshotList"),
        ] {
            builder.add(&vm.companion(ending)?, kind);
        }
        builder.add(&vm.log_file()?, "log");
        builder.layout.disks = builder.disks(&vm.disks)?;
        for snapshot in &vm.snapshots {
            let [data, memory] = snapshot.files(vm)?;
            let data_key = builder.add(&data, "snapshotData");
            let memory_key = builder.add(&memory, "snapshotMemory");
            let disks = builder.disks(&snapshot.disks)?;
            builder.layout.snapshots.push(SnapshotLayout {
                moref: snapshot.moref.clone(),
                data_key: data_key.unwrap_or(-1),
                memory_key: memory_key.unwrap_or(-1),
                disks,
            });
        }
        Ok(builder.layout)
    }
}

impl Builder<'_> {
    /// The key of a file; `None` = it does not exist.
    fn add(&mut self, file: &DatastorePath, kind: &'static str) -> Option<i32> {
        let metadata = fs::metadata(file.under(self.lab.root())).ok()?;
        let files = &mut self.layout.files;
        let key = i32::try_from(files.len()).ok()?;
        // Of data it is the blocks that count, for most of a thin disk is not there.
        let is_data = kind == "diskExtent";
        files.push(LayoutFile {
            key,
            name: file.to_string(),
            kind,
            size_bytes: if is_data {
                metadata.blocks() * BLOCK_BYTES
            } else {
                metadata.len()
            },
        });
        Some(key)
    }

    fn disks(&mut self, disks: &[Disk]) -> Result<Vec<DiskLayout>, Error> {
        let mut layouts = Vec::new();
        for disk in disks.iter().filter(|disk| disk.attached.is_none()) {
            let chain = disk.chain.iter().map(|link| self.link(&link.file));
            layouts.push(DiskLayout {
                device_key: disk.device_key,
                chain: chain.collect::<Result<_, _>>()?,
            });
        }
        Ok(layouts)
    }

    /// The keys of the files of a link.
    fn link(&mut self, file: &str) -> Result<Vec<i32>, Error> {
        if let Some(known) = self.links.get(file) {
            return Ok(known.clone());
        }
        let descriptor = DatastorePath::parse(file)?;
        let mut keys: Vec<i32> = self
            .add(&descriptor, "diskDescriptor")
            .into_iter()
            .collect();
        for data in ["-flat", "-delta", "-sesparse"] {
            let extent = descriptor.sibling(format!("{}{data}.vmdk", descriptor.stem()));
            keys.extend(self.add(&extent, "diskExtent"));
        }
        self.links.insert(file.to_owned(), keys.clone());
        Ok(keys)
    }
}
