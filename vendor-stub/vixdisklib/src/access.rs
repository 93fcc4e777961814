//! Logging in, and keeping a VM where it is: `PrepareForAccess`, `EndAccess`, `Cleanup`.

use std::ffi::c_char;

use lab::{CleanedUp, Lab, Vm};
use vddk_sys::{self as sys, VixDiskLibConnectParams, VixError};

use crate::boundary::{self, Call};
use crate::error::Failure;
use crate::fault::Ordered;
use crate::library;
use crate::loose;
use crate::params::{self, Login, Object, Params, Remote};
use crate::text;
use crate::vm_name;

/// What `PrepareForAccess` disables: the move to other storage.
const METHODS: &[&str] = &["RelocateVM_Task"];

/// Longer identities are refused ("VDDK Programming Guide", Prepare For Access).
const MAX_IDENTITY_CHARS: usize = 50;

/// Forbids moving the VM to other storage, in the name of `identity`. If it is forbidden already,
/// by whomever, the call fails with 1; the log names the fault `MethodAlreadyDisabled`. It fails
/// with 1 too where the server is an ESXi host.
///
/// A first-class disk that exists is taken, too, and nothing is forbidden: gvddk calls this for one,
/// and opens it only where this succeeds. A folder of a datastore is not (3).
///
/// # Safety
///
/// The pointers must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_PrepareForAccess(
    params: *const VixDiskLibConnectParams,
    identity: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_PrepareForAccess", |call| {
        // SAFETY: the caller promises it.
        let (lab, vm, identity) = unsafe { target(call, params, identity) }?;
        if lab.site()?.bare_host {
            let message = "HostAgent is not a vCenter, cannot disable svMotion";
            return Err(Failure::new(sys::VIX_E_FAIL, message));
        }
        let Some(vm) = vm else {
            return Ok(sys::VIX_OK);
        };
        match lab.disable_methods(&vm, METHODS, identity) {
            Err(error @ lab::Error::MethodAlreadyDisabled { .. }) => {
                let message = format!("cannot disable svMotion: MethodAlreadyDisabled: {error}");
                Err(Failure::new(sys::VIX_E_FAIL, message))
            }
            result => Ok(result.map(|()| sys::VIX_OK)?),
        }
    })
}

/// Allows again what [`VixDiskLib_PrepareForAccess`] forbade under the same identity, also in
/// another process. Nothing to allow is no error.
///
/// # Safety
///
/// The pointers must be null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_EndAccess(
    params: *const VixDiskLibConnectParams,
    identity: *const c_char,
) -> VixError {
    boundary::code("VixDiskLib_EndAccess", |call| {
        // SAFETY: the caller promises it.
        let (lab, vm, identity) = unsafe { target(call, params, identity) }?;
        if let Some(vm) = vm {
            lab.enable_methods(&vm, METHODS, identity)?;
        }
        Ok(sys::VIX_OK)
    })
}

/// Takes away what dead processes left attached to the proxy by HotAdd, as far as they had the
/// same `tmpDirectory`. The counters count the VMs whose disks they were; what a living process
/// uses remains, and the call then fails with 5. Nothing is done before `InitEx` and for local
/// parameters.
///
/// A fault named `VixDiskLib_Cleanup.lose_ctk`, whatever its code, makes it remove the
/// change-tracking maps of those VMs too, as the real one is said to do ("VDDK API reference, 4.6").
///
/// # Safety
///
/// The counters must be null or writable, the parameters null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_Cleanup(
    params: *const VixDiskLibConnectParams,
    cleaned_up: *mut u32,
    remaining: *mut u32,
) -> VixError {
    boundary::code("VixDiskLib_Cleanup", |call| {
        // SAFETY: the caller promises it.
        let write = |counter: *mut u32, count: usize| unsafe {
            if !counter.is_null() {
                counter.write(u32::try_from(count).unwrap_or(u32::MAX));
            }
        };
        write(cleaned_up, 0);
        write(remaining, 0);
        if params.is_null() {
            return Err(Failure::argument("connectParams is null"));
        }
        let Ok(library) = library::current() else {
            return Ok(sys::VIX_OK);
        };
        // SAFETY: the caller promises it.
        let params = unsafe { params::read_server(params) }?;
        let Params::Remote(remote) = params else {
            return Ok(sys::VIX_OK);
        };
        let lab = log_in(call, &remote)?;
        let done = lab.clean_up_hot_add(library.config.state_folder().as_deref())?;
        call.note("cleaned_up", done.cleaned.len());
        call.note("remaining", done.remaining.len());
        write(cleaned_up, done.cleaned.len());
        write(remaining, done.remaining.len());
        lose_maps(&lab, &done)?;
        if done.remaining.is_empty() {
            return Ok(sys::VIX_OK);
        }
        let message = "disks are attached that another process uses";
        Err(Failure::new(sys::VIX_E_OBJECT_IS_BUSY, message))
    })
}

/// Removes the change-tracking maps of the cleaned VMs, if a fault of the lab asks for it.
fn lose_maps(lab: &Lab, done: &CleanedUp) -> Result<(), Failure> {
    // Disks that belong to no VM have no map.
    for vm in done.cleaned.iter().filter(|name| lab.vm(name).is_ok()) {
        if Ordered::next("VixDiskLib_Cleanup.lose_ctk")
            .failure()
            .is_some()
        {
            lab.lose_tracking(vm)?;
        }
    }
    Ok(())
}

/// The lab, the VM's moref and the identity of a call that needs no connection; no moref for a
/// first-class disk.
///
/// # Safety
///
/// The pointers must be null or valid for `'a`.
unsafe fn target<'a>(
    call: &mut Call,
    params: *const VixDiskLibConnectParams,
    identity: *const c_char,
) -> Result<(Lab, Option<String>, &'a str), Failure> {
    library::current()?;
    // SAFETY: the caller promises it.
    let identity = unsafe { text::required(identity, "identity") }?;
    call.note("identity", identity);
    if identity.chars().count() > MAX_IDENTITY_CHARS {
        return Err(Failure::argument("identity has more than 50 characters"));
    }
    // SAFETY: the caller promises it.
    let params = unsafe { params::read(params) }?;
    let Params::Remote(remote) = params else {
        return Err(Failure::argument("connectParams name no server"));
    };
    let lab = log_in(call, &remote)?;
    let vm = match remote.object {
        Object::Nothing | Object::Vm(_) => Some(find_vm(call, &lab, &remote)?.moref),
        Object::FirstClassDisk {
            id,
            datastore_moref,
            ..
        } => {
            loose::first_class_disk(&lab, id, datastore_moref)?;
            None
        }
        Object::DatastoreFolder { .. } => {
            return Err(Failure::argument("a folder of a datastore, but no VM"));
        }
    };
    Ok((lab, vm, identity))
}

/// Logs in.
pub(crate) fn log_in(call: &mut Call, remote: &Remote<'_>) -> Result<Lab, Failure> {
    call.note("server", remote.server);
    if let Login::Password { user, .. } = remote.login {
        call.note("user", user);
    }
    note_object(call, remote.object);
    let Some(lab) = library::lab() else {
        let message = format!("no lab, so no server {}", remote.server);
        return Err(Failure::new(sys::VIX_E_CANNOT_CONNECT_TO_HOST, message));
    };
    match remote.login {
        Login::Password { user, password } => lab.check_login(user, password)?,
        Login::Session { user, cookie } => {
            lab.check_session(cookie, user)?;
            // Not before: in parameters that were filled for a password it is the password.
            call.note("user", user);
        }
    }
    Ok(lab)
}

/// What the journal says of the object.
fn note_object(call: &mut Call, object: Object<'_>) {
    match object {
        Object::Nothing | Object::Vm(_) => call.note("vm", object.vmx_spec()),
        Object::FirstClassDisk {
            id,
            datastore_moref,
            snapshot,
        } => {
            call.note("disk", id);
            call.note("datastore", datastore_moref);
            call.note("disk_snapshot", snapshot);
        }
        Object::DatastoreFolder {
            datastore_moref,
            folder,
        } => {
            call.note("datastore", datastore_moref);
            call.note("folder", folder);
        }
    }
}

/// Finds the VM.
pub(crate) fn find_vm(call: &mut Call, lab: &Lab, remote: &Remote<'_>) -> Result<Vm, Failure> {
    let vm = vm_name::find(lab, remote.object.vmx_spec().unwrap_or_default())?;
    call.note("vm", vm.moref.as_str());
    Ok(vm)
}
