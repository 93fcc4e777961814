//! A small repository in memory, and a way to back images up into it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use crate::repo::{
    Consistency, Coverage, DiskIdentity, DiskOutcome, DiskSpec, Error, Image, InitOptions,
    KdfParams, NewFile, ParentDisk, Piece, Point, PointId, PointKind, Repository, RootInfo,
    Session, SessionOptions, SessionSpec, Store, VmIdentity, WalkOptions,
};
use crate::secret::Secret;

/// Blocks are tiny, so that small images have deep trees.
pub(super) const BLOCK_BYTES: usize = 1 << 12;

pub(super) struct Site {
    pub(super) runtime: Runtime,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) repo: Repository,
}

pub(super) fn passphrase() -> Secret {
    Secret::new("a passphrase".to_owned())
}

pub(super) fn cheap(fan_out_bits: u8) -> InitOptions {
    let kdf = KdfParams {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    InitOptions {
        kdf,
        block_shift: 12,
        fan_out_bits,
    }
}

pub(super) fn options() -> SessionOptions {
    SessionOptions {
        pack_bytes: 20_000,
        uploads: 2,
        fence_interval: Duration::from_millis(1),
        fence_looks: 3,
        ..SessionOptions::default()
    }
}

pub(super) fn spec() -> SessionSpec {
    let vm = VmIdentity {
        vcenter_instance_uuid: "vc".to_owned(),
        instance_uuid: "vm".to_owned(),
        name: "db01".to_owned(),
        ..VmIdentity::default()
    };
    SessionSpec {
        vm,
        host: "proxy".to_owned(),
        ..SessionSpec::default()
    }
}

pub(super) fn info(kind: PointKind, time_ms: i64) -> RootInfo {
    RootInfo {
        kind,
        snapshot_time: "2026-01-02T03:04:05Z".to_owned(),
        snapshot_time_ms: time_ms,
        zone: "UTC".to_owned(),
        consistency: Consistency::Quiesced,
        parent: None,
        files: vec![NewFile {
            name: "config.xml".to_owned(),
            content: b"<config/>".to_vec(),
        }],
        events: Vec::new(),
        program: "test".to_owned(),
    }
}

pub(super) fn complete() -> DiskOutcome {
    DiskOutcome::Complete {
        changed_areas: None,
        coverage: Coverage::default(),
    }
}

/// Bytes that do not compress, or do, by seed; 0 gives zeros.
pub(super) fn content(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![seed; length];
    if seed % 2 == 1 {
        blake3::Hasher::new()
            .update(&[seed])
            .finalize_xof()
            .fill(&mut bytes);
    }
    bytes
}

impl Site {
    pub(super) fn new(fan_out_bits: u8) -> Self {
        Self::over(Arc::new(InMemory::new()), fan_out_bits)
    }

    pub(super) fn over(objects: Arc<dyn ObjectStore>, fan_out_bits: u8) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::with_objects(Arc::clone(&objects), "memory");
        let secret = passphrase();
        let init = Repository::init(store, &secret, cheap(fan_out_bits));
        let repo = runtime.block_on(init).unwrap();
        Self {
            runtime,
            objects,
            repo,
        }
    }

    /// Opens the repository afresh, so that no cache hides damage.
    pub(super) fn reopen(&self) -> Result<Repository, Error> {
        let store = Store::with_objects(Arc::clone(&self.objects), "memory");
        self.runtime
            .block_on(Repository::open(store, &passphrase()))
    }

    pub(super) fn begin(&self) -> Result<Session, Error> {
        let begin = self.repo.begin(spec(), self.runtime.handle(), options());
        self.runtime.block_on(begin)
    }

    pub(super) fn disk(parent: Option<PointId>, capacity_bytes: u64) -> DiskSpec {
        DiskSpec {
            identity: DiskIdentity {
                label: "Hard disk 1".to_owned(),
                ..DiskIdentity::default()
            },
            capacity_bytes,
            change_id: Some("52 c0/7".to_owned()),
            parent: parent.map(|point| ParentDisk { point, disk: 0 }),
            ..DiskSpec::default()
        }
    }

    /// Backs `image` up: all of it, or the given blocks (and what the parent cannot supply).
    pub(super) fn backup(
        &self,
        image: &[u8],
        increment: Option<(PointId, Vec<u64>)>,
        time_ms: i64,
    ) -> Result<PointId, Error> {
        let session = self.begin()?;
        let filled = Self::fill(&session, image, increment);
        let kind = match filled {
            Ok(kind) => kind,
            Err(error) => {
                session.abandon();
                return Err(error);
            }
        };
        session
            .commit(info(kind, time_ms))
            .map(|committed| committed.point)
    }

    pub(super) fn fill(
        session: &Session,
        image: &[u8],
        increment: Option<(PointId, Vec<u64>)>,
    ) -> Result<PointKind, Error> {
        let capacity_bytes = image.len() as u64;
        let parent = increment.as_ref().map(|(point, _)| *point);
        let slot = session.add_disk(Self::disk(parent, capacity_bytes))?;
        let geometry = session.geometry(slot);
        let (kind, mut work) = match increment {
            Some((_, blocks)) => (PointKind::Incremental, blocks),
            None => (PointKind::Full, (0..geometry.blocks()).collect()),
        };
        for run in session.unreadable_blocks(slot) {
            work.extend(run.first..run.first + run.blocks);
        }
        work.sort_unstable();
        work.dedup();
        // Two threads, each from its end, so that leaves fill in odd orders.
        let (low, high) = work.split_at(work.len() / 2);
        let put = |blocks: &mut dyn Iterator<Item = &u64>| {
            for block in blocks {
                let from = *block as usize * BLOCK_BYTES;
                let data = &image[from..from + geometry.block_bytes(*block)];
                session.put(slot, *block, data)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| put(&mut high.iter().rev()));
            put(&mut low.iter()).and(other.join().unwrap())
        })?;
        session.set_disk_state(slot, complete());
        Ok(kind)
    }

    pub(super) fn point(&self, id: PointId) -> Point {
        self.runtime.block_on(self.repo.point(&id)).unwrap()
    }

    /// The whole image of a point's first disk, by a walk.
    pub(super) fn restore(&self, repo: &Repository, id: PointId) -> Result<Vec<u8>, Error> {
        let point = self.runtime.block_on(repo.point(&id))?;
        let image = Image::open(repo, self.runtime.handle(), &point, 0)?;
        let mut bytes = Vec::new();
        let options = WalkOptions {
            memory_bytes: 5 * 3 * BLOCK_BYTES as u64,
            threads: 2,
        };
        image.walk(options, |piece| {
            match piece {
                Piece::Data { offset_bytes, data } => {
                    assert_eq!(offset_bytes, bytes.len() as u64);
                    bytes.extend_from_slice(data);
                }
                Piece::Hole {
                    offset_bytes,
                    length_bytes,
                } => {
                    assert_eq!(offset_bytes, bytes.len() as u64);
                    bytes.resize(bytes.len() + length_bytes as usize, 0);
                }
            }
            Ok::<_, Error>(())
        })?;
        Ok(bytes)
    }

    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let list = self.objects.list(Some(&Path::from(prefix)));
        let all: Vec<_> = self.runtime.block_on(list.try_collect()).unwrap();
        let mut names: Vec<String> = all.iter().map(|meta| meta.location.to_string()).collect();
        names.sort();
        names
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        self.runtime
            .block_on(async { self.objects.get(&Path::from(name)).await?.bytes().await })
            .unwrap()
            .to_vec()
    }

    pub(super) fn write(&self, name: &str, bytes: Vec<u8>) {
        let path = Path::from(name);
        let put = self.objects.put(&path, Bytes::from(bytes).into());
        self.runtime.block_on(put).unwrap();
    }

    pub(super) fn delete(&self, name: &str) {
        self.runtime
            .block_on(self.objects.delete(&Path::from(name)))
            .unwrap();
    }
}
