//! ReconfigVM_Task: the switch for change tracking, nothing else yet.

use super::dispatch::Call;
use super::snapshot::{refuse_disabled, start};
use crate::soap::{Answer, Fault};
use crate::value::Value;

pub(super) fn reconfigure(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, "ReconfigVM_Task")?;
    let spec = call
        .args
        .get("spec")
        .and_then(Value::object)
        .ok_or_else(|| Fault::invalid_argument("spec"))?;
    let known = ["changeVersion", "changeTrackingEnabled"];
    if let Some((name, _)) = spec.members().find(|(name, _)| !known.contains(name)) {
        return Err(Fault::not_supported(name));
    }
    if let Some(version) = spec.get_text("changeVersion")
        && !version.is_empty()
        && version != vm.change_version
    {
        return Err(Fault::new(
            "ConcurrentAccess",
            "The object was changed by somebody else in the meantime.",
        ));
    }
    let tracking = spec
        .get("changeTrackingEnabled")
        .map(|_| spec.get_flag("changeTrackingEnabled"));
    let moref = vm.moref.clone();
    start(
        call,
        &vm,
        ("ReconfigVM_Task", "VirtualMachine.reconfigure"),
        move |lab| {
            if let Some(enabled) = tracking {
                lab.set_change_tracking(&moref, enabled)?;
            }
            Ok(None)
        },
    )
}
