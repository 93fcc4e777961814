//! Tells which areas of a local disk are allocated.
//!
//! Usage: `05_allocated_map DISK`, an absolute path. See `01_load` for where the library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use vddk::{Library, LibraryOptions, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: 05_allocated_map DISK")?;
    let library = Library::load(LibraryOptions::default())?;
    let connection = library.connect_local(true)?;
    let disk = connection.open(&path, &OpenOptions::default())?;

    // What lies between the ranges reads as zeros. Ranges are whole pieces of 64 KiB; the end of the
    // disk that is no whole piece cannot be asked for and counts as allocated.
    let map = disk.allocated_blocks()?;
    if let Some(why) = map.assumed() {
        println!("all of it: {why}");
    }
    for range in map.ranges() {
        println!("{}..{}", range.start_sector, range.end_sector());
    }
    println!(
        "{} of {} sectors",
        map.sectors(),
        disk.info().capacity_sectors
    );

    disk.close()?;
    connection.close()?;
    library.close()?;
    Ok(())
}
