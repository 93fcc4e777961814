//! `Connect`, `ConnectEx` and `Disconnect`.

use std::ffi::c_char;
use std::ptr;

use lab::Lab;
use vddk_sys::{self as sys, Bool, VixDiskLibConnectParams, VixDiskLibConnection, VixError};

use crate::access;
use crate::async_io;
use crate::boundary::{self, Call};
use crate::connection::{CONNECTIONS, Connection, Object, Target};
use crate::disk::{self, DISKS};
use crate::error::Failure;
use crate::library;
use crate::log;
use crate::loose;
use crate::params::{self, Copied, Params, Remote};
use crate::text;
use crate::transport;
use crate::va_list::Arg;

/// Connects for local files, or to a server by NBD, for reading and writing.
///
/// # Safety
///
/// The pointers must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Connect(
    params: *const VixDiskLibConnectParams,
    connection: *mut VixDiskLibConnection,
) -> VixError {
    boundary::code("VixDiskLib_Connect", |call| {
        library::current()?;
        // SAFETY: the caller promises it.
        let params = unsafe { params::read(params) }?;
        let transports = transport::parse(Some("nbdssl:nbd"));
        let made = connect(call, params, false, None, transports)?;
        // SAFETY: the caller promises it.
        unsafe { give(call, made, connection) }
    })
}

/// Connects: logs in and looks for VM and snapshot, or for the datastore of a first-class disk or of
/// a folder. Thumbprint, disk and transports are looked at by `Open`. All strings are copied.
///
/// # Safety
///
/// The pointers must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_ConnectEx(
    params: *const VixDiskLibConnectParams,
    read_only: Bool,
    snapshot_ref: *const c_char,
    transport_modes: *const c_char,
    connection: *mut VixDiskLibConnection,
) -> VixError {
    boundary::code("VixDiskLib_ConnectEx", |call| {
        library::current()?;
        // SAFETY: the caller promises it.
        let snapshot = unsafe { text::optional(snapshot_ref, "snapshotRef") }?;
        // SAFETY: the caller promises it.
        let modes = unsafe { text::optional(transport_modes, "transportModes") }?;
        // SAFETY: the caller promises it.
        let params = unsafe { params::read(params) }?;
        call.note("read_only", read_only != 0);
        call.note("snapshot", snapshot);
        call.note("transports", modes);
        let transports = transport::parse(modes);
        let made = connect(call, params, read_only != 0, snapshot, transports)?;
        // SAFETY: the caller promises it.
        unsafe { give(call, made, connection) }
    })
}

fn connect(
    call: &mut Call,
    params: Params<'_>,
    read_only: bool,
    snapshot: Option<&str>,
    transports: Vec<String>,
) -> Result<Connection, Failure> {
    let snapshot = snapshot.filter(|snapshot| !snapshot.is_empty());
    let (target, made_with) = match params {
        Params::Local if snapshot.is_some() => {
            return Err(Failure::argument("a snapshot without a server"));
        }
        Params::Local => (None, Copied::default()),
        Params::Remote(remote) => {
            let target = target(call, &remote, snapshot)?;
            (Some(target), Copied::of(&remote))
        }
    };
    Ok(Connection {
        target,
        made_with,
        read_only,
        transports,
    })
}

fn target(call: &mut Call, remote: &Remote<'_>, snapshot: Option<&str>) -> Result<Target, Failure> {
    if matches!(
        remote.object,
        params::Object::Nothing | params::Object::Vm("")
    ) {
        return Err(Failure::argument("vmxSpec names no VM"));
    }
    let lab = access::log_in(call, remote)?;
    let object = object(call, &lab, remote, snapshot)?;
    Ok(Target {
        lab,
        object,
        thumbprint: remote.thumbprint.map(str::to_owned),
    })
}

/// Finds what a connection is for. A first-class disk and its snapshot are looked for by `Open`,
/// which is where missing disks show ("VDDK API reference, 1.5").
fn object(
    call: &mut Call,
    lab: &Lab,
    remote: &Remote<'_>,
    snapshot: Option<&str>,
) -> Result<Object, Failure> {
    if snapshot.is_some() && remote.object.vmx_spec().is_none() {
        return Err(Failure::argument("the snapshot of a VM, but no VM"));
    }
    match remote.object {
        params::Object::Nothing | params::Object::Vm(_) => vm(call, lab, remote, snapshot),
        params::Object::FirstClassDisk {
            id,
            datastore_moref,
            snapshot,
        } => {
            loose::datastore(lab, datastore_moref)?;
            Ok(Object::FirstClassDisk {
                id: id.to_owned(),
                datastore_moref: datastore_moref.to_owned(),
                snapshot: snapshot.map(str::to_owned),
            })
        }
        params::Object::DatastoreFolder {
            datastore_moref,
            folder,
        } => Ok(Object::DatastoreFolder {
            datastore: loose::datastore(lab, datastore_moref)?.name,
            folder: folder.to_owned(),
        }),
    }
}

fn vm(
    call: &mut Call,
    lab: &Lab,
    remote: &Remote<'_>,
    snapshot: Option<&str>,
) -> Result<Object, Failure> {
    let vm = access::find_vm(call, lab, remote)?;
    if let Some(snapshot) = snapshot
        && vm.snapshot(snapshot).is_none()
    {
        let message = format!("{} has no snapshot {snapshot}", vm.moref);
        return Err(Failure::new(sys::VIX_E_SNAPSHOT_NOTFOUND, message));
    }
    Ok(Object::Vm {
        moref: vm.moref,
        snapshot: snapshot.map(str::to_owned),
    })
}

/// Hands a connection out.
///
/// # Safety
///
/// `out` must be null or writable.
unsafe fn give(
    call: &mut Call,
    connection: Connection,
    out: *mut VixDiskLibConnection,
) -> Result<u32, Failure> {
    if out.is_null() {
        return Err(Failure::argument("connection is null"));
    }
    let handle = CONNECTIONS.add(|_| connection);
    call.note("connection", handle);
    // SAFETY: not null, and the caller promises the rest.
    unsafe { out.write(ptr::without_provenance_mut(handle)) };
    Ok(sys::VIX_OK)
}

/// Ends a connection. Disks still open are closed with it; close them first.
///
/// # Safety
///
/// No call may be running on the connection or its disks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Disconnect(connection: VixDiskLibConnection) -> VixError {
    boundary::ending("VixDiskLib_Disconnect", |call| {
        async_io::refuse_in_callback()?;
        let handle = connection.addr();
        call.note("connection", handle);
        let Some(connection) = CONNECTIONS.remove(handle) else {
            let message = "the connection is not open";
            return Err(Failure::new(sys::VIX_E_INVALID_HANDLE, message));
        };
        drop(connection);
        let disks = DISKS.remove_where(|disk| disk.connection == handle);
        if !disks.is_empty() {
            call.note("open_disks", disks.len());
            let count = Arg::Number(disks.len() as u64);
            log::warn(c"VixDiskLib: Disconnect with %lu disks open\n", &[count]);
        }
        for disk in &disks {
            disk::close_late(disk);
        }
        Ok(sys::VIX_OK)
    })
}
