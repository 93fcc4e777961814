//! ReconfigVM_Task.

use super::config_spec;
use super::dispatch::Call;
use super::hot_plug;
use super::snapshot::{refuse_disabled, start, start_failing};
use crate::setting;
use crate::soap::{Answer, Fault};
use crate::value::Value;

/// What can be changed of a VM that exists, besides its settings.
const KNOWN: [&str; 12] = [
    "changeVersion",
    "name",
    "version",
    "uuid",
    "instanceUuid",
    "guestId",
    "annotation",
    "numCPUs",
    "memoryMB",
    "deviceChange",
    "extraConfig",
    "changeTrackingEnabled",
];

pub(super) fn reconfigure(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, "ReconfigVM_Task")?;
    let spec = call
        .args
        .get("spec")
        .and_then(Value::object)
        .ok_or_else(|| Fault::invalid_argument("spec"))?;
    let known = |name: &str| KNOWN.contains(&name) || setting::is_one(name);
    if let Some((name, _)) = spec.members().find(|(name, _)| !known(name)) {
        return Err(Fault::not_supported(name));
    }
    for privilege in config_spec::privileges(&vm, spec) {
        call.world.demand(call.this, privilege)?;
    }
    let names = ("ReconfigVM_Task", "VirtualMachine.reconfigure");
    let change = config_spec::change(call.world, Some(&vm), spec);
    let change = change.and_then(|change| hot_plug::check(&vm, spec).map(|()| change));
    let change = match change {
        Err(fault) if config_spec::fails_in_task(&fault) => {
            return start_failing(call, call.this.clone(), &vm.name, names, fault);
        }
        change => change?,
    };
    if let Some(version) = spec.get_text("changeVersion")
        && !version.is_empty()
        && version != vm.change_version
    {
        return Err(Fault::new(
            "ConcurrentAccess",
            "The object was changed by somebody else in the meantime.",
        ));
    }
    let moref = vm.moref.clone();
    start(call, &vm, names, move |lab| {
        lab.reconfigure(&moref, change)?;
        Ok(None)
    })
}
