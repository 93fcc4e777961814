//! The JSON forms of `vms`, read back into types: each field is there, has its type, and no other
//! is. What may be null is an `Option`, and is tried both ways.

use serde::Deserialize;
use serde_json::Value;

use super::details::{Detailed, document};
use super::groups::{self, By};
use super::tests::vm;
use crate::vsphere::{
    Backing, BackingKind, Controller, ControllerKind, CryptoKeyId, Disk, Guest, Host, ManagedBy,
    Moref, SharedBus, SnapshotNode, Vm, VmEncryption,
};

/// The names of the fields. They are compared too, since serde takes a missing `Option` for null.
fn fields(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the test")]
struct Summary {
    moref: String,
    name: String,
    path: String,
    folder: String,
    host: Option<String>,
    cluster: Option<String>,
    pool: Option<String>,
    vapp: Option<String>,
    datastores: Vec<String>,
    power_state: String,
    connection_state: String,
    instance_uuid: Option<String>,
    bios_uuid: Option<String>,
    template: bool,
    change_tracking: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grouped {
    version: u32,
    by: String,
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: Option<String>,
    vms: Vec<Summary>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Details {
    version: u32,
    vms: Vec<Detail>,
}

/// Those of the list stand beside these.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "reading them is the test")]
struct Detail {
    name: String,
    host: Option<String>,
    hardware_version: Option<u32>,
    firmware: Option<String>,
    vmx_path: Option<String>,
    nvram_path: Option<String>,
    virtual_tpm: bool,
    change_tracking_supported: Option<bool>,
    change_tracking_key: Option<bool>,
    consolidation_needed: Option<bool>,
    encryption: Encryption,
    guest: GuestFields,
    host_product: Option<String>,
    host_version: Option<String>,
    host_build: Option<u64>,
    managed_by: Option<String>,
    question: Option<String>,
    disabled_methods: Vec<String>,
    current_snapshot: Option<String>,
    snapshots: Vec<Snapshot>,
    disks: Vec<DiskFields>,
    network_cards: Vec<CardFields>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the test")]
struct CardFields {
    device_key: i32,
    label: String,
    r#type: String,
    mac_address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the test")]
struct Encryption {
    key: Option<String>,
    provider: Option<String>,
    bundle: bool,
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the test")]
struct GuestFields {
    id: Option<String>,
    name: Option<String>,
    family: Option<String>,
    host_name: Option<String>,
    ip_address: Option<String>,
    tools_running: bool,
    tools_version_status: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the test")]
struct Snapshot {
    moref: String,
    name: String,
    description: String,
    created: Option<String>,
    quiesced: bool,
    children: Vec<Snapshot>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the test")]
struct DiskFields {
    device_key: i32,
    label: String,
    address: Option<String>,
    controller: Option<String>,
    unit: Option<i32>,
    capacity_bytes: u64,
    backing: String,
    file: String,
    base_file: String,
    chain_links: u32,
    disk_uuid: Option<String>,
    mode: String,
    thin: Option<bool>,
    encryption_key: Option<String>,
    tracking: String,
    not_in_snapshots: Option<String>,
    not_trackable: Option<String>,
}

/// A disk on a shared bus, of which all is known.
fn shared_disk() -> Disk {
    Disk {
        device_key: 2000,
        label: "Hard disk 1".to_owned(),
        controller: Some(Controller {
            key: 1000,
            kind: ControllerKind::ParaVirtualScsi,
            bus_number: 1,
            shared_bus: SharedBus::Physical,
        }),
        unit: Some(2),
        capacity_bytes: 1 << 42,
        backing: Backing {
            kind: BackingKind::FlatVer2,
            file_name: "[ds1] app/app-000001.vmdk".to_owned(),
            base_file_name: "[ds1] app/app.vmdk".to_owned(),
            chain_links: 2,
            disk_uuid: Some("6000C290".to_owned()),
            disk_mode: "persistent".to_owned(),
            thin: Some(true),
            encryption_key: Some(key()),
            ..Backing::default()
        },
    }
}

fn key() -> CryptoKeyId {
    CryptoKeyId {
        key_id: "key-1".to_owned(),
        provider_id: Some("kms".to_owned()),
    }
}

/// A VM of which everything is known.
fn known() -> Detailed {
    let node = |id: &str, children| SnapshotNode {
        snapshot: Moref::snapshot(id),
        name: id.to_owned(),
        description: "why".to_owned(),
        created: Some("2026-01-15T09:00:00Z".parse().unwrap()),
        is_quiesced: true,
        children,
    };
    let text = |text: &str| Some(text.to_owned());
    let mut all = Vm {
        id: "vm-1".to_owned(),
        hardware_version: Some(19),
        firmware: text("efi"),
        vmx_path: text("[ds1] app/app.vmx"),
        nvram_path: text("[ds1] app/app.nvram"),
        has_virtual_tpm: true,
        change_tracking_enabled: Some(true),
        change_tracking_supported: Some(true),
        consolidation_needed: Some(true),
        encryption: VmEncryption {
            key: Some(key()),
            has_bundle: true,
            state: text("unlocked"),
        },
        guest: Guest {
            configured_id: text("rhel8_64Guest"),
            configured_name: text("Red Hat"),
            family: text("linuxGuest"),
            host_name: text("app"),
            ip_address: text("192.0.2.1"),
            ..Guest::default()
        },
        managed_by: Some(ManagedBy::default()),
        question: text("moved or copied?"),
        disabled_methods: vec!["RelocateVM_Task".to_owned()],
        disks: vec![shared_disk()],
        ..Vm::default()
    };
    all.snapshots.roots = vec![node("snapshot-1", vec![node("snapshot-2", Vec::new())])];
    all.snapshots.current = Some(Moref::snapshot("snapshot-2"));
    let host = Host {
        product: "VMware ESXi".to_owned(),
        version: "8.0.3".parse().ok(),
        build: Some(1),
        ..Host::default()
    };
    Detailed::new(vm("vm-1", "app"), all, Some(host))
}

#[test]
fn details_have_their_types_whether_all_is_known_or_nothing() {
    let mut lost = vm("vm-2", "lost");
    (lost.host, lost.cluster, lost.pool) = (None, None, None);
    lost.change_tracking_enabled = None;
    let mut bare = Vm::default();
    bare.disks.push(Disk {
        controller: None,
        unit: None,
        backing: Backing::default(),
        ..shared_disk()
    });
    let both = [known(), Detailed::new(lost, bare, None)];
    let value = document(&both);
    assert_eq!(fields(&value["vms"][0]), fields(&value["vms"][1]));
    for part in ["encryption", "guest"] {
        let [known, lost] = [&value["vms"][0][part], &value["vms"][1][part]];
        assert_eq!(fields(known), fields(lost), "{part}");
    }
    let [known_disk, lost_disk] = [&value["vms"][0]["disks"][0], &value["vms"][1]["disks"][0]];
    assert_eq!(fields(known_disk), fields(lost_disk));

    let read: Details = serde_json::from_value(value.clone()).unwrap();
    assert_eq!((read.version, read.vms.len()), (1, 2));
    let [known, lost] = [&read.vms[0], &read.vms[1]];
    assert_eq!(known.host_version.as_deref(), Some("8.0.3"));
    assert_eq!(known.snapshots[0].children[0].moref, "snapshot-2");
    let created = known.snapshots[0].created.as_deref();
    assert_eq!(created, Some("2026-01-15T09:00:00Z"));
    assert_eq!(known.current_snapshot.as_deref(), Some("snapshot-2"));
    let disk = &known.disks[0];
    assert_eq!(disk.address.as_deref(), Some("scsi1:2"));
    assert_eq!(disk.capacity_bytes, 1 << 42);
    for reason in [&disk.not_in_snapshots, &disk.not_trackable] {
        assert!(
            reason.as_ref().is_some_and(|why| why.contains("scsi1")),
            "{disk:?}"
        );
    }
    assert_eq!((&lost.host, lost.hardware_version), (&None, None));
    assert_eq!(lost.disks[0].address, None);
    // All fields of the list are there too, and these besides.
    let list = super::summary_json(&vm("vm-1", "app"));
    let besides = fields(&value["vms"][0]).len() - fields(&list).len();
    assert_eq!(besides, 20);
    assert!(
        fields(&list)
            .iter()
            .all(|field| fields(&value["vms"][0]).contains(field))
    );
}

#[test]
fn groups_have_their_types_with_no_vm_and_with_some() {
    let mut lost = vm("vm-2", "lost");
    (lost.host, lost.cluster, lost.vapp) = (None, None, None);
    lost.folder.clear();
    for by in [By::Folder, By::Pool, By::Host, By::Datastore] {
        let none: Grouped = serde_json::from_value(groups::document(by, &[])).unwrap();
        assert!(none.groups.is_empty());
        let vms = [vm("vm-1", "app"), lost.clone()];
        let read: Grouped = serde_json::from_value(groups::document(by, &vms)).unwrap();
        assert_eq!(read.version, 1);
        let count: usize = read.groups.iter().map(|group| group.vms.len()).sum();
        assert_eq!(count, 2, "{}", read.by);
        let is_nowhere = |group: &Group| group.name.is_none();
        let nowhere = read.groups.iter().filter(|group| is_nowhere(group)).count();
        assert_eq!(nowhere, usize::from(matches!(by, By::Folder | By::Host)));
    }
}
