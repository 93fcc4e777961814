//! Trees of disks as large as they get, with blocks that are made up.

#[path = "../../../examples/repo_bench/null_store.rs"]
mod null_store;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use self::null_store::NullStore;
use super::site::{BLOCK_BYTES, Site, complete, info, passphrase, spec};
use crate::repo::{
    BlockRange, DiskSpec, InitOptions, KdfParams, PointKind, Repository, Session, SessionOptions,
    Store,
};

const TIB: u64 = 1 << 40;
/// Blocks of 256 KiB that a pack of 32 MiB holds when they compress to a third.
const BLOCKS_IN_PACK: u64 = 380;
/// What the largest disk there is may take: 62 TiB, unlocking and the table of known blocks apart.
const LIMIT_BYTES: u64 = 150 << 20;

/// A number of `/proc/self/status`, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    let kib: u64 = line
        .trim()
        .strip_suffix("kB")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    kib << 10
}

fn site() -> Site {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let objects = Arc::new(NullStore::default());
    let options = InitOptions {
        kdf: KdfParams {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        },
        ..InitOptions::default()
    };
    let store = Store::with_objects(objects.clone(), "nowhere");
    let secret = passphrase();
    let repo = runtime
        .block_on(Repository::init(store, &secret, options))
        .unwrap();
    Site {
        runtime,
        objects,
        repo,
    }
}

/// Memory that the tree of a disk took above what there was before. Of every `step` blocks one is there.
fn full(capacity_bytes: u64, step: u64) -> u64 {
    let site = site();
    let begin = site
        .repo
        .begin(spec(), site.runtime.handle(), SessionOptions::default());
    let session = site.runtime.block_on(begin).unwrap();
    let slot = session
        .add_disk(DiskSpec {
            capacity_bytes,
            ..DiskSpec::default()
        })
        .unwrap();
    let before = memory("VmRSS:");
    let begun = Instant::now();
    let blocks = session.geometry(slot).blocks();
    let there = || (0..blocks).step_by(step as usize);
    // As a run does it: what is not there is said first.
    for block in there() {
        let holes = step.min(blocks - block) - 1;
        session.put_hole(slot, block + 1, holes).unwrap();
    }
    let run = |first| BlockRange { first, blocks: 1 };
    session.expect_blocks(slot, there().map(run));
    session.expect_no_others(slot);
    for block in there() {
        session
            .put_invented(slot, block, 1, BLOCKS_IN_PACK, 32 << 20)
            .unwrap();
    }
    let put = (memory("VmHWM:") - before, begun.elapsed());
    session.set_disk_state(slot, complete());
    session.commit(info(PointKind::Full, 1)).unwrap();
    let all = memory("VmHWM:") - before;
    println!(
        "{blocks} blocks: {} MiB while they were put in {:?}, {} MiB in all, in {:?}",
        put.0 >> 20,
        put.1,
        all >> 20,
        begun.elapsed()
    );
    all
}

#[test]
#[ignore = "wants a process of its own; CBT_SCALE_TIB says how large, else 4; CBT_SCALE_STEP=2: every second block"]
fn memory_grows_slowly_with_the_disk() {
    let tib = std::env::var("CBT_SCALE_TIB").ok();
    let tib = tib.map_or(4, |tib| tib.parse().expect("CBT_SCALE_TIB is a number"));
    let step = std::env::var("CBT_SCALE_STEP").ok();
    let step = step.map_or(1, |step| step.parse().expect("CBT_SCALE_STEP is a number"));
    let bytes = full(tib * TIB, step);
    assert!(bytes <= LIMIT_BYTES, "{} MiB", bytes >> 20);
}

/// Packs of the larger disks below; one of its packs stands for many.
const ONE_BYTE: u64 = 1;

/// Bytes of nodes that an increment of these blocks writes, on a full disk of so many blocks.
fn increment(disk_blocks: u64, changed: &[u64]) -> u64 {
    let site = Site::new(8);
    let disk = |parent| Site::disk(parent, disk_blocks * BLOCK_BYTES as u64);
    let put = |session: &Session, slot, block, seed| {
        let pack = session.put_invented(slot, block, seed, BLOCKS_IN_PACK, ONE_BYTE);
        if let Some(pack) = pack.unwrap() {
            site.write(&pack.to_string(), vec![0]);
        }
    };
    let session = site.begin().unwrap();
    let slot = session.add_disk(disk(None)).unwrap();
    for block in 0..disk_blocks {
        put(&session, slot, block, 1);
    }
    session.set_disk_state(slot, complete());
    let full = session.commit(info(PointKind::Full, 1)).unwrap().point;
    let session = site.begin().unwrap();
    let slot = session.add_disk(disk(Some(full))).unwrap();
    for block in changed {
        put(&session, slot, *block, 2);
    }
    session.set_disk_state(slot, complete());
    let made = session.commit(info(PointKind::Incremental, 2)).unwrap();
    let root = site.point(made.point).root;
    let data: HashSet<u64> = changed.iter().map(|block| block / BLOCKS_IN_PACK).collect();
    made.pack_bytes - root.usage.pack_bytes - data.len() as u64 * ONE_BYTE
}

#[test]
fn an_increment_costs_the_same_on_a_disk_of_any_size() {
    // Ten runs of 32 blocks, each in a leaf of its own.
    let changed: Vec<u64> = (0..10_u64).flat_map(|run| (run * 700..).take(32)).collect();
    let small = increment(1 << 13, &changed);
    let large = increment(1 << 17, &changed);
    println!("320 changed blocks: {small} bytes of nodes on 2 GiB, {large} on 32 GiB");
    // The path is one node longer.
    assert!(large < small + 15_000, "{small} against {large}");
    assert!(small < 320 * 400, "{small}");
}
