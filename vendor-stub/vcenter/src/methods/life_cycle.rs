//! Making VMs and taking them away ("vSphere API reference", 2.9 and 7.3).

use lab::{Folder, FolderKind, PowerState, Site, VmSpec};

use super::config_spec;
use super::datastore_name::datastore_of;
use super::dispatch::Call;
use super::inventory;
use super::power::hardware_version;
use super::snapshot::{refuse_disabled, start, start_failing, start_on};
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};

/// CreateVM_Task. Members of the spec that the lab has no place for are taken and not kept.
pub(super) fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let spec = call.args.get("config").and_then(Value::object);
    let spec = spec.ok_or_else(|| Fault::invalid_argument("config"))?;
    let pool = inventory::wanted_pool(call, Some(call.args))?;
    let pool = Some(pool.ok_or_else(|| Fault::invalid_argument("pool"))?);
    let name = spec.get_text("name").unwrap_or_default();
    if name.is_empty() {
        return Err(Fault::invalid_argument("config.name"));
    }
    let site = call.world.site()?;
    let folder = vm_folder(site, call.this)?;
    let names = ("CreateVM_Task", "Folder.createVm");
    let change = match config_spec::change(call.world, None, spec) {
        Err(fault) if config_spec::fails_in_task(&fault) => {
            return start_failing(call, call.this.clone(), &folder.name, names, fault);
        }
        change => change?,
    };
    let version = spec.get_text("version").map(hardware_version).transpose()?;
    let mut wanted = VmSpec {
        name: name.to_owned(),
        home: home(call, spec)?,
        powered_on: false,
        folder: Some(folder.moref.clone()),
        ..VmSpec::default()
    };
    wanted.hardware_version = version.unwrap_or(wanted.hardware_version);
    start_on(call, call.this.clone(), &folder.name, names, move |lab| {
        let vm = lab.add_vm(wanted)?.moref;
        let finish = || {
            lab.reconfigure(&vm, change)?;
            inventory::into_pool(lab, &vm, pool.as_ref())
        };
        if let Err(error) = finish() {
            lab.destroy_vm(&vm)?;
            return Err(error);
        }
        Ok(Some(Value::reference("VirtualMachine", vm)))
    })
}

/// The folder behind a reference, if VMs can be in it. Only the first datacenter has hosts for them.
pub(super) fn vm_folder<'a>(site: &'a Site, reference: &MoRef) -> Result<&'a Folder, Fault> {
    let folder = site.folder(&reference.id);
    let folder = folder.ok_or_else(|| Fault::not_found(reference))?;
    let datacenter = site.datacenter_of(&folder.moref);
    let has_host = datacenter.is_some_and(|found| found.moref == site.datacenter.moref);
    if folder.kind() == FolderKind::Vms && has_host {
        Ok(folder)
    } else {
        Err(Fault::not_supported("a VM in that folder"))
    }
}

/// Where the files of a new VM go: `files.vmPathName`.
fn home(call: &Call<'_>, spec: &DataObject) -> Result<Option<String>, Fault> {
    let files = spec.get("files").and_then(Value::object);
    let path = files.and_then(|files| files.get_text("vmPathName"));
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let datastore = datastore_of(call.world, path)?;
    call.world.demand(&datastore, "Datastore.AllocateSpace")?;
    Ok(Some(path.to_owned()))
}

/// PromoteDisks_Task: disks get what they share with those of other VMs. Here none share anything.
pub(super) fn promote(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let names = ("PromoteDisks_Task", "VirtualMachine.promoteDisks");
    start(call, &vm, names, |_lab| Ok(None))
}

pub(super) fn unregister(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, "UnregisterVM")?;
    let done = call.world.state.lab.unregister_vm(&vm.moref);
    done.map_err(|error| crate::world::lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

pub(super) fn destroy(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    call.world
        .demand(call.this, "VirtualMachine.Inventory.Delete")?;
    if vm.power_state == PowerState::PoweredOn {
        let off = Some(PowerState::PoweredOff);
        return Err(super::power_fault(off, vm.power_state));
    }
    let moref = vm.moref.clone();
    let names = ("Destroy_Task", "VirtualMachine.destroy");
    start(call, &vm, names, move |lab| {
        lab.destroy_vm(&moref)?;
        Ok(None)
    })
}
