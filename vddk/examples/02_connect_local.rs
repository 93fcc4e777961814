//! Opens a VMDK file of this machine and reads its first sector.
//!
//! Usage: `02_connect_local DISK`, an absolute path. See `01_load` for where the library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use vddk::{Library, LibraryOptions, OpenOptions, SectorBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: 02_connect_local DISK")?;
    let library = Library::load(LibraryOptions::default())?;
    // Each thing is made from the one before it and keeps that alive.
    let connection = library.connect_local(true)?;
    let disk = connection.open(&path, &OpenOptions::default())?;
    println!("transport: {}", disk.transport_mode());
    println!("sectors: {}", disk.info().capacity_sectors);

    // A read takes a buffer and gives it back filled.
    let first = disk.read(0, SectorBuf::new(1)?)?.wait()?;
    let start: Vec<_> = first[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("first bytes: {}", start.join(" "));

    // Dropping them does the same, but then errors are only logged.
    disk.close()?;
    connection.close()?;
    library.close()?;
    Ok(())
}
