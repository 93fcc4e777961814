//! Search by what tools report, list views, cloned sessions, and what hosts and pools tell.

use lab::{PowerState, SiteSpec};

use crate::client::{Client, between};
use crate::rig::Rig;

const INDEX: (&str, &str) = ("SearchIndex", "SearchIndex");
const VIEWS: (&str, &str) = ("ViewManager", "ViewManager");

fn vm(id: &str) -> String {
    format!("<returnval type=\"VirtualMachine\">{id}</returnval>")
}

#[test]
fn every_vm_of_a_uuid_is_found() {
    let rig = Rig::with(&["a", "b"], SiteSpec::default(), 100);
    let mut client = rig.client();
    let vms = rig.lab.vms().unwrap();
    // A copy has the BIOS uuid of what it was copied from.
    rig.lab
        .update_vm(&vms[1].moref, |vm| {
            vm.bios_uuid.clone_from(&vms[0].bios_uuid);
            Ok(())
        })
        .unwrap();
    let args = format!("<uuid>{}</uuid><vmSearch>true</vmSearch>", vms[0].bios_uuid);
    let all = client.call("FindAllByUuid", INDEX, &args).unwrap();
    assert_eq!(all, vm(&vms[0].moref) + &vm(&vms[1].moref));
    let one = client.call("FindByUuid", INDEX, &args).unwrap();
    assert_eq!(one, vm(&vms[0].moref));
    let args = "<uuid>52</uuid><vmSearch>true</vmSearch>";
    assert_eq!(client.call("FindAllByUuid", INDEX, args).unwrap(), "");

    let host = client
        .read(("HostSystem", "host-16"), &["summary.hardware"])
        .unwrap();
    let uuid = between(&host, "<uuid>", "<");
    let args = format!("<uuid>{uuid}</uuid><vmSearch>false</vmSearch>");
    let found = client.call("FindByUuid", INDEX, &args).unwrap();
    assert_eq!(found, "<returnval type=\"HostSystem\">host-16</returnval>");
}

#[test]
fn names_and_addresses_are_those_of_running_guests() {
    let rig = Rig::with(&["Web 1"], SiteSpec::default(), 100);
    let mut client = rig.client();
    let guest = client
        .read(("VirtualMachine", &rig.vm), &["guest"])
        .unwrap();
    let name = between(&guest, "<hostName>", "<").to_owned();
    let ip = between(&guest, "<ipAddress>", "<").to_owned();
    assert_eq!(name, "web-1.lab.test");
    let mut find = |method: &str, what: &str| {
        let args = format!(
            "<datacenter type=\"Datacenter\">datacenter-3</datacenter>{what}<vmSearch>true</vmSearch>"
        );
        client.call(method, INDEX, &args).unwrap()
    };
    let by_name = format!("<dnsName>{}</dnsName>", name.to_uppercase());
    let by_ip = format!("<ip>{ip}</ip>");
    assert_eq!(find("FindByDnsName", &by_name), vm(&rig.vm));
    assert_eq!(find("FindAllByDnsName", &by_name), vm(&rig.vm));
    assert_eq!(find("FindByIp", &by_ip), vm(&rig.vm));
    rig.lab
        .set_power_state(&rig.vm, PowerState::PoweredOff)
        .unwrap();
    assert_eq!(find("FindByDnsName", &by_name), "");
    assert_eq!(find("FindAllByIp", &by_ip), "");
}

#[test]
fn a_vmx_path_is_found_and_an_unknown_datastore_is_a_fault() {
    let rig = Rig::new();
    let mut client = rig.client();
    let path = rig.lab.vm(&rig.vm).unwrap().vmx_path;
    let mut find = |path: &str| {
        let args =
            format!("<datacenter type=\"Datacenter\">datacenter-3</datacenter><path>{path}</path>");
        client.call("FindByDatastorePath", INDEX, &args)
    };
    assert_eq!(find(&path).unwrap(), vm(&rig.vm));
    assert_eq!(find("[datastore1] none/none.vmx").unwrap(), "");
    let unknown = find("[none] a/a.vmx").unwrap_err();
    assert_eq!(unknown.type_name, "InvalidDatastore");
    assert_eq!(find("a.vmx").unwrap_err().type_name, "InvalidDatastorePath");
    let child = "<entity type=\"Folder\">group-v4</entity><name>app01</name>";
    assert_eq!(client.call("FindChild", INDEX, child).unwrap(), vm(&rig.vm));
}

fn listed(client: &mut Client, view: &str) -> usize {
    let answer = client.read(("ListView", view), &["view"]).unwrap();
    answer.matches("</ManagedObjectReference>").count()
}

#[test]
fn list_views_hold_what_a_client_puts_in() {
    let rig = Rig::new();
    let mut client = rig.client();
    let object = |name: &str, id: &str| format!("<{name} type=\"ManagedEntity\">{id}</{name}>");
    let created = client
        .call("CreateListView", VIEWS, &object("obj", &rig.vm))
        .unwrap();
    let view = between(&created, "type=\"ListView\">", "<").to_owned();
    let this = ("ListView", view.as_str());
    assert_eq!(listed(&mut client, &view), 1);
    let change = object("add", "host-16") + &object("add", "vm-1") + &object("remove", &rig.vm);
    let unresolved = client.call("ModifyListView", this, &change).unwrap();
    assert_eq!(
        unresolved,
        "<returnval type=\"ManagedEntity\">vm-1</returnval>"
    );
    assert_eq!(listed(&mut client, &view), 1);
    let both = object("obj", &rig.vm) + &object("obj", "host-16");
    assert_eq!(client.call("ResetListView", this, &both).unwrap(), "");
    assert_eq!(listed(&mut client, &view), 2);
    let container = "<container type=\"Folder\">group-d1</container>\
                     <type>Datastore</type><recursive>true</recursive>";
    let other = client
        .call("CreateContainerView", VIEWS, container)
        .unwrap();
    let other = between(&other, "type=\"ContainerView\">", "<").to_owned();
    let from = format!("<view type=\"ContainerView\">{other}</view>");
    client.call("ResetListViewFromView", this, &from).unwrap();
    assert_eq!(listed(&mut client, &view), 1);
    assert_eq!(client.call("DestroyView", this, "").unwrap(), "");
    let gone = client.call("DestroyView", this, "").unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
}

#[test]
fn a_clone_ticket_opens_one_more_session() {
    let rig = Rig::new();
    let manager = ("SessionManager", "SessionManager");
    let mut client = rig.client();
    let ticket = client.call("AcquireCloneTicket", manager, "").unwrap();
    let ticket = between(&ticket, "<returnval>", "<");
    let args = format!("<cloneTicket>{ticket}</cloneTicket>");
    let mut other = rig.stranger();
    let session = other.call("CloneSession", manager, &args).unwrap();
    assert_ne!(between(&session, "<key>", "<"), client.session_key);
    assert!(
        other
            .call("CurrentTime", ("ServiceInstance", "ServiceInstance"), "")
            .is_ok()
    );
    let spent = rig
        .stranger()
        .call("CloneSession", manager, &args)
        .unwrap_err();
    assert_eq!(spent.type_name, "InvalidLogin");
    let journal = std::fs::read_to_string(rig.lab.root().join("journal.jsonl")).unwrap();
    assert!(!journal.contains(ticket));
}

#[test]
fn hosts_pools_and_tasks_tell_what_common_clients_read() {
    let rig = Rig::new();
    let mut client = rig.client();
    let host = client
        .read(("HostSystem", "host-16"), &["summary"])
        .unwrap();
    assert!(host.contains("<numCpuCores>16</numCpuCores>"), "{host}");
    let compute = client
        .read(("ComputeResource", "domain-s8"), &["summary"])
        .unwrap();
    assert!(compute.contains("<totalCpu>38400</totalCpu>"), "{compute}");
    let pool = ("ResourcePool", "resgroup-9");
    let pool = client
        .read(pool, &["summary", "runtime", "config"])
        .unwrap();
    assert_eq!(pool.matches("<cpuAllocation>").count(), 2, "{pool}");
    client.snapshot(&rig.vm);
    let tasks = client
        .read(("TaskManager", "TaskManager"), &["recentTask"])
        .unwrap();
    assert!(
        tasks.contains("<ManagedObjectReference type=\"Task\""),
        "{tasks}"
    );
}
