//! Parsers against whole sample answers, and requests against sample requests.
//!
//! The samples in `testdata` were written by hand after the published type definitions; their
//! values are made up.

mod constructed;
mod listed;
mod recorded;
mod requests;

use super::changed_areas;
use super::client::read_timestamp;
use super::envelope::{Parse, nothing, read_answer, reference, required};
use super::inventory::Entity;
use super::property::{Page, Properties, read_page};
use super::snapshot::SnapshotProperties;
use super::task::TaskProperties;
use super::vm::VmProperties;
use super::xml::{Reader, Tag};
use super::{BackingKind, Error, Exclusion, Moref, SnapshotConfig, TaskState};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("testdata/answers/", $name, ".xml"))
    };
}

/// The text of every element without children in an answer, by its name: for answers that no
/// type of ours reads.
fn leaves(body: &[u8]) -> Vec<(String, String)> {
    fn walk(raw: &str, all: &mut Vec<(String, String)>) {
        let mut leaf = None;
        let mut look = |r: &mut Reader<'_>, tag: &Tag| {
            leaf = r.leaf(tag)?.map(|text| (tag.name.clone(), text));
            Ok(())
        };
        Reader::new(raw).document(&mut look).unwrap();
        if let Some(leaf) = leaf {
            all.push(leaf);
            return;
        }
        let descend = |r: &mut Reader<'_>, tag: &Tag| {
            r.children(tag, |r, tag| {
                walk(&r.raw(tag)?, all);
                Ok(())
            })
        };
        Reader::new(raw).document(descend).unwrap();
    }
    let mut all = Vec::new();
    walk(std::str::from_utf8(body).unwrap(), &mut all);
    all
}

fn objects<T: Properties>(body: &[u8]) -> Page<T> {
    read_answer("RetrievePropertiesEx", body, read_page::<T>).unwrap()
}

fn one<T: Properties>(body: &[u8]) -> T {
    let mut page = objects(body);
    assert_eq!(page.objects.len(), 1);
    page.objects.remove(0).properties
}

#[test]
fn pages_have_tokens_unset_properties_and_entities() {
    let first: Page<VmProperties> = objects(sample!("c03-retrieve-page-1-of-2"));
    assert_eq!(first.token.as_deref(), Some("7"));
    let vm = &first.objects[0].properties.vm;
    assert_eq!(
        (vm.name.as_str(), vm.change_tracking_enabled),
        ("app01", Some(true))
    );
    assert_eq!(vm.power_state.to_string(), "on");
    assert_eq!(vm.host, Some(Moref::new("HostSystem", "host-16")));

    let body = sample!("c04-retrieve-page-2-of-2");
    let last = read_answer("ContinueRetrievePropertiesEx", body, read_page::<Entity>).unwrap();
    assert_eq!(last.token, None);
    assert_eq!(last.objects[0].properties.name, "Tom & Jerry");
    assert_eq!(last.objects[0].properties.change_tracking_enabled, None);

    let none: Page<Entity> = objects(sample!("c05-retrieve-nothing-selected"));
    assert!(none.objects.is_empty() && none.token.is_none());
}

#[test]
fn what_could_not_be_read_is_kept_apart() {
    let gone: Page<VmProperties> = objects(sample!("c06-retrieve-missing-not-authenticated"));
    let (path, fault) = &gone.objects[0].missing[0];
    assert_eq!(path, "config.hardware.device");
    assert_eq!(fault.type_name, "NotAuthenticated");
    assert_eq!(fault.field("object"), Some("VirtualMachine:vm-1021"));
    let denied: Page<VmProperties> = objects(sample!("c07-retrieve-missing-no-permission"));
    assert_eq!(denied.objects[0].missing[0].1.type_name, "NoPermission");
}

#[test]
fn tasks_are_read_in_every_state() {
    let info = |body: &[u8]| one::<TaskProperties>(body).info.unwrap();
    let running = info(sample!("c09-task-running"));
    assert_eq!(running.state, TaskState::Running);
    assert!(running.progress.is_some());
    let done = info(sample!("c10-task-success-snapshot"));
    assert_eq!(done.state, TaskState::Success);
    assert_eq!(done.result, Some(Moref::snapshot("snapshot-2044")));
    assert_eq!(done.name, "CreateSnapshot_Task");
    assert_eq!(done.entity, Some(Moref::vm("vm-1021")));
    let failed = info(sample!("c11-task-error-quiesce")).error.unwrap();
    assert_eq!(failed.type_name, "ApplicationQuiesceFault");
    assert_eq!(
        failed.details,
        ["The guest OS has reported an error during quiescing."]
    );
    let cancelled = info(sample!("c12-task-error-cancelled")).error.unwrap();
    assert_eq!(cancelled.type_name, "RequestCanceled");
}

fn snapshot_config() -> SnapshotConfig {
    let body = sample!("c19-snapshot-config-with-change-ids");
    one::<SnapshotProperties>(body).config.unwrap()
}

#[test]
fn a_snapshot_config_has_disks_with_change_ids() {
    let config = snapshot_config();
    assert_eq!(config.name, "app01");
    assert_eq!(config.hardware_version, Some(19));
    assert_eq!(
        config.instance_uuid.as_deref(),
        Some("50201f05-b37c-db69-fda5-fb077e87af04")
    );
    assert_eq!(config.change_tracking_enabled, Some(true));
    assert_eq!(config.disks.len(), 3);
    let disk = &config.disks[0];
    assert_eq!(
        (disk.device_key, disk.unit, disk.capacity_bytes),
        (2000, Some(0), 40 << 30)
    );
    assert_eq!(disk.controller.as_ref().unwrap().to_string(), "scsi0");
    assert_eq!(
        disk.backing.change_id.as_deref(),
        Some("52 b4 49 50 30 2b 1d b6-51 46 74 5d f1 95 37 9b/17")
    );
    assert_eq!(
        disk.backing.file_name,
        "[datastore1] app01/app01-000001.vmdk"
    );
    assert_eq!(disk.backing.base_file_name, "[datastore1] app01/app01.vmdk");
    assert_eq!(disk.backing.thin, Some(true));
    assert_eq!(disk.exclusion(), None);
    let raw = &config.disks[2];
    assert_eq!(raw.backing.kind, BackingKind::RawPhysical);
    assert_eq!(raw.backing.change_id, None);
    assert_eq!(raw.exclusion(), Some(Exclusion::PhysicalRdm));
}

#[test]
fn the_raw_config_can_be_read_alone() {
    let raw = snapshot_config().raw_xml;
    let mut root = None;
    Reader::from_bytes(&raw)
        .unwrap()
        .document(|_, tag| {
            root = tag.xsi_type.clone();
            Ok(())
        })
        .unwrap();
    assert_eq!(root.as_deref(), Some("VirtualMachineConfigInfo"));
    let whole = sample!("c19-snapshot-config-with-change-ids");
    let whole = std::str::from_utf8(whole).unwrap();
    let raw = std::str::from_utf8(&raw).unwrap();
    let (_, content) = raw.split_once("<changeVersion>").unwrap();
    assert!(whole.contains(content));
}

#[test]
fn a_vm_has_chains_of_disks_and_a_tree_of_snapshots() {
    let read: VmProperties = one(sample!("c20-vm-devices-and-snapshot-tree"));
    let vm = read.into_vm().unwrap();
    let disks = &vm.disks;
    assert_eq!(disks[0].backing.chain_links, 3);
    assert_eq!(
        disks[0].backing.base_file_name,
        "[datastore1] app01/app01.vmdk"
    );
    assert_eq!(disks[0].controller, None);
    let tree = &vm.snapshots;
    assert_eq!(tree.current, Some(Moref::snapshot("snapshot-2044")));
    let names: Vec<&str> = tree.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["before upgrade", "Backup"]);
    let child = &tree.roots[0].children[0];
    assert!(child.is_quiesced);
    assert_eq!(child.description, "Temporary Snapshot for Backup");
    assert_eq!(child.created.unwrap().to_string(), "2026-01-15T09:00:01.4Z");
}

#[test]
fn changed_areas_are_read_page_by_page() {
    let page =
        |body: &[u8]| read_answer("QueryChangedDiskAreas", body, changed_areas::read_page).unwrap();
    let first = page(sample!("c21-query-changed-disk-areas-page-1"));
    assert_eq!(
        (first.start_offset_bytes, first.length_bytes),
        (0, 20 << 30)
    );
    assert_eq!(first.areas.len(), 3);
    let second = page(sample!("c22-query-changed-disk-areas-page-2"));
    assert_eq!(second.start_offset_bytes, first.length_bytes);
    assert_eq!(second.start_offset_bytes + second.length_bytes, 40 << 30);
    assert!(
        page(sample!("c23-query-changed-disk-areas-unchanged"))
            .areas
            .is_empty()
    );
}

#[test]
fn faults_come_in_every_form() {
    for (body, type_name, field) in [
        (
            &sample!("c25-fault-invalid-argument-device-key")[..],
            "InvalidArgument",
            Some(("invalidProperty", "deviceKey")),
        ),
        (sample!("c27-fault-file-fault"), "FileFault", None),
        (
            sample!("c28-fault-internal-namespace"),
            "InvalidArgument",
            Some(("invalidProperty", "deviceKey")),
        ),
        (
            sample!("c29-fault-not-authenticated"),
            "NotAuthenticated",
            Some(("privilegeId", "System.View")),
        ),
        (
            sample!("c31-fault-managed-object-not-found"),
            "ManagedObjectNotFound",
            Some(("obj", "VirtualMachine:vm-1021")),
        ),
    ] {
        let error = read_answer("QueryChangedDiskAreas", body, nothing).unwrap_err();
        assert_eq!(error.fault_type(), Some(type_name));
        if let Some((name, value)) = field {
            assert_eq!(error.fault().unwrap().field(name), Some(value));
        }
    }
}

#[test]
fn results_of_single_methods() {
    let task = read_answer(
        "CreateSnapshot_Task",
        sample!("c08-create-snapshot-task"),
        reference,
    );
    assert_eq!(task.unwrap().kind, "Task");
    let parse: Parse<_> = |r, response| required(r, response, read_timestamp);
    assert!(read_answer("CurrentTime", sample!("c44-current-time"), parse).is_ok());
}

#[test]
fn a_sample_cut_anywhere_is_an_error() {
    let body = sample!("c21-query-changed-disk-areas-page-1");
    let whole = body.trim_ascii_end();
    for end in 0..whole.len() {
        let cut = read_answer(
            "QueryChangedDiskAreas",
            &whole[..end],
            changed_areas::read_page,
        );
        assert!(matches!(cut, Err(Error::Xml { .. })), "cut at {end}");
    }
}

#[test]
fn a_damaged_sample_is_read_or_refused_without_a_panic() {
    let damage = |body: &[u8], parse: &dyn Fn(&[u8])| {
        for at in (0..body.len()).step_by(7) {
            for byte in *b"<>&\"/ 9-\0\xff" {
                let mut damaged = body.to_vec();
                damaged[at] = byte;
                parse(&damaged);
            }
        }
    };
    damage(sample!("c19-snapshot-config-with-change-ids"), &|body| {
        drop(read_answer(
            "RetrievePropertiesEx",
            body,
            read_page::<SnapshotProperties>,
        ));
    });
    damage(sample!("c20-vm-devices-and-snapshot-tree"), &|body| {
        drop(read_answer(
            "RetrievePropertiesEx",
            body,
            read_page::<VmProperties>,
        ));
    });
    damage(sample!("c11-task-error-quiesce"), &|body| {
        drop(read_answer(
            "RetrievePropertiesEx",
            body,
            read_page::<TaskProperties>,
        ));
    });
    damage(sample!("c27-fault-file-fault"), &|body| {
        drop(read_answer("Login", body, nothing));
    });
}
