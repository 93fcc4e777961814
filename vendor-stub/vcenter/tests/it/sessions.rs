//! Logging in, idling out, and what is left without a session.

use std::time::Duration;

use lab::SiteSpec;

use crate::client::between;
use crate::rig::{PASSWORD, Rig, USER};

const MANAGER: (&str, &str) = ("SessionManager", "SessionManager");

#[test]
fn wrong_password_is_invalid_login_with_a_cookie_that_proves_nothing() {
    let rig = Rig::new();
    let mut client = rig.stranger();
    let fault = client.login(USER, "wrong").unwrap_err();
    assert_eq!(fault.type_name, "InvalidLogin");
    assert_eq!(
        fault.text,
        "Cannot complete login due to an incorrect user name or password."
    );
    assert!(client.cookie.is_some());
    let time = client.call("CurrentTime", ("ServiceInstance", "ServiceInstance"), "");
    assert_eq!(time.unwrap_err().type_name, "NotAuthenticated");
    client.login(USER, PASSWORD).unwrap();
    let (cookie, this) = (
        client.cookie.clone(),
        ("ServiceInstance", "ServiceInstance"),
    );
    let again = client.login(USER, PASSWORD).unwrap_err();
    assert_eq!(again.type_name, "InvalidLogin");
    assert_eq!(client.cookie, cookie, "the session is still there");
    client.call("CurrentTime", this, "").unwrap();
    assert_eq!(
        rig.calls(),
        [
            "Login InvalidLogin",
            "CurrentTime NotAuthenticated",
            "Login ok",
            "Login InvalidLogin",
            "CurrentTime ok"
        ]
    );
}

#[test]
fn an_idle_session_ends_and_shows_in_both_forms() {
    let spec = SiteSpec {
        session_idle_secs: 60,
        ..SiteSpec::default()
    };
    let rig = Rig::with(&["app01"], spec, 100);
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let args = "<container type=\"Folder\">group-d1</container><recursive>true</recursive>";
    let view = client
        .call("CreateContainerView", ("ViewManager", "ViewManager"), args)
        .unwrap();
    let view = between(&view, "type=\"ContainerView\">", "<").to_owned();
    for _ in 0..3 {
        rig.vcenter.advance_clock(Duration::from_secs(40));
        client.read(vm, &["name"]).unwrap();
    }
    rig.vcenter.advance_clock(Duration::from_secs(61));

    let time = client.call("CurrentTime", ("ServiceInstance", "ServiceInstance"), "");
    assert_eq!(time.unwrap_err().type_name, "NotAuthenticated");
    let hidden = client
        .read(vm, &["config.hardware.device", "name"])
        .unwrap();
    assert!(!hidden.contains("<propSet>"));
    assert_eq!(
        between(&hidden, "<missingSet>", "</missingSet>"),
        "<path>config.hardware.device</path><fault><fault xsi:type=\"NotAuthenticated\">\
         <object type=\"VirtualMachine\">vm-1021</object><privilegeId>System.Read</privilegeId>\
         </fault><localizedMessage>The session is not authenticated.</localizedMessage></fault>"
    );
    let dead = client
        .read(("ContainerView", &view), &["view"])
        .unwrap_err();
    assert_eq!(dead.type_name, "ManagedObjectNotFound");
    let current = client.read(MANAGER, &["currentSession"]).unwrap();
    assert_eq!(
        current,
        "<returnval><objects><obj type=\"SessionManager\">SessionManager</obj></objects></returnval>"
    );
    client.login(USER, PASSWORD).unwrap();
    assert!(client.read(vm, &["name"]).unwrap().contains(">app01<"));
}

#[test]
fn the_session_can_be_asked_for() {
    let rig = Rig::new();
    let mut client = rig.client();
    let current = client.read(MANAGER, &["currentSession"]).unwrap();
    assert!(current.contains("<val xsi:type=\"UserSession\"><key>"));
    assert!(current.contains("<userAgent>vcenter-stub test</userAgent>"));
    let other = rig.client();
    let listed = client.read(MANAGER, &["sessionList"]).unwrap();
    assert_eq!(between(&listed, "<key>", "<"), client.session_key);
    assert!(listed.contains(&format!("<key>{}</key>", other.session_key)));
    let token = rig.stranger().call("LoginByToken", MANAGER, "");
    assert_eq!(token.unwrap_err().type_name, "InvalidLogin");
    let active = |client: &mut crate::client::Client, key: &str| {
        let args =
            format!("<sessionID>{key}</sessionID><userName>VSPHERE.LOCAL\\backup</userName>");
        client.call("SessionIsActive", MANAGER, &args).unwrap()
    };
    let key = client.session_key.clone();
    assert_eq!(active(&mut client, &key), "<returnval>true</returnval>");
    assert_eq!(active(&mut client, "52"), "<returnval>false</returnval>");
}

#[test]
fn sessions_do_not_share_views_or_tokens() {
    let rig = Rig::with(&["a", "b", "c"], SiteSpec::default(), 1);
    let (mut one, mut two) = (rig.client(), rig.client());
    let args = "<container type=\"Folder\">group-d1</container><recursive>true</recursive>";
    let view = one
        .call("CreateContainerView", ("ViewManager", "ViewManager"), args)
        .unwrap();
    let view = between(&view, "type=\"ContainerView\">", "<").to_owned();
    let foreign = two.read(("ContainerView", &view), &["view"]).unwrap_err();
    assert_eq!(foreign.type_name, "ManagedObjectNotFound");

    let spec = "<specSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet></propSet>\
                <objectSet><obj type=\"VirtualMachine\">vm-1021</obj></objectSet>\
                <objectSet><obj type=\"VirtualMachine\">vm-1022</obj></objectSet></specSet>\
                <options></options>";
    let collector = ("PropertyCollector", "propertyCollector");
    let page = one.call("RetrievePropertiesEx", collector, spec).unwrap();
    let token = format!("<token>{}</token>", between(&page, "<token>", "<"));
    let foreign = two.call("ContinueRetrievePropertiesEx", collector, &token);
    assert_eq!(foreign.unwrap_err().type_name, "InvalidArgument");
    let cancelled = one.call("CancelRetrievePropertiesEx", collector, &token);
    assert_eq!(cancelled.unwrap(), "");
    let gone = one.call("ContinueRetrievePropertiesEx", collector, &token);
    assert_eq!(gone.unwrap_err().type_name, "InvalidArgument");
}

#[test]
fn the_library_is_told_of_a_session_while_it_lives() {
    let spec = SiteSpec {
        session_idle_secs: 60,
        ..SiteSpec::default()
    };
    let rig = Rig::with(&["app01"], spec, 100);
    let mut client = rig.stranger();
    client.login(USER, "wrong").unwrap_err();
    let useless = client.cookie.clone().unwrap();
    client.login(USER, PASSWORD).unwrap();
    let cookie = value(client.cookie.as_deref().unwrap());
    let knows = |cookie: &str| rig.lab.check_session(cookie, USER).is_ok();
    assert!(!knows(&value(&useless)));
    assert!(knows(&cookie));
    rig.lab
        .check_session(&cookie, "VSPHERE.LOCAL\\backup")
        .unwrap();
    client.call("Logout", MANAGER, "").unwrap();
    assert!(!knows(&cookie), "logged out");

    let mut client = rig.client();
    let cookie = value(client.cookie.as_deref().unwrap());
    rig.vcenter.advance_clock(Duration::from_secs(40));
    client.read(MANAGER, &["currentSession"]).unwrap();
    rig.vcenter.advance_clock(Duration::from_secs(40));
    assert!(knows(&cookie), "it was used meanwhile");
    rig.vcenter.advance_clock(Duration::from_secs(40));
    assert!(!knows(&cookie), "idled out");

    let client = rig.client();
    let cookie = value(client.cookie.as_deref().unwrap());
    assert!(knows(&cookie));
    rig.vcenter.stop();
    assert!(rig.lab.check_session(&cookie, USER).is_err(), "stopped");
}

/// The cookie's value without name, quotes and attributes.
fn value(line: &str) -> String {
    let first = line.split(';').next().unwrap();
    let value = first.split_once('=').map_or(first, |(_, value)| value);
    value.trim_matches('"').to_owned()
}

#[test]
fn without_a_session_every_method_names_a_privilege() {
    let rig = Rig::new();
    let mut client = rig.stranger();
    let vm = ("VirtualMachine", rig.vm.as_str());
    for (method, args) in [("ReconfigVM_Task", "<spec></spec>"), ("Destroy_Task", "")] {
        let body = client.fault_body(method, vm, args);
        let privilege = between(&body, "<privilegeId>", "<");
        assert_eq!(privilege, "System.View", "{method}");
    }
}

#[test]
fn a_session_is_ended_by_another_and_not_by_itself() {
    let rig = Rig::new();
    let (mut one, mut other) = (rig.client(), rig.client());
    let manager = ("SessionManager", "SessionManager");
    let id = |key: &str| format!("<sessionId>{key}</sessionId>");
    let mine = id(&one.session_key);
    let own = one.call("TerminateSession", manager, &mine).unwrap_err();
    assert_eq!(own.type_name, "InvalidArgument");
    let none = one.call("TerminateSession", manager, &id("52"));
    assert_eq!(none.unwrap_err().type_name, "NotFound");
    one.call("TerminateSession", manager, &id(&other.session_key))
        .unwrap();
    let ended = other.call("CurrentTime", ("ServiceInstance", "ServiceInstance"), "");
    assert_eq!(ended.unwrap_err().type_name, "NotAuthenticated");
    let vm = ("VirtualMachine", rig.vm.as_str());
    let storage = one.read(vm, &["storage", "summary.storage"]).unwrap();
    assert_eq!(storage.matches("<committed>").count(), 2, "{storage}");
}
