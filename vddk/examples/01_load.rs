//! Loads VixDiskLib and tells what was found.
//!
//! Usage: `01_load`. The library is looked for where `VDDK_LIBDIR` says, else in the customary
//! places. VMware's own library also wants its `lib64` in `LD_LIBRARY_PATH` from the start of the
//! process.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use vddk::{Library, LibraryOptions};

fn main() -> Result<(), Box<dyn Error>> {
    // One library a process: load it once, keep it, and close it at the end.
    let library = Library::load(LibraryOptions::default())?;
    println!("library: {}", library.path().display());
    match library.major() {
        Some(major) => println!("interface: {major}"),
        None => println!("interface: unknown"),
    }
    if let Some(modes) = library.transport_modes() {
        println!("transports: {modes}");
    }
    // Older releases lack some functions: what needs one says so when it is called.
    for (symbol, found) in library.functions() {
        let state = if found { "found" } else { "missing" };
        println!("{}: {state}, since {}", symbol.name, symbol.since);
    }
    library.close()?;
    Ok(())
}
