use vddk::{Disk, SectorBuf};

/// As `std::thread::Scope::spawn` wants it.
fn spawn<T>(work: impl FnOnce() -> T + Send) {
    let _ = work();
}

fn wrong(disk: Disk) {
    spawn(|| disk.read(0, SectorBuf::new(1).unwrap()));
    spawn(|| disk.read(8, SectorBuf::new(1).unwrap()));
}

fn main() {}
