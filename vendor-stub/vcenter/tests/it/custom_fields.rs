//! Custom attributes: defined, given to objects, read, taken away.

use lab::{Permission, Role, Site, SiteSpec};

use crate::client::between;
use crate::rig::{PASSWORD, Rig, USER};

const MANAGER: (&str, &str) = ("CustomFieldsManager", "CustomFieldsManager");

fn set(entity: (&str, &str), key: &str, value: &str) -> String {
    let (type_name, id) = entity;
    format!("<entity type=\"{type_name}\">{id}</entity><key>{key}</key><value>{value}</value>")
}

#[test]
fn a_custom_attribute_shows_on_the_objects_that_have_it() {
    let rig = Rig::new();
    let mut client = rig.client();
    let content = client
        .call(
            "RetrieveServiceContent",
            ("ServiceInstance", "ServiceInstance"),
            "",
        )
        .unwrap();
    assert!(content.contains(
        "<customFieldsManager type=\"CustomFieldsManager\">CustomFieldsManager</customFieldsManager>"
    ));
    let wanted = "<name>Backup</name><moType>VirtualMachine</moType>";
    let made = client.call("AddCustomFieldDef", MANAGER, wanted).unwrap();
    let definition = "<key>101</key><name>Backup</name><type>string</type><managedObjectType>VirtualMachine</managedObjectType>";
    assert_eq!(made, format!("<returnval>{definition}</returnval>"));
    let again = client
        .call("AddCustomFieldDef", MANAGER, wanted)
        .unwrap_err();
    assert_eq!(again.type_name, "DuplicateName");

    let vm = ("VirtualMachine", rig.vm.as_str());
    let host = ("HostSystem", "host-16");
    client
        .call("SetField", MANAGER, &set(vm, "101", "daily &amp; more"))
        .unwrap();
    let refused = client
        .call("SetField", MANAGER, &set(host, "101", "x"))
        .unwrap_err();
    assert_eq!(refused.type_name, "InvalidArgument");
    let unknown = client
        .call("SetField", MANAGER, &set(vm, "7", "x"))
        .unwrap_err();
    assert_eq!(unknown.type_name, "InvalidArgument");

    let value = "<CustomFieldValue xsi:type=\"CustomFieldStringValue\"><key>101</key>\
                 <value>daily &amp; more</value></CustomFieldValue>";
    let paths = [
        "customValue",
        "availableField",
        "value",
        "summary.customValue",
    ];
    let shown = client.read(vm, &paths).unwrap();
    assert_eq!(shown.matches(value).count(), 3, "{shown}");
    assert!(shown.contains(definition));
    let of_host = client.read(host, &["availableField"]).unwrap();
    assert!(!of_host.contains("Backup"));

    let renamed = "<key>101</key><name>Schedule</name>";
    client
        .call("RenameCustomFieldDef", MANAGER, renamed)
        .unwrap();
    let by_name = "<key>Schedule</key><value>weekly</value>";
    client.call("setCustomValue", vm, by_name).unwrap();
    let shown = client.read(vm, &["customValue"]).unwrap();
    assert_eq!(between(&shown, "<value>", "<"), "weekly");
    let field = client.read(MANAGER, &["field"]).unwrap();
    assert!(field.contains("<name>Schedule</name>"), "{field}");

    client
        .call("RemoveCustomFieldDef", MANAGER, "<key>101</key>")
        .unwrap();
    let shown = client.read(vm, &["customValue", "availableField"]).unwrap();
    assert!(!shown.contains("101"), "{shown}");
}

#[test]
fn values_of_custom_attributes_need_their_privilege_and_hosts_have_none() {
    let rig = Rig::new();
    rig.lab.add_custom_field("Backup", None).unwrap();
    let permission = Permission {
        entity: Site::ROOT_FOLDER.to_owned(),
        role: Role::new("reader", ["VirtualMachine.Interact.PowerOn"]),
        propagate: true,
    };
    let permissions = Some(vec![permission]);
    rig.lab.set_user(USER, PASSWORD, permissions).unwrap();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let refused = client
        .call("SetField", MANAGER, &set(vm, "101", "x"))
        .unwrap_err();
    assert_eq!(refused.type_name, "NoPermission");
    let by_name = "<key>Backup</key><value>x</value>";
    let refused = client.call("setCustomValue", vm, by_name).unwrap_err();
    assert_eq!(refused.type_name, "NoPermission");

    let spec = SiteSpec {
        bare_host: true,
        ..SiteSpec::default()
    };
    let rig = Rig::with(&["app01"], spec, 100);
    let mut client = rig.stranger();
    client.host_login(USER, PASSWORD).unwrap();
    let none = client.read(MANAGER, &["field"]).unwrap_err();
    assert_eq!(none.type_name, "ManagedObjectNotFound");
}
