//! Reads a local disk twice: as futures, and waiting for each read.
//!
//! Usage: `04_read_async DISK`, an absolute path. See `01_load` for where the library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::{
    error::Error,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use vddk::{Disk, Library, LibraryOptions, OpenOptions, SectorBuf};

/// 1 MiB a read.
const READ_SECTORS: u64 = 2048;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: 04_read_async DISK")?;
    let library = Library::load(LibraryOptions::default())?;
    let connection = library.connect_local(true)?;
    let options = OpenOptions {
        in_flight: 8,
        ..OpenOptions::default()
    };
    let disk = connection.open(&path, &options)?;

    let by_futures = run(count_by_futures(&disk))?;
    let by_waiting = count_by_waiting(&disk)?;
    println!("bytes that are not zero, by futures: {by_futures}");
    println!("bytes that are not zero, by waiting: {by_waiting}");

    disk.close()?;
    connection.close()?;
    library.close()?;
    Ok(())
}

/// Begins all reads, then awaits them. No more than `in_flight` calls are in the library at once:
/// `read` blocks meanwhile. An asynchronous program would begin them on a thread of their own.
async fn count_by_futures(disk: &Disk) -> Result<usize, vddk::Error> {
    let mut pending = Vec::new();
    for (start, sectors) in reads(disk) {
        pending.push(disk.read(start, SectorBuf::new(sectors)?)?);
    }
    let mut count = 0;
    for read in pending {
        count += not_zero(&read.await?);
    }
    Ok(count)
}

/// Uses one buffer again and again, so nothing overlaps.
fn count_by_waiting(disk: &Disk) -> Result<usize, vddk::Error> {
    let mut count = 0;
    let mut buffer = SectorBuf::new(READ_SECTORS as usize)?;
    for (start, sectors) in reads(disk) {
        buffer.resize(sectors)?;
        buffer = disk.read(start, buffer)?.wait()?;
        count += not_zero(&buffer);
    }
    Ok(count)
}

/// The disk in pieces: first sector and number of sectors.
fn reads(disk: &Disk) -> impl Iterator<Item = (u64, usize)> {
    let end = disk.info().capacity_sectors;
    let starts = (0..end).step_by(READ_SECTORS as usize);
    starts.map(move |start| (start, READ_SECTORS.min(end - start) as usize))
}

fn not_zero(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte != 0).count()
}

/// Runs a future on this thread: what a runtime does, in a few lines.
fn run<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
