//! Makes new disks and links.

mod child;
mod flat;
mod options;
mod sparse;

pub use child::{create_child, set_parent};
pub use options::CreateOptions;

pub(crate) use child::relative;
pub(crate) use flat::add_flat_file;
pub(crate) use sparse::{GRAIN_SECTORS, Layout, add_sparse_file};

use std::path::Path;

use crate::extent_name::extents;
use crate::link::folder_of;
use crate::new_files::NewFiles;
use crate::{Descriptor, Disk, DiskKind, Error, OpenOptions};

/// Makes a disk. It reads as zeros and is open for writing.
///
/// # Errors
///
/// - [`Error::Capacity`] if the size is zero or too large,
/// - [`Error::Text`] if the file name or UUID cannot stand in a descriptor,
/// - [`Error::Io`] if a file exists already or cannot be made. Nothing is left behind then.
///
/// # Example
///
/// ```
/// use vmdk::{CreateOptions, DiskKind};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("export.vmdk");
/// let mut disk = vmdk::create(&path, DiskKind::SplitSparse, &CreateOptions::new(5000))?;
/// disk.write_at(4999, &[1; 512])?;
/// assert!(folder.path().join("export-s001.vmdk").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn create(path: &Path, kind: DiskKind, options: &CreateOptions) -> Result<Disk, Error> {
    let descriptor = options.descriptor(kind)?;
    create_from(path, kind, options.capacity_sectors, descriptor)
}

/// As [`create`] with [`DiskKind::VmfsFlat`]: what ESXi has on its datastores.
///
/// # Errors
///
/// As [`create`].
pub fn create_vmfs_flat(path: &Path, options: &CreateOptions) -> Result<Disk, Error> {
    create(path, DiskKind::VmfsFlat, options)
}

/// As [`create`] with [`DiskKind::MonolithicSparse`].
///
/// # Errors
///
/// As [`create`].
pub fn create_monolithic_sparse(path: &Path, options: &CreateOptions) -> Result<Disk, Error> {
    create(path, DiskKind::MonolithicSparse, options)
}

/// Makes the files for a descriptor that has no extents yet, and opens the disk for writing.
fn create_from(
    path: &Path,
    kind: DiskKind,
    capacity_sectors: u64,
    mut descriptor: Descriptor,
) -> Result<Disk, Error> {
    descriptor.extents = extents(path, kind, capacity_sectors)?;
    let mut new = NewFiles::default();
    match kind {
        DiskKind::MonolithicSparse | DiskKind::StreamOptimized => {
            let mut layout = Layout::new(capacity_sectors);
            layout.compressed = kind == DiskKind::StreamOptimized;
            add_sparse_file(&mut new, path, &layout, Some(&descriptor))?;
        }
        _ => {
            new.create_text(path, &descriptor.to_text())?;
            add_extent_files(&mut new, path, &descriptor, 0)?;
        }
    }
    let open = OpenOptions {
        write: true,
        single_link: false,
    };
    let disk = Disk::open(path, open)?;
    new.keep();
    Ok(disk)
}

/// Makes the files of the extents of a descriptor in a file of its own, from an extent on.
pub(crate) fn add_extent_files(
    new: &mut NewFiles,
    path: &Path,
    descriptor: &Descriptor,
    first: usize,
) -> Result<(), Error> {
    for extent in descriptor.extents.iter().skip(first) {
        let name = extent.file_name.as_deref().unwrap_or_default();
        let file = folder_of(path).join(name);
        if extent.kind == crate::ExtentKind::Sparse {
            add_sparse_file(new, &file, &Layout::new(extent.sectors), None)?;
        } else {
            add_flat_file(new, &file, extent.sectors)?;
        }
    }
    Ok(())
}
