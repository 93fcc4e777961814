//! The program: what a person sees of VMs, tracking and privileges there.

use std::process::Output;

use serde_json::Value;

use super::simulator::Simulator;

/// The VMs of the model: two of a host of its own, two of a cluster.
const VMS: [&str; 4] = [
    "DC0_C0_RP0_VM0",
    "DC0_C0_RP0_VM1",
    "DC0_H0_VM0",
    "DC0_H0_VM1",
];

#[track_caller]
fn stdout(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}\n{text}");
    text
}

#[track_caller]
fn document(output: &Output, code: i32) -> Value {
    serde_json::from_str(&stdout(output, code)).unwrap()
}

fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines();
    lines
        .map(|line| line.split("  ").map(str::trim))
        .map(|cells| cells.filter(|cell| !cell.is_empty()).collect())
        .collect()
}

fn texts<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn vms_lists_them() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let text = stdout(&simulator.program(&["vms"]).await, 0);
    let rows = rows(&text);
    assert_eq!(rows[0], ["ID", "NAME", "PATH", "POWER", "TRACKING"]);
    let names: Vec<&str> = rows[1..].iter().map(|row| row[1]).collect();
    assert_eq!(names, VMS);
    assert_eq!(rows[3][2..], ["DC0/vm/DC0_H0_VM0", "on", "unknown"]);

    let listed = document(&simulator.program(&["vms", "--json"]).await, 0);
    assert_eq!(texts(&listed["vms"], "name"), VMS);
    assert_eq!(texts(&listed["vms"], "power_state"), ["on"; 4]);
    let some = ["vms", "--json", "re:_H0_", "--exclude", "glob:*VM1"];
    let listed = document(&simulator.program(&some).await, 0);
    assert_eq!(texts(&listed["vms"], "name"), ["DC0_H0_VM0"]);
}

#[tokio::test]
async fn vms_groups_them_by_the_place_that_holds_them() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    for (place, names, first) in [
        ("folder", &["DC0/vm"][..], 4),
        (
            "pool",
            &["DC0/host/DC0_C0/Resources", "DC0/host/DC0_H0/Resources"],
            2,
        ),
        ("datastore", &["LocalDS_0"], 4),
    ] {
        let text = stdout(&simulator.program(&["vms", "--by", place]).await, 0);
        let rows = rows(&text);
        assert_eq!(rows[0][0], place.to_uppercase());
        assert_eq!(rows[1][0], names[0], "{text}");
        let grouped = ["vms", "--json", "--by", place];
        let grouped = document(&simulator.program(&grouped).await, 0);
        assert_eq!(texts(&grouped["groups"], "name"), names, "{grouped:#}");
        let vms = grouped["groups"][0]["vms"].as_array().unwrap();
        assert_eq!(vms.len(), first);
    }
}

#[tokio::test]
async fn vms_tells_what_matters_for_a_backup() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let arguments = ["vms", "--details", "DC0_H0_VM0", "--json"];
    let told = document(&simulator.program(&arguments).await, 0);
    let vm = &told["vms"][0];
    assert_eq!(vm["name"], "DC0_H0_VM0");
    assert_eq!(vm["hardware_version"], 13);
    let disk = &vm["disks"][0];
    assert_eq!(disk["file"], "[LocalDS_0] DC0_H0_VM0/disk1.vmdk");
    assert_eq!(disk["capacity_bytes"], 10_u64 << 30);
    assert_eq!(disk["tracking"], "off");
    let text = stdout(&simulator.program(&arguments[..3]).await, 0);
    assert!(text.contains("hardware     vmx-13"), "{text}");
    assert!(text.contains("[LocalDS_0] DC0_H0_VM0/disk1.vmdk"), "{text}");
}

/// It takes the switch, but makes no change ids, and without those a VM is not tracked.
#[tokio::test]
async fn cbt_switches_and_says_that_no_change_ids_come_of_it() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let cbt = async |arguments: &[&str], code| {
        let arguments = [&["cbt"], arguments, &["--json"]].concat();
        let output = simulator.program(&arguments).await;
        let told = document(&output, code);
        let states: Vec<String> = told["vms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|vm| format!("{} {}", vm["state"], vm["causes"][0]["id"]).replace('"', ""))
            .collect();
        states
    };
    let two = "re:_H0_";
    let off = ["off not-switched-on"; 2];
    assert_eq!(cbt(&["status", two], 0).await, off);
    let pending = ["pending no-cycle-yet"; 2];
    assert_eq!(cbt(&["enable", two], 0).await, pending);
    assert_eq!(cbt(&["status", two], 0).await, pending);
    let bare = ["off no-change-id"; 2];
    assert_eq!(cbt(&["enable", two, "--cycle"], 13).await, bare);
    assert_eq!(cbt(&["reset", two], 13).await, bare);
    assert_eq!(cbt(&["disable", two], 0).await, ["off null"; 2]);
    // Each cycle took its snapshot away again.
    let told = ["vms", "--details", two, "--json"];
    let told = document(&simulator.program(&told).await, 0);
    for vm in told["vms"].as_array().unwrap() {
        assert_eq!(vm["snapshots"].as_array().map(Vec::len), Some(0), "{vm:#}");
        assert_eq!(vm["change_tracking"], false);
    }
    let text = stdout(&simulator.program(&["cbt", "status", two]).await, 0);
    let rows = rows(&text);
    assert_eq!(rows[1][..2], ["DC0_H0_VM0", "off"]);
    let line = "DC0_H0_VM0, DC0_H0_VM1: it was not switched on, or there was no stun cycle since; ";
    assert!(text.contains(line), "{text}");
}

/// It grants everything to everybody, so only what is asked for can be seen.
#[tokio::test]
async fn privileges_are_asked_for_on_every_object_around_a_vm() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let restore = ["privileges", "--check", "DC0_H0_VM0", "--for", "restore"];
    let told = [&restore[..], &["--json"]].concat();
    let told = document(&simulator.program(&told).await, 0);
    assert_eq!(told["sufficient"], true, "{told:#}");
    assert_eq!(
        texts(&told["objects"], "as"),
        [
            "root",
            "VM",
            "host",
            "datastore",
            "folder",
            "resource pool",
            "network",
            "datacenter"
        ]
    );
    assert_eq!(
        texts(&told["objects"], "name"),
        [
            "Datacenters",
            "DC0_H0_VM0",
            "DC0_H0",
            "LocalDS_0",
            "vm",
            "Resources",
            "DC0_DVPG0",
            "DC0"
        ]
    );
    let text = stdout(&simulator.program(&restore).await, 0);
    assert_eq!(text, "8 objects were tested: nothing is missing\n");
}
