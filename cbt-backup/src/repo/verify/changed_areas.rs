//! What the server said of a disk's changes, held against the root and against the trees.

use super::finding::{Finding, Severity};
use super::run::Verify;
use crate::repo::changed_areas::{BadFile, ReadAnswer, contradiction, read};
use crate::repo::copy::identity;
use crate::repo::error::Error;
use crate::repo::id::PointId;
use crate::repo::point::Point;
use crate::repo::root::{DiskRecord, FileRecord, Origin, TreeRecord};
use crate::repo::tree::different_outside;

/// Most runs of blocks that are named of a disk; of the others it is told how many there are.
const MAX_RUNS: usize = 64;

impl Verify<'_> {
    /// Looks whether a file of the point is what the server said of a disk, and what comes of it. `points` are those
    /// among which the one is looked for that the disk was built on.
    pub(super) fn check_changed_areas(
        &mut self,
        point: &Point,
        file: &FileRecord,
        content: &[u8],
        points: &[Point],
    ) -> Result<(), Error> {
        let is_of = |disk: &&DiskRecord| point.root.changed_areas(disk) == Some(file);
        let mut disks = point.root.disks.iter();
        let Some(index) = disks.position(|disk| is_of(&disk)) else {
            return Ok(());
        };
        let disk = &point.root.disks[index];
        if !disk.has_data() {
            return Ok(());
        }
        let answers = match read(content, disk.capacity_bytes) {
            Ok(answers) => answers,
            Err(bad) => {
                let severity = match bad {
                    BadFile::Version { .. } => Severity::Warning,
                    BadFile::Malformed { .. } | BadFile::Pages(_) => Severity::Error,
                };
                let finding = Finding::new(severity, &file.name, bad.to_string());
                self.report
                    .findings
                    .push(finding.of_disk(point, index, None));
                return Ok(());
            }
        };
        self.report.counts.maps_checked += 1;
        if let Some(what) = contradiction(&answers, &disk.coverage, disk.capacity_bytes) {
            let finding = Finding::new(Severity::Error, &file.name, what);
            self.report
                .findings
                .push(finding.of_disk(point, index, None));
            return Ok(());
        }
        for answer in &answers {
            self.check_difference(point, index, answer, points)?;
        }
        Ok(())
    }

    /// Looks for files that the root tells of and does not have. Those of a copy may have been lost on the way, which it
    /// says itself.
    pub(super) fn look_for_changed_areas(&mut self, point: &Point) {
        let root = &point.root;
        for (index, disk) in root.disks.iter().enumerate() {
            let is_missing = !disk.coverage.kept.is_empty() && root.changed_areas(disk).is_none();
            if is_missing && root.origin.is_none() {
                let what = "what was said of the disk's changes is not among the point's files";
                let finding = Finding::new(Severity::Error, &point.name.to_string(), what);
                let finding = finding.of_disk(point, index, None);
                self.report.findings.push(finding);
            }
        }
    }

    /// Looks for blocks that differ from the point the disk was built on, though nobody called them changed. The
    /// reverse is no fault: what was written again as it was has changed, too.
    fn check_difference(
        &mut self,
        point: &Point,
        index: usize,
        answer: &ReadAnswer,
        points: &[Point],
    ) -> Result<(), Error> {
        let disk = &point.root.disks[index];
        let geometry = disk.geometry()?;
        let Some((base, older)) = self.base(point, disk, answer, points) else {
            return Ok(());
        };
        if older.geometry()? != geometry {
            return Ok(());
        }
        let mut inside = answer.blocks(geometry);
        // Nothing is known of these: they are no zeros.
        for lost in disk.unreadable.iter().chain(&older.unreadable) {
            inside.insert(lost.first, lost.blocks);
        }
        let trees = [disk, older].map(|disk| disk.tree.map(TreeRecord::base));
        // Behind what a run that died had covered its blocks may be of any time.
        let end = older.uncovered(geometry).start;
        let go_on = || self.check_stop();
        let within = (&inside, end);
        let different = different_outside(self.repo, geometry, trees, within, MAX_RUNS, go_on);
        let different = self.handle.block_on(different)?;
        self.report.counts.maps_compared += 1;
        let mut tell = |which: &str, bytes| {
            let what = format!(
                "{which} are not as in point {base}, on which it was built, and vSphere did not call them \
                 changed: one of the two points is wrong here"
            );
            let finding = Finding::new(Severity::Error, &point.name.to_string(), what);
            let finding = finding.of_disk(point, index, bytes);
            self.report.findings.push(finding);
        };
        for run in different.runs {
            tell("these bytes", Some(geometry.bytes_of(run)));
        }
        if different.more_runs > 0 {
            let (runs, blocks) = (different.more_runs, different.more_blocks);
            tell(
                &format!("{runs} more ranges, of {blocks} blocks together,"),
                None,
            );
        }
        Ok(())
    }

    /// The disk as it was in the point that an answer begins at, if that one is still there: itself, or a copy of it
    /// where this is a copy, too.
    fn base<'p>(
        &self,
        point: &Point,
        disk: &DiskRecord,
        answer: &ReadAnswer,
        points: &'p [Point],
    ) -> Option<(PointId, &'p DiskRecord)> {
        let wanted = Origin {
            point: answer.base,
            ..identity(self.repo, point)
        };
        let same = |older: &&DiskRecord| {
            let (older, disk) = (&older.identity, &disk.identity);
            (older.device_key, &older.disk_uuid) == (disk.device_key, &disk.disk_uuid)
        };
        let bases = points
            .iter()
            .filter(|base| base.name.vm == point.name.vm)
            // A point that was built upon a copy names the copy itself.
            .filter(|base| base.id() == answer.base || identity(self.repo, base) == wanted);
        let mut disks =
            bases.filter_map(|base| Some((base.id(), base.root.disks.iter().find(same)?)));
        disks.find(|(_, older)| older.has_data())
    }
}
