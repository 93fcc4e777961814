//! The files of a VM, and snapshots with memory.

use lab::{DiskSpec, VmSpec};

use crate::client::{Client, between};
use crate::rig::Rig;

fn layout(client: &mut Client, vm: &str) -> String {
    client.read(("VirtualMachine", vm), &["layoutEx"]).unwrap()
}

/// The key of a file and its size.
fn file(layout: &str, name: &str, kind: &str) -> (i32, u64) {
    let entry = format!("</key><name>[datastore1] app01/{name}</name><type>{kind}</type><size>");
    let (before, after) = layout.split_once(&entry).expect(name);
    let key = before.rsplit("<key>").next().unwrap();
    let size = after.split('<').next().unwrap();
    (key.parse().unwrap(), size.parse().unwrap())
}

fn snapshot(client: &mut Client, vm: &str, name: &str, memory: bool) -> String {
    let args = format!("<name>{name}</name><memory>{memory}</memory><quiesce>false</quiesce>");
    client.task("CreateSnapshot_Task", ("VirtualMachine", vm), &args)
}

#[test]
fn the_layout_names_each_file_and_who_uses_it() {
    let rig = Rig::new();
    let mut client = rig.client();
    rig.lab.guest_write(&rig.vm, 2000, 0, &[1; 4096]).unwrap();
    snapshot(&mut client, &rig.vm, "s", true);
    let found = layout(&mut client, &rig.vm);
    let (nvram, _) = file(&found, "app01.nvram", "nvram");
    let (_, config) = file(&found, "app01.vmx", "config");
    assert!(nvram > 0 && config > 100);
    file(&found, "app01.vmsd", "snapshotList");
    file(&found, "vmware.log", "log");
    let (base, _) = file(&found, "app01.vmdk", "diskDescriptor");
    let (flat, written) = file(&found, "app01-flat.vmdk", "diskExtent");
    assert!((4096..1 << 20).contains(&written), "{written}");
    let (delta, _) = file(&found, "app01-000001.vmdk", "diskDescriptor");
    let (data, _) = file(&found, "app01-Snapshot1.vmsn", "snapshotData");
    let (memory, _) = file(&found, "app01-Snapshot1.vmem", "snapshotMemory");

    // The running disk stands on the frozen one.
    let disk = between(&found, "</file><disk>", "</disk>");
    let base = format!("<chain><fileKey>{base}</fileKey><fileKey>{flat}</fileKey></chain>");
    assert!(
        disk.starts_with(&format!("<key>2000</key>{base}<chain>")),
        "{disk}"
    );
    assert!(disk.contains(&format!("<fileKey>{delta}</fileKey>")));
    let taken = between(
        &found,
        "<snapshot><key type=\"VirtualMachineSnapshot\">",
        "</snapshot>",
    );
    let keys = format!("<dataKey>{data}</dataKey><memoryKey>{memory}</memoryKey>");
    assert!(
        taken.contains(&format!("{keys}<disk><key>2000</key>{base}</disk>")),
        "{taken}"
    );

    // What the snapshot kept goes with it.
    client.task("RemoveAllSnapshots_Task", ("VirtualMachine", &rig.vm), "");
    let after = layout(&mut client, &rig.vm);
    for gone in ["<snapshot>", ".vmsn", ".vmem", "-000001"] {
        assert!(!after.contains(gone), "{gone}: {after}");
    }
    let folder = rig.lab.root().join("datastores/datastore1/app01");
    assert!(!folder.join("app01-Snapshot1.vmsn").exists());
}

#[test]
fn a_vm_that_was_never_on_has_no_nvram() {
    let rig = Rig::new();
    let vm = rig.lab.add_vm(VmSpec {
        name: "fresh".into(),
        powered_on: false,
        ..VmSpec::default()
    });
    let found = layout(&mut rig.client(), &vm.unwrap().moref);
    assert!(
        found.contains("<type>config</type>") && !found.contains("nvram"),
        "{found}"
    );
}

#[test]
fn a_snapshot_with_memory_lets_the_vm_run_again() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let power = |client: &mut Client| {
        let state = client.read(vm, &["runtime.powerState"]).unwrap();
        between(&state, "PowerState\">", "<").to_owned()
    };
    let info = snapshot(&mut client, &rig.vm, "with", true);
    let with = between(&info, "xsi:type=\"ManagedObjectReference\">", "<").to_owned();
    let tree = client.read(vm, &["snapshot"]).unwrap();
    assert!(tree.contains("<state>poweredOn</state>"), "{tree}");
    let this = ("VirtualMachineSnapshot", with.as_str());
    client.task("PowerOffVM_Task", vm, "");
    client.task("RevertToSnapshot_Task", this, "");
    assert_eq!(power(&mut client), "poweredOn");
    let stay_off = "<suppressPowerOn>true</suppressPowerOn>";
    client.task("RevertToSnapshot_Task", this, stay_off);
    assert_eq!(power(&mut client), "poweredOff");
    // On a VM that is off the flag does nothing.
    snapshot(&mut client, &rig.vm, "off", true);
    let snapshots = rig.lab.vm(&rig.vm).unwrap().snapshots;
    assert!(snapshots[0].has_memory && !snapshots[1].has_memory);
}

#[test]
fn memory_does_not_go_with_independent_disks() {
    let rig = Rig::new();
    let disk = DiskSpec {
        capacity_bytes: 1 << 20,
        mode: "independent_persistent".into(),
        ..DiskSpec::default()
    };
    let vm = rig.lab.add_vm(VmSpec {
        name: "own".into(),
        disks: vec![disk],
        ..VmSpec::default()
    });
    let vm = vm.unwrap().moref;
    let mut client = rig.client();
    let info = snapshot(&mut client, &vm, "s", true);
    assert!(
        info.contains("xsi:type=\"MemorySnapshotOnIndependentDisk\""),
        "{info}"
    );
    let info = snapshot(&mut client, &vm, "s", false);
    assert!(info.contains("<state>success</state>"), "{info}");
}
