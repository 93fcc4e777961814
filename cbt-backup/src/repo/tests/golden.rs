//! Golden repositories: written once by the first build of a format, committed, and readable for ever.
//!
//! `tests/golden/<name>` holds `repository`, the secrets `passphrase`, `recovery` and `key-file`, and
//! `expected.json`: for each living point each disk's device key, length and BLAKE3 hash.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::compaction::all_that_is_not_full;
use super::site::{Site, cheap, complete, info, options, spec};
use super::sweep::at_once;
use crate::repo::announce::{OpenSession, SessionKind};
use crate::repo::condemned::PackList;
use crate::repo::id::{ObjectId, PackId, PackKind, PointId, SessionId};
use crate::repo::name::ObjectName;
use crate::repo::{
    BlockRange, DiskIdentity, DiskOutcome, DiskSpec, Error, FORMAT, InitOptions, ParentDisk,
    PointKind, Repository, RepositoryKey, Session, Severity, Store, SweepOptions, VerifyLevel,
};
use crate::secret::Secret;

pub(super) const PASSPHRASE: &str = "golden";
const KEY_FILE: &[u8] = b"32 bytes and more of a key file, which is no secret";

/// All golden repositories.
pub(super) fn goldens() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A block: a beginning that does not compress, and a rest that does.
fn block(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![seed as u8; length];
    let random = length.min(150);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes[..random]);
    bytes
}

/// A disk, with the seed of each of its blocks; 0 is a hole.
struct Disk {
    key: i32,
    capacity_bytes: u64,
    seeds: Vec<u64>,
}

impl Disk {
    fn spec(&self, parent: Option<ParentDisk>) -> DiskSpec {
        DiskSpec {
            identity: DiskIdentity {
                device_key: self.key,
                label: format!("Hard disk {}", self.key - 1999),
                disk_uuid: format!("6000c29{}", self.key),
                ..DiskIdentity::default()
            },
            capacity_bytes: self.capacity_bytes,
            change_id: Some(format!("52 de ad be ef/{}", self.key)),
            snapshots_before: Some(0),
            parent,
            ..DiskSpec::default()
        }
    }

    /// Puts blocks into a new disk of a session.
    fn put(&self, session: &Session, parent: Option<ParentDisk>, blocks: &[u64]) {
        let slot = session.add_disk(self.spec(parent)).unwrap();
        let geometry = session.geometry(slot);
        for number in blocks {
            match self.seeds[*number as usize] {
                0 => session.put_hole(slot, *number, 1).unwrap(),
                seed => {
                    let data = block(seed, geometry.block_bytes(*number));
                    session.put(slot, *number, &data).unwrap();
                }
            }
        }
        session.set_disk_state(slot, complete());
    }

    fn all(&self) -> Vec<u64> {
        (0..self.seeds.len() as u64).collect()
    }
}

/// The making of one.
pub(super) struct Maker {
    pub(super) site: Site,
    block_bytes: u64,
}

impl Maker {
    pub(super) fn new(init: InitOptions) -> Self {
        let objects: Arc<dyn object_store::ObjectStore> =
            Arc::new(object_store::memory::InMemory::new());
        let runtime = Runtime::new().unwrap();
        let store = Store::with_objects(Arc::clone(&objects), "memory");
        let secret = Secret::new(PASSPHRASE.to_owned());
        let repo = runtime
            .block_on(Repository::init(store, &secret, init))
            .unwrap();
        let site = Site {
            runtime,
            objects,
            repo,
        };
        Self {
            site,
            block_bytes: 1 << init.block_shift,
        }
    }

    fn disk(&self, key: i32, seeds: &[u64], last_bytes: u64) -> Disk {
        Disk {
            key,
            capacity_bytes: (seeds.len() as u64 - 1) * self.block_bytes + last_bytes,
            seeds: seeds.to_vec(),
        }
    }

    fn begin(&self, vm: &str) -> Session {
        let mut spec = spec();
        vm.clone_into(&mut spec.vm.instance_uuid);
        vm.clone_into(&mut spec.vm.name);
        let begin = self
            .site
            .repo
            .begin(spec, self.site.runtime.handle(), options());
        self.site.runtime.block_on(begin).unwrap()
    }

    fn put(&self, name: &ObjectName, content: &impl serde::Serialize) {
        let (repo, name) = (&self.site.repo, name.to_string());
        let put = repo
            .store()
            .put_sealed(repo.keys(), &name, content, 64 << 20);
        self.site.runtime.block_on(put).unwrap();
    }

    /// Three points of a VM with two disks, of which one grows and the other fails once; the first is
    /// dropped and brought back.
    fn db01(&self) {
        let seeds: Vec<u64> = (0..20).map(|block| block % 7 * (block % 3 + 1)).collect();
        let mut first = self.disk(2000, &seeds, 700);
        let session = self.begin("db01");
        first.put(&session, None, &first.all());
        let mut second = self.disk(2001, &[0, 0, 31, 0, 32], 512);
        second.put(&session, None, &second.all());
        let full = session.commit(info(PointKind::Full, 1_000)).unwrap().point;

        let parent = |point, disk| Some(ParentDisk { point, disk });
        (first.seeds[1], first.seeds[8], first.seeds[19]) = (41, 0, 42);
        let session = self.begin("db01");
        first.put(&session, parent(full, 0), &[1, 8, 19]);
        second = self.disk(2001, &[0, 0, 31, 0, 33, 0, 34], 1_024);
        second.put(&session, parent(full, 1), &[4, 6]);
        let next = session
            .commit(info(PointKind::Incremental, 2_000))
            .unwrap()
            .point;

        let session = self.begin("db01");
        let slot = session.add_disk(first.spec(parent(next, 0))).unwrap();
        let reason = "the disk went away".to_owned();
        session.set_disk_state(slot, DiskOutcome::Carried { from: next, reason });
        second.seeds[0] = 35;
        second.put(&session, parent(next, 1), &[0]);
        let slot = session
            .add_disk(self.disk(2002, &[1], 512).spec(None))
            .unwrap();
        let reason = "no data".to_owned();
        session.set_disk_state(slot, DiskOutcome::Absent { reason });
        session.commit(info(PointKind::Incremental, 3_000)).unwrap();

        let dropped = self.site.repo.drop_point(full, "proxy", "named", 4_000);
        self.site.runtime.block_on(dropped).unwrap();
        let handle = self.site.runtime.handle();
        self.site
            .repo
            .undelete(handle, full, "proxy", options())
            .unwrap();
    }

    /// A VM with a point whose packs are partly garbage, and a run that was not over.
    fn web01(&self) {
        let mut disk = self.disk(2000, &[51, 0, 52, 53, 51, 0, 0, 54], 4_096);
        let session = self.begin("web01");
        disk.put(&session, None, &disk.all());
        let full = session.commit(info(PointKind::Full, 1_500)).unwrap().point;
        (disk.seeds[0], disk.seeds[3]) = (55, 56);
        let session = self.begin("web01");
        let parent = ParentDisk {
            point: full,
            disk: 0,
        };
        disk.put(&session, Some(parent), &[0, 3]);
        session.commit(info(PointKind::Incremental, 2_500)).unwrap();
        let dropped = self.site.repo.drop_point(full, "proxy", "named", 4_500);
        self.site.runtime.block_on(dropped).unwrap();
        let disk = self.disk(2000, &[61, 0, 52, 62, 51, 0, 0, 54], 4_096);
        let session = self.begin("web01");
        let slot = session.add_disk(disk.spec(None)).unwrap();
        session.expect_blocks(
            slot,
            [BlockRange {
                first: 0,
                blocks: 8,
            }],
        );
        session
            .put(slot, 0, &block(61, self.block_bytes as usize))
            .unwrap();
        let (next, _) = session.checkpoint(info(PointKind::Full, 5_000)).unwrap();
        next.abandon();
    }

    /// A session that a sweep fenced, and that commits all the same.
    fn fenced(&self) {
        let session = self.begin("web01");
        let disk = self.disk(2000, &[71], 512);
        disk.put(&session, None, &[0]);
        let with_bin = SweepOptions {
            bin_ms: i64::MAX / 2,
            ..at_once()
        };
        let swept = self.site.repo.sweep(with_bin, &());
        self.site.runtime.block_on(swept).unwrap();
        let committed = session.commit(info(PointKind::Full, 6_000));
        assert!(
            matches!(committed, Err(Error::Fenced { .. })),
            "{committed:?}"
        );
    }

    /// What sessions, sweeps and verifications leave when they die.
    fn leftovers(&self) {
        let session = SessionId::generate();
        let mut open = OpenSession::new(session, SessionKind::Backup, "proxy");
        open.counter = 7;
        self.put(&ObjectName::Open(session), &open);
        let list = || {
            PackList::new(vec![PackId {
                kind: PackKind::Data,
                session,
                seq: 3,
            }])
        };
        self.put(&ObjectName::Condemned(ObjectId::generate()), &list());
        self.put(&ObjectName::Quarantine(ObjectId::generate()), &list());
    }

    /// Writes it down.
    fn write(&self, folder: &Path, recovery: &Secret) {
        let repository = folder.join("repository");
        for name in self.site.names("") {
            let path = repository.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, self.site.read(&name)).unwrap();
        }
        fs::write(folder.join("passphrase"), PASSPHRASE).unwrap();
        fs::write(folder.join("recovery"), recovery.expose()).unwrap();
        fs::write(folder.join("key-file"), KEY_FILE).unwrap();
        let points = self.site.runtime.block_on(self.site.repo.full_points(None));
        let points = points.unwrap().points.into_iter().map(|point| {
            let disks = point.root.disks.iter().enumerate().map(|(index, disk)| {
                let image = image_of(&self.site, &self.site.repo, point.id(), index);
                json!({
                    "key": disk.identity.device_key,
                    "bytes": image.as_ref().ok().map(Vec::len),
                    "blake3": image.ok().map(|image| blake3::hash(&image).to_hex().to_string()),
                })
            });
            let disks: Vec<Value> = disks.collect();
            json!({"point": point.id().to_string(), "kind": point.root.kind, "disks": disks})
        });
        let expected = json!({"format": FORMAT, "points": points.collect::<Vec<_>>()});
        let text = serde_json::to_string_pretty(&expected).unwrap();
        fs::write(folder.join("expected.json"), text + "\n").unwrap();
    }
}

fn image_of(site: &Site, repo: &Repository, point: PointId, disk: usize) -> Result<Vec<u8>, Error> {
    let point = site.runtime.block_on(repo.point(&point))?;
    let image = crate::repo::Image::open(repo, site.runtime.handle(), &point, disk)?;
    let mut bytes = vec![0; image.capacity_bytes() as usize];
    image.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Writes a golden repository with what it holds into a new folder below `folder`.
pub(super) fn write_new(folder: &str, name: &str, site: &Site, expected: &serde_json::Value) {
    let folder = Path::new(folder).join(format!("format-{FORMAT}-{name}"));
    assert!(
        !folder.exists(),
        "a golden repository is never written again"
    );
    for name in site.names("") {
        let path = folder.join("repository").join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, site.read(&name)).unwrap();
    }
    fs::write(folder.join("passphrase"), PASSPHRASE).unwrap();
    let text = serde_json::to_string_pretty(expected).unwrap();
    fs::write(folder.join("expected.json"), text + "\n").unwrap();
}

/// To be run once for a format: `CBT_GOLDEN=<new folder>`.
#[test]
#[ignore = "makes new golden repositories; those that are committed stay as they are"]
fn golden_repositories_are_made() {
    let folder = std::env::var("CBT_GOLDEN").expect("CBT_GOLDEN names a new folder");
    let usual = InitOptions {
        block_shift: 16,
        ..cheap(8)
    };
    for (name, init) in [("usual", usual), ("deep", cheap(1))] {
        let maker = Maker::new(init);
        let (recovery, shown) = RepositoryKey::new_recovery().unwrap();
        let file = RepositoryKey::key_file(KEY_FILE.to_vec().into()).unwrap();
        for (key, label) in [(recovery, "paper"), (file, "proxy")] {
            let added = maker.site.repo.add_key(&key, label, init.kdf);
            maker.site.runtime.block_on(added).unwrap();
        }
        maker.db01();
        maker.web01();
        maker.fenced();
        let handle = maker.site.runtime.handle();
        let options = all_that_is_not_full();
        let compacted = maker.site.repo.compact(handle, "", &options, &()).unwrap();
        assert!(!compacted.rewritten.is_empty());
        maker.leftovers();
        let folder = Path::new(&folder).join(format!("format-{FORMAT}-{name}"));
        assert!(
            !folder.exists(),
            "a golden repository is never written again"
        );
        maker.write(&folder, &shown);
    }
}

/// A copy, because a verification announces itself and the life after it writes.
pub(super) fn folder_copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            folder_copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub(super) fn open(folder: &Path, key: RepositoryKey) -> Site {
    let store = Store::open(folder.to_str().unwrap()).unwrap();
    let objects = store.objects();
    let runtime = Runtime::new().unwrap();
    let repo = runtime.block_on(Repository::open(store, key)).unwrap();
    Site {
        runtime,
        objects,
        repo,
    }
}

/// Every disk of every living point is what it was when the repository was made.
fn assert_as_expected(site: &Site, expected: &Value) {
    let points = expected["points"].as_array().unwrap();
    assert!(points.len() > 4);
    let mut whole = 0;
    for point in points {
        let id: PointId = point["point"].as_str().unwrap().parse().unwrap();
        for (index, disk) in point["disks"].as_array().unwrap().iter().enumerate() {
            let image = image_of(site, &site.repo, id, index);
            match disk["blake3"].as_str() {
                Some(hash) => {
                    let image = image.unwrap_or_else(|error| panic!("{id}: {error}"));
                    assert_eq!(blake3::hash(&image).to_hex().as_str(), hash, "{id}");
                    whole += 1;
                }
                None => assert!(matches!(
                    image,
                    Err(Error::DiskAbsent { .. } | Error::DiskPartial { .. })
                )),
            }
        }
    }
    assert!(whole > 5);
}

#[test]
fn golden_repositories_stay_readable() {
    let mut tried = 0;
    // The copies have no more than a passphrase, and a test of their own.
    for golden in goldens() {
        if !golden.join("recovery").exists() {
            continue;
        }
        let expected = fs::read(golden.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        folder_copy(&golden.join("repository"), scratch.path());
        let secret = |name: &str| fs::read_to_string(golden.join(name)).unwrap();
        let file = fs::read(golden.join("key-file")).unwrap();
        let keys = [
            RepositoryKey::passphrase(&Secret::new(secret("recovery"))),
            RepositoryKey::key_file(file.into()).unwrap(),
            RepositoryKey::passphrase(&Secret::new(secret("passphrase"))),
        ];
        for key in keys {
            let site = open(scratch.path(), key);
            assert_as_expected(&site, &expected);
        }
        let key = RepositoryKey::passphrase(&Secret::new(secret("passphrase")));
        let site = open(scratch.path(), key);
        let slots = site.runtime.block_on(site.repo.key_slots()).unwrap();
        assert_eq!(slots.len(), 3);
        let handle = site.runtime.handle();
        let report = site.repo.verify(handle, VerifyLevel::Full, &()).unwrap();
        let findings = report.findings.iter();
        // The root of the fenced session is all there is to tell.
        let severities: Vec<_> = findings.map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Warning], "{:?}", report.findings);
        let opened = site.runtime.block_on(site.repo.deleted_points()).unwrap();
        assert_eq!(opened.points.len(), 2);
        lives_on(&site, &expected);
        tried += 1;
    }
    assert!(tried >= 2);
}

/// A sweep cleans up, and the next increment builds on what is there.
fn lives_on(site: &Site, expected: &Value) {
    for _ in 0..3 {
        let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
        swept.unwrap();
    }
    assert_eq!(site.names("open"), Vec::<String>::new());
    assert_as_expected(site, expected);
    let list = site.runtime.block_on(site.repo.full_points(None)).unwrap();
    let points: HashMap<&str, _> = list
        .points
        .iter()
        .filter(|point| {
            point
                .root
                .disks
                .iter()
                .all(crate::repo::DiskRecord::has_data)
        })
        .map(|point| (point.root.vm.name.as_str(), point))
        .collect();
    let parent = points["db01"];
    let mut next = spec();
    next.vm.clone_from(&parent.root.vm);
    let begin = site.repo.begin(next, site.runtime.handle(), options());
    let session = site.runtime.block_on(begin).unwrap();
    let record = &parent.root.disks[0];
    let slot = session
        .add_disk(DiskSpec {
            identity: record.identity.clone(),
            capacity_bytes: record.capacity_bytes,
            parent: Some(ParentDisk {
                point: parent.id(),
                disk: 0,
            }),
            ..DiskSpec::default()
        })
        .unwrap();
    assert_eq!(session.unreadable_blocks(slot), []);
    let bytes = session.geometry(slot).block_bytes(0);
    session.put(slot, 0, &block(99, bytes)).unwrap();
    session.set_disk_state(slot, complete());
    let point = session
        .commit(info(PointKind::Incremental, 9_000))
        .unwrap()
        .point;
    let mut image = image_of(site, &site.repo, parent.id(), 0).unwrap();
    image[..bytes].copy_from_slice(&block(99, bytes));
    assert!(image_of(site, &site.repo, point, 0).unwrap() == image);
    let report = site
        .repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
