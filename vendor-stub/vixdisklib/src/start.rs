//! `Init`, `InitEx`, `Exit` and the list of transports.

use std::ffi::c_char;
use std::path::Path;

use vddk_sys::{self as sys, VixDiskLibGenericLogFunc, VixError};

use crate::boundary::{self, Call};
use crate::config::Config;
use crate::connection::CONNECTIONS;
use crate::disk::{self, DISKS};
use crate::error::Failure;
use crate::fault;
use crate::library;
use crate::log;
use crate::memory::{self, Kind};
use crate::script::Script;
use crate::text;
use crate::transport;
use crate::va_list::Arg;

/// The interface versions a program may be written for: from that of the first release, which
/// VMware's guide passes in its example to this day ("VDDK API reference", 1.3), to the newest.
const OLDEST_INTERFACE: (u32, u32) = (1, 0);
const NEWEST_INTERFACE: (u32, u32) = (9, 0);

/// Starts the library, without a configuration file. See [`VixDiskLib_InitEx`].
///
/// # Safety
///
/// As [`VixDiskLib_InitEx`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Init(
    major: u32,
    minor: u32,
    log: VixDiskLibGenericLogFunc,
    warn: VixDiskLibGenericLogFunc,
    _panic: VixDiskLibGenericLogFunc,
    lib_dir: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_Init", |call| {
        if library::current().is_err() {
            // SAFETY: the caller promises it.
            unsafe { log::install(log, warn) };
        }
        // SAFETY: the caller promises it.
        let lib_dir = unsafe { text::optional(lib_dir, "libDir") }?;
        initialise(call, (major, minor), lib_dir, None)?;
        after_start(call)
    })
}

/// Starts the library, once a process; one that failed may be repeated. Interface versions 1.0 to
/// 9.0 are accepted. The log functions may be null; the panic function is never called. A
/// configuration file that cannot be read is no error.
///
/// # Safety
///
/// The functions must be null or log functions as the header says, callable from any thread until
/// `Exit`; the strings null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_InitEx(
    major: u32,
    minor: u32,
    log: VixDiskLibGenericLogFunc,
    warn: VixDiskLibGenericLogFunc,
    _panic: VixDiskLibGenericLogFunc,
    lib_dir: *const c_char,
    config_file: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_InitEx", |call| {
        if library::current().is_err() {
            // SAFETY: the caller promises it.
            unsafe { log::install(log, warn) };
        }
        // SAFETY: the caller promises it.
        let lib_dir = unsafe { text::optional(lib_dir, "libDir") }?;
        // SAFETY: the caller promises it.
        let config_file = unsafe { text::optional(config_file, "configFile") }?;
        call.note("config_file", config_file);
        initialise(call, (major, minor), lib_dir, config_file)?;
        after_start(call)
    })
}

fn initialise(
    call: &mut Call,
    interface: (u32, u32),
    lib_dir: Option<&str>,
    config_file: Option<&str>,
) -> Result<(), Failure> {
    let (major, minor) = interface;
    call.note("major", major);
    call.note("minor", minor);
    call.note("lib_dir", lib_dir);
    if !(OLDEST_INTERFACE..=NEWEST_INTERFACE).contains(&interface) {
        let message = format!("interface version {major}.{minor} is not offered");
        return Err(Failure::new(sys::VIX_E_NOT_SUPPORTED, message));
    }
    let script = Script::find(lib_dir)?;
    let lab = match &script.lab {
        Some(lab) => lab.root().display().to_string(),
        None => "none, local disks only".to_owned(),
    };
    let config = config_file
        .filter(|file| !file.is_empty())
        .map(|file| Config::read(Path::new(file)))
        .unwrap_or_default();
    library::start(script, config.clone())?;
    let lab = log::c_text(&lab);
    let (major, minor) = (u64::from(major), u64::from(minor));
    let args = [Arg::Number(major), Arg::Number(minor), Arg::Text(&lab)];
    log::info(c"VixDiskLib: stand-in, interface %u.%u, lab: %s\n", &args);
    config.say();
    Ok(())
}

/// A fault of `InitEx` can only be known once the lab is: the start is undone.
fn after_start(call: &mut Call) -> Result<u32, Failure> {
    call.take_orders();
    match call.go() {
        Ok(()) => Ok(sys::VIX_OK),
        Err(failure) => {
            call.record(failure.code);
            library::undo_start();
            Err(failure)
        }
    }
}

/// Ends the library: closes what is open and says so, joins its threads.
///
/// # Safety
///
/// No other call may run or follow, except for freeing and error texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Exit() {
    boundary::value("VixDiskLib_Exit", (), |call| {
        crate::async_io::refuse_in_callback()?;
        library::current()?;
        let disks = DISKS.remove_where(|_| true);
        let connections = CONNECTIONS.remove_where(|_| true);
        for disk in &disks {
            disk::close_late(disk);
        }
        call.note("open_disks", disks.len());
        call.note("open_connections", connections.len());
        call.note("unfreed_infos", memory::count(Kind::Info));
        call.note("unfreed_block_lists", memory::count(Kind::BlockList));
        call.note("unfreed_error_texts", memory::count(Kind::ErrorText));
        if !disks.is_empty() || !connections.is_empty() {
            let (disks, connections) = (disks.len() as u64, connections.len() as u64);
            log::warn(
                c"VixDiskLib: Exit with %lu disks and %lu connections open\n",
                &[Arg::Number(disks), Arg::Number(connections)],
            );
        }
        log::info(c"VixDiskLib: end\n", &[]);
        library::end();
        Ok(())
    });
    log::clear();
}

/// The transports, by preference, as a static text. Never null.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_ListTransportModes() -> *const c_char {
    let all = transport::DEFAULT_LIST.as_ptr();
    boundary::value("VixDiskLib_ListTransportModes", all, |call| {
        Ok(call.ordered().text().map_or(all, fault::static_text))
    })
}
