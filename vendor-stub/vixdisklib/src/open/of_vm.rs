//! Opening a disk of a VM.

use lab::{Lab, PowerState, Vm};
use vddk_sys as sys;

use super::{Manner, Opened};
use crate::error::Failure;
use crate::library;
use crate::transport::{self, OfVm, Owner, Wanted};

/// Opens a disk of the VM: name, state, then the first transport that works.
pub(super) fn open(
    transports: &[String],
    lab: &Lab,
    (moref, snapshot): (&str, Option<&str>),
    path: &str,
    manner: Manner,
) -> Result<Opened, Failure> {
    let file = lab.resolve_disk(moref, snapshot, path)?;
    let vm = lab.vm(moref)?;
    check_state(&vm, snapshot, path)?;
    let (disk, position) = found(&vm, snapshot, path)?;
    if !manner.read_only {
        check_writable(&vm, snapshot, disk, position)?;
    }
    let library = library::current()?;
    let site = lab.site()?;
    let wanted = Wanted {
        lab,
        owner: Owner::Vm(OfVm {
            site: &site,
            vm: &vm,
            disk,
            position,
            snapshot,
        }),
        path,
        file: &file,
        write: !manner.read_only,
        config: &library.config,
    };
    transport::open(transports, &wanted)
}

/// The disk that has a link of this name, and the position of the link in its chain.
fn found<'a>(
    vm: &'a Vm,
    snapshot: Option<&str>,
    path: &str,
) -> Result<(&'a lab::Disk, usize), Failure> {
    let disks = match snapshot {
        None => Some(&vm.disks),
        Some(snapshot) => vm.snapshot(snapshot).map(|snapshot| &snapshot.disks),
    };
    let position = |disk: &lab::Disk| disk.chain.iter().position(|link| link.file == path);
    disks
        .into_iter()
        .flatten()
        .find_map(|disk| Some((disk, position(disk)?)))
        .ok_or_else(|| Failure::new(sys::VIX_E_FILE_NOT_FOUND, format!("{path} is gone")))
}

/// Refuses what a host refuses: disks of a running VM without a snapshot, independent disks.
///
/// For the first the documents name 13, 15 and 1 ("VDDK API reference, 1.6"). It is 13 here, which
/// is what a missing snapshot parameter is known to give.
fn check_state(vm: &Vm, snapshot: Option<&str>, path: &str) -> Result<(), Failure> {
    let Some(snapshot) = snapshot else {
        if vm.power_state == PowerState::PoweredOff {
            return Ok(());
        }
        let moref = &vm.moref;
        let message = format!("{path} is in use: {moref} is running and no snapshot is named");
        return Err(Failure::new(sys::VIX_E_FILE_ACCESS_ERROR, message));
    };
    let frozen = vm.snapshot(snapshot).ok_or_else(|| {
        let message = format!("snapshot {snapshot} is gone");
        Failure::new(sys::VIX_E_SNAPSHOT_NOTFOUND, message)
    })?;
    let mut independent = frozen.disks.iter().filter(|disk| disk.is_independent());
    if independent.any(|disk| disk.chain.iter().any(|link| link.file == path)) {
        let message = format!("{path} is an independent disk, which a snapshot does not hold");
        return Err(Failure::new(sys::VIX_E_FAIL, message));
    }
    Ok(())
}

/// Refuses to write where a running VM reads, and in the middle of a chain.
fn check_writable(
    vm: &Vm,
    snapshot: Option<&str>,
    disk: &lab::Disk,
    position: usize,
) -> Result<(), Failure> {
    if vm.power_state != PowerState::PoweredOff {
        let message = format!("{} is running and uses the disk", vm.moref);
        return Err(Failure::new(sys::VIX_E_FILE_ALREADY_LOCKED, message));
    }
    let is_last = position + 1 == disk.chain.len();
    if is_last || (position == 0 && snapshot.is_none()) {
        return Ok(());
    }
    let message = "only the base and the last link of a disk can be written";
    Err(Failure::new(sys::VIX_E_FILE_READ_ONLY, message))
}
