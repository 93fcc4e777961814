//! Follows a disk from its last link to its base.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::backing_file::io_error;
use crate::link::{Link, folder_of};

/// More links than VMware allows (32), so that what it left behind can still be read.
pub(crate) const MAX_LINKS: usize = 64;

/// Loads the links of a disk, the last one first. Each parent must be the one its child was made over.
pub(crate) fn load(path: &Path) -> Result<Vec<Link>, Error> {
    let mut seen = HashSet::new();
    let mut links = vec![load_once(path, &mut seen)?];
    while let Some(child) = links.last().filter(|link| link.descriptor.has_parent()) {
        if links.len() == MAX_LINKS {
            return Err(Error::ChainTooLong {
                path: path.to_owned(),
                limit_links: MAX_LINKS,
            });
        }
        let parent = load_once(&parent_path(child)?, &mut seen)?;
        if parent.descriptor.cid != child.descriptor.parent_cid {
            return Err(Error::ParentChanged {
                child: child.path.clone(),
                parent: parent.path,
                expected_cid: child.descriptor.parent_cid,
                found_cid: parent.descriptor.cid,
            });
        }
        links.push(parent);
    }
    Ok(links)
}

fn load_once(path: &Path, seen: &mut HashSet<PathBuf>) -> Result<Link, Error> {
    let canonical = fs::canonicalize(path).map_err(|source| io_error("open", path, source))?;
    if !seen.insert(canonical) {
        let path = path.to_owned();
        return Err(Error::Loop { path });
    }
    Link::load(path)
}

/// Where the parent is. A hint can name another folder: linked clones have their parent there.
fn parent_path(child: &Link) -> Result<PathBuf, Error> {
    let hint = child.descriptor.parent_file_name_hint.as_deref();
    let hint = hint.unwrap_or_default();
    // Joining an absolute hint gives the hint itself.
    let path = folder_of(&child.path).join(hint);
    if hint.is_empty() || !path.is_file() {
        return Err(Error::ParentNotFound {
            path: child.path.clone(),
            hint: hint.to_owned(),
        });
    }
    Ok(path)
}
