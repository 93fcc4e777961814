//! Finding VMs and reading them.

use std::collections::BTreeSet;

use cbt_backup::vsphere::{
    BackingKind, Client, Error, Moref, ObjectPages, PowerState, PropertyFilterSpec, PropertySpec,
};

use super::simulator::Simulator;

/// The model with two folders around everything, and as many VMs as make several pages.
const MODEL: [&str; 4] = ["-vms", "8", "-folders", "2"];
/// In two resource pools: that of the cluster and that of the host of its own.
const VMS: usize = 16;

async fn root_folder(client: &Client) -> Moref {
    let service = Moref::new("ServiceInstance", "ServiceInstance");
    let spec = PropertyFilterSpec::of_object(&service, &["content.rootFolder"]);
    let objects = client.retrieve_objects_at_once(&spec).await.unwrap();
    let folder = objects[0].properties.get("content.rootFolder").unwrap();
    folder.moref().unwrap()
}

/// The names of all VMs, and how many pages they took.
async fn names(mut pages: ObjectPages) -> (BTreeSet<String>, usize) {
    let (mut names, mut count) = (BTreeSet::new(), 0);
    while let Some(page) = pages.next().await.unwrap() {
        count += 1;
        for object in page {
            assert_eq!(object.object.kind, "VirtualMachine");
            assert!(object.missing.is_empty(), "{object:?}");
            let name = object.properties.get("name").unwrap().text().unwrap();
            assert!(names.insert(name), "a VM came twice");
        }
    }
    (names, count)
}

/// What holds VMs or is beside them, but for the container itself.
const PLACES: [&str; 6] = [
    "Datacenter",
    "ComputeResource",
    "ResourcePool",
    "HostSystem",
    "Datastore",
    "Network",
];

async fn all(mut pages: ObjectPages) -> BTreeSet<Moref> {
    let mut found = BTreeSet::new();
    while let Some(page) = pages.next().await.unwrap() {
        found.extend(page.into_iter().map(|object| object.object));
    }
    found
}

fn wanted_of_places() -> Vec<PropertySpec> {
    let wanted = PLACES.iter();
    wanted
        .map(|kind| PropertySpec::new(*kind, &["name"]))
        .collect()
}

async fn places(client: &Client, container: &Moref) -> BTreeSet<Moref> {
    let walk = PropertyFilterSpec::of_walk(container, wanted_of_places());
    all(client.retrieve_objects(walk, None)).await
}

async fn places_by_view(client: &Client, container: &Moref) -> BTreeSet<Moref> {
    all(client.retrieve_below(container, &PLACES, wanted_of_places(), None)).await
}

#[tokio::test]
async fn a_walk_begins_anywhere_as_a_view_does() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let root = root_folder(&client).await;
    let below_root = places(&client, &root).await;
    assert_eq!(below_root, places_by_view(&client, &root).await);
    for kind in PLACES {
        assert!(below_root.iter().any(|place| place.kind == kind), "{kind}");
    }
    let datacenter = below_root.iter().find(|place| place.kind == "Datacenter");
    let in_datacenter = places(&client, datacenter.unwrap()).await;
    assert_eq!(in_datacenter.len(), below_root.len() - 1);
    client.logout().await.unwrap();
}

#[tokio::test]
async fn the_view_and_the_walk_find_the_same_vms() {
    let Some(simulator) = Simulator::start(&MODEL) else {
        return;
    };
    let client = simulator.connect().await;
    let root = root_folder(&client).await;
    let wanted = || vec![PropertySpec::new("VirtualMachine", &["name"])];
    let (by_view, pages) =
        names(client.retrieve_below(&root, &["VirtualMachine"], wanted(), Some(5))).await;
    assert_eq!((by_view.len(), pages), (VMS, 4));
    let walk = PropertyFilterSpec::of_tree(&root, wanted());
    let (by_walk, pages) = names(client.retrieve_objects(walk.clone(), Some(7))).await;
    assert_eq!(pages, 3);
    assert_eq!(by_walk, by_view);
    let at_once = client.retrieve_objects_at_once(&walk).await.unwrap();
    assert_eq!(at_once.len(), VMS);
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_vm_is_found_by_each_of_its_names() {
    let Some(simulator) = Simulator::start(&MODEL) else {
        return;
    };
    let client = simulator.connect().await;
    let vms = client.vms().await.unwrap();
    assert_eq!(vms.len(), VMS);
    let vm = &vms[0];
    assert!(vm.path.starts_with("F0/"), "{}", vm.path);
    assert_eq!(vm.power_state, PowerState::On);
    assert_eq!(vm.connection_state, "connected");
    assert!(!vm.is_template);
    let uuid = vm.instance_uuid.clone().unwrap();
    for selector in [&vm.name, &vm.path, &vm.moref.id, &uuid] {
        assert_eq!(&client.find_vm(selector).await.unwrap(), vm);
    }
    let missing = client.find_vm("DC0_H0_VM99").await;
    assert!(
        matches!(&missing, Err(Error::VmNotFound { near, .. }) if !near.is_empty()),
        "{missing:?}"
    );
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_vm_is_read_with_its_disks() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let found = client.find_vm("DC0_H0_VM0").await.unwrap();
    let vm = client.vm(&found.moref).await.unwrap();
    assert_eq!(vm.name, "DC0_H0_VM0");
    assert_eq!(vm.folder_path, "DC0/vm");
    assert!(vm.is_connected() && vm.snapshots.is_empty());
    assert!(vm.hardware_version.is_some());
    assert_eq!(
        vm.vmx_path.as_deref(),
        Some("[LocalDS_0] DC0_H0_VM0/DC0_H0_VM0.vmx")
    );
    let [disk] = vm.disks.as_slice() else {
        panic!("{:?}", vm.disks);
    };
    assert_eq!(disk.backing.kind, BackingKind::FlatVer2);
    assert_eq!(
        disk.backing.base_file_name,
        "[LocalDS_0] DC0_H0_VM0/disk1.vmdk"
    );
    assert_eq!(disk.capacity_bytes, 10 << 30);
    let datastore = disk.backing.datastore.clone().unwrap();
    assert_eq!(
        client.datastore(&datastore).await.unwrap().name,
        "LocalDS_0"
    );
    client.logout().await.unwrap();
}

#[tokio::test]
async fn faults_of_reading_are_typed() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let gone = client.vm(&Moref::vm("vm-404")).await;
    assert_eq!(
        gone.as_ref().unwrap_err().fault_type(),
        Some("ManagedObjectNotFound"),
        "{gone:?}"
    );
    let vm = client.find_vm("DC0_H0_VM0").await.unwrap().moref;
    let spec = PropertyFilterSpec::of_object(&vm, &["config.noSuchThing"]);
    let objects = client.retrieve_objects_at_once(&spec).await.unwrap();
    let [(path, fault)] = objects[0].missing.as_slice() else {
        panic!("{objects:?}");
    };
    assert_eq!(path, "config.noSuchThing");
    assert_eq!(fault.type_name, "InvalidProperty");
    client.logout().await.unwrap();
}
