//! Random histories of a repository, compared with plain copies of the images after each step:
//! backups of two VMs, retention, the bin, undelete, sweeps, compaction, sessions that die, that are
//! fenced or that a sweep meets at work, long runs with partial roots, and packs that rot.
//!
//! `CBT_HISTORIES` says how many are tried; without it a number that takes seconds.

use proptest::prelude::*;

use super::compaction::all_that_is_not_full;
use super::site::{BLOCK_BYTES, Site, complete, content, info, options, spec};
use super::sweep::at_once;
use crate::repo::{
    BlockRange, Error, PointId, PointKind, RetentionPolicy, Session, SweepOptions, VerifyLevel,
    plan,
};

const HISTORIES: u32 = 48;

#[derive(Clone, Debug)]
enum Step {
    /// A backup of a VM, on its newest point unless it is to be full.
    Backup {
        vm: usize,
        change: Change,
        full: bool,
    },
    /// Retention keeps so many of the newest points of each VM.
    Keep(u32),
    /// One point is dropped, by its place among the living.
    Drop(u8),
    /// One is taken out of the bin.
    Undelete(u8),
    /// A sweep. With a bin it keeps what was dropped in the last steps.
    Sweep {
        bin: bool,
    },
    Compact,
    /// A session dies before it commits.
    Dies {
        vm: usize,
        change: Change,
    },
    /// A session sleeps while a sweep fences it, and commits.
    Fenced {
        vm: usize,
        change: Change,
    },
    /// A point is dropped and a sweep runs while a session is at work; the session commits.
    Beside {
        vm: usize,
        change: Change,
        drop: u8,
    },
    /// A long run commits a partial root after so many blocks, and dies or goes on to its end.
    Row {
        vm: usize,
        change: Change,
        cut: u8,
        dies: bool,
    },
    /// A pack is damaged, by its place among the packs: a bit is turned, or it is lost.
    Rot {
        pack: u8,
        at: u16,
        lost: bool,
    },
}

/// What happens on a disk between two backups.
#[derive(Clone, Debug)]
struct Change {
    /// Blocks that are written: first, how many, seed (0 zeroes them).
    writes: Vec<(u8, u8, u8)>,
    grow_bytes: u16,
}

fn change() -> impl Strategy<Value = Change> {
    let write = (any::<u8>(), 1_u8..6, 0_u8..6);
    let grow = prop_oneof![4 => Just(0), 1 => 1_u16..9_000];
    (proptest::collection::vec(write, 0..4), grow)
        .prop_map(|(writes, grow_bytes)| Change { writes, grow_bytes })
}

fn step() -> impl Strategy<Value = Step> {
    let vm = || 0..2_usize;
    prop_oneof![
        6 => (vm(), change(), proptest::bool::weighted(0.15))
            .prop_map(|(vm, change, full)| Step::Backup { vm, change, full }),
        1 => (1_u32..4).prop_map(Step::Keep),
        2 => any::<u8>().prop_map(Step::Drop),
        2 => any::<u8>().prop_map(Step::Undelete),
        3 => any::<bool>().prop_map(|bin| Step::Sweep { bin }),
        2 => Just(Step::Compact),
        1 => (vm(), change()).prop_map(|(vm, change)| Step::Dies { vm, change }),
        1 => (vm(), change()).prop_map(|(vm, change)| Step::Fenced { vm, change }),
        1 => (vm(), change(), any::<u8>())
            .prop_map(|(vm, change, drop)| Step::Beside { vm, change, drop }),
        2 => (vm(), change(), any::<u8>(), any::<bool>())
            .prop_map(|(vm, change, cut, dies)| Step::Row { vm, change, cut, dies }),
        1 => (any::<u8>(), any::<u16>(), any::<bool>())
            .prop_map(|(pack, at, lost)| Step::Rot { pack, at, lost }),
    ]
}

struct Kept {
    id: PointId,
    vm: usize,
    image: Vec<u8>,
    /// Its run was not over: it serves the next one, and nobody reads it.
    partial: bool,
}

/// The repository, and what it must hold.
struct Model {
    site: Site,
    /// The disks as they are now.
    disks: [Vec<u8>; 2],
    living: Vec<Kept>,
    dropped: Vec<Kept>,
    /// Living points that rot has hit: they are read right, or not at all.
    hit: Vec<PointId>,
    /// A pack was damaged some day. What only dropped points need is not verified, so it shows later.
    rotted: bool,
    time_ms: i64,
}

impl Model {
    fn new(bits: u8, blocks: [u8; 2]) -> Self {
        Self {
            site: Site::new(bits),
            disks: blocks.map(|blocks| vec![0; usize::from(blocks) * BLOCK_BYTES + 300]),
            living: Vec::new(),
            dropped: Vec::new(),
            hit: Vec::new(),
            rotted: false,
            time_ms: 0,
        }
    }

    fn begin(&self, vm: usize) -> Session {
        let mut spec = spec();
        spec.vm.instance_uuid = format!("vm {vm}");
        let begin = self
            .site
            .repo
            .begin(spec, self.site.runtime.handle(), options());
        self.site.runtime.block_on(begin).unwrap()
    }

    /// Changes a disk, and puts it into a session as the engine does: on the newest point that can be
    /// built upon, or in full.
    fn fill(&mut self, vm: usize, change: &Change, full: bool) -> (Session, PointKind) {
        self.write(vm, change);
        let image = &self.disks[vm];
        let parent = self.living.iter().rev().find(|point| point.vm == vm);
        let session = self.begin(vm);
        if let Some(parent) = parent.filter(|_| !full) {
            let blocks = differing(&parent.image, image);
            match Site::fill(&session, image, Some((parent.id, blocks))) {
                Ok(kind) => return (session, kind),
                Err(error) if error.is_damage() && self.rotted => {}
                Err(error) => panic!("{error}"),
            }
        } else {
            let kind = Site::fill(&session, image, None).unwrap();
            return (session, kind);
        }
        session.abandon();
        let session = self.begin(vm);
        let kind = Site::fill(&session, image, None).unwrap();
        (session, kind)
    }

    fn write(&mut self, vm: usize, change: &Change) {
        let image = &mut self.disks[vm];
        image.resize(image.len() + usize::from(change.grow_bytes), 0);
        let blocks = image.len().div_ceil(BLOCK_BYTES);
        for (first, count, seed) in &change.writes {
            let first = usize::from(*first) % blocks;
            for block in first..(first + usize::from(*count)).min(blocks) {
                let end = image.len().min((block + 1) * BLOCK_BYTES);
                let bytes = &mut image[block * BLOCK_BYTES..end];
                let length = bytes.len();
                bytes.copy_from_slice(&content(*seed, length));
            }
        }
    }

    /// A whole point. The partial ones of the VM are dropped with it.
    fn commit(&mut self, vm: usize, session: Session, kind: PointKind) -> Result<PointId, Error> {
        let image = self.disks[vm].clone();
        let id = session.commit(info(kind, self.time_ms))?.point;
        let done = |point: &mut Kept| point.partial && point.vm == vm;
        self.dropped.extend(self.living.extract_if(.., done));
        self.living.push(Kept {
            id,
            vm,
            image,
            partial: false,
        });
        Ok(id)
    }

    /// A long run: a partial root on the way, and then its end or its death.
    fn row(&mut self, vm: usize, change: &Change, cut: u8, dies: bool) {
        self.write(vm, change);
        let image = self.disks[vm].clone();
        let parent = self.living.iter().rev().find(|point| point.vm == vm);
        let parent = parent.map(|parent| (parent.id, differing(&parent.image, &image)));
        let session = self.begin(vm);
        let capacity_bytes = image.len() as u64;
        let spec = |parent| Site::disk(parent, capacity_bytes);
        let (slot, mut work) = match session.add_disk(spec(parent.as_ref().map(|(id, _)| *id))) {
            Ok(slot) => (slot, parent.map(|(_, blocks)| blocks)),
            Err(error) if error.is_damage() && self.rotted => {
                (session.add_disk(spec(None)).unwrap(), None)
            }
            Err(error) => panic!("{error}"),
        };
        let blocks = session.geometry(slot).blocks();
        let work = work.get_or_insert_with(|| (0..blocks).collect());
        let missing = |session: &Session| -> Vec<u64> {
            let runs = session.unreadable_blocks(slot);
            runs.iter()
                .flat_map(|run| run.first..run.first + run.blocks)
                .collect()
        };
        work.extend(missing(&session));
        work.sort_unstable();
        work.dedup();
        session.expect_blocks(
            slot,
            work.iter().map(|first| BlockRange {
                first: *first,
                blocks: 1,
            }),
        );
        let put = |session: &Session, blocks: &[u64]| {
            for block in blocks {
                let from = *block as usize * BLOCK_BYTES;
                let to = image.len().min(from + BLOCK_BYTES);
                session.put(slot, *block, &image[from..to]).unwrap();
            }
        };
        let cut = usize::from(cut) % (work.len() + 1);
        let (before, after) = work.split_at(cut);
        put(&session, before);
        let (next, made) = session
            .checkpoint(info(PointKind::Incremental, self.time_ms))
            .unwrap();
        self.living.push(Kept {
            id: made.point,
            vm,
            image: image.clone(),
            partial: true,
        });
        if dies {
            return drop(next);
        }
        let mut rest = missing(&next);
        rest.extend(after);
        rest.sort_unstable();
        rest.dedup();
        put(&next, &rest);
        next.set_disk_state(slot, complete());
        self.commit(vm, next, PointKind::Incremental).unwrap();
    }

    fn drop_at(&mut self, place: u8) {
        if self.living.is_empty() {
            return;
        }
        let point = self.living.remove(usize::from(place) % self.living.len());
        let dropped = self.site.repo.drop_point(point.id, "", "", self.time_ms);
        self.site.runtime.block_on(dropped).unwrap();
        self.hit.retain(|hit| *hit != point.id);
        self.dropped.push(point);
    }

    fn sweep(&mut self, options: SweepOptions) {
        let swept = self
            .site
            .runtime
            .block_on(self.site.repo.sweep(options, &()));
        self.may_fail(swept.map(drop));
    }

    /// Rot may keep a sweep or a compaction from its work; nothing else may.
    fn may_fail(&self, outcome: Result<(), Error>) {
        match outcome {
            Err(error) if error.is_damage() && self.rotted => {}
            other => other.unwrap(),
        }
    }

    fn keep(&mut self, last: u32) {
        let list = self
            .site
            .runtime
            .block_on(self.site.repo.points(None))
            .unwrap();
        let policy = RetentionPolicy {
            last,
            ..RetentionPolicy::default()
        };
        let now = jiff::Timestamp::from_millisecond(self.time_ms).unwrap();
        let verdicts = plan(&list.points, &policy, &jiff::tz::TimeZone::UTC, now).unwrap();
        for verdict in verdicts.iter().filter(|verdict| !verdict.is_kept()) {
            let place = self
                .living
                .iter()
                .position(|point| point.id == verdict.point.id);
            self.drop_at(place.unwrap() as u8);
        }
    }

    fn undelete(&mut self, place: u8) {
        if self.dropped.is_empty() {
            return;
        }
        let place = usize::from(place) % self.dropped.len();
        let Kept {
            id,
            vm,
            ref image,
            partial,
        } = self.dropped[place];
        let image = image.clone();
        let handle = self.site.runtime.handle();
        match self.site.repo.undelete(handle, id, "", options()) {
            // A pack may have rotted before that nobody knows to be rotten.
            Ok(made) => {
                let id = made.point;
                self.living.push(Kept {
                    id,
                    vm,
                    image,
                    partial,
                });
                if self.rotted {
                    self.verify();
                }
            }
            Err(Error::PointNotFound { .. } | Error::NotWhole { .. }) => {}
            Err(error) => assert!(error.is_damage() && self.rotted, "{error}"),
        }
    }

    fn rot(&mut self, pack: u8, at: u16, lost: bool) {
        let packs = self.site.names("pack");
        let Some(name) = packs.get(usize::from(pack) % packs.len().max(1)) else {
            return;
        };
        if lost {
            self.site.delete(name);
        } else {
            let mut bytes = self.site.read(name);
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= 1;
            self.site.write(name, bytes);
        }
        self.rotted = true;
        self.verify();
    }

    /// Finds out which living points rot has hit.
    fn verify(&mut self) {
        let repo = self.site.reopen().unwrap();
        let handle = self.site.runtime.handle();
        let report = repo.verify(handle, VerifyLevel::Full, &()).unwrap();
        for point in &self.living {
            let told = report
                .findings
                .iter()
                .any(|found| found.point == Some(point.id));
            match self.site.restore(&repo, point.id) {
                Ok(bytes) => assert!(bytes == point.image && !point.partial),
                Err(Error::DiskPartial { .. }) => assert!(point.partial),
                Err(error) => assert!(told, "{} in silence: {error}", point.id),
            }
            if told && !self.hit.contains(&point.id) {
                self.hit.push(point.id);
            }
        }
        // What is damaged without a point that tells is a footer, or garbage.
        assert!(report.damaged_packs.is_empty() || report.quarantined);
    }

    fn take(&mut self, step: &Step) {
        self.time_ms += 1000;
        match step {
            Step::Backup { vm, change, full } => {
                let (session, kind) = self.fill(*vm, change, *full);
                self.commit(*vm, session, kind).unwrap();
            }
            Step::Keep(last) => self.keep(*last),
            Step::Drop(place) => self.drop_at(*place),
            Step::Undelete(place) => self.undelete(*place),
            Step::Sweep { bin } => self.sweep(SweepOptions {
                bin_ms: if *bin { 2_500 } else { 0 },
                now_ms: self.time_ms,
                ..at_once()
            }),
            Step::Compact => {
                let handle = self.site.runtime.handle();
                let options = all_that_is_not_full();
                let outcome = self.site.repo.compact(handle, "", &options, &());
                self.may_fail(outcome.map(drop));
            }
            Step::Dies { vm, change } => drop(self.fill(*vm, change, false)),
            Step::Fenced { vm, change } => {
                let (session, kind) = self.fill(*vm, change, false);
                let swept = self
                    .site
                    .runtime
                    .block_on(self.site.repo.sweep(at_once(), &()));
                let fenced = swept.is_ok_and(|report| report.fenced.contains(&session.id()));
                match self.commit(*vm, session, kind) {
                    Err(Error::Fenced { .. }) => assert!(fenced),
                    other => assert!(other.is_ok() && !fenced && self.rotted),
                }
            }
            Step::Beside { vm, change, drop } => {
                let (session, kind) = self.fill(*vm, change, false);
                self.drop_at(*drop);
                self.sweep(SweepOptions {
                    max_looks: Some(1),
                    ..at_once()
                });
                self.commit(*vm, session, kind).unwrap();
            }
            Step::Row {
                vm,
                change,
                cut,
                dies,
            } => self.row(*vm, change, *cut, *dies),
            Step::Rot { pack, at, lost } => self.rot(*pack, *at, *lost),
        }
    }

    /// All living points are what they were, and the tables are those of the trees.
    fn check(&self, level: VerifyLevel) {
        let repo = self.site.reopen().unwrap();
        let list = self.site.runtime.block_on(repo.points(None)).unwrap();
        let mut listed: Vec<_> = list.points.iter().map(|point| point.id).collect();
        listed.extend(list.findings.iter().filter_map(|finding| finding.point));
        listed.sort_unstable();
        let mut living: Vec<_> = self.living.iter().map(|point| point.id).collect();
        living.sort_unstable();
        assert_eq!(listed, living);
        for point in &self.living {
            match self.site.restore(&repo, point.id) {
                Ok(bytes) => {
                    assert!(bytes == point.image && !point.partial, "{}", point.id);
                }
                Err(Error::DiskPartial { .. }) => assert!(point.partial),
                Err(error) => assert!(self.hit.contains(&point.id), "{}: {error}", point.id),
            }
        }
        let report = repo.verify(self.site.runtime.handle(), level, &()).unwrap();
        let whole = |finding: &&crate::repo::Finding| {
            finding.severity == crate::repo::Severity::Error
                && finding
                    .point
                    .is_some_and(|point| !self.hit.contains(&point))
        };
        assert_eq!(report.findings.iter().find(whole), None);
        assert!(report.is_clean() || !self.hit.is_empty() || self.rotted);
    }

    /// At the end nothing is left of what died, and garbage can go.
    fn end(&mut self) {
        let hit = std::mem::take(&mut self.hit);
        while let Some(place) = self.living.iter().position(|point| hit.contains(&point.id)) {
            self.drop_at(place as u8);
        }
        for _ in 0..3 {
            self.sweep(at_once());
        }
        self.check(VerifyLevel::Full);
        assert_eq!(self.site.names("open"), Vec::<String>::new());
        assert_eq!(self.site.names("dead"), Vec::<String>::new());
        let level = VerifyLevel::Structure;
        let report = self
            .site
            .repo
            .verify(self.site.runtime.handle(), level, &());
        assert_eq!(report.unwrap().counts.garbage_packs, 0);
    }
}

/// Blocks in which a later image differs, or that it has more.
fn differing(old: &[u8], new: &[u8]) -> Vec<u64> {
    let part = |image: &[u8], block: usize| {
        let from = image.len().min(block * BLOCK_BYTES);
        image[from..image.len().min(from + BLOCK_BYTES)].to_vec()
    };
    let blocks = 0..new.len().div_ceil(BLOCK_BYTES);
    blocks
        .filter(|block| part(old, *block) != part(new, *block))
        .map(|block| block as u64)
        .collect()
}

fn histories() -> u32 {
    let asked = std::env::var("CBT_HISTORIES").ok();
    asked.map_or(HISTORIES, |number| {
        number.parse().expect("CBT_HISTORIES is a number")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_every_living_point_is_its_image(
        bits in 1_u8..4,
        blocks in [1_u8..20, 1_u8..8],
        steps in proptest::collection::vec(step(), 3..14),
    ) {
        let mut model = Model::new(bits, blocks);
        for step in &steps {
            model.take(step);
            model.check(VerifyLevel::Structure);
        }
        model.end();
    }
}
