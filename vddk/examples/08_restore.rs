//! Restores a raw image to a new local disk.
//!
//! Usage: `08_restore IMAGE DISK`; the disk's path is absolute, and there is no such file. See
//! `01_load` for where the library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::{collections::VecDeque, error::Error, fs::File, os::unix::fs::FileExt as _};

use vddk::{
    CreateSpec, DiskType, Library, LibraryOptions, OpenOptions, Progress, SECTOR_BYTES, SectorBuf,
    WritableDisk,
};

/// 1 MiB a write.
const WRITE_SECTORS: u64 = 2048;

/// Writes that are begun before the oldest one is waited for.
const AHEAD: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [image, path] = arguments.as_slice() else {
        return Err("usage: 08_restore IMAGE DISK".into());
    };
    let image = File::open(image)?;
    let bytes = image.metadata()?.len();
    if bytes == 0 || bytes % SECTOR_BYTES as u64 != 0 {
        return Err(format!("{bytes} bytes are no disk").into());
    }
    let sectors = bytes / SECTOR_BYTES as u64;

    let library = Library::load(LibraryOptions::default())?;
    let connection = library.connect_local(false)?;
    let spec = CreateSpec::new(DiskType::MonolithicSparse, sectors);
    connection.create(path, &spec, Progress::none())?;
    let disk = connection.open_writable(path, &OpenOptions::default())?;
    let written = restore(&image, sectors, &disk)?;
    // All three can tell that data did not arrive: a write, the flush, and closing. None may be
    // ignored.
    disk.flush()?;
    disk.close()?;
    println!("{written} bytes written of {bytes}");
    connection.close()?;
    library.close()?;
    Ok(())
}

/// Writes what is not zero: a new disk reads as zeros. Returns how many bytes that were.
fn restore(image: &File, sectors: u64, disk: &WritableDisk) -> Result<u64, Box<dyn Error>> {
    let mut written = 0;
    let mut pending = VecDeque::new();
    for start in (0..sectors).step_by(WRITE_SECTORS as usize) {
        // The buffer of a finished write is used again.
        let mut buffer = match pending.len() {
            AHEAD => pending.pop_front().map(vddk::Pending::wait).transpose()?,
            _ => None,
        }
        .map_or_else(|| SectorBuf::new(WRITE_SECTORS as usize), Ok)?;
        buffer.resize(WRITE_SECTORS.min(sectors - start) as usize)?;
        image.read_exact_at(&mut buffer, start * SECTOR_BYTES as u64)?;
        if buffer.iter().any(|byte| *byte != 0) {
            written += buffer.len() as u64;
            pending.push_back(disk.write(start, buffer)?);
        }
    }
    for write in pending {
        write.wait()?;
    }
    Ok(written)
}
