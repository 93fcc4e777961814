//! Makes a child link over a parent.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{checked, sparse};
use crate::backing_file::io_error;
use crate::link::folder_of;
use crate::{CreateType, Disk, Error, NO_PARENT, OpenOptions};

/// Makes a child over a parent: a sparse file with the descriptor inside that holds nothing yet,
/// so it reads as its parent does. The disk of child and parents is open for writing.
///
/// The child has the parent's size and disk database. It names its parent from its own folder.
/// From then on the parent must not be written.
///
/// # Errors
///
/// - what [`Disk::open`] says of the parent,
/// - [`Error::Text`] if a file name cannot stand in a descriptor,
/// - [`Error::Full`] if the parent's disk database does not fit,
/// - [`Error::Io`] if the child exists already or cannot be made. Nothing is left behind then.
pub fn create_child(parent_descriptor: &Path, child_path: &Path) -> Result<Disk, Error> {
    let parent = Disk::open(parent_descriptor, OpenOptions::default())?;
    let mut descriptor = parent.descriptor().clone();
    if descriptor.cid == NO_PARENT {
        // A child over this id would claim to have no parent at all.
        return Err(Error::Unsupported {
            path: parent_descriptor.to_owned(),
            kind: format!("the content id {NO_PARENT:08x}"),
        });
    }
    descriptor.create_type = CreateType::MonolithicSparse;
    descriptor.extents.clear();
    // What else the head says, such as the change tracking file, is about the parent alone.
    descriptor.other.clear();
    descriptor.remove_ddb("thinProvisioned");
    // The content is the parent's until the first write, and so is the content id.
    descriptor.parent_cid = descriptor.cid;
    let hint = relative(folder_of(child_path), parent_descriptor)?;
    descriptor.parent_file_name_hint = Some(hint);
    sparse::create(child_path, parent.capacity_sectors(), descriptor)
}

/// The way from a folder to a file.
fn relative(folder: &Path, file: &Path) -> Result<String, Error> {
    let canonical =
        |path: &Path| fs::canonicalize(path).map_err(|source| io_error("open", path, source));
    let folder = canonical(folder)?;
    let parent_folder = canonical(folder_of(file))?;
    let name = file.file_name().unwrap_or_default();
    let way = way(&folder, &parent_folder, name);
    let text = way.to_str().ok_or_else(|| Error::Text {
        value: way.display().to_string(),
    })?;
    Ok(checked(text)?.to_owned())
}

fn way(from: &Path, to: &Path, name: &OsStr) -> PathBuf {
    let mut from = from.components().peekable();
    let mut to = to.components().peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| Component::ParentDir);
    let mut way: PathBuf = up.chain(to).collect();
    way.push(name);
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_parent_is_relative() {
        let way = |from: &str, to: &str| {
            let found = way(Path::new(from), Path::new(to), OsStr::new("p.vmdk"));
            found.to_str().unwrap().to_owned()
        };
        assert_eq!(way("/lab/app01", "/lab/app01"), "p.vmdk");
        assert_eq!(way("/lab/app01", "/lab/gold"), "../gold/p.vmdk");
        assert_eq!(way("/lab", "/lab/gold"), "gold/p.vmdk");
        assert_eq!(way("/a/b", "/"), "../../p.vmdk");
    }
}
