//! The verification, level by level.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::runtime::Handle;

use super::finding::{Finding, Severity, VerifyLevel, VerifyMonitor, VerifyReport, name_vms};
use super::quarantine::Quarantine;
use crate::repo::announce::Pin;
use crate::repo::condemned::PackList;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, PointId, SessionId};
use crate::repo::name::{ObjectName, RootName};
use crate::repo::point::Point;
use crate::repo::repository::Repository;
use crate::repo::roots::Roots;
use crate::repo::store::is_probe;
use crate::repo::usage::Usage;

/// Time between heart-beats of the announcement.
const HEARTBEAT: Duration = Duration::from_mins(1);

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
    /// Packs that the points need.
    pub(super) needed: BTreeSet<PackId>,
    pub(super) quarantine: Quarantine,
    /// Sessions whose root a sweep has missed.
    pub(super) missed: Vec<SessionId>,
}

impl Repository {
    /// Looks whether the repository holds what it must, and puts damaged packs in quarantine.
    /// The points are pinned meanwhile. Blocking.
    ///
    /// A store that takes no data is no error: then there is no pin, and a finding of severity
    /// warning says that the damaged packs are not in quarantine.
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
            needed: BTreeSet::new(),
            quarantine: Quarantine::default(),
            missed: Vec::new(),
        };
        let (points, pin) = verify.points(level)?;
        let outcome = verify.check(level, &points);
        handle.block_on(Pin::release(pin));
        outcome?;
        Ok(verify.report)
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

    /// All that is done while the points are pinned.
    fn check(&mut self, level: VerifyLevel, points: &[Point]) -> Result<(), Error> {
        let roots = self.list()?;
        if !matches!(level, VerifyLevel::Point(_)) {
            self.check_names(&roots)?;
        }
        let tables = self.tables(points)?;
        if !matches!(level, VerifyLevel::Point(_)) {
            self.check_lost_roots()?;
        }
        if let VerifyLevel::Sample { .. } | VerifyLevel::Full = level {
            self.check_content(level, &tables, points)?;
        }
        let others = self.others(level, points)?;
        let bases = others.as_deref().unwrap_or(points);
        for (point, table) in points.iter().zip(&tables) {
            self.tell_found_wrong(point);
            self.check_point(point, table.as_ref(), bases)?;
            if let VerifyLevel::Point(_) = level {
                self.read_point(point)?;
            }
        }
        name_vms(&mut self.report.findings, points.iter());
        let points = self.second_look(points, &tables)?;
        if let VerifyLevel::Point(id) = level
            && points.is_empty()
            && self.report.findings.is_empty()
        {
            return Err(Error::PointNotFound { id: id.to_string() });
        }
        self.tell_the_rest();
        self.report.counts.points = points.len() as u64;
        self.report.damaged_packs = self.damage.keys().copied().collect();
        self.settle_quarantine(level);
        Ok(())
    }

    /// What an audit found. The repository is as it was written, so it is no damage.
    fn tell_found_wrong(&mut self, point: &Point) {
        for what in point.root.found_wrong() {
            let what = format!("the point was found wrong by an audit: {what}");
            let finding = Finding::new(Severity::Warning, &point.name.to_string(), what);
            self.report.findings.push(finding.of_point(point));
        }
    }

    /// Lists all objects. The points must be known before: then every pack they need was stored
    /// before the list was made, also those of a backup that goes on meanwhile.
    fn list(&mut self) -> Result<Roots, Error> {
        let mut names = Vec::new();
        for (name, size_bytes) in self.handle.block_on(self.repo.store().list(""))? {
            match ObjectName::parse(&name) {
                Some(ObjectName::Pack(pack)) => {
                    self.packs.insert(pack, size_bytes);
                }
                Some(ObjectName::Condemned(_)) => self.check_list(&name)?,
                Some(ObjectName::Quarantine(_)) => self.read_quarantine(name)?,
                Some(ObjectName::Lost(session)) => self.check_lost_record(session)?,
                Some(parsed) => names.push(parsed),
                None if is_probe(&name) => {}
                None => {
                    let what = "no object of a repository has this name";
                    self.report
                        .findings
                        .push(Finding::new(Severity::Warning, &name, what));
                }
            }
        }
        self.report.counts.packs = self.packs.len() as u64;
        Ok(Roots::of(names.into_iter()))
    }

    /// Looks whether the list of a sweep can be read: if not, it stops every backup.
    fn check_list(&mut self, name: &str) -> Result<(), Error> {
        match self.handle.block_on(PackList::read(self.repo, name)) {
            Err(error) if error.is_damage() => {
                let what = format!(
                    "{error}; no backup begins before it is gone: `prune --remove-unreadable-lists` removes it when \
                     no other prune is running anywhere"
                );
                let finding = Finding::new(Severity::Error, name, what);
                self.report.findings.push(finding);
                Ok(())
            }
            read => read.map(drop),
        }
    }

    /// The points to be checked, pinned if the store takes an announcement. Their roots are listed and read after
    /// that: a root that was there before may have been moved by a compaction, and its packs be gone.
    fn points(&mut self, level: VerifyLevel) -> Result<(Vec<Point>, Option<Pin>), Error> {
        let ids = match level {
            VerifyLevel::Point(id) => vec![id],
            _ => self.living()?.iter().map(|root| root.point).collect(),
        };
        let host = self.monitor.host();
        let pin = self
            .repo
            .announce_reader(&ids, &host, HEARTBEAT, self.handle);
        let pin = self.handle.block_on(pin);
        match self.pinned_points(level, &ids) {
            Ok(points) => Ok((points, pin)),
            Err(error) => {
                self.handle.block_on(Pin::release(pin));
                Err(error)
            }
        }
    }

    /// The points of `ids` that live. Others were dropped before the pin, or came after the list and are left to
    /// the next verification.
    fn pinned_points(&mut self, level: VerifyLevel, ids: &[PointId]) -> Result<Vec<Point>, Error> {
        if let VerifyLevel::Point(id) = level {
            return Ok(vec![self.handle.block_on(self.repo.point(&id))?]);
        }
        let list = self.handle.block_on(self.repo.full_points(None))?;
        self.report.findings.extend(list.findings);
        let ids: HashSet<&PointId> = ids.iter().collect();
        let mut points = list.points;
        points.retain(|point| ids.contains(&point.id()));
        Ok(points)
    }

    /// The points of the VM, where only one is looked at: among them may be the one it was built on. They are not
    /// pinned, so what of them goes meanwhile is just not compared.
    fn others(&self, level: VerifyLevel, points: &[Point]) -> Result<Option<Vec<Point>>, Error> {
        let (VerifyLevel::Point(_), [point]) = (level, points) else {
            return Ok(None);
        };
        let list = self.repo.full_points(Some(&point.name.vm));
        Ok(Some(self.handle.block_on(list)?.points))
    }

    /// The root that counts of each living point.
    fn living(&self) -> Result<Vec<RootName>, Error> {
        let roots = self.handle.block_on(Roots::read(self.repo, None))?;
        Ok(roots.living())
    }

    /// What is missing of a point that was dropped or moved meanwhile may have gone by right: where the store
    /// takes no announcement, or this program stood still for long. Gives the points that are still what they were.
    fn second_look<'p>(
        &mut self,
        points: &'p [Point],
        tables: &[Option<Usage>],
    ) -> Result<Vec<&'p Point>, Error> {
        if self.damage.is_empty() && self.report.findings.is_empty() {
            return Ok(points.iter().collect());
        }
        let living: HashSet<RootName> = self.living()?.into_iter().collect();
        let is_there = |point: &&Point| living.contains(&point.name);
        let there: Vec<&Point> = points.iter().filter(is_there).collect();
        if there.len() == points.len() {
            return Ok(there);
        }
        let mut needed = BTreeSet::new();
        for (point, table) in points.iter().zip(tables) {
            if living.contains(&point.name) {
                needed.insert(point.root.usage.reference.pack(PackKind::Node));
                needed.extend(table.iter().flat_map(Usage::packs));
            }
        }
        let gone: HashSet<PointId> = points
            .iter()
            .filter(|point| !living.contains(&point.name))
            .map(Point::id)
            .collect();
        let findings = &mut self.report.findings;
        findings.retain(|finding| finding.point.is_none_or(|point| !gone.contains(&point)));
        let named: HashSet<&str> = findings
            .iter()
            .map(|finding| finding.object.as_str())
            .collect();
        self.damage
            .retain(|pack, _| needed.contains(pack) || named.contains(pack.to_string().as_str()));
        for root in living.iter().filter(|root| gone.contains(&root.point)) {
            let what = "it was moved while it was looked at: verify again";
            self.tell_of_root(Severity::Warning, root, what.to_owned());
        }
        Ok(there)
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
                    for ((_, pack), need) in table.rows() {
                        needed.insert(pack);
                        self.check_pack_length(pack, need.pack_bytes);
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
        self.needed = needed;
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
        let finding = Finding::new(Severity::Error, object, what);
        self.report.findings.push(finding.of_point(point));
    }
}
