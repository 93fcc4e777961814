//! The steps that are measured.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use cbt_backup::repo::{
    Consistency, Coverage, DiskIdentity, DiskOutcome, DiskSpec, Image, InitOptions, KdfParams,
    ParentDisk, Piece, Point, PointKind, Repository, RootInfo, SessionOptions, SessionSpec, Store,
    VmIdentity, WalkOptions,
};
use cbt_backup::secret::Secret;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Failure;
use crate::disk::{BLOCK_BYTES, Disk, is_zero};
use crate::null_store::NullStore;

/// What a backup puts.
pub(crate) enum Work<'a> {
    /// Everything, without a parent.
    Full,
    /// Everything, upon the point before: what a lost change tracking costs.
    Again,
    /// The blocks of a file with a number a line.
    Increment(&'a str),
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

fn passphrase() -> Secret {
    Secret::new("for one run of a benchmark".to_owned())
}

/// Unlocking is no part of what is measured.
fn init_options() -> InitOptions {
    InitOptions {
        kdf: KdfParams {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        },
        ..InitOptions::default()
    }
}

/// The most memory the process had, in bytes.
fn peak_bytes() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib: u64 = kib.ok_or("no VmHWM")?.trim().parse()?;
    Ok(kib << 10)
}

fn told(start: Instant, bytes: u64) -> Result<Value, Failure> {
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"seconds": seconds, "bytes": bytes, "peak_bytes": peak_bytes()?}))
}

/// The yardstick: zstd level 1 over the non-zero blocks, and nothing else.
pub(crate) fn zstd(image: &str) -> Result<Value, Failure> {
    let disk = Disk::open(image)?;
    let blocks: Vec<u64> = (0..disk.blocks()).collect();
    let start = Instant::now();
    let state = || (zstd::bulk::Compressor::new(1), Vec::new(), 0_u64);
    let done = disk.each(&blocks, state, |(compressor, output, bytes), _, data| {
        if !is_zero(data) {
            let compressor = compressor.as_mut().map_err(|error| error.to_string())?;
            output.clear();
            output.reserve(zstd::zstd_safe::compress_bound(data.len()));
            compressor.compress_to_buffer(data, output)?;
            *bytes += data.len() as u64;
        }
        Ok(())
    })?;
    told(start, done.iter().map(|(_, _, bytes)| bytes).sum())
}

pub(crate) fn null(image: &str) -> Result<Value, Failure> {
    let runtime = runtime()?;
    let store = Store::with_objects(Arc::new(NullStore::default()), "nowhere");
    let repo = runtime.block_on(Repository::init(store, &passphrase(), init_options()))?;
    run(&runtime, &repo, image, &Work::Full)
}

pub(crate) fn init(folder: &str) -> Result<Value, Failure> {
    let start = Instant::now();
    let store = Store::create(folder)?;
    runtime()?.block_on(Repository::init(store, &passphrase(), init_options()))?;
    told(start, 0)
}

pub(crate) fn back_up(folder: &str, image: &str, work: &Work<'_>) -> Result<Value, Failure> {
    let runtime = runtime()?;
    let repo = open(&runtime, folder)?;
    run(&runtime, &repo, image, work)
}

fn open(runtime: &Runtime, folder: &str) -> Result<Repository, Failure> {
    let store = Store::open(folder)?;
    Ok(runtime.block_on(Repository::open(store, &passphrase()))?)
}

fn run(
    runtime: &Runtime,
    repo: &Repository,
    image: &str,
    work: &Work<'_>,
) -> Result<Value, Failure> {
    let disk = Disk::open(image)?;
    let blocks: Vec<u64> = match work {
        Work::Full | Work::Again => (0..disk.blocks()).collect(),
        Work::Increment(list) => {
            let list = fs::read_to_string(list)?;
            list.lines().map(str::parse).collect::<Result<_, _>>()?
        }
    };
    let start = Instant::now();
    let begin = repo.begin(spec(), runtime.handle(), SessionOptions::default());
    let session = runtime.block_on(begin)?;
    let parent = match work {
        Work::Full => None,
        _ => session.parents().first().map(Point::id),
    };
    let slot = session.add_disk(DiskSpec {
        identity: DiskIdentity {
            label: "Hard disk 1".to_owned(),
            ..DiskIdentity::default()
        },
        capacity_bytes: disk.bytes,
        parent: parent.map(|point| ParentDisk { point, disk: 0 }),
        ..DiskSpec::default()
    })?;
    disk.each(
        &blocks,
        || (),
        |(), block, data| Ok(session.put(slot, block, data).map(drop)?),
    )?;
    session.set_disk_state(
        slot,
        DiskOutcome::Complete {
            changed_areas: None,
            coverage: Coverage::default(),
        },
    );
    let kind = match work {
        Work::Full => PointKind::Full,
        _ => PointKind::Incremental,
    };
    let committed = session.commit(info(kind))?;
    let mut line = told(start, blocks.len() as u64 * BLOCK_BYTES)?;
    line["stored_bytes"] = committed.stats.stored_bytes.into();
    line["new_blocks"] = committed.stats.new_blocks.into();
    Ok(line)
}

fn spec() -> SessionSpec {
    SessionSpec {
        vm: VmIdentity {
            name: "bench".to_owned(),
            ..VmIdentity::default()
        },
        host: "bench".to_owned(),
        ..SessionSpec::default()
    }
}

fn info(kind: PointKind) -> RootInfo {
    let now = jiff::Timestamp::now();
    RootInfo {
        kind,
        snapshot_time: now.to_string(),
        snapshot_time_ms: now.as_millisecond(),
        zone: "UTC".to_owned(),
        consistency: Consistency::Crash,
        parent: None,
        files: Vec::new(),
        events: Vec::new(),
        program: "repo_bench".to_owned(),
    }
}

fn newest(runtime: &Runtime, repo: &Repository) -> Result<Image, Failure> {
    let list = runtime.block_on(repo.full_points(None))?;
    let point = list.points.last().ok_or("there is no point")?;
    Ok(Image::open(repo, runtime.handle(), point, 0)?)
}

/// Every block read, verified by its id, and written to `output` or nowhere.
pub(crate) fn restore(folder: &str, output: Option<&str>) -> Result<Value, Failure> {
    let runtime = runtime()?;
    let repo = open(&runtime, folder)?;
    let file = output.map(File::create).transpose()?;
    let start = Instant::now();
    let image = newest(&runtime, &repo)?;
    let mut bytes = 0;
    image.walk(WalkOptions::default(), |piece| {
        if let Piece::Data { offset_bytes, data } = piece {
            bytes += data.len() as u64;
            if let Some(file) = &file {
                file.write_all_at(data, offset_bytes)?;
            }
        }
        Ok::<_, Failure>(())
    })?;
    if let Some(file) = &file {
        file.set_len(image.capacity_bytes())?;
        file.sync_all()?;
    }
    told(start, bytes)
}

/// Reads of 4 KiB in random places that are no holes, each compared with the image.
pub(crate) fn random(folder: &str, image: &str, reads: &str) -> Result<Value, Failure> {
    const READ_BYTES: usize = 4 << 10;
    let (disk, reads): (_, usize) = (Disk::open(image)?, reads.parse()?);
    let runtime = runtime()?;
    let repo = open(&runtime, folder)?;
    let point = newest(&runtime, &repo)?;
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let (mut wanted, mut read) = ([0; READ_BYTES], [0; READ_BYTES]);
    let mut micros = Vec::with_capacity(reads);
    let all = Instant::now();
    while micros.len() < reads {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let offset_bytes = seed % (disk.bytes / READ_BYTES as u64) * READ_BYTES as u64;
        disk.read(offset_bytes, &mut wanted)?;
        if is_zero(&wanted) {
            continue;
        }
        let start = Instant::now();
        point.read_at(offset_bytes, &mut read)?;
        micros.push(start.elapsed().as_micros() as u64);
        if read != wanted {
            return Err(format!("other bytes at {offset_bytes}").into());
        }
    }
    micros.sort_unstable();
    let mut line = told(all, (reads * READ_BYTES) as u64)?;
    let at = |share: usize| micros.get(reads * share / 100).copied().unwrap_or(0);
    line["p50_us"] = at(50).into();
    line["p99_us"] = at(99).into();
    Ok(line)
}
