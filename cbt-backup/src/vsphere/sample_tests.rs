//! Parsers against whole sample answers, and requests against sample requests.
//!
//! The samples in `testdata` were written by hand after the published type definitions; their
//! values are made up.

use std::path::PathBuf;

use super::changed_areas::{self, query_operation};
use super::client::{read_content, read_timestamp};
use super::envelope::{Parse, nothing, read_answer, reference, required};
use super::inventory::{Entity, destroy_operation, view_operation};
use super::operation::Operation;
use super::property::{
    Page, Properties, PropertyFilterSpec, PropertySpec, read_page, retrieve_spec_operation,
};
use super::snapshot::{SnapshotProperties, create_operation, remove_operation};
use super::task::TaskProperties;
use super::version::negotiate;
use super::vm::{VmProperties, change_tracking_operation};
use super::xml::{Reader, Tag, XmlError};
use super::{BackingKind, Error, Exclusion, Moref, SnapshotConfig, TaskState};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("testdata/answers/", $name, ".xml"))
    };
}

macro_rules! request {
    ($name:literal) => {
        include_str!(concat!("testdata/requests/", $name, ".xml"))
    };
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

fn same(operation: &Operation, sample: &str) {
    let envelope = operation.envelope("id").unwrap();
    let envelope = std::str::from_utf8(&envelope).unwrap();
    let body = |text: &str| {
        let (_, rest) = text.split_once("<soapenv:Body>").unwrap();
        rest.split_once("</soapenv:Body>").unwrap().0.to_owned()
    };
    assert_eq!(body(envelope), body(sample));
}

#[test]
fn requests_are_those_of_the_samples() {
    let (vm, snapshot) = (Moref::vm("vm-1021"), Moref::snapshot("snapshot-2044"));
    same(
        &change_tracking_operation(&vm, true),
        request!("31-reconfig-enable-cbt"),
    );
    let create = create_operation(&vm, "Backup", "Temporary Snapshot for Backup", false, true);
    same(&create, request!("33-create-snapshot"));
    same(&remove_operation(&snapshot), request!("43-remove-snapshot"));
    same(
        &Operation::new("ConsolidateVMDisks_Task", &vm),
        request!("45-consolidate-disks"),
    );
    let id = "52 b4 49 50 30 2b 1d b6-51 46 74 5d f1 95 37 9b/16";
    same(
        &query_operation(&vm, &snapshot, 2000, 0, id),
        request!("36-query-changed-disk-areas"),
    );
    let star = request!("37-query-changed-disk-areas-star");
    same(&query_operation(&vm, &snapshot, 2000, 0, "*"), star);
}

#[test]
fn retrievals_are_those_of_the_samples() {
    let collector = Moref::new("PropertyCollector", "propertyCollector");
    let one = |object: &Moref, paths: &[&str], sample: &str| {
        let spec = PropertyFilterSpec::of_object(object, paths);
        same(&retrieve_spec_operation(&collector, &spec, None), sample);
    };
    one(
        &Moref::new("Task", "task-5151"),
        &["info"],
        request!("14-retrieve-properties-ex-task"),
    );
    let snapshot = Moref::snapshot("snapshot-2044");
    one(
        &snapshot,
        &["config", "vm"],
        request!("13-retrieve-properties-ex-snapshot-config"),
    );
    let vm_sample = request!("12-retrieve-properties-ex-one-vm");
    one(
        &Moref::vm("vm-1021"),
        &paths(vm_sample, "VirtualMachine"),
        vm_sample,
    );

    let root = Moref::new("Folder", "group-d1");
    let kinds = [
        "Folder",
        "Datacenter",
        "ComputeResource",
        "ResourcePool",
        "HostSystem",
        "Datastore",
        "VirtualMachine",
    ];
    let views = Moref::new("ViewManager", "ViewManager");
    same(
        &view_operation(&views, &root, &kinds),
        request!("16-create-container-view"),
    );
    let view = Moref::new(
        "ContainerView",
        "session[52f1d2a9-6c1b-4d0e-9a3e-2f6b1c7d8e90]5286fa88-7318-63fc-4917-f258ec859d33",
    );
    same(&destroy_operation(&view), request!("21-destroy-view"));
    let sample = request!("17-retrieve-properties-ex-inventory-view");
    let all_paths: Vec<Vec<&str>> = kinds.iter().map(|kind| paths(sample, kind)).collect();
    let wanted = kinds.iter().zip(&all_paths);
    let wanted = wanted.map(|(kind, paths)| PropertySpec::new(*kind, paths));
    let spec = PropertyFilterSpec::of_view(&view, wanted.collect());
    same(
        &retrieve_spec_operation(&collector, &spec, Some(200)),
        sample,
    );
}

/// The paths that a sample asks of a managed type.
fn paths<'s>(sample: &'s str, kind: &str) -> Vec<&'s str> {
    let (_, rest) = sample
        .split_once(&format!("<propSet><type>{kind}</type>"))
        .unwrap();
    let (set, _) = rest.split_once("</propSet>").unwrap();
    let items = set.split("<pathSet>").skip(1);
    items
        .map(|item| item.strip_suffix("</pathSet>").unwrap())
        .collect()
}

/// The folder of recorded answers, which are not part of the tree: `VSPHERE_SAMPLES`.
fn samples() -> Option<PathBuf> {
    let folder = std::env::var_os("VSPHERE_SAMPLES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: VSPHERE_SAMPLES names no folder of recorded answers");
    }
    folder
}

fn recorded(number: &str) -> Option<Vec<u8>> {
    let folder = samples()?.join("recorded");
    let mut files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let prefix = format!("{number}-");
    let file = files.find(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&prefix)
    });
    Some(std::fs::read(file.unwrap()).unwrap())
}

#[test]
fn recorded_versions_and_contents() {
    let Some(new) = recorded("01") else { return };
    assert_eq!(negotiate(&new).unwrap(), "8.0.2.0");
    assert_eq!(negotiate(&recorded("02").unwrap()).unwrap(), "6.5");
    for number in ["03", "04"] {
        let body = recorded(number).unwrap();
        let content = read_answer("RetrieveServiceContent", &body, read_content).unwrap();
        assert_eq!(content.root_folder.id, "group-d1");
        assert!(content.about.is_vcenter());
        assert_eq!(content.about.version, "8.0.3");
    }
}

#[test]
fn recorded_faults() {
    let Some(login) = recorded("06") else { return };
    let error = read_answer("Login", &login, nothing).unwrap_err();
    assert_eq!(error.fault_type(), Some("InvalidLogin"));
    let odd = recorded("27").unwrap();
    let error = read_answer("QueryAssignedLicenses", &odd, nothing).unwrap_err();
    assert_eq!(error.fault_type(), Some("UnknownLicenseProblemFault"));
    assert_eq!(error.fault().unwrap().message, "");
}

#[test]
fn recorded_retrievals() {
    let Some(unset) = recorded("10") else { return };
    let folder: Entity = one(&unset);
    assert!(folder.parent.is_none());
    assert_eq!(objects::<Entity>(&recorded("09").unwrap()).objects.len(), 1);
    for (number, disks, version, links) in [("13", 1, 8, 2), ("14", 13, 10, 1)] {
        let config = one::<SnapshotProperties>(&recorded(number).unwrap())
            .config
            .unwrap();
        assert_eq!(config.disks.len(), disks);
        assert_eq!(config.hardware_version, Some(version));
        assert_eq!(config.disks[0].backing.chain_links, links);
        for disk in &config.disks {
            assert_eq!(disk.exclusion(), None);
            assert!(disk.controller.is_some() && disk.capacity_bytes > 0);
            assert!(!disk.backing.base_file_name.contains("-000"));
        }
    }
}

/// Reads `returnval` of the undocumented accessor as the property `path`.
fn fetched<T: Properties>(body: &[u8], path: &str) -> T {
    let parse: Parse<String> = |r, response| required(r, response, Reader::raw);
    let raw = read_answer("Fetch", body, parse).unwrap();
    let mut properties = T::default();
    Reader::new(&raw)
        .document(|r: &mut Reader<'_>, tag: &Tag| -> Result<(), XmlError> {
            properties.take(path, r, tag)
        })
        .unwrap();
    properties
}

#[test]
fn recorded_properties_of_a_vm_on_vsan() {
    let Some(config) = recorded("24") else { return };
    let config = fetched::<SnapshotProperties>(&config, "config")
        .config
        .unwrap();
    assert_eq!(config.disks.len(), 1);
    assert_eq!(config.disks[0].capacity_bytes, 2 << 30);
    assert_eq!(config.disks[0].backing.thin, Some(true));
    assert_eq!(config.disks[0].backing.eager_zeroed, Some(false));
    let methods: VmProperties = fetched(&recorded("23").unwrap(), "disabledMethod");
    assert!(methods.vm.disabled_methods.len() > 5);
}

#[test]
fn every_recorded_and_constructed_answer_is_well_formed_to_us() {
    let Some(folder) = samples() else { return };
    let mut count = 0;
    for part in ["recorded", "constructed", "requests"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "xml") {
                let body = std::fs::read(&path).unwrap();
                let read = Reader::from_bytes(&body).and_then(|mut r| r.document(|_, _| Ok(())));
                assert_eq!(read, Ok(()), "{path:?}");
                count += 1;
            }
        }
    }
    assert!(count > 100);
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
