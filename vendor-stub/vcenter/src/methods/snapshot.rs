//! Snapshot tasks.

use lab::{Lab, SnapshotSpec, Vm};

use super::dispatch::Call;
use crate::model::escape_name;
use crate::soap::{Answer, Fault};
use crate::task::{TaskSpec, Work};
use crate::value::{DataObject, MoRef, Value};
use crate::world::lab_fault;

pub(super) fn create(call: &Call<'_>, method: &'static str) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, method)?;
    if call.text("name").is_empty() {
        return Err(
            Fault::new("InvalidName", "The name '' is invalid.").with("name", Value::string(""))
        );
    }
    if let Some(spec) = call.args.get("quiesceSpec").and_then(Value::object) {
        check_quiescing(spec)?;
    }
    let spec = SnapshotSpec {
        name: call.text("name").to_owned(),
        description: call.text("description").to_owned(),
        memory: call.args.get_flag("memory"),
        quiesce: call.args.get_flag("quiesce") || call.args.get("quiesceSpec").is_some(),
    };
    let moref = vm.moref.clone();
    start(
        call,
        &vm,
        (method, "VirtualMachine.createSnapshot"),
        move |lab| {
            let snapshot = lab.create_snapshot(&moref, &spec)?;
            Ok(Some(Value::reference(
                "VirtualMachineSnapshot",
                snapshot.moref,
            )))
        },
    )
}

/// Refuses a quiesceSpec out of its bounds ("vSphere API reference", 2.6).
fn check_quiescing(spec: &DataObject) -> Result<(), Fault> {
    let is_within = |name, fits: &dyn Fn(&str) -> bool| match spec.get_text(name) {
        Some(text) if !fits(text) => Err(Fault::invalid_argument(&format!("quiesceSpec.{name}"))),
        _ => Ok(()),
    };
    let number = |text: &str| text.parse::<i32>().unwrap_or(-1);
    is_within("timeout", &|text| (5..=240).contains(&number(text)))?;
    is_within("vssBackupType", &|text| (1..=6).contains(&number(text)))?;
    is_within("vssBackupContext", &|text| {
        ["ctx_auto", "ctx_backup", "ctx_file_share_backup"].contains(&text)
    })
}

pub(super) fn remove(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call
        .world
        .vm_by_snapshot(&call.this.id)?
        .ok_or_else(|| Fault::not_found(call.this))?;
    refuse_disabled(&vm, "RemoveSnapshot_Task")?;
    let snapshot = call.this.id.clone();
    let children = call.args.get_flag("removeChildren");
    start(
        call,
        &vm,
        ("RemoveSnapshot_Task", "vm.Snapshot.remove"),
        move |lab| {
            lab.remove_snapshot(&snapshot, children)?;
            Ok(None)
        },
    )
}

/// RenameSnapshot: no task, and what is not named stays.
pub(super) fn rename(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call
        .world
        .vm_by_snapshot(&call.this.id)?
        .ok_or_else(|| Fault::not_found(call.this))?;
    refuse_disabled(&vm, "RenameSnapshot")?;
    let (name, description) = (
        call.args.get_text("name"),
        call.args.get_text("description"),
    );
    let lab = &call.world.state.lab;
    lab.rename_snapshot(&call.this.id, name, description)
        .map_err(|error| lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

pub(super) fn consolidate(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, "ConsolidateVMDisks_Task")?;
    let moref = vm.moref.clone();
    start(
        call,
        &vm,
        ("ConsolidateVMDisks_Task", "VirtualMachine.consolidateDisks"),
        move |lab| {
            lab.consolidate(&moref)?;
            Ok(None)
        },
    )
}

/// A method that was disabled for the VM is refused.
pub(super) fn refuse_disabled(vm: &Vm, method: &str) -> Result<(), Fault> {
    let mut disabled = vm.disabled_methods.iter();
    match disabled.find(|disabled| disabled.method == method) {
        None => Ok(()),
        Some(found) => Err(Fault::new(
            "MethodDisabled",
            format!("The method is disabled by '{}'", found.source_id),
        )
        .with("source", Value::string(&found.source_id))),
    }
}

/// Starts a task on a VM.
pub(super) fn start(
    call: &Call<'_>,
    vm: &Vm,
    (name, description_id): (&'static str, &'static str),
    work: impl FnOnce(&Lab) -> Result<Option<Value>, lab::Error> + Send + 'static,
) -> Result<Answer, Fault> {
    refuse_disabled(vm, name)?;
    let entity = MoRef::new("VirtualMachine", vm.moref.clone());
    start_on(call, entity, &vm.name, (name, description_id), work)
}

/// Starts a task on an object. A fault that a test ordered takes the place of the work.
pub(super) fn start_on(
    call: &Call<'_>,
    entity: MoRef,
    entity_name: &str,
    (name, description_id): (&'static str, &'static str),
    work: impl FnOnce(&Lab) -> Result<Option<Value>, lab::Error> + Send + 'static,
) -> Result<Answer, Fault> {
    let lab = call.world.state.lab.clone();
    let work = Box::new(move || work(&lab).map_err(|error| lab_fault(&error)));
    enter(call, entity, entity_name, (name, description_id), work)
}

/// Starts a task on an object that ends with a fault.
pub(super) fn start_failing(
    call: &Call<'_>,
    entity: MoRef,
    entity_name: &str,
    names: (&'static str, &'static str),
    fault: Fault,
) -> Result<Answer, Fault> {
    enter(call, entity, entity_name, names, Box::new(|| Err(fault)))
}

fn enter(
    call: &Call<'_>,
    entity: MoRef,
    entity_name: &str,
    (name, description_id): (&'static str, &'static str),
    work: Work,
) -> Result<Answer, Fault> {
    let spec = TaskSpec {
        name,
        description_id,
        entity,
        entity_name: escape_name(entity_name),
        user_name: call.user_name().into_owned(),
    };
    let work = match call.ordered_task_fault() {
        Some(fault) => Box::new(|| Err(fault)),
        None => work,
    };
    let key = call.world.state.tasks.start(spec, work)?;
    Ok(Answer::One(Value::reference("Task", key)))
}
