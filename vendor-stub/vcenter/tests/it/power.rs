//! Power, migration, revert and upgrade as tasks.

use lab::{DatastoreKind, DatastoreSpec, PowerState, SiteSpec};

use crate::client::Client;
use crate::rig::Rig;

fn done(client: &mut Client, method: &str, this: (&str, &str), args: &str) -> String {
    let info = client.task(method, this, args);
    assert!(info.contains("<state>success</state>"), "{info}");
    info
}

#[test]
fn a_vm_lists_what_its_state_does_not_allow() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let lists = |client: &mut Client, method: &str| {
        let listed = client.read(vm, &["disabledMethod"]).unwrap();
        listed.contains(&format!(">{method}</string>"))
    };
    for (change, on, off) in [
        (None, true, false),
        (Some("PowerOffVM_Task"), false, true),
        (Some("PowerOnVM_Task"), true, false),
        (Some("SuspendVM_Task"), false, false),
    ] {
        if let Some(method) = change {
            assert!(!lists(&mut client, method), "{method} is allowed");
            client.task(method, vm, "");
        }
        assert_eq!(lists(&mut client, "PowerOnVM_Task"), on, "{change:?}");
        assert_eq!(lists(&mut client, "PowerOffVM_Task"), off, "{change:?}");
        assert!(!lists(&mut client, "RelocateVM_Task"));
    }
}

#[test]
fn power_tasks_change_the_state_and_refuse_the_wrong_one() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let state = || rig.lab.vm(&rig.vm).unwrap().power_state;
    let info = client.task("PowerOnVM_Task", vm, "");
    assert!(
        info.contains(
            "<error><fault xsi:type=\"InvalidPowerState\">\
             <requestedState>poweredOn</requestedState><existingState>poweredOn</existingState></fault>"
        ),
        "{info}"
    );
    done(&mut client, "ResetVM_Task", vm, "");
    done(&mut client, "SuspendVM_Task", vm, "");
    assert_eq!(state(), PowerState::Suspended);
    done(&mut client, "PowerOnVM_Task", vm, "");
    let info = done(&mut client, "PowerOffVM_Task", vm, "");
    assert!(info.contains("<descriptionId>VirtualMachine.powerOff</descriptionId>"));
    assert_eq!(state(), PowerState::PoweredOff);
    let info = client.task("ResetVM_Task", vm, "");
    assert!(info.contains("xsi:type=\"InvalidPowerState\""), "{info}");
    done(
        &mut client,
        "UpgradeVM_Task",
        vm,
        "<version>vmx-20</version>",
    );
    let version = client.read(vm, &["config.version"]).unwrap();
    assert!(version.contains(">vmx-20<"));
    let info = client.task("UpgradeVM_Task", vm, "<version>vmx-20</version>");
    assert!(info.contains("xsi:type=\"AlreadyUpgraded\""), "{info}");
}

#[test]
fn migration_puts_tracking_into_effect_and_tasks_exclude_each_other() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    rig.lab.set_change_tracking(&rig.vm, true).unwrap();
    let args = "<priority>defaultPriority</priority>";
    client.call("MigrateVM_Task", vm, args).unwrap();
    let busy = client.call("PowerOffVM_Task", vm, "").unwrap_err();
    assert_eq!(busy.type_name, "TaskInProgress");
    // The next one has to wait, and its end tells that the first is done.
    let info = loop {
        match client.call("MigrateVM_Task", vm, args) {
            Ok(answer) => break answer,
            Err(fault) => assert_eq!(fault.type_name, "TaskInProgress"),
        }
    };
    assert!(info.contains("type=\"Task\">"));
    assert!(rig.lab.vm(&rig.vm).unwrap().change_tracking.enabled);
}

#[test]
fn storage_motion_is_refused_while_it_is_disabled() {
    let site = SiteSpec::default().with_datastores([
        DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
        DatastoreSpec::new("other", DatastoreKind::Vmfs),
    ]);
    let rig = Rig::with(&["app01"], site, 100);
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let args = "<spec><datastore type=\"Datastore\">datastore-18</datastore></spec>";
    rig.lab
        .disable_methods(&rig.vm, &["RelocateVM_Task"], "backup")
        .unwrap();
    let refused = client.call("RelocateVM_Task", vm, args).unwrap_err();
    assert_eq!(refused.type_name, "MethodDisabled");
    done(
        &mut client,
        "MigrateVM_Task",
        vm,
        "<priority>defaultPriority</priority>",
    );
    rig.lab
        .enable_methods(&rig.vm, &["RelocateVM_Task"], "backup")
        .unwrap();
    done(&mut client, "RelocateVM_Task", vm, args);
    let path = client.read(vm, &["config.files.vmPathName"]).unwrap();
    assert!(path.contains(">[other] app01/app01.vmx<"), "{path}");
    let nowhere = args.replace("datastore-18", "datastore-99");
    let missing = client.call("RelocateVM_Task", vm, &nowhere).unwrap_err();
    assert_eq!(missing.type_name, "ManagedObjectNotFound");
}

#[test]
fn reverting_and_removing_all_snapshots() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let first = client.snapshot(&rig.vm);
    let second = client.snapshot(&rig.vm);
    let this = ("VirtualMachineSnapshot", first.as_str());
    done(&mut client, "RevertToSnapshot_Task", this, "");
    let tree = client.read(vm, &["snapshot.currentSnapshot"]).unwrap();
    assert!(tree.contains(&format!(">{first}</val>")), "{tree}");
    done(&mut client, "RevertToCurrentSnapshot_Task", vm, "");
    done(
        &mut client,
        "RemoveAllSnapshots_Task",
        vm,
        "<consolidate>true</consolidate>",
    );
    let tree = client.read(vm, &["snapshot"]).unwrap();
    assert!(!tree.contains("propSet"), "{tree}");
    let gone = ("VirtualMachineSnapshot", second.as_str());
    let gone = client.call("RevertToSnapshot_Task", gone, "").unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
    let none = client.call("RevertToCurrentSnapshot_Task", vm, "");
    assert_eq!(none.unwrap_err().type_name, "NotFound");
}

#[test]
fn a_guest_with_tools_obeys_and_one_without_cannot() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let state = || rig.lab.vm(&rig.vm).unwrap().power_state;
    client.call("RebootGuest", vm, "").unwrap();
    assert_eq!(state(), PowerState::PoweredOn);
    client.call("StandbyGuest", vm, "").unwrap();
    assert_eq!(state(), PowerState::Suspended);
    done(&mut client, "PowerOnVM_Task", vm, "");
    let tools = |quiescing| rig.lab.set_quiescing(&rig.vm, quiescing).unwrap();
    tools(lab::Quiescing::NoTools);
    for method in ["RebootGuest", "StandbyGuest", "ShutdownGuest"] {
        let refused = client.call(method, vm, "").unwrap_err();
        assert_eq!(refused.type_name, "ToolsUnavailable", "{method}");
    }
    tools(lab::Quiescing::Works);
    client.call("ShutdownGuest", vm, "").unwrap();
    assert_eq!(state(), PowerState::PoweredOff);
    let off = client.call("RebootGuest", vm, "").unwrap_err();
    assert_eq!(off.type_name, "InvalidPowerState");
}
