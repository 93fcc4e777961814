//! What all processes know: the repository, the VMs, and what a disk holds at each step of its life.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::repo::condemned::{Condemned, PackList};
use crate::repo::id::{PackId, PackKind};
use crate::repo::roots::Roots;
use crate::repo::tests::site::{BLOCK_BYTES, Site, passphrase, spec};
use crate::repo::tests::sweep::at_once;
use crate::repo::{
    Error, Piece, Point, PointKind, Repository, SessionSpec, Severity, Store, VerifyLevel,
    VerifyReport, WalkOptions,
};

/// Time between two heart-beats.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(40);
pub(super) const BLOCKS: u64 = 40;
/// The last two writers share a VM.
pub(super) const VMS: u64 = 3;
/// Sweeps after which nothing may be left of a fleet that is dead: the announcements go, then the
/// roots, then the packs, then the tombstones.
const SWEEPS: usize = 4;

/// What a point must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Content {
    pub(super) vm: u64,
    pub(super) step: u64,
}

/// Whether a block is written in a step of a VM's life.
pub(super) fn is_written(vm: u64, block: u64, step: u64) -> bool {
    step == 0 || (block * 7 + step * 13 + vm * 5).is_multiple_of(6)
}

impl Content {
    /// The disk after the step.
    pub(super) fn image(self) -> Vec<u8> {
        let Self { vm, step } = self;
        let mut image = vec![0; (BLOCKS as usize - 1) * BLOCK_BYTES + 100];
        for (block, bytes) in (0..BLOCKS).zip(image.chunks_mut(BLOCK_BYTES)) {
            let last = (0..=step).rev().find(|step| is_written(vm, block, *step));
            let last = last.unwrap_or(0);
            let seed = [vm, block, last].map(u64::to_le_bytes).concat();
            // Every ninth block is zeros.
            if (block + last) % 9 != 0 {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&seed).finalize_xof().fill(bytes);
            }
        }
        image
    }

    /// What a root says of itself. Its VM's name is the VM's number, its time the step.
    pub(super) fn of(point: &Point) -> Self {
        Self {
            vm: point.root.vm.name.parse().unwrap(),
            step: point.root.snapshot_time_ms.cast_unsigned(),
        }
    }
}

pub(super) fn spec_of(vm: u64) -> SessionSpec {
    let mut spec = spec();
    spec.vm.name = vm.to_string();
    spec.vm.instance_uuid = format!("vm {vm}");
    spec
}

/// Makes a repository, in a folder or in a place of a cloud.
pub(super) fn create(address: &str) {
    let store = if Path::new(address).is_absolute() {
        Store::create(address)
    } else {
        Store::open(address)
    };
    drop(Site::over(store.unwrap().objects(), 2));
}

/// The repository as one process sees it.
pub(super) struct Ground {
    pub(super) site: Site,
    address: String,
}

impl Ground {
    pub(super) fn open(address: &str) -> Self {
        let store = Store::open(address).unwrap();
        let objects = store.objects();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let secret = passphrase();
        let repo = runtime.block_on(Repository::open(store, &secret)).unwrap();
        let site = Site {
            runtime,
            objects,
            repo,
        };
        Self {
            site,
            address: address.to_owned(),
        }
    }

    /// The repository with empty caches.
    pub(super) fn afresh(&self) -> Repository {
        let store = Store::open(&self.address).unwrap();
        let open = async { Repository::open(store, &passphrase()).await };
        self.site.runtime.block_on(open).unwrap()
    }

    /// The living points that are whole.
    pub(super) fn points(&self) -> Vec<Point> {
        let list = self.site.repo.full_points(None);
        let list = self.site.runtime.block_on(list).unwrap();
        assert!(list.findings.is_empty(), "{:?}", list.findings);
        let mut points = list.points;
        points.retain(|point| point.root.kind != PointKind::Partial);
        points
    }

    /// Sweeps until nothing is left of processes that are dead. All of them are.
    ///
    /// No sweep can know that: beside the mere proposal of a fence, which its sweep may yet make final, it keeps the older
    /// generations of the point, until that is dropped.
    pub(super) fn clean_up(&self) {
        let fences = self.site.names("fence");
        for proposal in fences.iter().filter_map(|name| name.strip_suffix(".p")) {
            if !fences.contains(&format!("{proposal}.f")) {
                self.site.delete(&format!("{proposal}.p"));
            }
        }
        for _ in 0..SWEEPS {
            let swept = self.site.repo.sweep(at_once(), &());
            self.site.runtime.block_on(swept).unwrap();
        }
        assert_eq!(self.site.names("open"), Vec::<String>::new());
        self.lists_are_of_use();
    }

    /// Packs that no root needs, of whatever generation.
    pub(super) fn packs_of_no_root(&self) -> Vec<PackId> {
        let (repo, runtime) = (self.afresh(), &self.site.runtime);
        let mut packs = runtime.block_on(repo.stored_packs()).unwrap();
        for name in runtime.block_on(Roots::read(&repo, None)).unwrap().unfenced {
            let usage = runtime.block_on(repo.read_root(&name)).unwrap().root.usage;
            packs.remove(&usage.reference.pack(PackKind::Node));
            let table = runtime.block_on(repo.usage(&usage)).unwrap();
            for pack in table.packs() {
                packs.remove(&pack);
            }
        }
        packs.into_keys().collect()
    }

    /// Whether a point has two roots of one generation.
    pub(super) fn has_twin_roots(&self) -> bool {
        let names = self.site.names("point");
        let generations = names.iter().filter_map(|name| name.rsplit_once('-'));
        let mut generations: Vec<&str> = generations.map(|(generation, _)| generation).collect();
        generations.sort_unstable();
        generations.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// What there is, for a person to find out why.
    pub(super) fn all_names(&self) -> String {
        let kinds = ["open", "fence", "lost", "sweep", "dead", "point", "pack"];
        let names: Vec<String> = kinds
            .iter()
            .flat_map(|kind| self.site.names(kind))
            .collect();
        names.join(" ")
    }

    /// The list of a sweep that died stays as long as one of its packs: a session that was there before
    /// the list may have built on it.
    fn lists_are_of_use(&self) {
        let (repo, runtime) = (&self.site.repo, &self.site.runtime);
        let stored = runtime.block_on(repo.stored_packs()).unwrap();
        for name in self.site.names("sweep") {
            let list = runtime.block_on(PackList::read(repo, &name)).unwrap();
            let mut condemned = Condemned::default();
            condemned.add(list.expect("nobody else is there"));
            let of_use = stored.keys().any(|pack| condemned.contains(*pack));
            assert!(of_use, "{name} names nothing that is there");
        }
    }

    /// Reads a point, and calls `step` with each piece.
    pub(super) fn read(
        &self,
        repo: &Repository,
        point: &Point,
        mut step: impl FnMut(),
    ) -> Result<Vec<u8>, Error> {
        let options = WalkOptions {
            memory_bytes: 5 * 3 * BLOCK_BYTES as u64,
            threads: 2,
        };
        let mut read = Vec::new();
        let handle = self.site.runtime.handle();
        repo.walk_disk(handle, point, 0, options, |piece| {
            match piece {
                Piece::Data { data, .. } => read.extend_from_slice(data),
                Piece::Hole { length_bytes, .. } => {
                    read.resize(read.len() + length_bytes as usize, 0);
                }
            }
            step();
            Ok::<_, Error>(())
        })?;
        Ok(read)
    }

    pub(super) fn verify(&self) -> VerifyReport {
        let handle = self.site.runtime.handle();
        let report = self.afresh().verify(handle, VerifyLevel::Full, &());
        let report = report.unwrap();
        let mut findings = report.findings.iter();
        let damage = findings.find(|finding| finding.severity == Severity::Error);
        assert!(damage.is_none(), "{damage:?}");
        report
    }
}

/// How often things happened, by what they are called.
#[derive(Default, Debug)]
pub(super) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(super) fn add(&mut self, what: &str, number: u64) {
        *self.0.entry(what.to_owned()).or_default() += number;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (what, number)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{number} {what}")?;
        }
        Ok(())
    }
}
