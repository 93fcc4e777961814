//! Reads and writes as futures, on a runtime of a few lines.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::Duration,
};

use lab::Fault;
use vddk::{Error, OpenOptions, SectorBuf};

use crate::kit::{Kit, in_own_process};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn reads_are_futures() {
    in_own_process("futures::reads_are_futures", || {
        let kit = Kit::new();
        kit.set("async = \"shuffled\"");
        let library = kit.load();
        let (snapshot, path) = kit.snapshot();
        let connection = library
            .connect(&kit.params(), &Kit::connect_options(&snapshot))
            .unwrap();
        let disk = connection.open(&path, &OpenOptions::default()).unwrap();
        let seen = block_on(async {
            let mut pending = Vec::new();
            for at in 0..64 {
                pending.push(disk.read(at * 9, SectorBuf::new(9).unwrap())?);
            }
            let mut seen = Vec::new();
            for read in pending {
                seen.extend_from_slice(&read.await?);
            }
            Ok::<_, Error>(seen)
        });
        assert!(seen.unwrap() == kit.image[..64 * 9 * 512]);
        disk.close().unwrap();
    });
}

#[test]
fn a_future_ends_by_the_time_out_though_no_completion_comes() {
    in_own_process(
        "futures::a_future_ends_by_the_time_out_though_no_completion_comes",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_ReadAsync.callback".to_owned(),
                count: Some(2),
                delay_ms: Some(5_000),
                ..Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let options = OpenOptions {
                time_out: Duration::from_millis(50),
                ..OpenOptions::default()
            };
            let disk = connection.open(&path, &options).unwrap();
            let first = disk.read(0, SectorBuf::new(8).unwrap()).unwrap();
            let second = disk.read(8, SectorBuf::new(8).unwrap()).unwrap();
            let late = block_on(first);
            assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
            // Who waits behind it is told too, at once.
            let behind = block_on(second);
            assert!(matches!(behind, Err(Error::Poisoned { .. })), "{behind:?}");
            assert!(matches!(disk.close(), Err(Error::Poisoned { .. })));
        },
    );
}
