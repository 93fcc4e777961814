//! Users that may not do everything, and methods that are disabled.

use lab::{Permission, Role, Site};

use crate::client::{Client, Fault, between};
use crate::rig::Rig;

const SNAPSHOT: &str = "VirtualMachine.State.CreateSnapshot";
const RANDOM_READ: &str = "VirtualMachine.Provisioning.DiskRandomRead";
const AUTHORIZATION: (&str, &str) = ("AuthorizationManager", "AuthorizationManager");

/// A client of a user with one role on one object.
fn user(rig: &Rig, entity: &str, privileges: &[&str]) -> Client {
    let permission = Permission {
        entity: entity.to_owned(),
        role: Role::new("some", privileges.iter().copied()),
        propagate: true,
    };
    rig.lab
        .set_user("some@vsphere.local", "secret", Some(vec![permission]))
        .unwrap();
    let mut client = rig.stranger();
    client.login("some@vsphere.local", "secret").unwrap();
    client
}

fn create_snapshot(client: &mut Client, vm: &str) -> Result<String, Fault> {
    let args = "<name>s</name><memory>false</memory><quiesce>false</quiesce>";
    client.call("CreateSnapshot_Task", ("VirtualMachine", vm), args)
}

#[test]
fn a_missing_privilege_is_named_with_its_object() {
    let rig = Rig::new();
    let vm = rig.vm.as_str();
    let mut client = user(&rig, Site::ROOT_FOLDER, &[SNAPSHOT]);
    let info = client.task(
        "CreateSnapshot_Task",
        ("VirtualMachine", vm),
        "<name>s</name><memory>false</memory><quiesce>false</quiesce>",
    );
    let snapshot = between(&info, "xsi:type=\"ManagedObjectReference\">", "<").to_owned();
    let args = "<removeChildren>false</removeChildren>";
    let body = client.fault_body(
        "RemoveSnapshot_Task",
        ("VirtualMachineSnapshot", &snapshot),
        args,
    );
    assert!(
        body.contains(&format!(
            "<NoPermissionFault xmlns=\"urn:vim25\" xsi:type=\"NoPermission\">\
             <object type=\"VirtualMachineSnapshot\">{snapshot}</object>\
             <privilegeId>VirtualMachine.State.RemoveSnapshot</privilegeId></NoPermissionFault>"
        )),
        "{body}"
    );
    let refused = client.query(vm, &snapshot, 0, "*").unwrap_err();
    assert_eq!(refused.type_name, "NoPermission");
    let spec = "<spec><changeTrackingEnabled>true</changeTrackingEnabled></spec>";
    let body = client.fault_body("ReconfigVM_Task", ("VirtualMachine", vm), spec);
    assert!(body.contains("<privilegeId>VirtualMachine.Config.ChangeTracking<"));
}

#[test]
fn a_snapshot_takes_the_permissions_of_its_vm() {
    let rig = Rig::new();
    let vm = rig.vm.as_str();
    let permission = Permission {
        entity: vm.to_owned(),
        role: Role::new(
            "some",
            [SNAPSHOT, RANDOM_READ, "System.Read", "System.View"],
        ),
        propagate: false,
    };
    rig.lab
        .set_user("some@vsphere.local", "secret", Some(vec![permission]))
        .unwrap();
    rig.lab.set_change_tracking(vm, true).unwrap();
    let mut client = rig.stranger();
    client.login("some@vsphere.local", "secret").unwrap();
    let snapshot = client.snapshot(vm);
    let read = client.read(("VirtualMachineSnapshot", &snapshot), &["config.name"]);
    assert!(read.unwrap().contains("config.name"));
    assert!(client.query(vm, &snapshot, 0, "*").is_ok());
}

#[test]
fn a_snapshot_is_renamed_and_described_by_who_may() {
    let rig = Rig::new();
    let vm = rig.vm.as_str();
    let mut client = user(&rig, vm, &[SNAPSHOT, "VirtualMachine.State.RenameSnapshot"]);
    let id = client.snapshot(vm);
    let this = ("VirtualMachineSnapshot", id.as_str());
    let mut rename = |args: &str| client.call("RenameSnapshot", this, args);
    let told = || {
        let found = rig.lab.vm(vm).unwrap().snapshots.remove(0);
        (found.name, found.description)
    };
    let pair = |name: &str, description: &str| (name.to_owned(), description.to_owned());
    let (before, _) = told();
    assert_eq!(rename("<description>of it</description>").unwrap(), "");
    assert_eq!(told(), pair(&before, "of it"));
    assert_eq!(rename("<name>other</name>").unwrap(), "");
    assert_eq!(told(), pair("other", "of it"));
    let refused = rename("<name></name><description></description>");
    assert_eq!(refused.unwrap_err().type_name, "InvalidName");
    assert_eq!(told(), pair("other", "of it"));
    rename("<description></description>").unwrap();
    assert_eq!(told(), pair("other", ""));
    let tree = client.read(("VirtualMachine", vm), &["snapshot"]).unwrap();
    assert!(tree.contains("<name>other</name>"), "{tree}");

    let mut weak = user(&rig, vm, &[SNAPSHOT]);
    let body = weak.fault_body("RenameSnapshot", this, "<name>mine</name>");
    assert!(
        body.contains("<privilegeId>VirtualMachine.State.RenameSnapshot<"),
        "{body}"
    );
    assert_eq!(told(), pair("other", ""));
    let gone = ("VirtualMachineSnapshot", "snapshot-1");
    let body = rig.client().fault_body("RenameSnapshot", gone, "");
    assert!(body.contains("ManagedObjectNotFound"), "{body}");
}

#[test]
fn a_quiesce_spec_out_of_its_bounds_is_refused() {
    let rig = Rig::new();
    let mut client = rig.client();
    let mut refused = |kind: &str, inside: &str| {
        let args = format!(
            "<name>s</name><memory>false</memory><quiesceSpec xsi:type=\"{kind}\">{inside}</quiesceSpec>"
        );
        let this = ("VirtualMachine", rig.vm.as_str());
        client.fault_body("CreateSnapshotEx_Task", this, &args)
    };
    let (plain, windows) = (
        "VirtualMachineGuestQuiesceSpec",
        "VirtualMachineWindowsQuiesceSpec",
    );
    for (kind, inside, property) in [
        (plain, "<timeout>4</timeout>", "timeout"),
        (plain, "<timeout>241</timeout>", "timeout"),
        (windows, "<vssBackupType>7</vssBackupType>", "vssBackupType"),
        (
            windows,
            "<vssBackupContext>nonsense</vssBackupContext>",
            "vssBackupContext",
        ),
    ] {
        let body = refused(kind, inside);
        let named = format!("<invalidProperty>quiesceSpec.{property}<");
        assert!(body.contains(&named), "{body}");
    }
    assert!(rig.lab.vm(&rig.vm).unwrap().snapshots.is_empty());
}

#[test]
fn privileges_are_tested_live_and_for_each_object() {
    let rig = Rig::with(&["app01", "app02"], lab::SiteSpec::default(), 100);
    let vms = rig.lab.vms().unwrap();
    let (first, second) = (&vms[0].moref, &vms[1].moref);
    let mut client = user(&rig, first, &[SNAPSHOT]);
    let args = format!(
        "<entity type=\"VirtualMachine\">{first}</entity><entity type=\"VirtualMachine\">{second}</entity>\
         <sessionId>{}</sessionId><privId>{SNAPSHOT}</privId><privId>{RANDOM_READ}</privId>",
        client.session_key
    );
    let answer = client
        .call("HasPrivilegeOnEntities", AUTHORIZATION, &args)
        .unwrap();
    let row = |privilege: &str, granted: bool| {
        format!(
            "<privAvailability><privId>{privilege}</privId><isGranted>{granted}</isGranted></privAvailability>"
        )
    };
    let expected = format!(
        "<returnval><entity type=\"VirtualMachine\">{first}</entity>{}{}</returnval>\
         <returnval><entity type=\"VirtualMachine\">{second}</entity>{}{}</returnval>",
        row(SNAPSHOT, true),
        row(RANDOM_READ, false),
        row(SNAPSHOT, false),
        row(RANDOM_READ, false)
    );
    assert_eq!(answer, expected);
    assert!(create_snapshot(&mut client, first).is_ok());
    let refused = create_snapshot(&mut client, second).unwrap_err();
    assert_eq!(refused.type_name, "NoPermission");

    // What may not be read is told in missingSet.
    let hidden = client.read(("VirtualMachine", second), &["name"]).unwrap();
    assert!(hidden.contains("<missingSet><path>name</path>"), "{hidden}");
    assert!(hidden.contains("xsi:type=\"NoPermission\""), "{hidden}");

    let wrong = args.replace(&client.session_key, "52");
    let refused = client.call("HasPrivilegeOnEntities", AUTHORIZATION, &wrong);
    assert_eq!(refused.unwrap_err().type_name, "InvalidArgument");
}

fn switch(client: &mut Client, method: &str, vm: &str, source: &str) -> Result<String, Fault> {
    let methods = match method {
        "DisableMethods" => {
            "<method><method>RelocateVM_Task</method><reasonId>backup</reasonId></method>"
        }
        _ => "<method>RelocateVM_Task</method>",
    };
    let scope = match method {
        "DisableMethods" => "<sessionScope>false</sessionScope>",
        _ => "",
    };
    client.internal(
        method,
        AUTHORIZATION,
        &format!(
            "<entity type=\"VirtualMachine\">{vm}</entity>{methods}<sourceId>{source}</sourceId>{scope}"
        ),
    )
}

#[test]
fn methods_are_disabled_once_and_enabled_by_who_disabled_them() {
    let rig = Rig::new();
    let vm = rig.vm.as_str();
    let mut client = rig.client();
    assert_eq!(
        switch(&mut client, "DisableMethods", vm, "one").unwrap(),
        ""
    );
    let listed = client
        .read(("VirtualMachine", vm), &["disabledMethod"])
        .unwrap();
    assert!(listed.contains(">RelocateVM_Task</string>"), "{listed}");
    let again = switch(&mut client, "DisableMethods", vm, "two").unwrap_err();
    assert_eq!(again.type_name, "MethodAlreadyDisabledFault");
    switch(&mut client, "EnableMethods", vm, "two").unwrap();
    assert_eq!(rig.lab.vm(vm).unwrap().disabled_methods.len(), 1);
    switch(&mut client, "EnableMethods", vm, "one").unwrap();
    assert!(rig.lab.vm(vm).unwrap().disabled_methods.is_empty());

    // The public namespace has no such method.
    let public = client
        .call("DisableMethods", AUTHORIZATION, "")
        .unwrap_err();
    assert_eq!(public.type_name, "MethodNotFound");
    let mut weak = user(&rig, Site::ROOT_FOLDER, &["Global.DisableMethods"]);
    switch(&mut weak, "DisableMethods", vm, "weak").unwrap();
    let refused = switch(&mut weak, "EnableMethods", vm, "weak").unwrap_err();
    assert_eq!(refused.type_name, "NoPermission");
}

#[test]
fn an_esxi_host_has_no_disabled_methods() {
    let spec = lab::SiteSpec {
        bare_host: true,
        ..lab::SiteSpec::default()
    };
    let rig = Rig::with(&["app01"], spec, 100);
    let mut client = rig.client();
    let this = ("AuthorizationManager", "ha-authmgr");
    let args = "<entity type=\"VirtualMachine\">1021</entity><sourceId>one</sourceId>";
    let refused = client.internal("EnableMethods", this, args).unwrap_err();
    assert_eq!(refused.type_name, "MethodNotFound");
}

#[test]
fn roles_and_permissions_are_told() {
    let rig = Rig::new();
    let vm = rig.vm.as_str();
    let mut client = user(&rig, vm, &[SNAPSHOT]);
    let roles = client.read(AUTHORIZATION, &["roleList"]).unwrap();
    assert!(
        roles.contains("<roleId>-1</roleId><system>true</system><name>Admin</name>"),
        "{roles}"
    );
    assert!(
        roles.contains(&format!(
            "<roleId>1</roleId><system>false</system><name>some</name>\
             <info><label>some</label><summary>some</summary></info><privilege>{SNAPSHOT}</privilege>"
        )),
        "{roles}"
    );
    let mut permissions = |inherited: bool| {
        let args = format!(
            "<entity type=\"VirtualMachine\">{vm}</entity><inherited>{inherited}</inherited>"
        );
        client
            .call("RetrieveEntityPermissions", AUTHORIZATION, &args)
            .unwrap()
    };
    let own = format!(
        "<returnval><entity type=\"VirtualMachine\">{vm}</entity><principal>some@vsphere.local</principal>\
         <group>false</group><roleId>1</roleId><propagate>true</propagate></returnval>"
    );
    assert_eq!(permissions(false), own);
    let all = permissions(true);
    assert!(all.starts_with(&own), "{all}");
    assert!(
        all.contains(&format!(
            "<returnval><entity type=\"Folder\">{}</entity>",
            Site::ROOT_FOLDER
        )) && all.contains("<roleId>-1</roleId>"),
        "{all}"
    );
}
