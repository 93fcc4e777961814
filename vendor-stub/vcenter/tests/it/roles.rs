//! Roles that clients make, and give to users.

use lab::Site;

use crate::client::{Client, between};
use crate::rig::{PASSWORD, Rig, USER};

const AUTHORIZATION: (&str, &str) = ("AuthorizationManager", "AuthorizationManager");
const SNAPSHOT: &str = "VirtualMachine.State.CreateSnapshot";
const OTHER: &str = "other@vsphere.local";
const ROOT: &str = "<entity type=\"Folder\">group-d1</entity>";

/// A rig with a user who may do nothing yet.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.lab.set_user(OTHER, "secret", Some(Vec::new())).unwrap();
    rig
}

fn call(client: &mut Client, method: &str, args: &str) -> String {
    client.call(method, AUTHORIZATION, args).unwrap()
}

fn refused(client: &mut Client, method: &str, args: &str) -> String {
    let fault = client.call(method, AUTHORIZATION, args);
    fault.unwrap_err().type_name
}

/// Makes a role and returns its number.
fn made(client: &mut Client, name: &str, privileges: &[&str]) -> String {
    let ids = privileges.join("</privIds><privIds>");
    let args = format!("<name>{name}</name><privIds>{ids}</privIds>");
    let answer = call(client, "AddAuthorizationRole", &args);
    between(&answer, "<returnval>", "<").to_owned()
}

fn permission(user: &str, role: &str) -> String {
    format!(
        "<permission><principal>{user}</principal><group>false</group><roleId>{role}</roleId>\
         <propagate>true</propagate></permission>"
    )
}

/// The roles that may be asked for, each as its element.
fn roles(client: &mut Client) -> Vec<String> {
    let list = client.read(AUTHORIZATION, &["roleList"]).unwrap();
    let roles = list.split("<AuthorizationRole").skip(1);
    roles.map(str::to_owned).collect()
}

fn names(client: &mut Client) -> Vec<String> {
    let roles = roles(client);
    let names = roles.iter().map(|role| between(role, "<name>", "<"));
    names.map(str::to_owned).collect()
}

#[test]
fn the_roles_of_the_system_and_every_privilege_are_told() {
    let rig = rig();
    let mut client = rig.client();
    assert_eq!(
        names(&mut client),
        ["Admin", "ReadOnly", "View", "Anonymous", "NoAccess"]
    );
    let roles = roles(&mut client);
    let counts: Vec<usize> = roles
        .iter()
        .map(|role| role.matches("<privilege>").count())
        .collect();
    let list = client.read(AUTHORIZATION, &["privilegeList"]).unwrap();
    let all = list.matches("<AuthorizationPrivilege").count();
    assert!(all > 80, "{all}");
    assert_eq!(counts, [all, 3, 2, 1, 0]);
    assert!(
        list.contains(&format!(
            "<privId>{SNAPSHOT}</privId><onParent>false</onParent><name>CreateSnapshot</name>\
             <privGroupName>VirtualMachine.State</privGroupName>"
        )),
        "{list}"
    );
}

#[test]
fn a_role_that_a_client_made_is_what_its_user_may() {
    let rig = rig();
    let mut client = rig.client();
    let role = made(&mut client, "cbt", &[SNAPSHOT]);
    let told = roles(&mut client).pop().unwrap();
    assert!(
        told.contains("<privilege>System.Read</privilege>") && told.contains(SNAPSHOT),
        "{told}"
    );
    // As it is told in sessions.
    let given = format!("{ROOT}{}", permission("VSPHERE.LOCAL\\other", &role));
    assert_eq!(call(&mut client, "SetEntityPermissions", &given), "");
    let own = format!(
        "<returnval><entity type=\"Folder\">group-d1</entity><principal>{OTHER}</principal>\
         <group>false</group><roleId>{role}</roleId><propagate>true</propagate></returnval>"
    );
    let by_role = format!("<roleId>{role}</roleId>");
    assert_eq!(call(&mut client, "RetrieveRolePermissions", &by_role), own);
    let all = call(&mut client, "RetrieveAllPermissions", "");
    assert!(
        all.contains(&own) && all.contains("<roleId>-1</roleId>"),
        "{all}"
    );

    let mut other = rig.stranger();
    other.login(OTHER, "secret").unwrap();
    let vm = format!("<entity type=\"VirtualMachine\">{}</entity>", rig.vm);
    let asked = format!(
        "{vm}<sessionId>{}</sessionId><privId>{SNAPSHOT}</privId><privId>Folder.Create</privId>",
        other.session_key
    );
    assert_eq!(
        call(&mut other, "HasPrivilegeOnEntity", &asked),
        "<returnval>true</returnval><returnval>false</returnval>"
    );
    let (entities, user) = (
        vm.replace("entity", "entities"),
        format!("<userName>{OTHER}</userName>"),
    );
    let asked = format!("{entities}{user}<privId>{SNAPSHOT}</privId>");
    let has = call(&mut client, "HasUserPrivilegeOnEntities", &asked);
    assert!(
        has.contains(&format!(
            "<privId>{SNAPSHOT}</privId><isGranted>true</isGranted>"
        )),
        "{has}"
    );
    let asked = format!("{entities}{user}");
    let fetched = call(&mut client, "FetchUserPrivilegeOnEntities", &asked);
    assert_eq!(fetched.matches("<privileges>").count(), 4, "{fetched}");
    other.snapshot(&rig.vm);

    // What changes the role changes what its users may, at once.
    let args = format!("<roleId>{role}</roleId><newName>none</newName>");
    call(&mut client, "UpdateAuthorizationRole", &args);
    let spec = "<name>s</name><memory>false</memory><quiesce>false</quiesce>";
    let vm = ("VirtualMachine", rig.vm.as_str());
    let body = other.fault_body("CreateSnapshot_Task", vm, spec);
    assert!(body.contains("NoPermission"), "{body}");
    let body = other.fault_body("SetEntityPermissions", AUTHORIZATION, &given);
    assert!(
        body.contains("<privilegeId>Authorization.ModifyPermissions<"),
        "{body}"
    );
    let args = "<name>mine</name>";
    let body = other.fault_body("AddAuthorizationRole", AUTHORIZATION, args);
    assert!(
        body.contains("<privilegeId>Authorization.ModifyRoles<"),
        "{body}"
    );

    let args = format!("<roleId>{role}</roleId><failIfUsed>true</failIfUsed>");
    let fault = refused(&mut client, "RemoveAuthorizationRole", &args);
    assert_eq!(fault, "RemoveFailed");
    let gone = format!("{ROOT}<user>{OTHER}</user><isGroup>false</isGroup>");
    call(&mut client, "RemoveEntityPermission", &gone);
    let fault = refused(&mut client, "RemoveEntityPermission", &gone);
    assert_eq!(fault, "NotFound");
    call(&mut client, "RemoveAuthorizationRole", &args);
    assert_eq!(names(&mut client).len(), 5);
    let fault = refused(&mut client, "RetrieveRolePermissions", &by_role);
    assert_eq!(fault, "NotFound");
}

#[test]
fn what_is_no_role_no_privilege_and_no_user_is_refused() {
    let rig = rig();
    let mut client = rig.client();
    made(&mut client, "cbt", &[SNAPSHOT]);
    for (args, fault) in [
        ("<name>cbt</name>", "AlreadyExists"),
        ("<name>Admin</name>", "AlreadyExists"),
        ("<name></name>", "InvalidName"),
        (
            "<name>n</name><privIds>Virtual.Nothing</privIds>",
            "InvalidArgument",
        ),
    ] {
        assert_eq!(
            refused(&mut client, "AddAuthorizationRole", args),
            fault,
            "{args}"
        );
    }
    for (id, fault) in [("-1", "InvalidArgument"), ("77", "NotFound")] {
        let args = format!("<roleId>{id}</roleId><newName>x</newName>");
        assert_eq!(
            refused(&mut client, "UpdateAuthorizationRole", &args),
            fault
        );
        let args = format!("<roleId>{id}</roleId><failIfUsed>false</failIfUsed>");
        assert_eq!(
            refused(&mut client, "RemoveAuthorizationRole", &args),
            fault
        );
    }
    let group = permission(OTHER, "-2").replace("<group>false", "<group>true");
    for (given, fault) in [
        (permission("nobody@vsphere.local", "-2"), "UserNotFound"),
        (group, "UserNotFound"),
        (permission(OTHER, "77"), "NotFound"),
        // All or none.
        (
            permission(OTHER, "-2") + &permission(USER, "-2"),
            "AuthMinimumAdminPermission",
        ),
    ] {
        let args = format!("{ROOT}{given}");
        assert_eq!(
            refused(&mut client, "SetEntityPermissions", &args),
            fault,
            "{given}"
        );
    }
    let site = rig.lab.site().unwrap();
    assert_eq!(
        site.user(OTHER).unwrap().permissions.as_deref(),
        Some(&[][..])
    );
    assert!(site.user(USER).unwrap().permissions.is_none());

    // Who has a role on a VM only is Admin of all else as before.
    let vm = format!("<entity type=\"VirtualMachine\">{}</entity>", rig.vm);
    let args = format!("{vm}{}", permission(USER, "-5"));
    call(&mut client, "SetEntityPermissions", &args);
    let hidden = client.read(("VirtualMachine", &rig.vm), &["name"]).unwrap();
    assert!(hidden.contains("<missingSet>"), "{hidden}");
    let folder = client
        .read(("Folder", Site::ROOT_FOLDER), &["name"])
        .unwrap();
    assert!(folder.contains("<propSet>"), "{folder}");
    // The server still knows it after a new login.
    let mut again = rig.stranger();
    again.login(USER, PASSWORD).unwrap();
    assert_eq!(names(&mut again).pop().as_deref(), Some("cbt"));
}
