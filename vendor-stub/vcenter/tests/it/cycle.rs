//! What a backup does, from login to logout.

use std::time::Duration;

use lab::SiteSpec;

use crate::client::{Client, between};
use crate::rig::{CAPACITY_BYTES, PASSWORD, Rig, USER};

const GRAIN_BYTES: u64 = 64 << 10;

/// The change id of the first disk, from the frozen configuration of a snapshot.
fn change_id(client: &mut Client, snapshot: &str) -> String {
    let config = client
        .read(("VirtualMachineSnapshot", snapshot), &["config"])
        .unwrap();
    assert!(config.contains("<val xsi:type=\"VirtualMachineConfigInfo\">"));
    assert!(config.contains("<device xsi:type=\"VirtualDisk\"><key>2000</key>"));
    between(&config, "<changeId>", "</changeId>").to_owned()
}

fn enable_tracking(client: &mut Client, vm: &str) {
    let spec = "<spec><changeTrackingEnabled>true</changeTrackingEnabled></spec>";
    let info = client.task("ReconfigVM_Task", ("VirtualMachine", vm), spec);
    assert!(info.contains("<state>success</state>"), "{info}");
}

fn remove(client: &mut Client, snapshot: &str) {
    let args = "<removeChildren>false</removeChildren><consolidate>true</consolidate>";
    let this = ("VirtualMachineSnapshot", snapshot);
    let info = client.task("RemoveSnapshot_Task", this, args);
    assert!(info.contains("<state>success</state>"), "{info}");
}

#[test]
fn login_view_snapshot_changed_areas_remove_logout() {
    let spec = SiteSpec {
        page_extents: 3,
        ..SiteSpec::default()
    };
    let rig = Rig::with(&["app01", "app02", "app03"], spec, 2);
    let vm = rig.vm.as_str();
    let mut client = rig.stranger();

    let content = client
        .call(
            "RetrieveServiceContent",
            ("ServiceInstance", "ServiceInstance"),
            "",
        )
        .unwrap();
    assert!(content.starts_with("<returnval><rootFolder type=\"Folder\">group-d1</rootFolder>"));
    client.login(USER, PASSWORD).unwrap();
    let cookie = client.cookie.clone().unwrap();
    assert!(cookie.starts_with("vmware_soap_session=\"") && cookie.ends_with('"'));
    assert!(!cookie.contains(&client.session_key));

    assert_eq!(names_by_view(&mut client), ["app01", "app02", "app03"]);

    enable_tracking(&mut client, vm);
    let tracking = "config.changeTrackingEnabled";
    let before = client.read(("VirtualMachine", vm), &[tracking]).unwrap();
    assert!(
        before.contains("<val xsi:type=\"xsd:boolean\">false</val>"),
        "pending"
    );
    let first = client.snapshot(vm);
    let after = client.read(("VirtualMachine", vm), &[tracking]).unwrap();
    assert!(
        after.contains("<val xsi:type=\"xsd:boolean\">true</val>"),
        "in effect"
    );
    let first_id = change_id(&mut client, &first);
    remove(&mut client, &first);

    // Eight grains with gaps, and the odd end of the disk.
    let mut expected = Vec::new();
    for grain in (2..18).step_by(2) {
        rig.lab
            .guest_write(vm, 2000, grain * GRAIN_BYTES, &[7; 512])
            .unwrap();
        expected.push((grain * GRAIN_BYTES, GRAIN_BYTES));
    }
    rig.lab
        .guest_write(vm, 2000, CAPACITY_BYTES - 512, &[8; 512])
        .unwrap();
    expected.push((16 << 20, CAPACITY_BYTES - (16 << 20)));

    let second = client.snapshot(vm);
    rig.lab.guest_write(vm, 2000, 0, &[9; 512]).unwrap();
    let (mut offset, mut pages, mut areas) = (0, 0, Vec::new());
    while offset < CAPACITY_BYTES {
        let page = client.query(vm, &second, offset, &first_id).unwrap();
        assert_eq!(page.start, offset);
        assert!(page.length > 0 && page.areas.len() <= 3);
        offset += page.length;
        areas.extend(page.areas);
        pages += 1;
    }
    assert_eq!((offset, areas), (CAPACITY_BYTES, expected));
    assert!(pages >= 3);

    remove(&mut client, &second);
    let snapshot = client.read(("VirtualMachine", vm), &["snapshot"]).unwrap();
    assert!(!snapshot.contains("propSet"), "unset is absent: {snapshot}");
    let manager = ("SessionManager", "SessionManager");
    assert_eq!(client.call("Logout", manager, "").unwrap(), "");
    let fault = client.call("CurrentTime", ("ServiceInstance", "ServiceInstance"), "");
    assert_eq!(fault.unwrap_err().type_name, "NotAuthenticated");

    let calls = rig.calls();
    assert_eq!(calls[0], "RetrieveServiceContent ok");
    assert_eq!(calls[1], "Login ok");
    assert_eq!(calls.last().unwrap(), "CurrentTime NotAuthenticated");
    let journal = std::fs::read_to_string(rig.lab.root().join("journal.jsonl")).unwrap();
    assert!(journal.contains(USER) && !journal.contains(PASSWORD));
}

fn names_by_view(client: &mut Client) -> Vec<String> {
    let args = "<container type=\"Folder\">group-d1</container><type>VirtualMachine</type>\
                <recursive>true</recursive>";
    let view = client
        .call("CreateContainerView", ("ViewManager", "ViewManager"), args)
        .unwrap();
    let view = between(&view, "type=\"ContainerView\">", "<").to_owned();
    assert!(view.starts_with(&format!("session[{}]52", client.session_key)));
    let spec = format!(
        "<specSet><propSet><type>VirtualMachine</type><all>false</all><pathSet>name</pathSet></propSet>\
         <objectSet><obj type=\"ContainerView\">{view}</obj><skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><name>traverseEntities</name><type>ContainerView</type>\
         <path>view</path><skip>false</skip></selectSet></objectSet></specSet><options></options>"
    );
    let collector = ("PropertyCollector", "propertyCollector");
    let mut page = client
        .call("RetrievePropertiesEx", collector, &spec)
        .unwrap();
    let mut names = Vec::new();
    loop {
        let objects = page.split("<objects>").skip(1);
        names.extend(
            objects.map(|object| between(object, "<val xsi:type=\"xsd:string\">", "<").to_owned()),
        );
        if !page.contains("<token>") {
            break;
        }
        let token = format!("<token>{}</token>", between(&page, "<token>", "<"));
        let next =
            |client: &mut Client| client.call("ContinueRetrievePropertiesEx", collector, &token);
        page = next(client).unwrap();
        assert_eq!(
            next(client).unwrap_err().type_name,
            "InvalidArgument",
            "used once"
        );
    }
    let this = ("ContainerView", view.as_str());
    assert_eq!(client.call("DestroyView", this, "").unwrap(), "");
    let gone = client.call("DestroyView", this, "").unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
    names
}

#[test]
fn a_task_holds_its_vm_and_its_result_is_typed() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let args = "<name>one</name><description>d</description><memory>false</memory>\
                <quiesce>true</quiesce>";
    let info = client.task("CreateSnapshot_Task", vm, args);
    assert!(info.contains("<name>CreateSnapshot_Task</name>"));
    assert!(info.contains("<descriptionId>VirtualMachine.createSnapshot</descriptionId>"));
    assert!(info.contains("<userName>VSPHERE.LOCAL\\backup</userName>"));
    assert!(!info.contains("<progress>"));
    let tree = client.read(vm, &["snapshot"]).unwrap();
    let node = between(&tree, "<rootSnapshotList>", "</rootSnapshotList>");
    assert!(node.contains("<name>one</name><description>d</description>"));
    assert!(node.contains("<quiesced>true</quiesced>"));

    let plain = "<name>two</name><memory>false</memory>";
    let info = client.task("CreateSnapshotEx_Task", vm, plain);
    let second = between(&info, "xsi:type=\"ManagedObjectReference\">", "<").to_owned();
    let tree = client.read(vm, &["snapshot"]).unwrap();
    assert!(tree.contains("<childSnapshotList>"));
    let current =
        format!("<currentSnapshot type=\"VirtualMachineSnapshot\">{second}</currentSnapshot>");
    assert!(tree.contains(&current));
    let info = client.task("ConsolidateVMDisks_Task", vm, "");
    assert!(info.contains("<state>success</state>"), "{info}");
}

#[test]
fn a_finished_task_goes_when_its_time_is_over() {
    const REFERENCE: &str = "xsi:type=\"ManagedObjectReference\">";
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let snapshot = client.snapshot(&rig.vm);
    let recent = client.read(vm, &["recentTask"]).unwrap();
    let task = between(&recent, REFERENCE, "<").to_owned();

    rig.vcenter.advance_clock(Duration::from_secs(500));
    let recent = client.read(vm, &["recentTask"]).unwrap();
    assert!(recent.contains(&format!(">{task}<")), "{recent}");
    client.read(("Task", &task), &["info"]).unwrap();
    remove(&mut client, &snapshot);

    rig.vcenter.advance_clock(Duration::from_secs(100));
    let recent = client.read(vm, &["recentTask"]).unwrap();
    assert!(!recent.contains(&format!(">{task}<")), "{recent}");
    assert_eq!(recent.matches(REFERENCE).count(), 1, "the removal");
    let gone = client.read(("Task", &task), &["info"]).unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
    let gone = client.call("CancelTask", ("Task", &task), "").unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");

    rig.vcenter.advance_clock(Duration::from_mins(10));
    let recent = client.read(vm, &["recentTask"]).unwrap();
    assert!(!recent.contains(REFERENCE), "{recent}");
}

#[test]
fn a_held_disk_is_file_locked_and_consolidation_helps_later() {
    let rig = Rig::new();
    let mut client = rig.client();
    let snapshot = client.snapshot(&rig.vm);
    let vm = rig.lab.vm(&rig.vm).unwrap();
    let frozen = &vm.snapshot(&snapshot).unwrap().disks[0];
    let file = &frozen.top().unwrap().file;
    let path = rig
        .lab
        .resolve_disk(&rig.vm, Some(&snapshot), file)
        .unwrap();
    let hold = rig.lab.disk_lock(&path).unwrap();

    let args = "<removeChildren>false</removeChildren>";
    let this = ("VirtualMachineSnapshot", snapshot.as_str());
    let info = client.task("RemoveSnapshot_Task", this, args);
    assert!(
        info.contains("<error><fault xsi:type=\"FileLocked\"><file>"),
        "{info}"
    );
    let vm = ("VirtualMachine", rig.vm.as_str());
    let needed = client.read(vm, &["runtime.consolidationNeeded"]).unwrap();
    assert!(needed.contains(">true<"));
    drop(hold);
    let info = client.task("ConsolidateVMDisks_Task", vm, "");
    assert!(info.contains("<state>success</state>"), "{info}");
    let needed = client.read(vm, &["runtime.consolidationNeeded"]).unwrap();
    assert!(needed.contains(">false<"));
}
