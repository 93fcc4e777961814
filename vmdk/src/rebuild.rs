//! Writes a sparse extent anew: its grains in the order of the disk, into a file that then takes the
//! place of the old one. Nothing is lost if it is interrupted; a file that ends in `.new` may stay.

use std::fs;
use std::path::Path;

use crate::backing_file::{BackingFile, io_error};
use crate::create::{Layout, add_sparse_file};
use crate::extent::{Entry, GrainTable, SparseExtent};
use crate::header::Header;
use crate::new_files::{NewFiles, side_name};
use crate::{Descriptor, Error, Progress, SECTOR_BYTES};

/// What the new file shall be like.
#[derive(Debug)]
pub(crate) struct Rebuild<'a> {
    /// The extent.
    pub(crate) path: &'a Path,
    /// How much of it is in use.
    pub(crate) sectors: u64,
    /// The new size, not smaller than the old one.
    pub(crate) new_sectors: u64,
    /// The descriptor to put inside, if it belongs there.
    pub(crate) descriptor: Option<&'a Descriptor>,
    /// Leave grains of zeros out.
    pub(crate) drop_zeros: bool,
    /// A grain that is not held shows a parent.
    pub(crate) covers_parent: bool,
}

impl Rebuild<'_> {
    /// Does it.
    pub(crate) fn run(&self, progress: &mut Progress<'_>) -> Result<(), Error> {
        let old = SparseExtent::open(self.path, self.sectors, false)?;
        let layout = Layout {
            grain_sectors: old.header().grain_sectors,
            entries_per_table: old.header().entries_per_table,
            ..Layout::new(self.new_sectors)
        };
        // A link to the extent stays a link.
        let path =
            fs::canonicalize(self.path).map_err(|source| io_error("replace", self.path, source))?;
        let new_path = side_name(&path);
        let mut new = NewFiles::default();
        add_sparse_file(&mut new, &new_path, &layout, self.descriptor)?;
        let file = BackingFile::open(&new_path, true)?;
        self.copy_grains(
            &old,
            &file,
            &layout.header(self.descriptor.is_some()),
            progress,
        )?;
        new.put_in_place_of(&new_path, &path)
    }

    fn copy_grains(
        &self,
        old: &SparseExtent,
        file: &BackingFile,
        header: &Header,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        let per_table = u64::from(header.entries_per_table);
        let grains = self.sectors.div_ceil(header.grain_sectors);
        let mut grain = vec![0; header.grain_bytes()];
        let mut at_sector = header.overhead_sectors;
        let mut first = 0;
        progress(0, self.sectors);
        while first < grains {
            let entries = old.entries(first, grains - first)?;
            let mut new_entries = Vec::with_capacity(entries.len());
            for (index, entry) in (first..).zip(&entries) {
                let mut new_entry = *entry;
                if let Entry::At(_) = entry {
                    old.read_grain(index, *entry, &mut grain)?;
                    new_entry = if self.drop_zeros && grain.iter().all(|&byte| byte == 0) {
                        if self.covers_parent {
                            Entry::Zeroed
                        } else {
                            Entry::Missing
                        }
                    } else {
                        let at = u32::try_from(at_sector).map_err(|_| Error::Full {
                            path: self.path.to_owned(),
                        })?;
                        file.write_at(at_sector * SECTOR_BYTES, &grain)?;
                        at_sector += header.grain_sectors;
                        Entry::At(at)
                    };
                } else if self.drop_zeros && !self.covers_parent {
                    new_entry = Entry::Missing;
                }
                new_entries.push(new_entry);
            }
            if new_entries.iter().any(|entry| *entry != Entry::Missing) {
                GrainTable { file, header }.set_all(first, &new_entries)?;
            }
            debug_assert!(entries.len() as u64 <= per_table);
            first += entries.len() as u64;
            progress(self.sectors.min(first * header.grain_sectors), self.sectors);
        }
        Ok(())
    }
}
