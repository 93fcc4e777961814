//! What the simulator lacks. Nothing is worked around for it: each of these calls is refused, and
//! when a later simulator takes one, the test says so.

use std::future::Future;
use std::pin::Pin;

use cbt_backup::vsphere::{Client, Error, Moref, PropertyFilterSpec, WatchMethod};

use super::simulator::Simulator;

type Call =
    for<'a> fn(&'a Client, &'a Moref) -> Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// The method, the fault it is refused with, and a call of it.
const LACKING: [(&str, &str, Call); 5] = [
    ("CheckForUpdates", "MethodNotFound", |client, vm| {
        Box::pin(async {
            let mut watch = client.watch().by(WatchMethod::Poll);
            watch.add(PropertyFilterSpec::of_object(vm, &["name"]), false);
            watch.check().await.map(drop)
        })
    }),
    ("QueryChangedDiskAreas", "MethodNotFound", |client, vm| {
        Box::pin(async {
            let snapshot = Moref::snapshot("snapshot-1");
            let page = client.query_changed_disk_areas(vm, &snapshot, 204, 0, "*");
            page.await.map(drop)
        })
    }),
    ("ConsolidateVMDisks_Task", "MethodNotFound", |client, vm| {
        Box::pin(async { client.consolidate(vm).await.map(drop) })
    }),
    ("DisableMethods", "InvalidRequest", |client, vm| {
        Box::pin(async {
            client
                .disable_methods(vm, &["RelocateVM_Task"], "test")
                .await
        })
    }),
    ("EnableMethods", "InvalidRequest", |client, vm| {
        Box::pin(async {
            client
                .enable_methods(vm, &["RelocateVM_Task"], "test")
                .await
        })
    }),
];

#[tokio::test]
async fn what_the_simulator_lacks_is_known() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let vm = client.find_vm("DC0_H0_VM0").await.unwrap().moref;
    for (method, expected, call) in LACKING {
        match call(&client, &vm).await {
            Ok(()) => panic!("the simulator has {method} now: test it, and strike it here"),
            Err(error) => assert_eq!(error.fault_type(), Some(expected), "{method}: {error}"),
        }
    }
    client.logout().await.unwrap();
}
