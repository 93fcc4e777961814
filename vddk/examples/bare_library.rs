//! Drives a VixDiskLib that has the required functions and little more: nothing that is optional
//! may be needed, and nothing that is missing may be called.
//!
//! Made for the dummy library in nbdkit's tests, whose disk is 1024 sectors of memory. It leaves
//! the handles of `ConnectEx` and `Open` untouched, calls completions inside the call, checks no
//! bounds, and aborts in `FreeConnectParams`. Any other library with such a disk does as well.
//!
//! Usage: `bare_library LIBRARY`. Prints what was checked; ends with 1 at the first that fails.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use vddk::{
    ConnectOptions, ConnectParams, Connection, Error, Library, LibraryOptions, OpenOptions,
    ReadMode, Secret, SectorBuf, TransportMode, WritableDisk,
};

type Checked = Result<(), Box<dyn std::error::Error>>;

/// What the disk of the library is called here. It does not look.
const PATH: &str = "/dev/null";
/// The password that is handed to the library. It is no secret.
const PASSWORD: &str = "a password that is no secret";

fn main() -> ExitCode {
    let Some(library) = std::env::args_os().nth(1) else {
        eprintln!("usage: bare_library LIBRARY");
        return ExitCode::from(2);
    };
    match check(library.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(location: PathBuf) -> Checked {
    let library = Library::load(LibraryOptions {
        location: Some(location),
        ..LibraryOptions::default()
    })?;
    functions(&library)?;
    remote(&library)?;
    let connection = library.connect_local(false)?;
    println!("connected, whatever became of the handle");
    for reads in [ReadMode::Asynchronous, ReadMode::Synchronous] {
        disk(&connection, reads)?;
    }
    connection.close()?;
    if !library.close()? {
        return Err("the library was not ended, though nothing else uses it".into());
    }
    println!("closed in order, and the library ended");
    Ok(())
}

/// What is there, and that what is missing is said by name, not called.
fn functions(library: &Library) -> Checked {
    let (mut there, mut missing) = (0, 0);
    for (symbol, found) in library.functions() {
        match (found, symbol.required) {
            (true, _) => there += 1,
            (false, false) => missing += 1,
            (false, true) => return Err(format!("{} was not needed", symbol.name).into()),
        }
    }
    if missing == 0 {
        return Err("this library has every function, so this shows nothing".into());
    }
    println!("loaded with {there} functions, {missing} missing");
    Ok(())
}

/// Connects with a login: the library must find the password where it looks for it.
fn remote(library: &Library) -> Checked {
    let params = ConnectParams::builder()
        .server("vcenter.example")
        .user("user", Secret::new(PASSWORD.to_owned()))
        .vm_moref("vm-16")
        .build()?;
    let options = ConnectOptions::read_only("snapshot-47", TransportMode::NbdSsl.into());
    library.connect(&params, &options)?.close()?;
    println!("connected with a login, and the parameters were not given to the library to free");
    must_be_missing(library.prepare_for_access(&params, "bare library"))?;
    println!("VixDiskLib_PrepareForAccess: said to be missing");
    Ok(())
}

/// Writes and reads the whole disk, and goes past its end.
fn disk(connection: &Connection, reads: ReadMode) -> Checked {
    let options = OpenOptions {
        reads,
        ..OpenOptions::default()
    };
    let disk = connection.open_writable(PATH, &options)?;
    let capacity_sectors = disk.info().capacity_sectors;
    if disk.transport_mode() != TransportMode::File || capacity_sectors == 0 {
        return Err(format!("not the disk that was expected: {:?}", disk.info()).into());
    }
    let seed = if reads == ReadMode::Asynchronous {
        1
    } else {
        2
    };
    let content = content(usize::try_from(capacity_sectors)?, seed)?;
    let expected = content.to_vec();
    disk.write(0, content)?.wait()?;
    disk.flush()?;
    let found = disk.read(0, SectorBuf::new(usize::try_from(capacity_sectors)?)?)?;
    if *found.wait()? != *expected {
        return Err("what was read is not what was written".into());
    }
    past_the_end(&disk, capacity_sectors)?;
    disk.close()?;
    println!("{reads:?}: {capacity_sectors} sectors written and read, the end kept");
    Ok(())
}

/// The library checks no bounds: what leaves the disk must not reach it.
fn past_the_end(disk: &WritableDisk, capacity_sectors: u64) -> Checked {
    for start_sector in [capacity_sectors, capacity_sectors - 1, u64::MAX] {
        let read = disk.read(start_sector, SectorBuf::new(2)?);
        let written = disk.write(start_sector, SectorBuf::new(2)?);
        for refused in [read, written] {
            if !matches!(refused, Err(Error::Argument { .. })) {
                return Err(format!("two sectors at {start_sector} were not refused").into());
            }
        }
    }
    Ok(())
}

fn content(sectors: usize, seed: u64) -> Result<SectorBuf, Error> {
    let mut buffer = SectorBuf::new(sectors)?;
    let mut state = seed;
    for byte in buffer.iter_mut() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    Ok(buffer)
}

fn must_be_missing<T>(result: Result<T, Error>) -> Checked {
    match result {
        Err(Error::MissingFunction { .. }) => Ok(()),
        Err(other) => Err(format!("failed, but not for a missing function: {other}").into()),
        Ok(_) => Err("a function that is not there seems to work".into()),
    }
}
