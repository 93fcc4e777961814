//! Brings an older raw image of a local disk up to date: reads the given ranges and no more.
//!
//! Which ranges have changed, the caller knows: from Changed Block Tracking, for a VM's disk.
//!
//! Usage: `07_incremental_read DISK IMAGE START:COUNT…`, in sectors of 512 bytes; the disk's path is
//! absolute. See `01_load` for where the library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

#[path = "parts/copy.rs"]
mod copy;

use std::{error::Error, fs::OpenOptions as FileOptions};

use vddk::{Library, LibraryOptions, OpenOptions, SectorRange};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [path, image, ranges @ ..] = arguments.as_slice() else {
        return Err("usage: 07_incremental_read DISK IMAGE START:COUNT…".into());
    };
    let ranges = ranges
        .iter()
        .map(|text| range(text))
        .collect::<Result<Vec<_>, _>>()?;
    let library = Library::load(LibraryOptions::default())?;
    let connection = library.connect_local(true)?;
    let disk = connection.open(path, &OpenOptions::default())?;

    let image = FileOptions::new().write(true).open(image)?;
    // A range that leaves the disk is refused before the library sees it.
    let bytes = copy::ranges(&disk, &ranges, &image)?;
    image.sync_all()?;
    println!("{bytes} bytes in {} ranges", ranges.len());

    disk.close()?;
    connection.close()?;
    library.close()?;
    Ok(())
}

fn range(text: &str) -> Result<SectorRange, Box<dyn Error>> {
    let (start, count) = text.split_once(':').ok_or("a range is START:COUNT")?;
    Ok(SectorRange {
        start_sector: start.parse()?,
        sectors: count.parse()?,
    })
}
