//! Writing to the last link of a disk.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use super::Disk;
use crate::extent::{Fill, OpenExtent};
use crate::extent_name::checked;
use crate::link::Piece;
use crate::{Error, ExtentAccess, NO_PARENT, SECTOR_BYTES, SectorRun};

impl Disk {
    /// Writes sectors to the last link. The first write through a handle changes the content id,
    /// so children made over the earlier content are refused from then on.
    ///
    /// # Errors
    ///
    /// - [`Error::Unaligned`] if the data is no whole number of sectors,
    /// - [`Error::OutOfRange`] if it reaches past the end of the disk,
    /// - [`Error::ReadOnly`] if the disk was not opened for writing, or an extent cannot be written,
    /// - [`Error::ParentNeeded`] for part of a grain if the link was opened without its parent,
    /// - [`Error::Full`] if a sparse extent can take no more grains,
    /// - and what [`Disk::read_at`] can fail with. Part of the data may then be written.
    pub fn write_at(&mut self, sector: u64, data: &[u8]) -> Result<(), Error> {
        self.check_buffer(sector, data.len())?;
        let range = SectorRun {
            start_sector: sector,
            sectors: data.len() as u64 / SECTOR_BYTES,
        };
        self.prepare_change(range, OpenExtent::takes_data)?;
        for (number, piece, part) in self.links[0].pieces_in(range) {
            let start_bytes = ((part.start_sector - sector) * SECTOR_BYTES) as usize;
            let length_bytes = (part.sectors * SECTOR_BYTES) as usize;
            let data = &data[start_bytes..start_bytes + length_bytes];
            let extent = self.readable_extent(0, number, piece)?;
            let at = piece.within(part).start_sector;
            extent.write(at, data, &mut self.filler(piece))?;
        }
        Ok(())
    }

    /// Makes sectors read as zeros and gives their space back where it can: a flat extent gets a
    /// hole, whole grains of a sparse one are marked as zeros. Elsewhere zeros are written.
    ///
    /// # Errors
    ///
    /// As [`Disk::write_at`].
    pub fn unmap(&mut self, sector: u64, sectors: u64) -> Result<(), Error> {
        let range = SectorRun {
            start_sector: sector,
            sectors,
        };
        self.check_range(range)?;
        self.prepare_change(range, OpenExtent::takes_zeros)?;
        let covers_parent = self.descriptor().has_parent();
        for (number, piece, part) in self.links[0].pieces_in(range) {
            let extent = self.readable_extent(0, number, piece)?;
            extent.unmap(piece.within(part), covers_parent, &mut self.filler(piece))?;
        }
        Ok(())
    }

    /// Waits until everything written is on the medium.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system cannot say so.
    pub fn flush(&mut self) -> Result<(), Error> {
        let link = &self.links[0];
        for &number in &self.unflushed {
            let extent = self.readable_extent(0, number, &link.pieces[number])?;
            extent.sync()?;
        }
        if !self.unflushed.is_empty() {
            link.sync_descriptor()?;
        }
        self.unflushed.clear();
        Ok(())
    }

    /// Sets an entry of the disk database of the last link. The content id stays.
    ///
    /// # Errors
    ///
    /// - [`Error::ReadOnly`] if the disk was not opened for writing,
    /// - [`Error::Text`] if key or value cannot stand in a descriptor,
    /// - [`Error::Full`] or [`Error::Descriptor`] if the descriptor has no room for it,
    /// - [`Error::Io`] if it cannot be written. The entry has its old value then.
    pub fn set_metadata(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let link = &mut self.links[0];
        if !self.options.write {
            let path = link.path.clone();
            return Err(Error::ReadOnly { path });
        }
        let bad_key = key.is_empty() || key.contains('=') || key.trim() != key;
        if bad_key || value.trim() != value {
            let value = format!("{key}={value}");
            return Err(Error::Text { value });
        }
        let mut descriptor = link.descriptor.clone();
        descriptor.set_ddb(checked(key)?, checked(value)?);
        link.replace_descriptor(descriptor)
    }

    /// Lets the next write change the content id again: a child was made over the present one.
    pub(crate) fn forget_content_id(&mut self) {
        self.content_id_changed = false;
    }

    /// Checks that a range can be written, notes it for the next flush and changes the content id
    /// before any data changes.
    fn prepare_change(
        &mut self,
        range: SectorRun,
        accepts: fn(&OpenExtent) -> bool,
    ) -> Result<(), Error> {
        let link = &self.links[0];
        let read_only = || Error::ReadOnly {
            path: link.path.clone(),
        };
        if !self.options.write {
            return Err(read_only());
        }
        let mut touched = Vec::new();
        for (number, piece, _) in link.pieces_in(range) {
            let extent = self.readable_extent(0, number, piece)?;
            if piece.access != ExtentAccess::Rw || !accepts(&extent) {
                return Err(read_only());
            }
            touched.push(number);
        }
        self.unflushed.extend(touched);
        if range.sectors > 0 && !self.content_id_changed {
            let link = &mut self.links[0];
            let cid = new_content_id(link.descriptor.cid);
            link.descriptor.set_cid(cid);
            link.save_descriptor()?;
            self.content_id_changed = true;
        }
        Ok(())
    }

    /// Reads what lies under a piece of the last link.
    fn filler<'a>(&'a self, piece: &'a Piece) -> Box<Fill<'a>> {
        Box::new(|sector, buf| {
            if self.links.len() == 1 && self.descriptor().has_parent() {
                let path = self.links[0].path.clone();
                return Err(Error::ParentNeeded { path });
            }
            self.read_from(1, piece.start_sector + sector, buf)
        })
    }
}

/// A content id unlike the last one. It need not be secret, only differ from one write to the next.
pub(crate) fn new_content_id(last: u32) -> u32 {
    loop {
        // The keys of the hasher are random, and the process makes new ones each time.
        let cid = RandomState::new().build_hasher().finish() as u32;
        if cid != last && cid != NO_PARENT {
            return cid;
        }
    }
}
