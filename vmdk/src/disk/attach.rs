//! Putting a link that was opened alone at the end of a chain.

use super::Disk;
use crate::Error;
use crate::chain::MAX_LINKS;

impl Disk {
    /// Puts this link at the end of a chain: what it does not hold is read from there on from the
    /// links of the parent. The name it has for its parent does not count. The parent must not be
    /// written any more.
    ///
    /// # Errors
    ///
    /// As [`Disk::check_attach`]. Nothing is changed then.
    pub fn attach(&mut self, parent: &Disk) -> Result<(), Error> {
        self.check_attach(parent)?;
        self.links.extend(parent.links.iter().cloned());
        Ok(())
    }

    /// Whether this link can be put at the end of a chain.
    ///
    /// # Errors
    ///
    /// - [`Error::RootLink`] if it has no parent,
    /// - [`Error::ParentOpen`] if it was opened with its parent,
    /// - [`Error::CapacityDiffers`] if it has another size,
    /// - [`Error::ParentChanged`] if it was made over other content,
    /// - [`Error::Loop`] or [`Error::ChainTooLong`] if the chain would be impossible.
    pub fn check_attach(&self, parent: &Disk) -> Result<(), Error> {
        let path = self.path().to_owned();
        if !self.descriptor().has_parent() {
            return Err(Error::RootLink { path });
        }
        if self.links.len() > 1 {
            return Err(Error::ParentOpen { path });
        }
        if parent.link_paths().any(|link| link == path) {
            return Err(Error::Loop { path });
        }
        if parent.links.len() >= MAX_LINKS {
            return Err(Error::ChainTooLong {
                path,
                limit_links: MAX_LINKS,
            });
        }
        if self.capacity_sectors() != parent.capacity_sectors() {
            return Err(Error::CapacityDiffers {
                path,
                capacity_sectors: self.capacity_sectors(),
                parent_sectors: parent.capacity_sectors(),
            });
        }
        if self.descriptor().parent_cid != parent.descriptor().cid {
            return Err(Error::ParentChanged {
                child: path,
                parent: parent.path().to_owned(),
                expected_cid: self.descriptor().parent_cid,
                found_cid: parent.descriptor().cid,
            });
        }
        Ok(())
    }
}
