//! The verification, level by level.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::runtime::Handle;

use super::finding::{Finding, Severity, VerifyLevel, VerifyMonitor, VerifyReport};
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::name::ObjectName;
use crate::repo::point::Point;
use crate::repo::repository::Repository;
use crate::repo::usage::Usage;

/// Damage of one pack.
#[derive(Default, Debug)]
pub(super) struct PackDamage {
    /// The pack as a whole: missing, cut, or without a sound footer.
    pub(super) whole: Option<String>,
    /// Single blobs, by offset.
    pub(super) blobs: BTreeMap<u32, String>,
}

/// A verification at work.
pub(super) struct Verify<'a> {
    pub(super) repo: &'a Repository,
    pub(super) handle: &'a Handle,
    pub(super) monitor: &'a dyn VerifyMonitor,
    pub(super) report: VerifyReport,
    /// Length in bytes of every pack in the store.
    pub(super) packs: HashMap<PackId, u64>,
    pub(super) damage: BTreeMap<PackId, PackDamage>,
}

impl Repository {
    /// Looks whether the repository holds what it must. Blocking.
    ///
    /// # Errors
    /// `Store` when the store cannot be read, `PointNotFound`, `Stopped`. Whatever is lost or
    /// damaged is a finding.
    pub fn verify(
        &self,
        handle: &Handle,
        level: VerifyLevel,
        monitor: &dyn VerifyMonitor,
    ) -> Result<VerifyReport, Error> {
        let mut verify = Verify {
            repo: self,
            handle,
            monitor,
            report: VerifyReport::default(),
            packs: HashMap::new(),
            damage: BTreeMap::new(),
        };
        verify.list()?;
        let points = verify.points(level)?;
        let tables = verify.tables(&points)?;
        if let VerifyLevel::Sample { .. } | VerifyLevel::Full = level {
            verify.check_content(level, &tables, &points)?;
        }
        for (point, table) in points.iter().zip(&tables) {
            verify.check_point(point, table.as_ref())?;
            if let VerifyLevel::Point(_) = level {
                verify.read_point(point)?;
            }
        }
        verify.tell_the_rest();
        let mut report = verify.report;
        report.counts.points = points.len() as u64;
        report.damaged_packs.extend(verify.damage.into_keys());
        report.damaged_packs.sort_unstable();
        report.damaged_packs.dedup();
        Ok(report)
    }
}

impl Verify<'_> {
    pub(super) fn check_stop(&self) -> Result<(), Error> {
        if self.monitor.should_stop() {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }

    fn list(&mut self) -> Result<(), Error> {
        for (name, size_bytes) in self.handle.block_on(self.repo.store().list(""))? {
            match ObjectName::parse(&name) {
                Some(ObjectName::Pack(pack)) => {
                    self.packs.insert(pack, size_bytes);
                }
                Some(_) => {}
                None => {
                    let what = "no object of a repository has this name";
                    self.report
                        .findings
                        .push(Finding::new(Severity::Warning, &name, what));
                }
            }
        }
        self.report.counts.packs = self.packs.len() as u64;
        Ok(())
    }

    fn points(&mut self, level: VerifyLevel) -> Result<Vec<Point>, Error> {
        if let VerifyLevel::Point(id) = level {
            return Ok(vec![self.handle.block_on(self.repo.point(&id))?]);
        }
        let list = self.handle.block_on(self.repo.full_points(None))?;
        self.report.findings.extend(list.findings);
        Ok(list.points)
    }

    /// Reads the usage tables and compares them with the packs that are there.
    fn tables(&mut self, points: &[Point]) -> Result<Vec<Option<Usage>>, Error> {
        let mut tables = Vec::with_capacity(points.len());
        let mut needed = BTreeSet::new();
        for point in points {
            self.check_stop()?;
            let record = &point.root.usage;
            let usage_pack = record.reference.pack(PackKind::Node);
            needed.insert(usage_pack);
            self.check_pack_length(usage_pack, record.pack_bytes);
            match self.handle.block_on(self.repo.usage(record)) {
                Ok(table) => {
                    for ((_, pack), need) in &table.rows {
                        needed.insert(*pack);
                        self.check_pack_length(*pack, need.pack_bytes);
                    }
                    tables.push(Some(table));
                }
                Err(error) if error.is_damage() => {
                    self.damage.entry(usage_pack).or_default();
                    self.add_finding(point, &usage_pack.to_string(), error.to_string());
                    tables.push(None);
                }
                Err(error) => return Err(error),
            }
        }
        let garbage = self
            .packs
            .keys()
            .filter(|pack| !needed.contains(pack))
            .count();
        self.report.counts.garbage_packs = garbage as u64;
        Ok(tables)
    }

    fn check_pack_length(&mut self, pack: PackId, pack_bytes: u64) {
        let what = match self.packs.get(&pack) {
            Some(size_bytes) if *size_bytes == pack_bytes => return,
            Some(size_bytes) => format!("it has {size_bytes} bytes instead of {pack_bytes}"),
            None => "it is missing".to_owned(),
        };
        self.damage
            .entry(pack)
            .or_default()
            .whole
            .get_or_insert(what);
    }

    /// Damage that no disk's finding has named: of footers, of nodes that came from memory.
    fn tell_the_rest(&mut self) {
        for (pack, damage) in &self.damage {
            let name = pack.to_string();
            let first = damage
                .whole
                .as_ref()
                .or_else(|| damage.blobs.values().next());
            let told = self
                .report
                .findings
                .iter()
                .any(|finding| finding.object == name);
            if let (Some(what), false) = (first, told) {
                let finding = Finding::new(Severity::Error, &name, what.clone());
                self.report.findings.push(finding);
            }
        }
    }

    pub(super) fn add_finding(&mut self, point: &Point, object: &str, what: String) {
        self.report.findings.push(Finding {
            point: Some(point.id()),
            vm: Some(point.name.vm.clone()),
            ..Finding::new(Severity::Error, object, what)
        });
    }
}
