//! Makes a child link over a parent.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::create_from;
use crate::backing_file::io_error;
use crate::extent_name::checked;
use crate::link::{Link, folder_of};
use crate::{Descriptor, Disk, DiskKind, Error, NO_PARENT, OpenOptions};

/// Makes a child over a parent: one sparse file with the descriptor inside that holds nothing yet,
/// so it reads as its parent does. The disk of child and parents is open for writing.
///
/// The child has the parent's size and disk database. It names its parent from its own folder.
/// From then on the parent must not be written. [`Disk::create_child`] makes children of an open
/// disk and of other kinds.
///
/// # Errors
///
/// - what [`Disk::open`] says of the parent,
/// - [`Error::Text`] if a file name cannot stand in a descriptor,
/// - [`Error::Full`] if the parent's disk database does not fit,
/// - [`Error::Io`] if the child exists already or cannot be made. Nothing is left behind then.
pub fn create_child(parent_descriptor: &Path, child_path: &Path) -> Result<Disk, Error> {
    let mut parent = Disk::open(parent_descriptor, OpenOptions::default())?;
    parent.create_child(child_path, DiskKind::MonolithicSparse)
}

impl Disk {
    /// Makes a child over this disk, of one sparse file or of several. The child is open for
    /// writing. What was written through this handle is brought to the medium first; what is written
    /// to it from then on makes the child unusable.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] if the kind is not a sparse one,
    /// - and as [`create_child`].
    pub fn create_child(&mut self, child_path: &Path, kind: DiskKind) -> Result<Disk, Error> {
        if !kind.is_sparse() {
            return Err(Error::Unsupported {
                path: child_path.to_owned(),
                kind: format!("a child of the kind {}", kind.create_type()),
            });
        }
        self.flush()?;
        let descriptor = child_descriptor(self.descriptor(), self.path(), child_path, kind)?;
        let child = create_from(child_path, kind, self.capacity_sectors(), descriptor)?;
        self.forget_content_id();
        Ok(child)
    }
}

/// The descriptor of a child over a parent, without extents.
fn child_descriptor(
    parent: &Descriptor,
    parent_path: &Path,
    child_path: &Path,
    kind: DiskKind,
) -> Result<Descriptor, Error> {
    let mut descriptor = parent.clone();
    descriptor.create_type = kind.create_type();
    descriptor.extents.clear();
    // What else the head says, such as the change tracking file, is about the parent alone.
    descriptor.other.clear();
    descriptor.remove_ddb("thinProvisioned");
    // The content is the parent's until the first write, and so is the content id.
    descriptor.parent_cid = usable_cid(&descriptor, parent_path)?;
    let hint = relative(folder_of(child_path), parent_path)?;
    descriptor.parent_file_name_hint = Some(hint);
    Ok(descriptor)
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
pub(crate) fn relative(folder: &Path, file: &Path) -> Result<String, Error> {
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
