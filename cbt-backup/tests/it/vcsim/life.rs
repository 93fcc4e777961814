//! A VM's life: power, files beside it, registration.

use cbt_backup::vsphere::{
    Client, DatastoreFile, Error, Moref, PowerState, PropertyFilterSpec, Surroundings, TaskState,
    UuidKind, VmSummary,
};

use super::simulator::Simulator;
use super::tasks::wait;

const VM: &str = "DC0_H0_VM0";

async fn power(client: &Client, vm: &Moref) -> PowerState {
    client.vm(vm).await.unwrap().power_state
}

async fn around(client: &Client, vm: &VmSummary) -> Surroundings {
    let mut all = client
        .surroundings(std::slice::from_ref(&vm.moref))
        .await
        .unwrap();
    all.remove(&vm.moref).unwrap()
}

fn file(name: &str) -> DatastoreFile {
    DatastoreFile {
        path: format!("[LocalDS_0] {VM}/{name}").parse().unwrap(),
        datacenter_path: Some("DC0".to_owned()),
    }
}

#[tokio::test]
async fn a_vm_is_switched_off_and_on() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = client.find_vm(VM).await.unwrap().moref;
    assert_eq!(power(&client, &vm).await, PowerState::On);
    let task = client.power_off(&vm).await.unwrap();
    assert_eq!(wait(&client, task).await.unwrap().state, TaskState::Success);
    assert_eq!(power(&client, &vm).await, PowerState::Off);
    // Once more: it is off.
    let task = client.power_off(&vm).await.unwrap();
    let error = wait(&client, task).await.unwrap_err();
    assert_eq!(error.fault_type(), Some("InvalidPowerState"), "{error}");
    let task = client.power_on(&vm).await.unwrap();
    wait(&client, task).await.unwrap();
    assert_eq!(power(&client, &vm).await, PowerState::On);
    assert_eq!(client.question(&vm).await.unwrap(), None);
    client.logout().await.unwrap();
}

#[tokio::test]
async fn an_nvram_file_is_put_and_fetched() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let datastore = client
        .vm(&client.find_vm(VM).await.unwrap().moref)
        .await
        .unwrap();
    let datastore = datastore.disks[0].backing.datastore.clone().unwrap();
    let path = client.datacenter_path(&datastore).await.unwrap();
    assert_eq!(path.as_deref(), Some("DC0"));
    let nvram = file(&format!("{VM}.nvram"));
    let content: Vec<u8> = (0..=255).cycle().take(8684).collect();
    client.upload_file(&nvram, &content).await.unwrap();
    let fetched = client.download_file(&nvram, None, 1 << 20).await.unwrap();
    assert_eq!(fetched, content);
    let part = cbt_backup::vsphere::FilePart {
        start_bytes: 256,
        length_bytes: 4,
    };
    let fetched = client.download_file(&nvram, Some(part), 1 << 20).await;
    assert_eq!(fetched.unwrap(), [0, 1, 2, 3]);
    let missing = client
        .download_file(&file("none.nvram"), None, 1 << 20)
        .await;
    assert!(
        matches!(missing, Err(Error::FileMissing { .. })),
        "{missing:?}"
    );
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_vm_is_forgotten_and_registered_by_its_file() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = client.find_vm(VM).await.unwrap();
    let around = around(&client, &vm).await;
    let path = client.vm(&vm.moref).await.unwrap().vmx_path.unwrap();
    let running = client.unregister_vm(&vm.moref).await.unwrap_err();
    assert_eq!(running.fault_type(), Some("InvalidPowerState"), "{running}");
    let task = client.power_off(&vm.moref).await.unwrap();
    wait(&client, task).await.unwrap();
    client.unregister_vm(&vm.moref).await.unwrap();
    let gone = client.find_vm(VM).await;
    assert!(matches!(gone, Err(Error::VmNotFound { .. })), "{gone:?}");
    let (folder, pool) = (around.folder.unwrap(), around.pool.unwrap());
    let task = client
        .register_vm(&folder, &path, None, &pool, around.host.as_ref())
        .await
        .unwrap();
    let registered = wait(&client, task).await.unwrap().result.unwrap();
    assert_ne!(registered, vm.moref);
    let found = client.find_vm(VM).await.unwrap();
    assert_eq!(found.moref, registered);
    let task = client.power_on(&registered).await.unwrap();
    wait(&client, task).await.unwrap();
    client.logout().await.unwrap();
}

#[tokio::test]
async fn one_is_found_by_the_search_index() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = client.find_vm(VM).await.unwrap();
    let by_path = client.find_by_inventory_path(&vm.path).await.unwrap();
    assert_eq!(by_path.as_ref(), Some(&vm.moref));
    for (uuid, kind) in [
        (vm.bios_uuid.clone().unwrap(), UuidKind::Bios),
        (vm.instance_uuid.clone().unwrap(), UuidKind::Instance),
    ] {
        let by_uuid = client.find_by_uuid(None, &uuid, kind).await.unwrap();
        assert_eq!(by_uuid.as_ref(), Some(&vm.moref));
    }
    let datacenter = client.datacenter_of(&vm.moref).await.unwrap().unwrap();
    let path = client.vm(&vm.moref).await.unwrap().vmx_path.unwrap();
    let by_file = client.find_by_datastore_path(&datacenter, &path).await;
    assert_eq!(by_file.unwrap().as_ref(), Some(&vm.moref));
    assert_eq!(
        client.find_by_inventory_path("DC0/vm/none").await.unwrap(),
        None
    );
    client.logout().await.unwrap();
}

#[tokio::test]
async fn methods_that_somebody_disabled_are_seen() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = client.find_vm(VM).await.unwrap();
    // It has no calls to disable methods: what it tells of them is read all the same.
    let spec = PropertyFilterSpec::of_object(&vm.moref, &["disabledMethod"]);
    let read = client.retrieve_objects_at_once(&spec).await.unwrap();
    let listed = read[0].properties.get("disabledMethod");
    let listed = listed.map_or(Vec::new(), |value| value.texts().unwrap());
    assert_eq!(around(&client, &vm).await.disabled_methods, listed);
    assert!(!listed.contains(&"RelocateVM_Task".to_owned()));
    client.logout().await.unwrap();
}
