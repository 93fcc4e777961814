//! Finding one object by what it is called.

use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{Client, Error, Moref, SearchTarget, UuidKind};

fn found(seen: &Seen) -> Reply {
    let one = "<returnval type=\"VirtualMachine\">vm-19</returnval>";
    let inside = match seen.method() {
        "FindAllByUuid" if seen.operation().contains("<uuid>u-1</uuid>") => {
            "<returnval type=\"VirtualMachine\">vm-19</returnval><returnval type=\"VirtualMachine\">vm-20</returnval>"
        }
        _ if seen.operation().contains("nothing") => "",
        _ => one,
    };
    Reply::answer(seen.method(), inside)
}

#[tokio::test]
async fn one_is_found_or_nothing() {
    let server = TestServer::start(|seen| {
        if seen.method() == "FindByDatastorePath" && seen.operation().contains("[none]") {
            return Reply::fault("InvalidDatastore");
        }
        if seen.method().starts_with("Find") {
            return found(seen);
        }
        usual(seen, 0)
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let datacenter = Moref::new("Datacenter", "datacenter-3");
    let vm = Some(Moref::vm("vm-19"));
    for (name, expected) in [("app01", &vm), ("nothing", &None)] {
        let by_path = client.find_by_inventory_path(name).await;
        assert_eq!(&by_path.unwrap(), expected);
        let by_uuid = client.find_by_uuid(Some(&datacenter), name, UuidKind::Bios);
        assert_eq!(&by_uuid.await.unwrap(), expected);
        let by_name = client.find_by_dns_name(None, name, SearchTarget::Vms);
        assert_eq!(&by_name.await.unwrap(), expected);
        let by_ip = client.find_by_ip(None, name, SearchTarget::Vms);
        assert_eq!(&by_ip.await.unwrap(), expected);
        let path = format!("[datastore1] {name}/{name}.vmx");
        let by_file = client.find_by_datastore_path(&datacenter, &path).await;
        assert_eq!(&by_file.unwrap(), expected);
    }
    let copies = client
        .find_all_by_uuid(None, "u-1", UuidKind::Instance)
        .await;
    assert_eq!(copies.unwrap(), [Moref::vm("vm-19"), Moref::vm("vm-20")]);
    let none = client.find_all_by_uuid(None, "nothing", UuidKind::Bios);
    assert!(none.await.unwrap().is_empty());
    let error = client.find_by_datastore_path(&datacenter, "[none] a/a.vmx");
    assert_eq!(
        error.await.unwrap_err().fault_type(),
        Some("InvalidDatastore")
    );
    client
        .find_by_ip(None, "192.0.2.17", SearchTarget::Hosts)
        .await
        .unwrap();
    let asked = server.seen().pop().unwrap();
    assert!(asked.operation().contains("<vmSearch>false</vmSearch>"));
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_server_without_a_search_index_is_told_as_such() {
    let server = TestServer::start(|seen| match usual(seen, 0) {
        Reply::Full {
            status,
            headers,
            body,
        } if seen.method() == "RetrieveServiceContent" => Reply::Full {
            status,
            headers,
            body: String::from_utf8(body)
                .unwrap()
                .replace("searchIndex", "otherIndex")
                .into_bytes(),
        },
        reply => reply,
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let error = client.find_by_inventory_path("DC0").await.unwrap_err();
    assert!(matches!(
        error,
        Error::NotOffered {
            what: "search index"
        }
    ));
    client.logout().await.unwrap();
}
