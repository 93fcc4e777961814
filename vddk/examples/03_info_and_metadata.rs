//! Tells what a local disk says of itself: its facts, and every key of its disk database.
//!
//! Usage: `03_info_and_metadata DISK`, an absolute path. See `01_load` for where the library is
//! found.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use vddk::{Library, LibraryOptions, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: 03_info_and_metadata DISK")?;
    let library = Library::load(LibraryOptions::default())?;
    let connection = library.connect_local(true)?;
    let disk = connection.open(&path, &OpenOptions::default())?;

    // Asked for once, when the disk was opened.
    let info = disk.info();
    println!("sectors: {}", info.capacity_sectors);
    println!("links: {}", info.links);
    println!("uuid: {}", info.uuid.as_deref().unwrap_or("none"));
    // Sector sizes are told from VDDK 7.0 on.
    if let Some(bytes) = info.logical_sector_bytes {
        println!("logical sector: {bytes} bytes");
    }

    for key in disk.metadata_keys()? {
        // A key may be gone by now: then there is no value.
        let value = disk.metadata(&key)?.unwrap_or_default();
        println!("{key} = {value}");
    }

    disk.close()?;
    connection.close()?;
    library.close()?;
    Ok(())
}
