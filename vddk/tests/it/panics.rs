//! No panic crosses into C.

use std::{
    future::Future as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake},
};

use tracing::{Event, Metadata, Subscriber, span};
use vddk::{OpenOptions, SectorBuf};

use crate::kit::{Kit, in_own_process};

/// Panics at every line that the library logs, and counts them.
struct Panics;

static SEEN: AtomicUsize = AtomicUsize::new(0);

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "vddk::log"
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
            tracing::subscriber::set_global_default(Panics).unwrap();
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
