//! Whole disks by leases.

use std::time::Duration;

use crate::client::{Client, between};
use crate::rig::{CAPACITY_BYTES, Rig};

const DISK: i32 = 2000;

fn lease(client: &mut Client, method: &str, this: (&str, &str)) -> String {
    let made = client.call(method, this, "").unwrap();
    between(&made, "type=\"HttpNfcLease\">", "<").to_owned()
}

fn state(client: &mut Client, id: &str) -> String {
    let shown = client.read(("HttpNfcLease", id), &["state"]).unwrap();
    between(&shown, "xsi:type=\"HttpNfcLeaseState\">", "<").to_owned()
}

/// The paths of the URLs of a lease.
fn paths(client: &mut Client, id: &str) -> Vec<String> {
    let info = client.read(("HttpNfcLease", id), &["info"]).unwrap();
    let urls = info.split("<url>https://*").skip(1);
    urls.map(|rest| between(rest, "", "<").to_owned()).collect()
}

#[test]
fn a_snapshot_is_fetched_whole_and_held_meanwhile() {
    let rig = Rig::new();
    let mut client = rig.client();
    rig.lab.guest_write(&rig.vm, DISK, 512, &[7; 512]).unwrap();
    let snapshot = client.snapshot(&rig.vm);
    rig.lab.guest_write(&rig.vm, DISK, 512, &[8; 512]).unwrap();
    let this = ("VirtualMachineSnapshot", snapshot.as_str());
    let id = lease(&mut client, "ExportSnapshot", this);
    assert_eq!(state(&mut client, &id), "ready");
    let paths = paths(&mut client, &id);
    assert_eq!(paths.len(), 3, "two disks and NVRAM: {paths:?}");

    let got = client.http("GET", &paths[0], "", "");
    assert_eq!(got.status, 200);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk-0.vmdk");
    std::fs::write(&file, &got.body).unwrap();
    let disk = vmdk::Disk::open(&file, vmdk::OpenOptions::default()).unwrap();
    assert_eq!(disk.capacity_sectors() * 512, CAPACITY_BYTES);
    let mut sector = [0; 512];
    disk.read_at(1, &mut sector).unwrap();
    assert_eq!(sector, [7; 512]);
    let nvram = client.http("GET", &paths[2], "", "");
    assert!(nvram.body.starts_with(b"MRVN"));

    // What is leased is not merged.
    let info = client.task(
        "RemoveSnapshot_Task",
        this,
        "<removeChildren>false</removeChildren>",
    );
    assert!(info.contains("xsi:type=\"FileLocked\""), "{info}");
    let leased = ("HttpNfcLease", id.as_str());
    client
        .call("HttpNfcLeaseProgress", leased, "<percent>42</percent>")
        .unwrap();
    let shown = client.read(leased, &["transferProgress"]).unwrap();
    assert!(shown.contains(">42<"));
    client.call("HttpNfcLeaseComplete", leased, "").unwrap();
    assert_eq!(state(&mut client, &id), "done");
    let vm = ("VirtualMachine", rig.vm.as_str());
    let info = client.task("ConsolidateVMDisks_Task", vm, "");
    assert!(info.contains("<state>success</state>"), "{info}");
    assert_eq!(client.http("GET", &paths[0], "", "").status, 404);
    let late = client.call("HttpNfcLeaseComplete", leased, "").unwrap_err();
    assert_eq!(late.type_name, "InvalidState");
}

#[test]
fn a_lease_times_out_is_aborted_or_ends_with_its_session() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let on = client.call("ExportVm", vm, "").unwrap_err();
    assert_eq!(on.type_name, "InvalidPowerState");
    client.task("PowerOffVM_Task", vm, "");

    let first = lease(&mut client, "ExportVm", vm);
    rig.vcenter.advance_clock(Duration::from_secs(299));
    let percent = "<percent>1</percent>";
    let this = ("HttpNfcLease", first.as_str());
    client.call("HttpNfcLeaseProgress", this, percent).unwrap();
    rig.vcenter.advance_clock(Duration::from_mins(5));
    let late = client
        .call("HttpNfcLeaseProgress", this, percent)
        .unwrap_err();
    assert_eq!(late.type_name, "Timedout");
    assert_eq!(state(&mut client, &first), "error");

    let second = lease(&mut client, "ExportVm", vm);
    let fault = "<fault><fault xsi:type=\"RequestCanceled\"></fault>\
        <localizedMessage>cancelled by the client</localizedMessage></fault>";
    client
        .call("HttpNfcLeaseAbort", ("HttpNfcLease", &second), fault)
        .unwrap();
    let shown = client.read(("HttpNfcLease", &second), &["error"]).unwrap();
    assert!(shown.contains("xsi:type=\"RequestCanceled\""), "{shown}");
    assert!(shown.contains("cancelled by the client"), "{shown}");

    let third = lease(&mut client, "ExportVm", vm);
    let paths = paths(&mut client, &third);
    client
        .call("Logout", ("SessionManager", "SessionManager"), "")
        .unwrap();
    assert_eq!(rig.stranger().http("GET", &paths[0], "", "").status, 404);
    let mut client = rig.client();
    let info = client.task("PowerOnVM_Task", vm, "");
    assert!(info.contains("<state>success</state>"), "{info}");
}
