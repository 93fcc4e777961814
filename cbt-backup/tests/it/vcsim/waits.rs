//! Following changes by waiting.

use std::time::Duration;

use cbt_backup::vsphere::{
    Client, Moref, ObjectChange, ObjectUpdate, PropertyFilterSpec, PropertySpec, TaskState,
    Updates, Watch, WatchMethod,
};

use super::simulator::Simulator;
use super::tasks::wait;

const PATIENCE: Duration = Duration::from_secs(20);
/// The simulator tells waits of this one; of a reconfiguration it tells them nothing.
const CURRENT: &str = "snapshot.currentSnapshot";

async fn two_vms(client: &Client) -> [Moref; 2] {
    let vms = client.vms().await.unwrap();
    [vms[0].moref.clone(), vms[1].moref.clone()]
}

fn of_snapshots(vms: &[Moref]) -> PropertyFilterSpec {
    let wanted = PropertySpec::new("VirtualMachine", &["name", CURRENT]);
    PropertyFilterSpec::of_objects(vms, vec![wanted])
}

/// The objects of the one filter.
fn objects(updates: &Updates) -> &[ObjectUpdate] {
    let [seen] = updates.seen.as_slice() else {
        panic!("{updates:?}");
    };
    assert!(seen.missing.is_empty(), "{seen:?}");
    &seen.objects
}

/// Waits until a snapshot of a VM is seen, which begins after the wait has.
async fn see_snapshot(client: &Client, watch: &mut Watch, vm: &Moref) {
    let create = async {
        let started = client.create_snapshot(vm, "s", "", false, false).await;
        wait(client, started.unwrap()).await.unwrap().result
    };
    let (updates, created) = tokio::join!(watch.wait(PATIENCE), create);
    let updates = updates.unwrap().unwrap();
    assert!(!updates.is_fresh && !updates.is_truncated, "{updates:?}");
    let [object] = objects(&updates) else {
        panic!("{updates:?}");
    };
    assert_eq!(
        (&object.object, &object.change),
        (vm, &ObjectChange::Modify)
    );
    let [property] = object.properties.as_slice() else {
        panic!("{object:?}");
    };
    assert_eq!(property.path, CURRENT);
    let current = property.value.as_ref().unwrap().moref().unwrap();
    assert_eq!(Some(current), created);
}

async fn follow(client: &Client, method: WatchMethod) {
    let vms = two_vms(client).await;
    let mut watch = client.watch().by(method);
    watch.add(of_snapshots(&vms), false);
    let first = watch.wait(PATIENCE).await.unwrap().unwrap();
    assert!(first.is_fresh);
    let entered: Vec<&Moref> = objects(&first)
        .iter()
        .map(|update| &update.object)
        .collect();
    assert_eq!(entered, [&vms[0], &vms[1]]);
    for update in objects(&first) {
        assert_eq!(update.change, ObjectChange::Enter);
    }
    see_snapshot(client, &mut watch, &vms[1]).await;
    see_snapshot(client, &mut watch, &vms[0]).await;
    let nothing = watch.wait(Duration::from_secs(1)).await.unwrap();
    assert_eq!(nothing, None);
    // It goes on after a wait without news.
    see_snapshot(client, &mut watch, &vms[1]).await;
    see_snapshot(client, &mut watch, &vms[0]).await;
    watch.close().await;
}

#[tokio::test]
async fn changes_are_followed() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    follow(&client, WatchMethod::WaitEx).await;
    client.logout().await.unwrap();
}

#[tokio::test]
async fn changes_are_followed_by_the_older_method() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    follow(&client, WatchMethod::Wait).await;
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_wait_can_be_interrupted() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vms = two_vms(&client).await;
    let mut watch = client.watch();
    watch.add(of_snapshots(&vms), false);
    watch.wait(PATIENCE).await.unwrap().unwrap();
    let interrupter = watch.interrupter().unwrap();
    let interrupt = async {
        // Until the server is waiting there is nothing to interrupt, so it is asked again.
        loop {
            interrupter.interrupt().await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let outcome = tokio::select! {
        outcome = watch.wait(PATIENCE) => outcome,
        () = interrupt => unreachable!("it is asked for ever"),
    };
    assert_eq!(
        outcome.as_ref().unwrap_err().fault_type(),
        Some("RequestCanceled"),
        "{outcome:?}"
    );
    see_snapshot(&client, &mut watch, &vms[0]).await;
    watch.close().await;
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_task_is_followed_to_its_end() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let [vm, _] = two_vms(&client).await;
    let task = client
        .create_snapshot(&vm, "followed", "", false, false)
        .await
        .unwrap();
    let mut watch = client.watch_task(&task);
    let done = loop {
        let info = watch.next(PATIENCE).await.unwrap().unwrap();
        if !matches!(info.state, TaskState::Queued | TaskState::Running) {
            break info;
        }
    };
    assert_eq!(done.state, TaskState::Success);
    assert_eq!(done.result.unwrap().kind, "VirtualMachineSnapshot");
    watch.close().await;
    client.logout().await.unwrap();
}
