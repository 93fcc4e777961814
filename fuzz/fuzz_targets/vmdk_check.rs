//! Any file: checked and mended, or refused, never a panic. What is said to be mended is clean then,
//! and can be read.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vmdk::{Disk, OpenOptions};

const SECTOR_BYTES: usize = 512;
const READ_SECTORS: u64 = 300;
/// Longer files only take longer.
const MAX_FILE_BYTES: usize = 1 << 20;

/// A folder in memory where the system has one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = place.join(format!("vmdk-check-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for the images can be made");
    folder
});

fuzz_target!(|data: &[u8]| {
    if data.len() > MAX_FILE_BYTES {
        return;
    }
    let path = FOLDER.join("image.vmdk");
    fs::write(&path, data).expect("the image can be written");
    let Ok(report) = vmdk::check(&path, true) else {
        return;
    };
    if !report.is_repaired() {
        return;
    }
    // Mending a directory that lies in the descriptor can spoil that; then there is no disk.
    let Ok(again) = vmdk::check(&path, false) else {
        return;
    };
    assert!(again.is_clean(), "{again:?}");
    let alone = OpenOptions { write: true, single_link: true };
    let Ok(mut disk) = Disk::open(&path, alone) else {
        return;
    };
    let sectors = disk.capacity_sectors().min(READ_SECTORS);
    let mut before = vec![0; sectors as usize * SECTOR_BYTES];
    if disk.read_at(0, &mut before).is_ok()
        && disk.capacity_sectors() < 1 << 20
        && disk.shrink(&mut |_, _| ()).is_ok()
    {
        let mut after = vec![1; before.len()];
        disk.read_at(0, &mut after).expect("what was read can be read again");
        assert!(before == after, "shrinking changes nothing that is read");
    }
});
