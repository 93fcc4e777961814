//! Copies a disk of a VM, as a snapshot holds it, into a new raw image.
//!
//! Usage: `09_connect_vcenter DISK IMAGE`; the disk as the snapshot's own configuration names it,
//! `[datastore1] vm/vm.vmdk`. From the environment:
//!
//! - `VDDK_SERVER`: name or address of the vCenter
//! - `VDDK_THUMBPRINT`: SHA-1 of its certificate, `AA:BB:…`
//! - `VDDK_USER`, and `VDDK_PASSWORD_FILE`: a file whose first line is the password
//! - `VDDK_VM` and `VDDK_SNAPSHOT`: their ids, `vm-16` and `snapshot-47`
//!
//! See `01_load` for where the library is found.

#![expect(clippy::print_stdout, reason = "a program for people")]

#[path = "parts/copy.rs"]
mod copy;

use std::{
    error::Error,
    fs::{self, File},
};

use vddk::{
    ConnectOptions, ConnectParams, Connection, Library, LibraryOptions, OpenOptions, SECTOR_BYTES,
    Secret,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [path, image] = arguments.as_slice() else {
        return Err("usage: 09_connect_vcenter DISK IMAGE".into());
    };
    let params = params()?;
    let options = ConnectOptions::read_only(variable("VDDK_SNAPSHOT")?, "nbdssl".parse()?);
    let library = Library::load(LibraryOptions::default())?;

    // vCenter leaves the disks where they are until `access` is closed. A program that makes the
    // snapshot itself does this before, and removes the snapshot before it closes.
    let access = library.prepare_for_access(&params, "vddk example 09")?;
    let copied = access
        .connect(&options)
        .map_err(Into::into)
        .and_then(|connection| copy_disk(connection, path, image));
    // Also after a failure.
    access.close()?;
    library.close()?;
    copied
}

fn copy_disk(connection: Connection, path: &str, image: &str) -> Result<(), Box<dyn Error>> {
    // Here the transport is chosen and the thumbprint checked.
    let disk = connection
        .open(path, &OpenOptions::default())
        .inspect_err(|error| {
            if let Some(explanation) = error.explain() {
                println!("hint: {explanation}");
            }
        })?;
    println!("transport: {}", disk.transport_mode());
    let bytes = disk.info().capacity_sectors * SECTOR_BYTES as u64;
    let map = disk.allocated_blocks()?;
    let image = File::create_new(image)?;
    image.set_len(bytes)?;
    let read = copy::ranges(&disk, map.ranges(), &image)?;
    image.sync_all()?;
    println!("{read} bytes read of {bytes}");
    disk.close()?;
    connection.close()?;
    Ok(())
}

fn params() -> Result<ConnectParams, Box<dyn Error>> {
    let file = fs::read_to_string(variable("VDDK_PASSWORD_FILE")?)?;
    let password = Secret::new(file.lines().next().unwrap_or_default().to_owned());
    let params = ConnectParams::builder()
        .server(variable("VDDK_SERVER")?)
        .thumbprint(variable("VDDK_THUMBPRINT")?)
        .user(variable("VDDK_USER")?, password)
        .vm_moref(variable("VDDK_VM")?)
        .build()?;
    Ok(params)
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}
