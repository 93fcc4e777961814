//! Any file: opened or refused, then read and mapped, never a panic.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vmdk::{Disk, OpenOptions};

const SECTOR_BYTES: usize = 512;
/// Enough to pass several grains and tables.
const MAPPED_SECTORS: u64 = 1 << 16;
const READ_SECTORS: u64 = 300;

/// A folder in memory where the system has one. A child may name the file itself as its parent.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = place.join(format!("vmdk-image-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for the images can be made");
    folder
});

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.join("image.vmdk");
    fs::write(&path, data).expect("the image can be written");
    let Ok(disk) = Disk::open(&path, OpenOptions::default()) else {
        return;
    };
    let capacity_sectors = disk.capacity_sectors();
    let _ = disk.allocated(0, capacity_sectors.min(MAPPED_SECTORS));
    for start in [0, capacity_sectors / 2, capacity_sectors.saturating_sub(READ_SECTORS)] {
        let sectors = READ_SECTORS.min(capacity_sectors - start);
        let mut buffer = vec![0; sectors as usize * SECTOR_BYTES];
        let _ = disk.read_at(start, &mut buffer);
    }
});
