//! The trees of a point: their nodes, their recount, and what of the disks is hit by damage.

use std::ops::Range;

use super::finding::{Finding, Severity};
use super::run::Verify;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::image::{Image, Piece, PieceOrDamage, WalkOptions};
use crate::repo::pack::NO_DISK;
use crate::repo::pack_map::PackMap;
use crate::repo::point::Point;
use crate::repo::reference::Ref;
use crate::repo::root::{DiskRecord, TreeRecord};
use crate::repo::tree::{TreeCursor, TreeItem};
use crate::repo::usage::{Usage, UsageChange};

/// Ranges of one disk that are hit, joined as they come.
#[derive(Default)]
struct Hits(Vec<(PackId, Range<u64>, String)>);

impl Hits {
    fn add(&mut self, pack: PackId, bytes: Range<u64>, what: &str) {
        match self.0.last_mut() {
            Some((last, range, _)) if *last == pack && range.end == bytes.start => {
                range.end = bytes.end;
            }
            _ => self.0.push((pack, bytes, what.to_owned())),
        }
    }
}

impl Verify<'_> {
    /// Walks the point's trees and compares them with its usage table, if that could be read.
    pub(super) fn check_point(
        &mut self,
        point: &Point,
        table: Option<&Usage>,
        points: &[Point],
    ) -> Result<(), Error> {
        for (index, disk) in point.root.disks.iter().enumerate() {
            let counted = self.check_disk(point, index, disk)?;
            // A root beyond 255 disks was not written by this program.
            let number = u8::try_from(index).unwrap_or(NO_DISK);
            if let (Some(counted), Some(table)) = (counted, table) {
                self.compare(point, Some(index), &counted, table, number);
            }
        }
        let mut counted = UsageChange::default();
        for file in &point.root.files {
            counted.add(PackKind::Node, &file.reference);
            match self.handle.block_on(self.repo.file(file)) {
                Ok(content) => {
                    self.report.counts.blobs_checked += 1;
                    self.check_changed_areas(point, file, &content, points)?;
                }
                Err(error) if error.is_damage() => {
                    self.damage
                        .entry(file.reference.pack(PackKind::Node))
                        .or_default();
                    self.add_finding(point, &file.name, error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        self.look_for_changed_areas(point);
        if let Some(table) = table {
            self.compare(point, None, &counted, table, NO_DISK);
        }
        Ok(())
    }

    /// The recount; `None` when part of the tree could not be walked.
    fn check_disk(
        &mut self,
        point: &Point,
        index: usize,
        disk: &DiskRecord,
    ) -> Result<Option<UsageChange>, Error> {
        let geometry = disk.geometry()?;
        let mut counted = UsageChange::default();
        let mut whole = true;
        let mut hits = Hits::default();
        let tree = disk.tree.map(TreeRecord::base);
        let mut cursor = TreeCursor::new(self.repo, geometry, tree);
        while let Some(item) = self.handle.block_on(cursor.next()) {
            self.check_stop()?;
            match item {
                TreeItem::Hole(_) => continue,
                TreeItem::Node(reference) => counted.add(PackKind::Node, &reference),
                TreeItem::Block { number, reference } => {
                    counted.add(PackKind::Data, &reference);
                    if let Some(what) = self.damage_of(&reference) {
                        let start = number << geometry.block_shift();
                        let end = start + geometry.block_bytes(number) as u64;
                        hits.add(reference.pack(PackKind::Data), start..end, &what);
                    }
                }
                TreeItem::Damaged { range, node, error } if error.is_damage() => {
                    whole = false;
                    let pack = node.pack(PackKind::Node);
                    self.damage.entry(pack).or_default();
                    hits.add(pack, geometry.bytes_of(range), &error.to_string());
                }
                TreeItem::Damaged { error, .. } => return Err(error),
            }
            self.report.counts.references += 1;
        }
        self.add_hits(point, index, hits);
        self.add_unreadable(point, index, disk)?;
        Ok(whole.then_some(counted))
    }

    /// What the point was copied without is lost here too, whatever the packs are like.
    fn add_unreadable(
        &mut self,
        point: &Point,
        index: usize,
        disk: &DiskRecord,
    ) -> Result<(), Error> {
        let geometry = disk.geometry()?;
        for range in &disk.unreadable {
            let what = "these bytes could not be read when the point was copied";
            let finding = Finding::new(Severity::Error, &point.name.to_string(), what);
            let bytes = Some(geometry.bytes_of(*range));
            self.report
                .findings
                .push(finding.of_disk(point, index, bytes));
        }
        Ok(())
    }

    fn damage_of(&self, reference: &Ref) -> Option<String> {
        let pack = reference.pack(PackKind::Data);
        if !self.packs.contains_key(&pack) {
            return Some("it is missing".to_owned());
        }
        let damage = self.damage.get(&pack)?;
        damage
            .whole
            .clone()
            .or_else(|| damage.blobs.get(&reference.offset).cloned())
    }

    /// Compares a recount with the rows of the table.
    fn compare(
        &mut self,
        point: &Point,
        disk: Option<usize>,
        counted: &UsageChange,
        table: &Usage,
        number: u8,
    ) {
        let counted: PackMap<(i64, i64)> = counted
            .counts()
            .map(|(pack, references, bytes)| (pack, (references, bytes)))
            .collect();
        let needs = table.of_disk(number);
        let rows: PackMap<(i64, i64)> = needs
            .iter()
            .map(|(pack, need)| {
                let (references, bytes) = (need.references, need.bytes);
                (pack, (references.cast_signed(), bytes.cast_signed()))
            })
            .collect();
        if counted == rows {
            return;
        }
        let wrong = rows
            .packs()
            .chain(counted.packs())
            .find(|pack| rows.get(*pack) != counted.get(*pack));
        let what = wrong.map_or_else(String::new, |pack| {
            let (table, tree) = (rows.get(pack), counted.get(pack));
            format!("the usage table does not fit the tree at {pack}: {table:?} against {tree:?}")
        });
        let finding = Finding::new(Severity::Error, &point.name.to_string(), what);
        self.report.findings.push(match disk {
            Some(disk) => finding.of_disk(point, disk, None),
            None => finding.of_point(point),
        });
    }

    /// Decodes every block of every disk, as a restore does.
    pub(super) fn read_point(&mut self, point: &Point) -> Result<(), Error> {
        let with_data = point.root.disks.iter().filter(|disk| disk.has_data());
        self.monitor
            .total_bytes(with_data.map(|disk| disk.capacity_bytes).sum());
        for (index, disk) in point.root.disks.iter().enumerate() {
            if !disk.has_data() {
                continue;
            }
            let geometry = disk.geometry()?;
            let image = Image::open_unfinished(self.repo, self.handle, point, index)?;
            let mut hits = Hits::default();
            image.walk_on(WalkOptions::default(), |part| {
                self.check_stop()?;
                match part {
                    PieceOrDamage::Piece(Piece::Hole { length_bytes, .. }) => {
                        self.monitor.advance_bytes(length_bytes);
                    }
                    PieceOrDamage::Piece(Piece::Data { data, .. }) => {
                        self.report.counts.blobs_checked += 1;
                        self.report.counts.bytes_read += data.len() as u64;
                        self.monitor.advance_bytes(data.len() as u64);
                    }
                    // The walk of the tree has told it.
                    PieceOrDamage::Damage(_, None, _) => {}
                    PieceOrDamage::Damage(range, Some(pack), error) if error.is_damage() => {
                        self.damage.entry(pack).or_default();
                        hits.add(pack, geometry.bytes_of(range), &error.to_string());
                    }
                    PieceOrDamage::Damage(_, _, error) => return Err(error),
                }
                Ok(())
            })?;
            self.add_hits(point, index, hits);
        }
        Ok(())
    }

    /// Findings for ranges of a disk, but not what is known already.
    fn add_hits(&mut self, point: &Point, disk: usize, hits: Hits) {
        for (pack, bytes, what) in hits.0 {
            let finding = Finding::new(Severity::Error, &pack.to_string(), what);
            let finding = finding.of_disk(point, disk, Some(bytes.clone()));
            let covers = |known: &Finding| {
                (known.point, known.disk, &known.object)
                    == (finding.point, finding.disk, &finding.object)
                    && known
                        .byte_range
                        .as_ref()
                        .is_some_and(|range| range.start <= bytes.start && bytes.end <= range.end)
            };
            if !self.report.findings.iter().any(covers) {
                self.report.findings.push(finding);
            }
        }
    }
}
