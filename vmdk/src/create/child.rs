//! Makes a child link over a parent.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{checked, sparse};
use crate::backing_file::io_error;
use crate::link::{Link, folder_of};
use crate::{CreateType, Descriptor, Disk, Error, NO_PARENT, OpenOptions};

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
    descriptor.create_type = CreateType::MonolithicSparse;
    descriptor.extents.clear();
    // What else the head says, such as the change tracking file, is about the parent alone.
    descriptor.other.clear();
    descriptor.remove_ddb("thinProvisioned");
    // The content is the parent's until the first write, and so is the content id.
    descriptor.parent_cid = usable_cid(&descriptor, parent_descriptor)?;
    let hint = relative(folder_of(child_path), parent_descriptor)?;
    descriptor.parent_file_name_hint = Some(hint);
    sparse::create(child_path, parent.capacity_sectors(), descriptor)
}

/// Gives a child another parent, by name and content id. This is for a child whose old parent was
/// merged into the one below: the new parent reads as the old one did, which is not checked.
/// Neither link may be open for writing elsewhere.
///
/// # Errors
///
/// - what [`Disk::open`] says of either link on its own,
/// - [`Error::ParentNotFound`] if the child had no parent before,
/// - [`Error::Text`] if the name of the parent cannot stand in a descriptor,
/// - [`Error::Full`] if the new name does not fit into a sparse child,
/// - [`Error::Io`] if the child cannot be written.
pub fn set_parent(child_path: &Path, parent_descriptor: &Path) -> Result<(), Error> {
    let mut child = Link::load(child_path)?;
    if !child.descriptor.has_parent() {
        return Err(Error::ParentNotFound {
            path: child_path.to_owned(),
            hint: String::new(),
        });
    }
    let parent = Link::load(parent_descriptor)?;
    let parent_cid = usable_cid(&parent.descriptor, parent_descriptor)?;
    let hint = relative(folder_of(child_path), parent_descriptor)?;
    child.descriptor.parent_cid = parent_cid;
    child.descriptor.parent_file_name_hint = Some(hint);
    child.save_descriptor()
}

/// The content id for children to name. A child over [`NO_PARENT`] would claim to have no parent.
fn usable_cid(parent: &Descriptor, path: &Path) -> Result<u32, Error> {
    if parent.cid == NO_PARENT {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            kind: format!("the content id {NO_PARENT:08x}"),
        });
    }
    Ok(parent.cid)
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
