//! ExportVm, ExportSnapshot and the methods of HttpNfcLease ("vSphere API reference", 2.13).

use lab::{Disk, PowerState, Vm};

use super::dispatch::Call;
use super::power_fault;
use super::snapshot::refuse_disabled;
use crate::lease::{Lease, Leased};
use crate::random;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};
use crate::world::lab_fault;

/// How many leases one session has.
const MAX_LEASES: usize = 100;

pub(super) fn export_vm(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, "ExportVm")?;
    if vm.power_state != PowerState::PoweredOff {
        return Err(power_fault(Some(PowerState::PoweredOff), vm.power_state));
    }
    export(call, &vm, &vm.disks)
}

pub(super) fn export_snapshot(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.vm_by_snapshot(&call.this.id)?;
    let vm = vm.ok_or_else(|| Fault::not_found(call.this))?;
    let snapshot = vm.snapshot(&call.this.id);
    let snapshot = snapshot.ok_or_else(|| Fault::not_found(call.this))?;
    call.world.demand(
        &MoRef::new("VirtualMachine", vm.moref.clone()),
        "VApp.Export",
    )?;
    export(call, &vm, &snapshot.disks)
}

fn export(call: &Call<'_>, vm: &Vm, disks: &[Disk]) -> Result<Answer, Fault> {
    let state = call.world.state;
    let failed = |error: lab::Error| lab_fault(&error);
    let mut files = Vec::new();
    for (number, disk) in disks
        .iter()
        .filter(|disk| !disk.takes_no_part())
        .enumerate()
    {
        let Some(link) = disk.top() else {
            continue;
        };
        let path = state.lab.datastore_file(&link.file).map_err(failed)?;
        let bus = disk.bus();
        let controller = vm.controller_types.get(&disk.controller_key);
        let controller = controller.map_or("ParaVirtualSCSIController", String::as_str);
        let place = (bus.number(disk.controller_key), disk.unit_number);
        files.push(Leased {
            key: format!("/{}/{controller}{}:{}", vm.moref, place.0, place.1),
            name: format!("disk-{number}.vmdk"),
            hold: Some(state.lab.disk_lock(&path).map_err(failed)?),
            path,
        });
    }
    let nvram = vm.vmx_path.trim_end_matches(".vmx").to_owned() + ".nvram";
    let nvram = state.lab.datastore_file(&nvram).map_err(failed)?;
    if nvram.is_file() {
        files.push(Leased {
            key: format!("/{}/nvram", vm.moref),
            name: "file-0.nvram".to_owned(),
            path: nvram,
            hold: None,
        });
    }
    let capacity: u64 = disks.iter().map(|disk| disk.capacity_bytes / 1024).sum();
    let ticket = random::uuid()?;
    let thumbprint = state.lab.thumbprint_sha1().map_err(failed)?;
    let entity = MoRef::new("VirtualMachine", vm.moref.clone());
    let now_ms = state.clock.now_ms();
    let proof = (ticket.clone(), thumbprint);
    let lease = Lease::new(entity, proof, capacity, files, now_ms);
    let id = call.session(|session| {
        if session.leases.len() >= MAX_LEASES {
            return Err(Fault::system_error("too many leases"));
        }
        let id = format!("session[{}]{ticket}", session.key);
        session.leases.insert(id.clone(), lease);
        Ok(id)
    })??;
    Ok(Answer::One(Value::reference("HttpNfcLease", id)))
}

pub(super) fn progress(call: &Call<'_>) -> Result<Answer, Fault> {
    let percent = call.number("percent")?;
    found(call)?.progress(percent, call.world.state.clock.now_ms())?;
    Ok(ended(call))
}

pub(super) fn complete(call: &Call<'_>) -> Result<Answer, Fault> {
    found(call)?.complete(call.world.state.clock.now_ms())?;
    Ok(ended(call))
}

pub(super) fn abort(call: &Call<'_>) -> Result<Answer, Fault> {
    let given = call.args.get("fault").and_then(Value::object);
    let detail = given.and_then(|given| given.get("fault").and_then(Value::object));
    let text = given.and_then(|given| given.get_text("localizedMessage"));
    let mut fault = Fault::new("RequestCanceled", text.unwrap_or("The lease was aborted."));
    if let Some(detail) = detail {
        fault.detail = detail.clone();
    }
    found(call)?.abort(fault, call.world.state.clock.now_ms())?;
    Ok(ended(call))
}

fn ended(call: &Call<'_>) -> Answer {
    call.world.state.changes().tell();
    Answer::Nothing
}

fn found(call: &Call<'_>) -> Result<Lease, Fault> {
    let found = call.session(|session| session.leases.get(&call.this.id).cloned())?;
    found.ok_or_else(|| Fault::not_found(call.this))
}
