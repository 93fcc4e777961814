//! Nothing grows: memory, descriptors and threads are the same after many thousand calls.

use std::{fs, hint::black_box, os::fd::IntoRawFd as _, thread};

use vddk::{OpenOptions, SectorBuf};
use vmdk::CreateOptions;

use crate::kit::{Kit, in_own_process};

/// `struct mallinfo2` of the C library: what its allocator has handed out.
#[repr(C)]
#[derive(Default)]
struct Allocator {
    /// arena, ordblks, smblks, hblks
    _first: [usize; 4],
    /// Bytes in blocks of their own pages.
    hblkhd: usize,
    /// usmblks, fsmblks
    _second: [usize; 2],
    /// Bytes handed out, in all arenas.
    uordblks: usize,
    /// fordblks, keepcost
    _third: [usize; 2],
}

unsafe extern "C" {
    /// The C library's, from 2.33 on.
    fn mallinfo2() -> Allocator;
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Program and library alike: both use the C library's allocator.
    allocated_bytes: usize,
    resident_bytes: usize,
    descriptors: usize,
    threads: usize,
}

/// The allocator's own caches come and go by some blocks; a leak of 8 bytes a round is more.
const SLACK_BYTES: usize = 8 * 1024;

/// Pages come back late and in bulk: this only finds what the allocator does not know of.
const RESIDENT_SLACK_BYTES: usize = 2 * 1024 * 1024;

/// A table that doubles once is no growth: what leaks grows in every one of these parts.
const PARTS: usize = 4;

impl Held {
    fn now() -> Self {
        // SAFETY: takes nothing and locks for itself.
        let allocator = unsafe { mallinfo2() };
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        let resident: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            allocated_bytes: allocator.uordblks + allocator.hblkhd,
            resident_bytes: resident * 4096,
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
        }
    }

    /// Says what is more than it was, in bytes that leak round by round.
    fn bytes_more_than(&self, before: &Self) -> Vec<&'static str> {
        let slack = |bytes| {
            if allocator_counts() {
                bytes
            } else {
                usize::MAX / 2
            }
        };
        let allocated = before.allocated_bytes + slack(SLACK_BYTES);
        let resident = before.resident_bytes + slack(RESIDENT_SLACK_BYTES);
        let mut more = Vec::new();
        if self.allocated_bytes > allocated {
            more.push("bytes allocated");
        }
        if self.resident_bytes > resident {
            more.push("bytes resident");
        }
        more
    }
}

/// Runs `round` often and says what grew. The first tenth fills the caches and is not counted.
fn grown(rounds: usize, mut round: impl FnMut(usize)) -> Vec<String> {
    let mut held = Vec::new();
    for part in 0..=PARTS {
        let first = rounds / 10;
        let border = |part| first + (rounds - first) * part / PARTS;
        let (from, to) = if part == 0 {
            (0, first)
        } else {
            (border(part - 1), border(part))
        };
        for number in from..to {
            round(number);
        }
        held.push(Held::now());
    }
    let in_each_part: Vec<_> = held
        .windows(2)
        .map(|pair| pair[1].bytes_more_than(&pair[0]))
        .collect();
    let (before, now) = (held[0], held[PARTS]);
    let mut grown: Vec<_> = ["bytes allocated", "bytes resident"]
        .into_iter()
        .filter(|what| in_each_part.iter().all(|part| part.contains(what)))
        .map(|what| format!("{what}: {held:?}"))
        .collect();
    for (what, now, before) in [
        ("descriptors", now.descriptors, before.descriptors),
        ("threads", now.threads, before.threads),
    ] {
        if now > before {
            grown.push(format!("{now} {what}, {before} before"));
        }
    }
    grown
}

fn nothing_grows(rounds: usize, round: impl FnMut(usize)) {
    let grown = grown(rounds, round);
    assert!(grown.is_empty(), "after {rounds} rounds: {grown:?}");
}

/// With a sanitizer the allocator is its own: it does not count here, keeps freed pages to find who
/// still uses them, and finds leaks itself.
#[expect(clippy::print_stdout, reason = "a part that is skipped is said so")]
fn allocator_counts() -> bool {
    let before = Held::now();
    let block = black_box(vec![1_u8; 100_000]);
    let counts = Held::now().allocated_bytes >= before.allocated_bytes + block.len();
    if !counts {
        println!("skipped: memory, which this allocator does not tell");
    }
    counts
}

#[test]
fn growth_is_found() {
    in_own_process("growth::growth_is_found", || {
        let found = |grown: Vec<String>, what: &str| {
            assert!(grown.iter().any(|grown| grown.contains(what)), "{grown:?}");
        };
        if allocator_counts() {
            let leak = |_| {
                black_box(Box::leak(Box::new(7_u64)));
            };
            found(grown(10_000, leak), "bytes allocated");
        }
        found(
            grown(20, |_| {
                black_box(fs::File::open("/dev/null").unwrap().into_raw_fd());
            }),
            "descriptors",
        );
        let stays = || loop {
            thread::park();
        };
        found(grown(10, |_| drop(thread::spawn(stays))), "threads");
    });
}

#[test]
fn ten_thousand_disks_opened_and_closed() {
    in_own_process("growth::ten_thousand_disks_opened_and_closed", || {
        let kit = Kit::new();
        let path = kit.folder().join("local.vmdk");
        let mut made = vmdk::create_monolithic_sparse(&path, &CreateOptions::new(2048)).unwrap();
        made.write_at(100, &[9; 512]).unwrap();
        made.flush().unwrap();
        drop(made);
        let path = path.to_str().unwrap();
        let library = kit.load();
        let connection = library.connect_local(true).unwrap();
        let mut buffer = Some(SectorBuf::new(8).unwrap());
        nothing_grows(10_000, |number| {
            let disk = connection.open(path, &OpenOptions::default()).unwrap();
            if number % 2 == 0 {
                let read = disk.read(96, buffer.take().unwrap()).unwrap();
                let read = read.wait().unwrap();
                assert_eq!(read[4 * 512], 9);
                buffer = Some(read);
            }
            disk.close().unwrap();
        });
    });
}

#[test]
fn a_thousand_connections_to_a_server() {
    in_own_process("growth::a_thousand_connections_to_a_server", || {
        let kit = Kit::new();
        let library = kit.load();
        let (snapshot, path) = kit.snapshot();
        let options = Kit::connect_options(&snapshot);
        nothing_grows(1_000, |number| {
            let connection = library.connect(&kit.params(), &options).unwrap();
            if number % 2 == 0 {
                let disk = connection.open(&path, &OpenOptions::default()).unwrap();
                disk.close().unwrap();
            }
            connection.close().unwrap();
            // Failures leave no more behind.
            assert!(
                library
                    .connect(&kit.params_with("wrong", &["AA"; 20].join(":")), &options)
                    .is_err()
            );
        });
    });
}

#[test]
fn ten_thousand_reads_failed_and_dropped_ones_among_them() {
    in_own_process(
        "growth::ten_thousand_reads_failed_and_dropped_ones_among_them",
        || {
            let kit = Kit::new();
            kit.fault(lab::Fault {
                call: "VixDiskLib_ReadAsync.callback".to_owned(),
                nth: Some(1_000),
                count: Some(500),
                code: Some(14_011),
                ..lab::Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            let mut failed = 0;
            nothing_grows(10_000, |number| {
                let read = disk.read(number as u64 % 9_000, SectorBuf::new(8).unwrap());
                let read = read.unwrap();
                if number % 3 != 0 {
                    failed += usize::from(read.wait().is_err());
                }
            });
            assert!(failed > 100, "{failed}");
            disk.close().unwrap();
        },
    );
}
