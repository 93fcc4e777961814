//! Makes a flat disk as ESXi does: a descriptor and a file beside it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::{CreateOptions, file_name};
use crate::backing_file::{BackingFile, io_error};
use crate::{
    CreateType, Descriptor, Disk, Error, Extent, ExtentAccess, ExtentKind, OpenOptions,
    SECTOR_BYTES,
};

/// Makes a flat disk: a descriptor of type `vmfs` and `<stem>-flat.vmdk` of full length without
/// any data. The disk is open for writing.
///
/// # Errors
///
/// - [`Error::Capacity`] if the size is zero or too large,
/// - [`Error::Text`] if the file name or UUID cannot stand in a descriptor,
/// - [`Error::Io`] if a file exists already or cannot be made. Nothing is left behind then.
pub fn create_vmfs_flat(descriptor_path: &Path, options: &CreateOptions) -> Result<Disk, Error> {
    let name = file_name(descriptor_path)?;
    let stem = name.strip_suffix(".vmdk").unwrap_or(name);
    let flat_name = format!("{stem}-flat.vmdk");
    let flat_path = descriptor_path.with_file_name(&flat_name);
    let mut descriptor = options.descriptor(CreateType::Vmfs)?;
    descriptor.extents.push(Extent {
        access: ExtentAccess::Rw,
        sectors: options.capacity_sectors,
        kind: ExtentKind::Vmfs,
        file_name: Some(flat_name),
        offset_sectors: 0,
    });
    write_new(descriptor_path, &descriptor)?;
    if let Err(error) = BackingFile::create(&flat_path, options.capacity_sectors * SECTOR_BYTES) {
        // The first error is the one to report.
        let _ = fs::remove_file(descriptor_path);
        return Err(error);
    }
    let open = OpenOptions {
        write: true,
        single_link: false,
    };
    Disk::open(descriptor_path, open)
}

fn write_new(path: &Path, descriptor: &Descriptor) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).open(path);
    let mut file = file.map_err(|source| io_error("create", path, source))?;
    let written = file.write_all(descriptor.to_text().as_bytes());
    written.map_err(|source| {
        let _ = fs::remove_file(path);
        io_error("write", path, source)
    })
}
