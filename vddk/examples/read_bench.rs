//! How fast `vddk` reads from the stand-in library, side by side with a plain `pread` loop on the
//! same file. `cargo xtask bench vddk` builds this with optimisation, runs it and prints a table.
//!
//! The first argument is the stand-in's libvixDiskLib.so, the second how many rounds. Every round
//! measures both sides one after the other, so that both meet the same machine. The page cache is
//! warm on both sides: what is measured is the way from there to the caller's buffer. One line of
//! JSON a case goes to standard output.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lab::{DiskSpec, Lab, Performance, SiteSpec, SnapshotSpec, VmSpec};
use vddk::{
    ConnectOptions, ConnectParams, Connection, Library, LibraryOptions, OpenOptions, ReadMode,
    SECTOR_BYTES, Secret, SectorBuf,
};

type Checked<T> = Result<T, Box<dyn Error>>;

const DISK_BYTES: u64 = 512 << 20;
/// What is read where the simulated host is slow.
const SLOW_BYTES: u64 = 192 << 20;
const PIECE_BYTES: usize = 2 << 20;
/// What the whole disk is read in, on both sides. For a lab disk `vddk` makes calls of
/// [`PIECE_BYTES`] of it; a local file takes it whole.
const LARGE_BYTES: usize = 8 << 20;
const SMALL_BYTES: usize = 64 << 10;
const SMALL_READS: usize = 4096;
/// As many as AIO buffers by the guide's advice.
const IN_FLIGHT: usize = 4;
const CAP_BYTES_PER_S: u32 = 500_000_000;

fn main() -> Checked<()> {
    let mut arguments = std::env::args_os().skip(1);
    let library = arguments.next().ok_or("which libvixDiskLib.so?")?;
    let rounds = arguments
        .next()
        .and_then(|text| text.to_str()?.parse().ok());
    let site = Site::new(Path::new(&library))?;
    let loaded = Library::load(LibraryOptions {
        location: Some(site.kit.clone()),
        ..LibraryOptions::default()
    })?;
    let connection = site.connect(&loaded)?;
    let local = loaded.connect_local(true)?;
    let bench = Bench {
        site: &site,
        connection: &connection,
        local: &local,
        rounds: rounds.unwrap_or(5).max(5),
    };
    bench.run()?;
    local.close()?;
    connection.close()?;
    loaded.close()?;
    Ok(())
}

/// A lab with one disk full of data.
struct Site {
    _folder: tempfile::TempDir,
    lab: Lab,
    kit: PathBuf,
    vm: String,
    snapshot: String,
    /// Datastore path of the frozen disk.
    path: String,
    /// The file with its data.
    extent: PathBuf,
}

impl Site {
    fn new(library: &Path) -> Checked<Self> {
        let folder = tempfile::tempdir()?;
        let raw = folder.path().join("disk.raw");
        fill(&raw)?;
        let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default())?;
        let kit = lab.install_kit(library)?;
        let vm = lab.add_vm(VmSpec {
            name: "bench".to_owned(),
            disks: vec![DiskSpec {
                capacity_bytes: DISK_BYTES,
                image: Some(raw.clone()),
                ..DiskSpec::default()
            }],
            ..VmSpec::default()
        })?;
        fs::remove_file(raw)?;
        let snapshot = lab.create_snapshot(&vm.moref, &SnapshotSpec::named("bench"))?;
        let path = snapshot.disks[0]
            .top()
            .ok_or("a disk has a link")?
            .file
            .clone();
        let stores = lab.root().join("datastores/datastore1/bench");
        let files = fs::read_dir(stores)?.filter_map(Result::ok);
        let extent = files
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-flat.vmdk"))
            .ok_or("the disk has a flat extent")?;
        Ok(Self {
            _folder: folder,
            lab,
            kit,
            vm: vm.moref,
            snapshot: snapshot.moref,
            path,
            extent,
        })
    }

    /// The descriptor beside the extent.
    fn descriptor(&self) -> Checked<String> {
        let extent = self.extent.to_str().ok_or("the path is text")?;
        Ok(extent.replace("-flat.vmdk", ".vmdk"))
    }

    fn connect(&self, library: &Library) -> Checked<Connection> {
        let params = ConnectParams::builder()
            .server("127.0.0.1")
            .thumbprint(&self.lab.thumbprint_sha1()?)
            .user("backup@vsphere.local", Secret::new("stand-in".to_owned()))
            .vm_moref(&self.vm)
            .build()?;
        let options = ConnectOptions::read_only(&self.snapshot, "nbdssl".parse()?);
        Ok(library.connect(&params, &options)?)
    }
}

/// Writes data that are nowhere zero.
fn fill(path: &Path) -> Checked<()> {
    let mut file = File::create(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    for at in 0..DISK_BYTES / PIECE_BYTES as u64 {
        for (index, byte) in piece.iter_mut().enumerate() {
            *byte = content(at * PIECE_BYTES as u64 + index as u64);
        }
        file.write_all(&piece)?;
    }
    Ok(())
}

struct Bench<'a> {
    site: &'a Site,
    connection: &'a Connection,
    local: &'a Connection,
    rounds: usize,
}

impl Bench<'_> {
    fn run(&self) -> Checked<()> {
        let large = starts(DISK_BYTES, LARGE_BYTES);
        let slow = pieces(SLOW_BYTES);
        let small = scattered();
        let few = &small[..small.len() / 8];
        let trip = Performance {
            latency_us: 1000,
            ..Performance::default()
        };
        let capped = Performance {
            stream_bytes_per_s: Some(CAP_BYTES_PER_S.into()),
            ..trip.clone()
        };
        let free = Performance::default();
        let (a, s) = (ReadMode::Asynchronous, ReadMode::Synchronous);

        self.site.lab.set_performance(Some(&free))?;
        let ours = |mode, reads: &[u64], bytes| self.vddk(mode, reads, bytes);
        self.case(
            "whole disk as a local file",
            "pread loop",
            Some(0.9),
            "memory bandwidth",
            &|| Self::read(self.local, &self.site.descriptor()?, a, &large, LARGE_BYTES),
            &|| self.plain(&large, LARGE_BYTES),
        )?;
        self.case(
            "whole disk, asynchronous",
            "pread loop",
            None,
            "memory bandwidth",
            &|| ours(a, &large, LARGE_BYTES),
            &|| self.plain(&large, LARGE_BYTES),
        )?;
        self.case(
            "whole disk, synchronous",
            "pread loop",
            None,
            "memory bandwidth",
            &|| ours(s, &large, LARGE_BYTES),
            &|| self.plain(&large, LARGE_BYTES),
        )?;
        self.case(
            "64 KiB scattered, asynchronous",
            "pread loop",
            None,
            "hand-over between threads",
            &|| ours(a, &small, SMALL_BYTES),
            &|| self.plain(&small, SMALL_BYTES),
        )?;
        self.site.lab.set_performance(Some(&capped))?;
        self.case(
            "1 ms and 500 MB/s, asynchronous",
            "the cap",
            Some(0.95),
            "the cap",
            &|| ours(a, &slow, PIECE_BYTES),
            &|| Ok(f64::from(CAP_BYTES_PER_S)),
        )?;
        self.case(
            "1 ms and 500 MB/s, asynchronous",
            "synchronous",
            None,
            "the cap, against cap and round trips",
            &|| ours(a, &slow, PIECE_BYTES),
            &|| ours(s, &slow, PIECE_BYTES),
        )?;
        self.site.lab.set_performance(Some(&trip))?;
        self.case(
            "1 ms, 64 KiB scattered, asynchronous",
            "synchronous",
            None,
            "round trips, four at a time",
            &|| ours(a, few, SMALL_BYTES),
            &|| ours(s, few, SMALL_BYTES),
        )
    }

    /// Measures both sides in every round and prints the medians.
    fn case(
        &self,
        name: &str,
        against: &str,
        goal: Option<f64>,
        binds: &str,
        ours: &dyn Fn() -> Checked<f64>,
        other: &dyn Fn() -> Checked<f64>,
    ) -> Checked<()> {
        // Warms the page cache and whatever else comes first.
        ours()?;
        other()?;
        let mut rates = Vec::new();
        for _ in 0..self.rounds {
            rates.push((ours()?, other()?));
        }
        let ratio = median(rates.iter().map(|(ours, other)| ours / other));
        let line = serde_json::json!({
            "case": name, "against": against, "goal": goal, "binds": binds, "rounds": self.rounds,
            "ratio": ratio,
            "bytes_per_s": median(rates.iter().map(|(ours, _)| *ours)).round(),
            "against_bytes_per_s": median(rates.iter().map(|(_, other)| *other)).round(),
        });
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }

    /// Reads the frozen disk of the VM.
    fn vddk(&self, mode: ReadMode, offsets: &[u64], length_bytes: usize) -> Checked<f64> {
        Self::read(
            self.connection,
            &self.site.path,
            mode,
            offsets,
            length_bytes,
        )
    }

    /// Reads pieces through `vddk`; bytes a second. Opening and closing is not counted.
    fn read(
        connection: &Connection,
        path: &str,
        mode: ReadMode,
        offsets: &[u64],
        length_bytes: usize,
    ) -> Checked<f64> {
        let options = OpenOptions {
            reads: mode,
            in_flight: IN_FLIGHT,
            request_bytes: if path.starts_with('/') {
                LARGE_BYTES
            } else {
                PIECE_BYTES
            },
            ..OpenOptions::default()
        };
        let disk = connection.open(path, &options)?;
        let sectors = length_bytes / SECTOR_BYTES;
        let mut buffers = Vec::new();
        let keep = if length_bytes > PIECE_BYTES {
            2
        } else {
            IN_FLIGHT + 1
        };
        for _ in 0..keep {
            let mut buffer = SectorBuf::new(sectors)?;
            buffer.fill(1);
            buffers.push(buffer);
        }
        let start = Instant::now();
        let mut pending = VecDeque::new();
        for offset in offsets {
            let buffer = match buffers.pop() {
                Some(buffer) => buffer,
                None => first(&mut pending)?,
            };
            let read = disk.read(offset / SECTOR_BYTES as u64, buffer)?;
            pending.push_back((*offset, read));
        }
        while !pending.is_empty() {
            first(&mut pending)?;
        }
        let rate = rate(offsets.len() * length_bytes, start);
        disk.close()?;
        Ok(rate)
    }

    /// Reads pieces of the same file into one buffer; bytes a second.
    fn plain(&self, offsets: &[u64], length_bytes: usize) -> Checked<f64> {
        let file = File::open(&self.site.extent)?;
        let mut buffer = vec![1; length_bytes];
        let start = Instant::now();
        for offset in offsets {
            file.read_exact_at(&mut buffer, *offset)?;
            check(&mut buffer, *offset)?;
        }
        Ok(rate(offsets.len() * length_bytes, start))
    }
}

fn first(pending: &mut VecDeque<(u64, vddk::Pending)>) -> Checked<SectorBuf> {
    let (offset, read) = pending.pop_front().ok_or("a read is in flight")?;
    let mut buffer = read.wait()?;
    check(&mut buffer, offset)?;
    Ok(buffer)
}

/// What the disk holds at an offset.
fn content(offset: u64) -> u8 {
    let piece = PIECE_BYTES as u64;
    (offset % piece * 31 + offset / piece) as u8 | 1
}

/// Looks at the ends of what was read, and wipes them so that no later read gets by with them.
fn check(data: &mut [u8], offset: u64) -> Checked<()> {
    let last = data.len() - 1;
    for (at, offset) in [(0, offset), (last, offset + last as u64)] {
        if std::mem::take(&mut data[at]) != content(offset) {
            return Err(format!("other data at {offset}").into());
        }
    }
    Ok(())
}

fn pieces(bytes: u64) -> Vec<u64> {
    starts(bytes, PIECE_BYTES)
}

fn starts(bytes: u64, length_bytes: usize) -> Vec<u64> {
    (0..bytes).step_by(length_bytes).collect()
}

/// Offsets all over the disk, the same in every run.
fn scattered() -> Vec<u64> {
    let places = DISK_BYTES / SMALL_BYTES as u64;
    let mut at = 1_u64;
    let mut next = || {
        at = (at * 40_503 + 12_345) % places;
        at * SMALL_BYTES as u64
    };
    (0..SMALL_READS).map(|_| next()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a disk of 512 MiB")]
fn rate(bytes: usize, start: Instant) -> f64 {
    bytes as f64 / start.elapsed().as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
