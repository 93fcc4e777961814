//! A repository with every kind of object in it: living and dropped points, old generations, dead and
//! fenced sessions, readers, lists. Damage is tried on copies of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use tokio::runtime::Runtime;

use super::compaction::all_that_is_not_full;
use super::fault_store::{FaultStore, Faults};
use super::site::{BLOCK_BYTES, Site, cheap, content, info, options, passphrase, spec};
use super::sweep::at_once;
use crate::repo::announce::{OpenSession, SessionKind};
use crate::repo::condemned::PackList;
use crate::repo::id::{ObjectId, PackId, PackKind, PointId, SessionId};
use crate::repo::lost_root::LostRecord;
use crate::repo::name::{ObjectName, RESERVE, RootName};
use crate::repo::{
    Error, Finding, PointKind, Repository, RepositoryKey, Session, SessionSpec, Store, VerifyLevel,
};
use crate::secret::Secret;

const BLOCKS: usize = 12;

/// A living point and what it needs.
pub(super) struct Truth {
    pub(super) id: PointId,
    pub(super) name: RootName,
    pub(super) image: Vec<u8>,
    /// Names of packs.
    pub(super) needs: HashSet<String>,
}

pub(super) struct Life {
    objects: Arc<InMemory>,
    /// Living points, those of the first VM first.
    pub(super) points: Vec<Truth>,
    /// The content of every point there ever was.
    pub(super) images: HashMap<PointId, Vec<u8>>,
    /// What objects were before, by name.
    pub(super) past: BTreeMap<String, Vec<Vec<u8>>>,
    /// A session that is dead and announced.
    pub(super) writer: SessionId,
    /// The `config` of another repository.
    pub(super) other_config: Vec<u8>,
    /// What a verification says before anything is damaged.
    pub(super) findings: Vec<Finding>,
    fenced: HashSet<SessionId>,
}

fn image(seed: u8) -> Vec<u8> {
    let blocks = (0..BLOCKS as u8).flat_map(|block| content(block * 2 + seed, BLOCK_BYTES));
    let mut image: Vec<u8> = blocks.collect();
    image.truncate((BLOCKS - 1) * BLOCK_BYTES + 700);
    image
}

/// With other content in some blocks.
fn changed(image: &[u8], blocks: &[u64], seed: u8) -> Vec<u8> {
    let mut image = image.to_vec();
    for block in blocks {
        let from = *block as usize * BLOCK_BYTES;
        let to = image.len().min(from + BLOCK_BYTES);
        image[from..to].copy_from_slice(&content(seed + 2 * *block as u8, to - from));
    }
    image
}

fn other_vm() -> SessionSpec {
    let mut other = spec();
    other.vm.instance_uuid = "another vm".to_owned();
    other
}

/// The life while it is lived.
struct Story {
    site: Site,
    objects: Arc<InMemory>,
    images: HashMap<PointId, Vec<u8>>,
    past: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Story {
    fn remember(&mut self) {
        for name in self.site.names("") {
            let bytes = self.site.read(&name);
            let versions = self.past.entry(name).or_default();
            if !versions.contains(&bytes) {
                versions.push(bytes);
            }
        }
    }

    fn backup(&mut self, image: &[u8], parent: Option<(PointId, &[u64])>, time: i64) -> PointId {
        let increment = parent.map(|(point, blocks)| (point, blocks.to_vec()));
        let point = self.site.backup(image, increment, time).unwrap();
        self.images.insert(point, image.to_vec());
        self.remember();
        point
    }

    /// A full of the other VM.
    fn other_backup(&mut self, image: &[u8], time: i64) -> PointId {
        let session = self.begin(other_vm());
        let kind = Site::fill(&session, image, None).unwrap();
        let point = session.commit(info(kind, time)).unwrap().point;
        self.images.insert(point, image.to_vec());
        self.remember();
        point
    }

    fn begin(&self, spec: SessionSpec) -> Session {
        let handle = self.site.runtime.handle();
        let begun = self.site.repo.begin(spec, handle, options());
        self.site.runtime.block_on(begun).unwrap()
    }

    /// A session that was fenced and commits all the same.
    fn fenced(&mut self, seeds: [u8; 2]) -> HashSet<SessionId> {
        let sessions = seeds.map(|seed| {
            let session = self.begin(spec());
            Site::fill(&session, &image(seed), None).unwrap();
            (session, image(seed))
        });
        self.sweep();
        let mut fenced = HashSet::new();
        for (session, image) in sessions {
            match session.commit(info(PointKind::Full, 9)) {
                Err(Error::Fenced { point, session }) => {
                    self.images.insert(point, image);
                    fenced.insert(session);
                }
                other => panic!("{other:?}"),
            }
        }
        self.remember();
        fenced
    }

    fn sweep(&mut self) {
        let swept = self.site.repo.sweep(at_once(), &());
        self.site.runtime.block_on(swept).unwrap();
        self.remember();
    }

    fn drop_point(&mut self, point: PointId) {
        let dropped = self.site.repo.drop_point(point, "proxy", "named", 1_000);
        self.site.runtime.block_on(dropped).unwrap();
        self.remember();
    }

    /// A session that dies, with an older form of its announcement.
    fn dead_writer(&mut self, seed: u8) -> SessionId {
        let session = self.begin(spec());
        Site::fill(&session, &image(seed), None).unwrap();
        let id = session.id();
        drop(session);
        self.remember();
        let mut open = OpenSession::new(id, SessionKind::Backup, "proxy");
        open.counter = 1;
        self.put(&ObjectName::Open(id), &open);
        id
    }

    /// A reader that dies.
    fn dead_reader(&mut self, point: PointId) {
        let points = [point];
        let often = Duration::from_mins(1);
        let handle = self.site.runtime.handle();
        let pin = self.site.repo.pin(&points, "proxy", often, handle);
        drop(self.site.runtime.block_on(pin).unwrap().unwrap());
        self.remember();
    }

    fn put(&mut self, name: &ObjectName, content: &impl serde::Serialize) {
        let (repo, name) = (&self.site.repo, name.to_string());
        let put = repo
            .store()
            .put_sealed(repo.keys(), &name, content, 64 << 20);
        self.site.runtime.block_on(put).unwrap();
        self.remember();
    }

    /// A key slot more, and one that was there for a while.
    fn keys(&mut self) {
        for (text, stays) in [("second", true), ("third", true), ("fourth", false)] {
            let key = RepositoryKey::passphrase(&Secret::new(text.to_owned()));
            let added = self.site.repo.add_key(&key, "", cheap(2).kdf);
            let slot = self.site.runtime.block_on(added).unwrap();
            self.remember();
            if !stays {
                let removed = self.site.repo.remove_key(slot);
                self.site.runtime.block_on(removed).unwrap();
            }
        }
    }

    /// Two records of roots that are there again.
    fn lost_roots(&mut self) {
        for session in [SessionId::generate(), SessionId::generate()] {
            self.put(&ObjectName::Lost(session), &LostRecord::new(session, 7));
        }
    }

    /// Two lists of each kind, and one that is gone.
    fn lists(&mut self, session: SessionId) {
        let pack = |seq| PackId {
            kind: PackKind::Data,
            session,
            seq,
        };
        for seq in 0..3 {
            let list = PackList::new(vec![pack(seq)]);
            let id = ObjectId::generate();
            self.put(&ObjectName::Condemned(id), &list);
            if seq == 2 {
                self.site.delete(&ObjectName::Condemned(id).to_string());
            }
            self.put(&ObjectName::Quarantine(ObjectId::generate()), &list);
        }
    }
}

impl Life {
    /// The names of the kinds, in order.
    pub(super) const KINDS: [&'static str; 18] = [
        "config",
        "data pack",
        "fence, final",
        "fence, proposed",
        "garbage pack",
        "key slot",
        "list, condemned",
        "list, quarantine",
        "lost root",
        "node pack",
        "open, reader",
        "open, writer",
        "reserve",
        "root",
        "root, dropped",
        "root, fenced",
        "root, old generation",
        "tombstone",
    ];

    pub(super) fn new() -> Self {
        let objects = Arc::new(InMemory::new());
        let mut story = Story {
            site: Site::over(Arc::clone(&objects) as _, 2),
            objects,
            images: HashMap::new(),
            past: BTreeMap::new(),
        };
        story.keys();
        // A point that comes and goes.
        let gone = story.backup(&image(201), None, 0);
        story.drop_point(gone);
        story.sweep();
        story.sweep();
        let fenced = story.fenced([151, 101]);
        let (first, other) = (image(1), image(51));
        let full = story.backup(&first, None, 1);
        let second = changed(&first, &[0, 3, 4, 11], 121);
        let next = story.backup(&second, Some((full, &[0, 3, 4, 11])), 2);
        let third = changed(&second, &[3, 7], 141);
        let last = story.backup(&third, Some((next, &[3, 7])), 3);
        let old_other = story.other_backup(&changed(&other, &[2], 3), 1);
        let other_point = story.other_backup(&other, 2);
        story.drop_point(full);
        story.drop_point(old_other);
        let handle = story.site.runtime.handle().clone();
        let compacted = story
            .site
            .repo
            .compact(&handle, "", &all_that_is_not_full(), &())
            .unwrap();
        assert!(compacted.rewritten.len() > 1, "{compacted:?}");
        story.remember();
        // An announcement that ended.
        let ended = story.begin(spec());
        story.remember();
        ended.abandon();
        let writer = story.dead_writer(61);
        let other_writer = story.dead_writer(71);
        story.dead_reader(next);
        story.dead_reader(other_point);
        story.lists(other_writer);
        story.lost_roots();
        story.site.write(RESERVE, content(1, 200));
        let points = [(last, third), (next, second), (other_point, other)];
        let points = points.map(|(id, image)| truth(&story.site, id, image));
        let other_site = Site::new(2);
        let level = VerifyLevel::Full;
        let report = story.site.repo.verify(&handle, level, &()).unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        Self {
            objects: story.objects,
            points: points.into(),
            images: story.images,
            past: story.past,
            writer,
            findings: report.findings,
            other_config: other_site.read("config"),
            fenced,
        }
    }

    /// All objects.
    pub(super) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let site = self.copy(&Faults::none());
        let names = site.names("").into_iter();
        names.map(|name| (name.clone(), site.read(&name))).collect()
    }

    /// A copy to be damaged.
    pub(super) fn copy(&self, faults: &Faults) -> Site {
        let objects = FaultStore::over(Arc::new(self.objects.fork()), faults);
        let objects: Arc<dyn ObjectStore> = Arc::new(objects);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::with_objects(Arc::clone(&objects), "memory");
        let secret = passphrase();
        let repo = runtime.block_on(Repository::open(store, &secret)).unwrap();
        Site {
            runtime,
            objects,
            repo,
        }
    }

    /// Whether another key slot still opens it.
    pub(super) fn opens_otherwise(site: &Site) -> bool {
        let store = Store::with_objects(Arc::clone(&site.objects), "memory");
        ["second", "third"].into_iter().any(|text| {
            let secret = Secret::new(text.to_owned());
            let opened = Repository::open(store.clone(), &secret);
            site.runtime.block_on(opened).is_ok()
        })
    }

    /// What an object is.
    pub(super) fn kind(&self, name: &str) -> &'static str {
        let root = |root: &RootName| {
            let living = self.points.iter().find(|point| point.id == root.point);
            match living {
                _ if self.fenced.contains(&root.session) => "root, fenced",
                None => "root, dropped",
                Some(point) if point.name == *root => "root",
                Some(_) => "root, old generation",
            }
        };
        match ObjectName::parse(name) {
            Some(ObjectName::Config) | None => "config",
            Some(ObjectName::Key(_)) => "key slot",
            Some(ObjectName::Open(session)) => self.open_kind(name, session),
            Some(ObjectName::Pack(_)) if !self.is_needed(name) => "garbage pack",
            Some(ObjectName::Pack(pack)) if pack.kind == PackKind::Data => "data pack",
            Some(ObjectName::Pack(_)) => "node pack",
            Some(ObjectName::Root(name)) => root(&name),
            Some(ObjectName::Dead(_)) => "tombstone",
            Some(ObjectName::Fence { last: true, .. }) => "fence, final",
            Some(ObjectName::Fence { .. }) => "fence, proposed",
            Some(ObjectName::Condemned(_)) => "list, condemned",
            Some(ObjectName::Quarantine(_)) => "list, quarantine",
            Some(ObjectName::Lost(_)) => "lost root",
            Some(ObjectName::Reserve) => "reserve",
        }
    }

    fn open_kind(&self, name: &str, session: SessionId) -> &'static str {
        let packs = format!("pack/{session}/");
        let wrote = |known: &String| known.starts_with(&packs);
        if self.past.keys().any(wrote) || !self.past.contains_key(name) {
            "open, writer"
        } else {
            "open, reader"
        }
    }

    fn is_needed(&self, pack: &str) -> bool {
        self.points.iter().any(|point| point.needs.contains(pack))
    }

    /// Neighbours of one kind that differ, each object in two pairs at most.
    pub(super) fn pairs(&self, now: &BTreeMap<String, Vec<u8>>) -> Vec<[String; 2]> {
        let mut of_kind: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for name in now.keys() {
            of_kind.entry(self.kind(name)).or_default().push(name);
        }
        let names = of_kind.values().flat_map(|names| names.windows(2));
        names
            .map(|pair| [pair[0].clone(), pair[1].clone()])
            .filter(|[a, b]| now[a] != now[b])
            .collect()
    }

    /// Backs the first VM up as the engine does: on its newest point, or in full when that cannot be
    /// built upon.
    pub(super) fn increment(
        &self,
        site: &Site,
        repo: &Repository,
    ) -> Result<(PointId, Vec<u8>), Error> {
        let image = changed(&self.points[0].image, &[1, 8], 161);
        let vm = &self.points[0].name.vm;
        let list = site.runtime.block_on(repo.points(Some(vm)))?;
        let parent = list.points.last().map(|point| {
            let old = &self.images[&point.id];
            let blocks = (0..BLOCKS as u64).filter(|block| {
                let from = *block as usize * BLOCK_BYTES;
                let to = image.len().min(from + BLOCK_BYTES);
                old[from..to] != image[from..to]
            });
            (point.id, blocks.collect())
        });
        let site = Site {
            runtime: Runtime::new().unwrap(),
            objects: Arc::clone(&site.objects),
            repo: repo.clone(),
        };
        let point = match site.backup(&image, parent, 20) {
            Err(error) if error.is_damage() => site.backup(&image, None, 20)?,
            made => made?,
        };
        Ok((point, image))
    }
}

fn truth(site: &Site, id: PointId, image: Vec<u8>) -> Truth {
    let point = site.point(id);
    let table = site.repo.usage(&point.root.usage);
    let table = site.runtime.block_on(table).unwrap();
    let own = point.root.usage.reference.pack(PackKind::Node);
    let packs = table.packs().chain([own]);
    Truth {
        id,
        name: point.name,
        image,
        needs: packs.map(|pack| pack.to_string()).collect(),
    }
}

#[test]
fn a_root_that_no_reader_would_read_is_not_written() {
    let site = Site::new(2);
    let session = site.begin().unwrap();
    let kind = Site::fill(&session, &content(1, BLOCK_BYTES), None).unwrap();
    let mut info = info(kind, 1);
    info.program = "x".repeat((16 << 20) + 1);
    let refused = session.commit(info).unwrap_err();
    assert!(
        matches!(
            refused,
            crate::repo::Error::WouldBeTooLarge {
                limit_bytes: 0x100_0000,
                ..
            }
        ),
        "{refused}"
    );
    assert!(site.names("point").is_empty());
}
