//! Checks and mends an extent of plain grains.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::seen::Seen;
use super::{CheckReport, ProblemKind};
use crate::backing_file::BackingFile;
use crate::header::{Header, UNCLEAN_AT};
use crate::{Error, SECTOR_BYTES};

/// Table entries without a grain: not held, and zeros where the extent knows them.
const MISSING: u32 = 0;
const ZEROED: u32 = 1;

/// An extent that is looked at.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    path: &'a Path,
    file: &'a BackingFile,
    header: &'a Header,
    sectors: u64,
    file_sectors: u64,
    repair: bool,
    grains: Seen,
    /// Sectors of tables.
    tables: Seen,
    /// Tables that are not in front of the grains.
    tables_behind: BTreeSet<u64>,
    /// Descriptor and directories.
    reserved: [Range<u64>; 3],
}

impl<'a> Plain<'a> {
    pub(super) fn new(
        path: &'a Path,
        file: &'a BackingFile,
        header: &'a Header,
        sectors: u64,
        repair: bool,
    ) -> Result<Self, Error> {
        Ok(Self {
            path,
            file,
            header,
            sectors,
            file_sectors: file.length_bytes()?.div_ceil(SECTOR_BYTES),
            repair,
            grains: Seen::new(header.grain_sectors),
            tables: Seen::new(1),
            tables_behind: BTreeSet::new(),
            reserved: [
                (header.descriptor_sector, header.descriptor_sectors),
                (header.directory_sector, header.directory_sectors()),
                (
                    header.redundant_directory_sector,
                    header.directory_sectors(),
                ),
            ]
            .map(|(start, length)| start..start.saturating_add(length)),
        })
    }

    pub(super) fn check(mut self, report: &mut CheckReport) -> Result<(), Error> {
        if self.header.unclean {
            if self.repair {
                self.file.write_at(UNCLEAN_AT as u64, &[0])?;
            }
            report.add(self.path, ProblemKind::NotClosed, self.repair);
        }
        let grains = self.sectors.div_ceil(self.header.grain_sectors);
        let per_table = u64::from(self.header.entries_per_table);
        // All tables first: a grain must not be where one of them is. What is kept is in proportion
        // to the tables that are there, whatever capacity the header claims.
        let mut found = Vec::new();
        for table in 0..grains.div_ceil(per_table) {
            let places = self.check_directories(table, report)?;
            if places != [None; 2] {
                found.push((table, places));
            }
        }
        for (table, places) in found {
            let first = table * per_table;
            let count = per_table.min(grains - first) as usize;
            self.check_table(first, count, places, report)?;
        }
        Ok(())
    }

    /// The sectors of both copies of a table, the primary one first. A copy that cannot be found is
    /// `None`, as are both when the extent has no such table.
    fn check_directories(
        &mut self,
        table: u64,
        report: &mut CheckReport,
    ) -> Result<[Option<u64>; 2], Error> {
        let directories = self.directories();
        let mut entries = [MISSING; 2];
        let mut places = [None; 2];
        for copy in 0..2 {
            if directories[copy] == 0 {
                continue;
            }
            entries[copy] = self.u32_at(directories[copy] * SECTOR_BYTES + table * 4)?;
            if self.take_table(entries[copy]) {
                places[copy] = Some(u64::from(entries[copy]));
            }
        }
        if entries == [MISSING; 2] {
            return Ok([None; 2]);
        }
        let good = places[0].or(places[1]);
        for copy in 0..2 {
            if directories[copy] == 0 || places[copy].is_some() {
                continue;
            }
            places[copy] = self.mend_directory(directories[copy], table, good)?;
            let kind = ProblemKind::DirectoryEntry {
                table,
                redundant: copy == 1,
            };
            report.add(self.path, kind, places[copy].is_some());
        }
        Ok(places)
    }

    /// Points a directory at the place where its table customarily is, and copies the other copy
    /// there if there is one; else what is there already is looked at.
    fn mend_directory(
        &mut self,
        directory_sector: u64,
        table: u64,
        good: Option<u64>,
    ) -> Result<Option<u64>, Error> {
        let table_sectors = self.header.table_sectors();
        let first = directory_sector + self.header.directory_sectors();
        let usual = first + table * table_sectors;
        let Ok(entry) = u32::try_from(usual) else {
            return Ok(None);
        };
        let inside = usual + table_sectors <= self.header.overhead_sectors;
        if !self.repair || !inside || !self.take_table(entry) {
            return Ok(None);
        }
        if let Some(good) = good {
            let mut bytes = vec![0; (table_sectors * SECTOR_BYTES) as usize];
            self.read_padded(good, &mut bytes)?;
            self.file.write_at(usual * SECTOR_BYTES, &bytes)?;
        }
        let offset_bytes = directory_sector * SECTOR_BYTES + table * 4;
        self.file.write_at(offset_bytes, &entry.to_le_bytes())?;
        Ok(Some(usual))
    }

    /// Checks the entries of a table, in both copies.
    fn check_table(
        &mut self,
        first: u64,
        count: usize,
        places: [Option<u64>; 2],
        report: &mut CheckReport,
    ) -> Result<(), Error> {
        let Some(any) = places[0].or(places[1]) else {
            return Ok(());
        };
        let primary = self.entries(places[0].unwrap_or(any), count)?;
        let redundant = self.entries(places[1].unwrap_or(any), count)?;
        let mut mended = primary.clone();
        for index in 0..count {
            let grain = first + index as u64;
            mended[index] = self.check_entry(grain, primary[index], redundant[index], report)?;
        }
        if self.repair && (mended != primary || mended != redundant) {
            let bytes: Vec<u8> = mended
                .iter()
                .flat_map(|entry| entry.to_le_bytes())
                .collect();
            for place in places.into_iter().rev().flatten() {
                self.file.write_at(place * SECTOR_BYTES, &bytes)?;
            }
        }
        Ok(())
    }

    /// What the tables shall say of a grain.
    fn check_entry(
        &mut self,
        grain: u64,
        primary: u32,
        redundant: u32,
        report: &mut CheckReport,
    ) -> Result<u32, Error> {
        if primary != redundant {
            report.add(self.path, ProblemKind::CopiesDiffer { grain }, self.repair);
        }
        // A grain is complete before a table shows it, and the redundant one shows it first. So the
        // one that knows a grain is the one to believe.
        let entry = match (self.can_be_grain(primary), self.can_be_grain(redundant)) {
            (true, true) if primary == MISSING => redundant,
            (true, _) => primary,
            (false, true) => redundant,
            (false, false) => {
                let sector = primary;
                report.add(
                    self.path,
                    ProblemKind::Dangling { grain, sector },
                    self.repair,
                );
                report.lost_grains += 1;
                return Ok(MISSING);
            }
        };
        if self.is_place(entry) {
            self.check_place(grain, entry, report)
        } else {
            Ok(entry)
        }
    }

    /// Checks a grain at a place inside the file.
    fn check_place(
        &mut self,
        grain: u64,
        sector: u32,
        report: &mut CheckReport,
    ) -> Result<u32, Error> {
        let start_sector = grain * self.header.grain_sectors;
        let used_sectors = self.header.grain_sectors.min(self.sectors - start_sector);
        let end_sector = u64::from(sector) + used_sectors;
        if end_sector > self.file_sectors {
            if self.repair {
                self.file.set_length(end_sector * SECTOR_BYTES)?;
                self.file_sectors = end_sector;
            }
            report.add(self.path, ProblemKind::GrainCutShort { grain }, self.repair);
        }
        if self.grains.insert(sector) {
            return Ok(sector);
        }
        let copy = if self.repair {
            self.copy_grain(sector)?
        } else {
            None
        };
        report.add(
            self.path,
            ProblemKind::Doubled { grain, sector },
            copy.is_some(),
        );
        if let Some(copy) = copy {
            self.grains.insert(copy);
        }
        Ok(copy.unwrap_or(sector))
    }

    /// Gives a grain a place of its own at the end of the file, if there is one.
    fn copy_grain(&mut self, sector: u32) -> Result<Option<u32>, Error> {
        let mut bytes = vec![0; self.header.grain_bytes()];
        self.read_padded(u64::from(sector), &mut bytes)?;
        let end = self.file_sectors.max(self.header.overhead_sectors);
        let at = end.next_multiple_of(self.header.grain_sectors);
        let Ok(entry) = u32::try_from(at) else {
            return Ok(None);
        };
        self.file.write_at(at * SECTOR_BYTES, &bytes)?;
        self.file_sectors = at + self.header.grain_sectors;
        Ok(Some(entry))
    }

    /// The sectors of both directories, the primary one first; zero for one that is not there.
    fn directories(&self) -> [u64; 2] {
        [
            self.header.directory_sector,
            self.header.redundant_directory_sector,
        ]
    }

    /// Takes the sectors of a table, if one can be there.
    fn take_table(&mut self, sector: u32) -> bool {
        let start = u64::from(sector);
        let end = start + self.header.table_sectors();
        let Ok(end_sector) = u32::try_from(end) else {
            return false;
        };
        let possible = sector != 0
            && end <= self.file_sectors
            && !self.is_reserved(&(start..end))
            && self.tables.insert_all(sector..end_sector);
        if possible && end > self.header.overhead_sectors {
            self.tables_behind.insert(start);
        }
        possible
    }

    fn can_be_grain(&self, entry: u32) -> bool {
        if !self.is_place(entry) {
            return true;
        }
        let start = u64::from(entry);
        let grain = start..start + self.header.grain_sectors;
        let first_table = (start + 1).saturating_sub(self.header.table_sectors());
        (self.header.overhead_sectors.max(1)..self.file_sectors).contains(&start)
            && !self.is_reserved(&grain)
            && self
                .tables_behind
                .range(first_table..grain.end)
                .next()
                .is_none()
    }

    /// Whether sectors are those of the descriptor or of a directory.
    fn is_reserved(&self, sectors: &Range<u64>) -> bool {
        let mut reserved = self.reserved.iter();
        reserved.any(|taken| sectors.start < taken.end && taken.start < sectors.end)
    }

    /// Whether an entry names a sector.
    fn is_place(&self, entry: u32) -> bool {
        entry != MISSING && !(entry == ZEROED && self.header.zeroed_grains)
    }

    fn entries(&self, table_sector: u64, count: usize) -> Result<Vec<u32>, Error> {
        let mut bytes = vec![0; count * 4];
        self.read_padded(table_sector, &mut bytes)?;
        let (values, _) = bytes.as_chunks();
        Ok(values
            .iter()
            .map(|&value| u32::from_le_bytes(value))
            .collect())
    }

    fn u32_at(&self, offset_bytes: u64) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.file.read_at(offset_bytes, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads from a sector on, with zeros where the last sector of the file is not whole.
    fn read_padded(&self, sector: u64, buf: &mut [u8]) -> Result<(), Error> {
        let offset_bytes = sector * SECTOR_BYTES;
        let there_bytes = self.file.length_bytes()?.saturating_sub(offset_bytes);
        let length = buf
            .len()
            .min(usize::try_from(there_bytes).unwrap_or(usize::MAX));
        let (there, rest) = buf.split_at_mut(length);
        rest.fill(0);
        self.file.read_at(offset_bytes, there)
    }
}
