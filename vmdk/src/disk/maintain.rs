//! Giving back space and putting grains in order.

use super::Disk;
use crate::rebuild::Rebuild;
use crate::{DiskKind, Error, Progress};

impl Disk {
    /// Gives back the space of grains that hold nothing but zeros. What the disk reads stays, and so
    /// does its content id. Each extent is written anew beside the old one, which takes as much space
    /// as it holds; its grains are in order afterwards.
    ///
    /// # Errors
    ///
    /// - [`Error::ReadOnly`] if the disk was not opened for writing,
    /// - [`Error::WrongKind`] if the last link is not a sparse one,
    /// - and what [`Disk::read_at`] and [`Disk::write_at`] can fail with.
    pub fn shrink(&mut self, progress: &mut Progress<'_>) -> Result<(), Error> {
        self.rebuild(true, "shrunk", progress)
    }

    /// Puts the grains in the order of the disk, so that reading it front to back reads its files
    /// front to back. Space as for [`Disk::shrink`].
    ///
    /// # Errors
    ///
    /// As [`Disk::shrink`].
    pub fn defragment(&mut self, progress: &mut Progress<'_>) -> Result<(), Error> {
        self.rebuild(false, "defragmented", progress)
    }

    fn rebuild(
        &mut self,
        drop_zeros: bool,
        action: &'static str,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        let link = &self.links[0];
        let path = link.path.clone();
        if !self.options.write {
            return Err(Error::ReadOnly { path });
        }
        if !DiskKind::of(&link.descriptor).is_some_and(DiskKind::is_sparse) {
            return Err(Error::WrongKind {
                path,
                kind: link.descriptor.create_type.to_string(),
                action,
            });
        }
        self.flush()?;
        let link = &self.links[0];
        let all = link.capacity_sectors();
        progress(0, all);
        for piece in &link.pieces {
            let Some(file) = &piece.file else {
                continue;
            };
            let rebuild = Rebuild {
                path: file,
                sectors: piece.sectors,
                new_sectors: piece.sectors,
                descriptor: link.is_embedded().then_some(&link.descriptor),
                drop_zeros,
                covers_parent: link.descriptor.has_parent(),
            };
            let done = rebuild.run(&mut |done, _| progress(piece.start_sector + done, all));
            // The old files are gone, whether or not all went well.
            self.extents.clear();
            done?;
        }
        progress(all, all);
        Ok(())
    }
}
