//! Requests that a real server refuses.

use crate::client::envelope;
use crate::rig::Rig;

#[test]
fn wrong_element_order_names_a_parameter_that_was_present() {
    let rig = Rig::new();
    let mut client = rig.client();
    let fault = client
        .raw(
            "QueryChangedDiskAreas",
            "<_this type=\"VirtualMachine\">vm-1021</_this><deviceKey>2000</deviceKey>\
             <startOffset>0</startOffset>\
             <snapshot type=\"VirtualMachineSnapshot\">snapshot-2044</snapshot>\
             <changeId>*</changeId>",
        )
        .unwrap_err();
    assert_eq!(fault.type_name, "InvalidRequest");
    assert!(
        fault
            .text
            .contains("Required parameter changeId is missing")
    );
    let fault = client.raw("CurrentTime", "").unwrap_err();
    assert!(fault.text.contains("_this"));
    let calls = rig.calls();
    assert_eq!(
        calls[1..],
        [
            "QueryChangedDiskAreas InvalidRequest",
            "CurrentTime InvalidRequest"
        ]
    );
}

#[test]
fn unknown_methods_objects_and_paths() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    for (method, this, args, expected) in [
        ("InstantClone_Task", vm, "", "MethodNotFound"),
        ("NoSuchMethod", vm, "", "MethodNotFound"),
        ("CurrentTime", vm, "", "MethodNotFound"),
        (
            "ConsolidateVMDisks_Task",
            ("VirtualMachine", "vm-9"),
            "",
            "ManagedObjectNotFound",
        ),
        (
            "ConsolidateVMDisks_Task",
            ("VirtualMachine", "../x"),
            "",
            "ManagedObjectNotFound",
        ),
        (
            "CancelTask",
            ("Task", "task-1"),
            "",
            "ManagedObjectNotFound",
        ),
        (
            "Fetch",
            vm,
            "<prop>config.hardwar</prop>",
            "InvalidProperty",
        ),
        (
            "ReconfigVM_Task",
            vm,
            "<spec><vAppConfigRemoved>true</vAppConfigRemoved></spec>",
            "NotSupported",
        ),
        (
            "ReconfigVM_Task",
            vm,
            "<spec><changeVersion>old</changeVersion></spec>",
            "ConcurrentAccess",
        ),
        (
            "CreateSnapshot_Task",
            vm,
            "<name></name><memory>true</memory><quiesce>false</quiesce>",
            "InvalidName",
        ),
    ] {
        let fault = client.call(method, this, args).unwrap_err();
        assert_eq!(fault.type_name, expected, "{method} {}", fault.text);
    }
    let fault = client.read(vm, &["name", "runtime.host.name"]).unwrap_err();
    assert_eq!(fault.type_name, "InvalidProperty");
}

#[test]
fn bodies_that_are_no_requests_and_paths_that_are_no_endpoints() {
    let rig = Rig::new();
    let mut client = rig.client();
    for body in [
        "",
        "hello",
        "<a>",
        "<!DOCTYPE a><a/>",
        &"<a>".repeat(100_000),
    ] {
        let answer = client.post(body, "");
        assert_eq!(answer.status, 500, "{body:.20}");
        assert!(answer.text().contains("xsi:type=\"InvalidRequest\""));
    }
    let time = "<_this type=\"ServiceInstance\">ServiceInstance</_this>";
    let wrong = envelope("CurrentTime", time).replace("urn:vim25\"", "urn:vim2\"");
    assert!(client.post(&wrong, "").text().contains("MethodNotFound"));
    assert_eq!(client.http("GET", "/sdk", "", "").status, 405);
    assert_eq!(client.http("GET", "/nowhere", "", "").status, 404);
    let large = "x".repeat(5 << 20);
    assert_eq!(client.http("POST", "/sdk", "", &large).status, 413);
}

#[test]
fn queries_that_cannot_be_answered_keep_their_typed_faults() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    rig.lab.set_change_tracking(vm, true).unwrap();
    let snapshot = client.snapshot(vm);
    let bad = |client: &mut crate::client::Client, start, id: &str| {
        client
            .query(vm, &snapshot, start, id)
            .unwrap_err()
            .type_name
    };
    assert_eq!(
        bad(&mut client, crate::rig::CAPACITY_BYTES, "*"),
        "InvalidArgument"
    );
    assert_eq!(bad(&mut client, 0, "no id"), "InvalidArgument");
    let unknown = client.query(vm, "snapshot-1", 0, "*").unwrap_err();
    assert_eq!(unknown.type_name, "ManagedObjectNotFound");
}

#[test]
fn a_disk_that_is_not_tracked_tells_nothing() {
    let rig = Rig::new();
    let mut client = rig.client();
    let snapshot = client.snapshot(&rig.vm);
    for id in ["*", "52 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00/1"] {
        let refused = client.query(&rig.vm, &snapshot, 0, id).unwrap_err();
        assert_eq!(refused.type_name, "InvalidArgument");
        assert!(refused.text.ends_with("deviceKey"), "{}", refused.text);
    }
}
