//! What changes a VM: reconfiguration, snapshots and the tasks they are.

use std::time::Duration;

use cbt_backup::vsphere::{Client, Error, Moref, TaskInfo, TaskRef, TaskState};

use super::simulator::Simulator;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn wait(client: &Client, task: TaskRef) -> Result<TaskInfo, Error> {
    client
        .wait_task(&task, PATIENCE, &mut |_| {}, &|| false)
        .await
}

async fn vm(client: &Client) -> Moref {
    client.find_vm("DC0_H0_VM0").await.unwrap().moref
}

#[tokio::test]
async fn change_tracking_is_switched_by_a_task() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = vm(&client).await;
    for on in [true, false] {
        let task = client.set_change_tracking(&vm, on).await.unwrap();
        let done = wait(&client, task).await.unwrap();
        assert_eq!(done.state, TaskState::Success);
        assert_eq!(done.entity.as_ref(), Some(&vm));
        let read = client.vm(&vm).await.unwrap();
        assert_eq!(read.change_tracking_enabled, Some(on));
    }
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_snapshot_is_made_read_and_removed() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = vm(&client).await;
    let (name, description) = ("before & after", "made by <a test>");
    let task = client
        .create_snapshot(&vm, name, description, false, false)
        .await
        .unwrap();
    let snapshot = wait(&client, task).await.unwrap().result.unwrap();
    assert_eq!(snapshot.kind, "VirtualMachineSnapshot");

    let tree = client.vm(&vm).await.unwrap().snapshots;
    assert_eq!(tree.current.as_ref(), Some(&snapshot));
    let node = tree.iter().next().unwrap();
    assert_eq!(
        (node.name.as_str(), node.description.as_str()),
        (name, description)
    );
    assert_eq!(node.snapshot, snapshot);
    let config = client.snapshot_config(&snapshot).await.unwrap();
    assert_eq!(
        (config.name.as_str(), config.disks.len()),
        ("DC0_H0_VM0", 1)
    );

    let task = client.remove_snapshot(&snapshot).await.unwrap();
    wait(&client, task).await.unwrap();
    assert!(client.vm(&vm).await.unwrap().snapshots.is_empty());
    let again = client.remove_snapshot(&snapshot).await;
    assert_eq!(
        again.as_ref().unwrap_err().fault_type(),
        Some("ManagedObjectNotFound"),
        "{again:?}"
    );
    client.logout().await.unwrap();
}
