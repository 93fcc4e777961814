//! No panic crosses into C.

use std::{
    future::Future as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake},
    time::{Duration, Instant},
};

use tracing::{Event, Metadata, Subscriber, span};
use vddk::{Error, Library, LibraryOptions, OpenOptions, Pending, ReadMode, SectorBuf};

use crate::kit::{Kit, in_own_process};

/// Panics at every line of targets that begin so, and counts them.
struct Panics(&'static str);

static SEEN: AtomicUsize = AtomicUsize::new(0);

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(self.0)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        SEEN.fetch_add(1, Ordering::SeqCst);
        panic!("this subscriber panics");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_subscriber_that_panics_ends_in_the_log_function() {
    in_own_process(
        "panics::a_subscriber_that_panics_ends_in_the_log_function",
        || {
            tracing::subscriber::set_global_default(Panics("vddk::log")).unwrap();
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let wrong = library.connect(
                &kit.params_with("wrong", &kit.lab.thumbprint_sha1().unwrap()),
                &Kit::connect_options(&snapshot),
            );
            assert!(wrong.is_err());
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            let read = disk.read(0, SectorBuf::new(8).unwrap()).unwrap();
            assert!(read.wait().unwrap()[..] == kit.image[..8 * 512]);
            disk.close().unwrap();
            connection.close().unwrap();
            assert!(library.close().unwrap());
            assert!(SEEN.load(Ordering::SeqCst) > 0, "nothing was logged");
        },
    );
}

/// A task that panics when it is woken, which happens inside the completion.
struct PanicsAwake(AtomicUsize);

impl Wake for PanicsAwake {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("this task panics when it is woken");
    }
}

#[test]
fn a_task_that_panics_when_woken_ends_in_the_completion() {
    in_own_process(
        "panics::a_task_that_panics_when_woken_ends_in_the_completion",
        || {
            let kit = Kit::new();
            kit.fault(lab::Fault {
                call: "VixDiskLib_ReadAsync.callback".to_owned(),
                count: Some(4),
                delay_ms: Some(200),
                ..lab::Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            // As many panics as places in flight: each place must come back.
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            let task = Arc::new(PanicsAwake(AtomicUsize::new(0)));
            let waker = Arc::clone(&task).into();
            let mut reads: Vec<_> = (0..4)
                .map(|at| disk.read(at * 8, SectorBuf::new(8).unwrap()).unwrap())
                .collect();
            for read in &mut reads {
                let polled = std::pin::Pin::new(read).poll(&mut Context::from_waker(&waker));
                assert!(matches!(polled, Poll::Pending), "it was done too early");
            }
            for read in reads {
                read.wait().unwrap();
            }
            let read = disk.read(64, SectorBuf::new(8).unwrap()).unwrap();
            assert!(read.wait().unwrap()[..] == kit.image[64 * 512..72 * 512]);
            disk.close().unwrap();
            assert_eq!(task.0.load(Ordering::SeqCst), 4);
            connection.close().unwrap();
            assert!(library.close().unwrap());
        },
    );
}

/// Polls each once, so that it wakes a task that panics.
fn poll_once(reads: &mut [Pending], task: &Arc<PanicsAwake>) {
    let waker = Arc::clone(task).into();
    for read in reads {
        let polled = std::pin::Pin::new(read).poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Pending), "it was done too early");
    }
}

#[test]
fn tasks_that_panic_do_not_keep_each_other_from_being_told() {
    in_own_process(
        "panics::tasks_that_panic_do_not_keep_each_other_from_being_told",
        || {
            let kit = Kit::new();
            kit.fault(lab::Fault {
                call: "VixDiskLib_ReadAsync.callback".to_owned(),
                count: Some(4),
                delay_ms: Some(60_000),
                ..lab::Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let options = OpenOptions {
                time_out: Duration::from_secs(1),
                ..OpenOptions::default()
            };
            let disk = connection.open(&path, &options).unwrap();
            let task = Arc::new(PanicsAwake(AtomicUsize::new(0)));
            let mut reads: Vec<_> = (0..4)
                .map(|at| disk.read(at * 8, SectorBuf::new(8).unwrap()).unwrap())
                .collect();
            poll_once(&mut reads, &task);
            let mut told = reads.into_iter().map(|read| read.wait().unwrap_err());
            let first = told.next().unwrap();
            assert!(matches!(first, Error::TimedOut { .. }), "{first}");
            assert!(told.all(|error| matches!(error, Error::Poisoned { .. })));
            // The answer is given first, then the task is woken.
            let begun = Instant::now();
            while task.0.load(Ordering::SeqCst) < 4 {
                assert!(begun.elapsed() < Duration::from_mins(1), "one is not woken");
                std::thread::yield_now();
            }
        },
    );
}

#[test]
fn a_task_that_panics_does_not_end_the_thread_that_reads() {
    in_own_process(
        "panics::a_task_that_panics_does_not_end_the_thread_that_reads",
        || {
            let kit = Kit::new();
            kit.fault(lab::Fault {
                call: "VixDiskLib_Read".to_owned(),
                delay_ms: Some(300),
                ..lab::Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let options = OpenOptions {
                reads: ReadMode::Synchronous,
                ..OpenOptions::default()
            };
            let disk = connection.open(&path, &options).unwrap();
            let task = Arc::new(PanicsAwake(AtomicUsize::new(0)));
            let mut reads = [disk.read(0, SectorBuf::new(8).unwrap()).unwrap()];
            poll_once(&mut reads, &task);
            let [read] = reads;
            assert!(read.wait().unwrap()[..] == kit.image[..8 * 512]);
            let next = disk.read(8, SectorBuf::new(8).unwrap()).unwrap();
            assert!(next.wait().unwrap()[..] == kit.image[8 * 512..16 * 512]);
            disk.close().unwrap();
            assert_eq!(task.0.load(Ordering::SeqCst), 1);
            connection.close().unwrap();
            assert!(library.close().unwrap());
        },
    );
}

#[test]
fn a_subscriber_that_panics_does_not_end_the_thread_that_reads() {
    in_own_process(
        "panics::a_subscriber_that_panics_does_not_end_the_thread_that_reads",
        || {
            let kit = Kit::new();
            kit.fault(lab::Fault {
                call: "VixDiskLib_ReadAsync".to_owned(),
                code: Some(6),
                count: Some(1),
                ..lab::Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            tracing::subscriber::set_global_default(Panics("vddk::worker")).unwrap();
            // The worker says that there are no asynchronous calls, and reads by the other.
            for at in [0, 8] {
                let read = disk.read(at, SectorBuf::new(8).unwrap()).unwrap();
                let start = at as usize * 512;
                assert!(read.wait().unwrap()[..] == kit.image[start..start + 8 * 512]);
            }
            assert_eq!(SEEN.load(Ordering::SeqCst), 1);
            disk.close().unwrap();
            connection.close().unwrap();
            assert!(library.close().unwrap());
            assert_eq!(kit.count("VixDiskLib_Wait"), 1);
        },
    );
}

#[test]
fn a_subscriber_that_panics_at_a_late_call_holds_nothing_up() {
    in_own_process(
        "panics::a_subscriber_that_panics_at_a_late_call_holds_nothing_up",
        || {
            let kit = Kit::new();
            kit.fault(lab::Fault {
                call: "VixDiskLib_ConnectEx".to_owned(),
                count: Some(1),
                delay_ms: Some(1_500),
                ..lab::Fault::default()
            });
            tracing::subscriber::set_global_default(Panics("vddk::control")).unwrap();
            let options = LibraryOptions {
                call_limit: Duration::from_millis(500),
                ..kit.options()
            };
            let library = Library::load(options).unwrap();
            let (snapshot, _) = kit.snapshot();
            let connect = || library.connect(&kit.params(), &Kit::connect_options(&snapshot));
            let late = connect();
            assert!(matches!(late, Err(Error::Stuck { .. })), "{late:?}");
            let begun = Instant::now();
            let connection = loop {
                match connect() {
                    Ok(connection) => break connection,
                    Err(Error::Stuck { .. }) => std::thread::yield_now(),
                    Err(other) => panic!("{other}"),
                }
                assert!(begun.elapsed() < Duration::from_mins(1), "it stays stuck");
            };
            assert_eq!(SEEN.load(Ordering::SeqCst), 1, "nothing was said");
            connection.close().unwrap();
            assert!(library.close().unwrap());
        },
    );
}
