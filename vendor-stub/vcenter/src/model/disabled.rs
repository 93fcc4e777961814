//! `disabledMethod` of a VM: what somebody disabled, and what its state does not allow ("vSphere API
//! reference", 2.10).

use std::collections::BTreeSet;

use lab::{PowerState, Vm};

/// What a VM that runs refuses.
const WHILE_ON: [&str; 6] = [
    "Destroy_Task",
    "ExportVm",
    "MarkAsTemplate",
    "PowerOnVM_Task",
    "UnregisterVM",
    "UpgradeVM_Task",
];
/// What a VM that is off refuses.
const WHILE_OFF: [&str; 6] = [
    "PowerOffVM_Task",
    "RebootGuest",
    "ResetVM_Task",
    "ShutdownGuest",
    "StandbyGuest",
    "SuspendVM_Task",
];
/// What a suspended VM refuses.
const WHILE_SUSPENDED: [&str; 8] = [
    "ExportVm",
    "MarkAsTemplate",
    "RebootGuest",
    "ResetVM_Task",
    "ShutdownGuest",
    "StandbyGuest",
    "SuspendVM_Task",
    "UpgradeVM_Task",
];
/// What a template refuses besides.
const OF_TEMPLATES: [&str; 5] = [
    "CreateSnapshotEx_Task",
    "CreateSnapshot_Task",
    "MarkAsTemplate",
    "PowerOnVM_Task",
    "UpgradeVM_Task",
];

/// The names of the methods, each once.
pub(super) fn methods(vm: &Vm) -> BTreeSet<&str> {
    let by_state: &[&str] = match vm.power_state {
        PowerState::PoweredOn => &WHILE_ON,
        PowerState::PoweredOff => &WHILE_OFF,
        PowerState::Suspended => &WHILE_SUSPENDED,
    };
    let by_somebody = vm.disabled_methods.iter();
    let mut methods: BTreeSet<&str> = by_somebody.map(|found| found.method.as_str()).collect();
    methods.extend(by_state);
    if vm.is_template {
        methods.extend(OF_TEMPLATES);
    } else {
        methods.insert("MarkAsVirtualMachine");
    }
    if vm
        .question
        .as_ref()
        .is_none_or(|asked| asked.answer.is_some())
    {
        methods.insert("AnswerVM");
    }
    methods
}
