//! VMs selected by a custom attribute.

use super::vm;
use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{Client, Error};

const FIELDS: &str = "<CustomFieldDef xsi:type=\"CustomFieldDef\"><key>7</key><name>Backup</name><type>xsd:string</type><managedObjectType>VirtualMachine</managedObjectType></CustomFieldDef><CustomFieldDef xsi:type=\"CustomFieldDef\"><key>8</key><name>Owner</name><type>xsd:string</type></CustomFieldDef><CustomFieldDef xsi:type=\"CustomFieldDef\"><key>9</key><name>Rack</name><type>xsd:string</type><managedObjectType>HostSystem</managedObjectType></CustomFieldDef>";

fn property(name: &str, xsi_type: &str, value: &str) -> String {
    format!("<propSet><name>{name}</name><val xsi:type=\"{xsi_type}\">{value}</val></propSet>")
}

fn object(kind: &str, id: &str, properties: &str) -> String {
    format!("<objects><obj type=\"{kind}\">{id}</obj>{properties}</objects>")
}

/// A VM with the value of each attribute by its number.
fn vm_with(id: &str, values: &[(u32, &str)]) -> String {
    let value = |(key, text): &(u32, &str)| {
        format!(
            "<CustomFieldValue xsi:type=\"CustomFieldStringValue\"><key>{key}</key><value>{text}</value></CustomFieldValue>"
        )
    };
    let values: String = values.iter().map(value).collect();
    let values = property("customValue", "ArrayOfCustomFieldValue", &values);
    object(
        "VirtualMachine",
        id,
        &(property("name", "xsd:string", &format!("name of {id}")) + &values),
    )
}

fn retrieved(seen: &Seen) -> Reply {
    let operation = seen.operation();
    let objects = if operation.contains("CustomFieldsManager\">") {
        assert!(operation.contains("<pathSet>field</pathSet>"));
        let fields = property("field", "ArrayOfCustomFieldDef", FIELDS);
        object("CustomFieldsManager", "CustomFieldsManager", &fields)
    } else if operation.contains("<type>VirtualMachine</type>") {
        assert!(operation.contains("<pathSet>customValue</pathSet>"));
        [
            vm_with("vm-1", &[(7, "daily"), (8, "Ann & Bob")]),
            vm_with("vm-2", &[(7, "weekly"), (8, "daily")]),
            vm_with("vm-3", &[]),
            vm_with("vm-4", &[(7, "daily at night")]),
        ]
        .concat()
        .replace("Ann & Bob", "Ann &amp; Bob")
    } else {
        String::new()
    };
    Reply::answer(
        "RetrievePropertiesEx",
        &format!("<returnval>{objects}</returnval>"),
    )
}

async fn server() -> TestServer {
    TestServer::start(|seen| match seen.method() {
        "RetrievePropertiesEx" => retrieved(seen),
        "CreateContainerView" => Reply::answer(
            seen.method(),
            "<returnval type=\"ContainerView\">session[1]2</returnval>",
        ),
        "DestroyView" => Reply::answer(seen.method(), ""),
        "RetrieveServiceContent" => {
            let Reply::Full {
                status,
                headers,
                body,
            } = usual(seen, 0)
            else {
                panic!("not the usual content");
            };
            let manager = "<customFieldsManager type=\"CustomFieldsManager\">CustomFieldsManager</customFieldsManager><about>";
            let body = String::from_utf8(body).unwrap().replace("<about>", manager);
            Reply::Full {
                status,
                headers,
                body: body.into_bytes(),
            }
        }
        _ => usual(seen, 0),
    })
    .await
}

#[tokio::test]
async fn vms_are_selected_by_an_attribute_and_its_value() {
    let server = server().await;
    let client = Client::connect(server.options()).await.unwrap();
    for (selector, expected) in [
        ("attr:Backup=daily", &["vm-1"][..]),
        ("attr:Backup=daily*", &["vm-1", "vm-4"]),
        ("attr:Owner=Ann & Bob", &["vm-1"]),
        ("attr:Owner=daily", &["vm-2"]),
    ] {
        let selection = crate::vsphere::VmSelection {
            include: vec![selector.parse().unwrap()],
            exclude: Vec::new(),
        };
        let vms = client.select_vms(&selection).await.unwrap();
        let ids: Vec<&str> = vms.iter().map(|vm| vm.moref.id.as_str()).collect();
        assert_eq!(ids, expected, "{selector}");
    }
    assert_eq!(
        client.find_vm("attr:Owner=Ann & Bob").await.unwrap().moref,
        vm()
    );
    client.logout().await.unwrap();
}

#[tokio::test]
async fn an_attribute_that_vms_cannot_have_is_told_with_what_is_near() {
    let server = server().await;
    let client = Client::connect(server.options()).await.unwrap();
    let error = client.find_vm("attr:Backups=daily").await.unwrap_err();
    assert!(
        matches!(&error, Error::NoSuchAttribute { near, .. } if near == &["Backup"]),
        "{error:?}"
    );
    // It is one of hosts.
    let error = client.find_vm("attr:Rack=7").await.unwrap_err();
    assert!(matches!(error, Error::NoSuchAttribute { .. }), "{error:?}");
    let error = client.find_vm("attr:Backup=hourly").await.unwrap_err();
    assert!(matches!(error, Error::NothingSelected { .. }), "{error:?}");
    client.logout().await.unwrap();
}
