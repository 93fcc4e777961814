//! Managed objects as trees of data objects, built from the lab when asked for.

mod alarm;
mod compute;
mod config;
mod custom_field;
mod datastore;
mod device;
mod disabled;
mod entity;
mod filter;
mod folder;
mod guest;
mod hardware;
mod history;
mod host;
mod layout;
mod network;
mod role;
mod service;
mod snapshot;
mod view;
mod vm;

use crate::soap::Fault;
use crate::value::DataObject;
use crate::world::{Wanted, World};

pub(crate) use alarm::ID as ALARM;
pub(crate) use custom_field::definition as custom_field_definition;
pub(crate) use datastore::{browser_datastore, volume_path};
pub(crate) use entity::escape_name;
pub(crate) use role::{all_permissions, permissions};
pub(crate) use service::{content as service_content, service_versions};

/// The properties of the object of that id, if there is one. The type's name is the
/// managed type. Those that are not wanted may be missing.
pub(crate) fn properties(
    world: &World<'_>,
    id: &str,
    wanted: &Wanted,
) -> Result<Option<DataObject>, Fault> {
    let prefix = id.split(['-', '[']).next().unwrap_or_default();
    match prefix {
        "propertyCollector" => Ok(
            filter::properties(world, id).or_else(|| Some(DataObject::new("PropertyCollector")))
        ),
        "session" => match filter::properties(world, id) {
            Some(found) => Ok(Some(found)),
            None => match history::properties(world, id)?.or_else(|| lease(world, id)) {
                Some(found) => Ok(Some(found)),
                None => view::properties(world, id),
            },
        },
        "task" => Ok(world
            .state
            .tasks
            .info(id)
            .map(|info| DataObject::new("Task").part("info", info))),
        "alarm" if !world.dialect.bare_host && id == ALARM => Ok(Some(alarm::properties())),
        "EventManager" => history::event_manager(world, wanted).map(Some),
        "vm" => vm::properties(world, id, wanted),
        "snapshot" => snapshot::properties(world, id),
        "datastore" => datastore::properties(world, id),
        "datastoreBrowser" => datastore::browser(world, id),
        "network" => network::properties(world, id),
        "storageSystem" | "autoStartManager" => Ok(host::properties(id)),
        "host" | "domain" | "resgroup" => compute::properties(world, id),
        "datacenter" | "group" => folder::properties(world, id),
        _ => service::properties(world, id),
    }
}

/// The lease of that id, if the session has it.
fn lease(world: &World<'_>, id: &str) -> Option<DataObject> {
    let sessions = &world.state.sessions;
    let found = sessions.with(world.cookie, |session| session.leases.get(id).cloned())??;
    Some(found.properties(id, world.state.clock.now_ms()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use lab::{DiskSpec, Lab, SiteSpec, SnapshotSpec, VmSpec};

    use super::*;
    use crate::Options;
    use crate::clock::Clock;
    use crate::server::State;
    use crate::session::{Client, View};
    use crate::soap::{Dialect, Fault};
    use crate::task::{TaskSpec, Tasks};
    use crate::value::MoRef;

    fn lab(root: &std::path::Path) -> (Lab, String, String) {
        let lab = Lab::create(root, SiteSpec::default()).unwrap();
        let disk = DiskSpec {
            capacity_bytes: 1 << 20,
            ..DiskSpec::default()
        };
        let vm = lab
            .add_vm(VmSpec {
                name: "a & b".to_owned(),
                disks: vec![disk.clone(), disk],
                folder: Some("Prod".to_owned()),
                ..VmSpec::default()
            })
            .unwrap();
        lab.set_change_tracking(&vm.moref, true).unwrap();
        lab.create_snapshot(&vm.moref, &SnapshotSpec::named("one"))
            .unwrap();
        let snapshot = lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("two"))
            .unwrap();
        (lab, vm.moref, snapshot.moref)
    }

    /// Everything the server builds agrees with the schema: names, types, required members.
    #[tokio::test]
    async fn all_objects_agree_with_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let (lab, vm, snapshot) = lab(&folder.path().join("lab"));
        let clock = Arc::new(Clock::new());
        let (handle, memory) = (tokio::runtime::Handle::current(), Duration::from_mins(1));
        let tasks = Tasks::new(handle, Arc::clone(&clock), Duration::ZERO, memory);
        let spec = TaskSpec {
            name: "CreateSnapshot_Task",
            description_id: "VirtualMachine.createSnapshot",
            entity: MoRef::new("VirtualMachine", vm.clone()),
            entity_name: "a".to_owned(),
            user_name: "u".to_owned(),
        };
        let task = tasks
            .start(spec, Box::new(|| Err(Fault::invalid_login())))
            .unwrap();
        let state = State::new(lab, Options::default(), clock, tasks, 60);
        let client = Client::default();
        let (cookie, session) = state
            .sessions
            .open("backup@vsphere.local", "en", &client, 0)
            .unwrap();
        let view = format!("session[{}]52", session.key);
        state.sessions.with(Some(&cookie), |session| {
            let all = View::Container {
                container: MoRef::new("Folder", "group-d1"),
                types: Vec::new(),
                recursive: true,
            };
            session.views.insert(view.clone(), all);
        });
        let world = World::new(&state, Some(&cookie), Dialect::default());

        let listed = properties(&world, &view, &Wanted::All).unwrap().unwrap();
        let listed = listed.get("view").unwrap().targets().into_iter();
        let mut ids: Vec<String> = listed.map(|reference| reference.id.clone()).collect();
        for expected in ["group-v4", "host-16", "resgroup-9", "datastore-17", &vm] {
            assert!(ids.iter().any(|id| id == expected), "{expected}");
        }
        let others = [
            "ServiceInstance",
            "SessionManager",
            "propertyCollector",
            "ViewManager",
        ];
        ids.extend(others.map(str::to_owned));
        ids.extend([
            view,
            snapshot,
            task,
            "group-d1".to_owned(),
            "SearchIndex".to_owned(),
            ALARM.to_owned(),
            "EventManager".to_owned(),
            "LicenseManager".to_owned(),
            "VpxSettings".to_owned(),
            "TaskManager".to_owned(),
        ]);
        for id in &ids {
            let object = properties(&world, id, &Wanted::All).unwrap().unwrap();
            assert_eq!(object.disagreement(), None, "{id}");
        }
        for id in [
            "vm-1",
            "../vm-1021",
            "",
            "task-1",
            "snapshot-1",
            "group-x",
            "session[x]y",
        ] {
            assert_eq!(properties(&world, id, &Wanted::All).unwrap(), None, "{id}");
        }
    }
}
