//! A disk: a chain of links, read as one.

mod attach;
mod maintain;
mod write;

pub(crate) use write::new_content_id;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::extent::OpenExtent;
use crate::extent_cache::ExtentCache;
use crate::link::{Link, Piece};
use crate::{
    Descriptor, Error, ExtentAccess, MAX_CAPACITY_SECTORS, SECTOR_BYTES, SectorRun, chain, run,
};

/// How to open a disk. The default is to read the whole chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Allow writing to the last link.
    pub write: bool,
    /// Open the last link alone. What it does not hold reads as zeros.
    pub single_link: bool,
}

/// An open disk. Several threads may read it at once.
#[derive(Debug)]
pub struct Disk {
    /// The last link first, the base at the end. Never empty.
    links: Vec<Link>,
    extents: ExtentCache,
    options: OpenOptions,
    /// The content id was changed for the writes of this handle.
    content_id_changed: bool,
    /// Pieces of the last link written since the last flush.
    unflushed: BTreeSet<usize>,
}

impl Disk {
    /// Opens a disk by its descriptor, or by the sparse extent that has the descriptor inside.
    /// The extents are opened when they are first used.
    ///
    /// # Errors
    ///
    /// - [`Error::NotVmdk`], [`Error::Descriptor`], [`Error::Corrupt`], [`Error::Truncated`],
    ///   [`Error::Unsupported`] or [`Error::ExtentName`] for what a link says of itself,
    /// - [`Error::ParentNotFound`], [`Error::ParentChanged`], [`Error::Loop`] or
    ///   [`Error::ChainTooLong`] for how links hang together,
    /// - [`Error::Io`] if a descriptor cannot be read.
    pub fn open(descriptor_path: &Path, options: OpenOptions) -> Result<Self, Error> {
        let links = if options.single_link {
            vec![Link::load(descriptor_path)?]
        } else {
            chain::load(descriptor_path)?
        };
        Ok(Self {
            links,
            extents: ExtentCache::default(),
            options,
            content_id_changed: false,
            unflushed: BTreeSet::new(),
        })
    }

    /// The size of the disk in sectors of 512 bytes. It may be no multiple of the grain.
    pub fn capacity_sectors(&self) -> u64 {
        self.links[0].capacity_sectors()
    }

    /// The number of links that are open, from the last to the base.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// The descriptor of the last link.
    pub fn descriptor(&self) -> &Descriptor {
        &self.links[0].descriptor
    }

    /// The path of the last link, as it was opened.
    pub fn path(&self) -> &Path {
        &self.links[0].path
    }

    /// The paths of all links, from the last to the base.
    pub fn link_paths(&self) -> impl Iterator<Item = &Path> {
        self.links.iter().map(|link| link.path.as_path())
    }

    /// Fills a buffer from a sector on.
    ///
    /// # Errors
    ///
    /// - [`Error::Unaligned`] if the buffer is no whole number of sectors,
    /// - [`Error::OutOfRange`] if it reaches past the end of the disk,
    /// - [`Error::Io`], [`Error::Corrupt`], [`Error::Truncated`], [`Error::Unsupported`] or
    ///   [`Error::NoAccess`] if an extent cannot be read. The buffer then has no certain content.
    pub fn read_at(&self, sector: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.check_buffer(sector, buf.len())?;
        self.read_from(0, sector, buf)
    }

    /// The runs of a range that any link holds, sorted and merged. What is outside them reads as
    /// zeros. A grain marked as zeros counts as held, for it hides the parent. Flat extents answer
    /// with what their file system says is no hole.
    ///
    /// # Errors
    ///
    /// As [`Disk::read_at`].
    pub fn allocated(&self, start_sector: u64, sectors: u64) -> Result<Vec<SectorRun>, Error> {
        let range = SectorRun {
            start_sector,
            sectors,
        };
        self.check_range(range)?;
        let mut held = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            for (number, piece, part) in link.pieces_in(range) {
                let extent = self.readable_extent(index, number, piece)?;
                let runs = extent.held(piece.within(part))?;
                held.extend(runs.into_iter().map(|run| piece.on_disk(run)));
            }
        }
        Ok(run::union(held))
    }

    /// Reads what a link and those under it hold.
    fn read_from(&self, first_link: usize, sector: u64, buf: &mut [u8]) -> Result<(), Error> {
        let mut wanted = vec![SectorRun {
            start_sector: sector,
            sectors: buf.len() as u64 / SECTOR_BYTES,
        }];
        for index in first_link..self.links.len() {
            let mut missing = Vec::new();
            for run in wanted {
                let buf = part_of(buf, sector, run);
                self.read_link(index, run.start_sector, buf, &mut missing)?;
            }
            wanted = missing;
        }
        for run in wanted {
            part_of(buf, sector, run).fill(0);
        }
        Ok(())
    }

    /// Reads what one link holds. A parent may be smaller than its child; past its end are zeros.
    fn read_link(
        &self,
        index: usize,
        sector: u64,
        buf: &mut [u8],
        missing: &mut Vec<SectorRun>,
    ) -> Result<(), Error> {
        let link = &self.links[index];
        let range = SectorRun {
            start_sector: sector,
            sectors: buf.len() as u64 / SECTOR_BYTES,
        };
        let mut lacking = Vec::new();
        for (number, piece, part) in link.pieces_in(range) {
            let extent = self.readable_extent(index, number, piece)?;
            let within = piece.within(part);
            let buf = part_of(buf, sector, part);
            extent.read(within.start_sector, buf, &mut lacking)?;
            for run in lacking.drain(..) {
                run::push(missing, piece.on_disk(run));
            }
        }
        let held_sectors = link.capacity_sectors().saturating_sub(sector);
        let held_bytes = (held_sectors.min(range.sectors) * SECTOR_BYTES) as usize;
        buf[held_bytes..].fill(0);
        Ok(())
    }

    fn readable_extent(
        &self,
        link: usize,
        number: usize,
        piece: &Piece,
    ) -> Result<Arc<OpenExtent>, Error> {
        if piece.access == ExtentAccess::NoAccess {
            let path = self.links[link].path.clone();
            return Err(Error::NoAccess { path });
        }
        let write = self.options.write && link == 0 && piece.access == ExtentAccess::Rw;
        self.extents.get((link, number), || {
            OpenExtent::open(&self.links[link].path, piece, write)
        })
    }

    fn check_buffer(&self, start_sector: u64, length_bytes: usize) -> Result<(), Error> {
        if !(length_bytes as u64).is_multiple_of(SECTOR_BYTES) {
            return Err(Error::Unaligned { length_bytes });
        }
        self.check_range(SectorRun {
            start_sector,
            sectors: length_bytes as u64 / SECTOR_BYTES,
        })
    }

    fn check_range(&self, range: SectorRun) -> Result<(), Error> {
        let capacity_sectors = self.capacity_sectors();
        debug_assert!(capacity_sectors <= MAX_CAPACITY_SECTORS);
        let end_sector = range.start_sector.checked_add(range.sectors);
        if end_sector.is_none_or(|end| end > capacity_sectors) {
            return Err(Error::OutOfRange {
                start_sector: range.start_sector,
                sectors: range.sectors,
                capacity_sectors,
            });
        }
        Ok(())
    }
}

impl Piece {
    /// A range of the disk, counted from the start of the piece.
    fn within(&self, range: SectorRun) -> SectorRun {
        SectorRun {
            start_sector: range.start_sector - self.start_sector,
            sectors: range.sectors,
        }
    }

    /// A range of the piece, counted from the start of the disk.
    fn on_disk(&self, range: SectorRun) -> SectorRun {
        SectorRun {
            start_sector: range.start_sector + self.start_sector,
            sectors: range.sectors,
        }
    }
}

/// The part of a buffer for a run, where the buffer starts at a sector.
fn part_of(buf: &mut [u8], sector: u64, run: SectorRun) -> &mut [u8] {
    let start_bytes = ((run.start_sector - sector) * SECTOR_BYTES) as usize;
    let length_bytes = (run.sectors * SECTOR_BYTES) as usize;
    &mut buf[start_bytes..start_bytes + length_bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Disk>();
    }
}
