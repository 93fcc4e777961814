//! Copies a local disk into a new raw image, its allocated areas only. The rest is holes.
//!
//! Usage: `06_copy_disk DISK IMAGE`; the disk's path is absolute. See `01_load` for where the
//! library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

#[path = "parts/copy.rs"]
mod copy;

use std::{error::Error, fs::File};

use vddk::{Library, LibraryOptions, OpenOptions, SECTOR_BYTES, SectorRange};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [path, image] = arguments.as_slice() else {
        return Err("usage: 06_copy_disk DISK IMAGE".into());
    };
    let library = Library::load(LibraryOptions::default())?;
    let connection = library.connect_local(true)?;
    let disk = connection.open(path, &OpenOptions::default())?;
    let sectors = disk.info().capacity_sectors;

    // An optimization and no more: where the question fails, the whole disk is read.
    let ranges = match disk.allocated_blocks() {
        Ok(map) => map.ranges().to_vec(),
        Err(error) => {
            println!("reading everything: {error}");
            let all = SectorRange {
                start_sector: 0,
                sectors,
            };
            vec![all]
        }
    };
    let image = File::create_new(image)?;
    image.set_len(sectors * SECTOR_BYTES as u64)?;
    let bytes = copy::ranges(&disk, &ranges, &image)?;
    image.sync_all()?;
    println!("{bytes} bytes read of {}", sectors * SECTOR_BYTES as u64);

    disk.close()?;
    connection.close()?;
    library.close()?;
    Ok(())
}
