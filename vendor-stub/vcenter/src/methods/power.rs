//! Power, migration, upgrade and revert of VMs: the stun cycles besides snapshots
//! ("vSphere API reference", 5.2).

use lab::{PowerState, Vm};

use super::dispatch::Call;
use super::snapshot::{start, start_on};
use super::{inventory, question};
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, Value};

const POWER_ON: (&str, &str) = ("PowerOnVM_Task", "VirtualMachine.powerOn");

pub(super) fn power_on(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    start_power_on(call, &vm)
}

fn start_power_on(call: &Call<'_>, vm: &Vm) -> Result<Answer, Fault> {
    let moref = vm.moref.clone();
    let changes = call.world.state.changes().clone();
    start(call, vm, POWER_ON, move |lab| {
        question::power_on(lab, &moref, &|| changes.tell())?;
        Ok(None)
    })
}

/// PowerOnMultiVM_Task of a datacenter: a task for each VM, and one that tells them.
pub(super) fn power_on_many(call: &Call<'_>) -> Result<Answer, Fault> {
    let mut vms = Vec::new();
    for reference in call.args.get_items("vm").iter().flat_map(Value::targets) {
        let vm = call.world.existing_vm(reference)?;
        call.world
            .demand(reference, "VirtualMachine.Interact.PowerOn")?;
        vms.push(vm);
    }
    let (mut attempted, mut not_attempted) = (Vec::new(), Vec::new());
    for vm in vms {
        let reference = Value::reference("VirtualMachine", &vm.moref);
        match start_power_on(call, &vm) {
            Ok(Answer::One(task)) => attempted.push(
                DataObject::new("ClusterAttemptedVmInfo")
                    .with("vm", reference)
                    .with("task", task),
            ),
            Ok(_) => {}
            Err(fault) => not_attempted.push(
                DataObject::new("ClusterNotAttemptedVmInfo")
                    .with("vm", reference)
                    .part("fault", fault.localized()),
            ),
        }
    }
    let result = DataObject::new("ClusterPowerOnVmResult")
        .with(
            "attempted",
            Value::objects("ClusterAttemptedVmInfo", attempted),
        )
        .with(
            "notAttempted",
            Value::objects("ClusterNotAttemptedVmInfo", not_attempted),
        );
    let names = ("PowerOnMultiVM_Task", "Datacenter.powerOnVm");
    let name = call.world.site()?.datacenter.name.clone();
    start_on(call, call.this.clone(), &name, names, move |_lab| {
        Ok(Some(Value::Object(result)))
    })
}

/// PowerOffVM_Task and SuspendVM_Task.
pub(super) fn change(
    call: &Call<'_>,
    names: (&'static str, &'static str),
    wanted: PowerState,
) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let moref = vm.moref.clone();
    start(call, &vm, names, move |lab| {
        lab.change_power_state(&moref, wanted)?;
        Ok(None)
    })
}

pub(super) fn reset(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let moref = vm.moref.clone();
    let names = ("ResetVM_Task", "VirtualMachine.reset");
    start(call, &vm, names, move |lab| {
        // A reset needs a VM that is on, and leaves it on without a cycle of power.
        match lab.vm(&moref)?.power_state {
            PowerState::PoweredOn => Ok(None),
            existing => Err(lab::Error::InvalidPowerState {
                requested: Some(PowerState::PoweredOn),
                existing,
            }),
        }
    })
}

/// ShutdownGuest, StandbyGuest and RebootGuest: no tasks. The guest of the lab obeys at once, and
/// stays on when it starts again.
pub(super) fn guest(call: &Call<'_>, wanted: Option<PowerState>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    if vm.power_state != PowerState::PoweredOn {
        return Err(power_fault(Some(PowerState::PoweredOn), vm.power_state));
    }
    if vm.quiescing == lab::Quiescing::NoTools {
        let text = "Cannot complete operation because VMware Tools is not running in this virtual machine.";
        return Err(Fault::new("ToolsUnavailable", text));
    }
    if let Some(wanted) = wanted {
        let lab = &call.world.state.lab;
        lab.change_power_state(&vm.moref, wanted)
            .map_err(|error| crate::world::lab_fault(&error))?;
    }
    Ok(Answer::Nothing)
}

pub(super) fn upgrade(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let version = call
        .args
        .get_text("version")
        .filter(|text| !text.is_empty());
    let version = version.map(hardware_version).transpose()?;
    let moref = vm.moref.clone();
    let names = ("UpgradeVM_Task", "VirtualMachine.upgradeVirtualHardware");
    start(call, &vm, names, move |lab| {
        lab.upgrade_hardware(&moref, version)?;
        Ok(None)
    })
}

/// The NN of `vmx-NN`.
pub(super) fn hardware_version(text: &str) -> Result<u32, Fault> {
    text.strip_prefix("vmx-")
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Fault::invalid_argument("version"))
}

pub(super) fn migrate(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    if let Some(host) = call.args.get_reference("host") {
        call.world.existing(host)?;
    }
    let pool = inventory::wanted_pool(call, Some(call.args))?;
    let moref = vm.moref.clone();
    let names = ("MigrateVM_Task", "VirtualMachine.migrate");
    start(call, &vm, names, move |lab| {
        lab.migrate(&moref)?;
        inventory::into_pool(lab, &moref, pool.as_ref())?;
        Ok(None)
    })
}

pub(super) fn relocate(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let spec = call.args.get("spec").and_then(Value::object);
    let target = spec.and_then(|spec| spec.get_reference("datastore"));
    let datastore = match target {
        None => None,
        Some(target) => {
            let site = call.world.site()?;
            let mut all = site.datastores.iter();
            let found = all.find(|found| found.moref == target.id);
            let found = found.ok_or_else(|| Fault::not_found(target))?;
            call.world.demand(target, "Datastore.AllocateSpace")?;
            Some(found.name.clone())
        }
    };
    let pool = inventory::wanted_pool(call, spec)?;
    let folder = spec.and_then(|spec| spec.get_reference("folder"));
    if let Some(folder) = folder {
        call.world.existing(folder)?;
    }
    let folder = folder.map(|folder| folder.id.clone());
    let moref = vm.moref.clone();
    let names = ("RelocateVM_Task", "VirtualMachine.relocate");
    start(call, &vm, names, move |lab| {
        match datastore {
            Some(datastore) => lab.relocate(&moref, &datastore)?,
            None => lab.migrate(&moref)?,
        }
        inventory::into_pool(lab, &moref, pool.as_ref())?;
        if let Some(folder) = folder {
            lab.move_into_folder(&folder, &[moref])?;
        }
        Ok(None)
    })
}

pub(super) fn revert(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call
        .world
        .vm_by_snapshot(&call.this.id)?
        .ok_or_else(|| Fault::not_found(call.this))?;
    let snapshot = call.this.id.clone();
    let names = ("RevertToSnapshot_Task", "vm.Snapshot.revert");
    start_revert(call, &vm, names, snapshot)
}

pub(super) fn revert_to_current(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let Some(snapshot) = vm.current_snapshot.clone() else {
        return Err(Fault::new("NotFound", "There is no current snapshot."));
    };
    let names = (
        "RevertToCurrentSnapshot_Task",
        "VirtualMachine.revertToCurrentSnapshot",
    );
    start_revert(call, &vm, names, snapshot)
}

/// A snapshot with memory lets the VM run again, unless the caller does not want that.
fn start_revert(
    call: &Call<'_>,
    vm: &Vm,
    names: (&'static str, &'static str),
    snapshot: String,
) -> Result<Answer, Fault> {
    let stay_off = call.args.get_flag("suppressPowerOn");
    let moref = vm.moref.clone();
    start(call, vm, names, move |lab| {
        lab.revert_to_snapshot(&snapshot)?;
        if stay_off {
            lab.set_power_state(&moref, PowerState::PoweredOff)?;
        }
        Ok(None)
    })
}

pub(super) fn remove_all(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let moref = vm.moref.clone();
    let names = (
        "RemoveAllSnapshots_Task",
        "VirtualMachine.removeAllSnapshots",
    );
    start(call, &vm, names, move |lab| {
        lab.remove_all_snapshots(&moref)?;
        Ok(None)
    })
}

/// The fault of a VM in the wrong power state.
pub(crate) fn power_fault(requested: Option<PowerState>, existing: PowerState) -> Fault {
    let state =
        |state: PowerState| Value::Enum("VirtualMachinePowerState", state.as_str().to_owned());
    let text = "The attempted operation cannot be performed in the current state";
    let mut detail = DataObject::new("InvalidPowerState").with("existingState", state(existing));
    if let Some(requested) = requested {
        detail.set("requestedState", state(requested));
    }
    Fault {
        detail,
        text: format!("{text} ({}).", shown(existing)),
    }
}

fn shown(state: PowerState) -> &'static str {
    match state {
        PowerState::PoweredOn => "Powered on",
        PowerState::PoweredOff => "Powered off",
        PowerState::Suspended => "Suspended",
    }
}
