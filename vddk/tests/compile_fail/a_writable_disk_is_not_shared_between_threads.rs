use std::sync::Arc;

use vddk::WritableDisk;

/// As `std::thread::spawn` wants it.
fn spawn<T>(work: impl FnOnce() -> T + Send + 'static) {
    let _ = work();
}

fn wrong(disk: WritableDisk) {
    let disk = Arc::new(disk);
    let other = Arc::clone(&disk);
    spawn(move || other.flush());
}

fn main() {}
