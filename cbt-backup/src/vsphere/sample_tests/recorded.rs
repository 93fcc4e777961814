//! Answers of real servers, which are another project's and not part of the tree.
//!
//! They are read where `VSPHERE_SAMPLES` says, or beside the workspace. Where they are not, these
//! tests say so and check nothing.

use std::io::Write as _;
use std::path::PathBuf;

use super::{leaves, objects, one};
use crate::vsphere::client::read_content;
use crate::vsphere::datastore::Datastore;
use crate::vsphere::envelope::{Parse, nothing, read_answer, reference, required};
use crate::vsphere::fault::Fault;
use crate::vsphere::inventory::Entity;
use crate::vsphere::property::{Properties, PropertyMap};
use crate::vsphere::snapshot::SnapshotProperties;
use crate::vsphere::task::read_tasks;
use crate::vsphere::version::negotiate;
use crate::vsphere::vm::VmProperties;
use crate::vsphere::xml::{Reader, Tag, XmlError};
use crate::vsphere::{Disk, ManagedBy, Moref, Vm};

/// The folder of samples, where there is one.
pub(super) fn samples() -> Option<PathBuf> {
    let named = std::env::var_os("VSPHERE_SAMPLES").map(PathBuf::from);
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vsphere");
    let folder = named.unwrap_or_else(|| PathBuf::from(beside));
    if folder.join("recorded").is_dir() {
        return Some(folder);
    }
    // Past the test runner, which keeps to itself what a test that passes prints.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: no recorded answers in {}; VSPHERE_SAMPLES names their folder",
        folder.display()
    );
    None
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
fn recorded_sessions_and_views() {
    let Some(login) = recorded("05") else { return };
    let login = leaves(&login);
    let has = |name: &str, text: &str| login.contains(&(name.to_owned(), text.to_owned()));
    assert!(has("key", "5220f274-9ba1-a663-b51f-9b16fca182f1"));
    assert!(has("userName", "my_user") && has("extensionSession", "false"));
    let session: PropertyMap = one(&recorded("11").unwrap());
    let session = session.get("currentSession").unwrap();
    assert_eq!(session.type_name(), Some("UserSession"));
    assert!(
        session
            .xml()
            .contains("<key>52b5395a-85c2-9902-7835-13a9b77e1fec</key>")
    );
    let view = read_answer("CreateContainerView", &recorded("07").unwrap(), reference).unwrap();
    let id = "session[52bb85b0-adbe-7f20-156d-6130b6dc066e]5286fa88-7318-63fc-4917-f258ec859d33";
    assert_eq!(view, Moref::new("ContainerView", id));
    read_answer("DestroyView", &recorded("08").unwrap(), nothing).unwrap();
    let manager: PropertyMap = one(&recorded("12").unwrap());
    let manager = manager.get("licenseAssignmentManager").unwrap().moref();
    let id = "LicenseAssignmentManager";
    assert_eq!(manager.unwrap(), Moref::new(id, id));
}

#[test]
fn recorded_searches() {
    let Some(by_path) = recorded("16") else {
        return;
    };
    let found = read_answer("FindByInventoryPath", &by_path, reference).unwrap();
    assert_eq!(found, Moref::vm("vm-722"));
    let found = read_answer("FindByUuid", &recorded("17").unwrap(), reference).unwrap();
    assert_eq!(found, Moref::vm("vm-19"));
}

/// Reads a recorded VM by one of its properties.
fn vm_of(number: &str, path: &str) -> Vm {
    fetched::<VmProperties>(&recorded(number).unwrap(), path)
        .into_vm()
        .unwrap()
}

#[test]
fn a_recorded_vm_on_a_delta_disk() {
    let Some(body) = recorded("13") else { return };
    let vm = one::<VmProperties>(&body).into_vm().unwrap();
    assert_eq!(vm.name, "box");
    assert_eq!(vm.hardware_version, Some(8));
    assert_eq!(
        vm.bios_uuid.as_deref(),
        Some("420264ab-848b-1586-b589-b9bd3a71b3aa")
    );
    assert_eq!(
        vm.instance_uuid.as_deref(),
        Some("500221fe-3473-60ff-fab2-1811600208a0")
    );
    assert_eq!(vm.vmx_path.as_deref(), Some("[storage0] box/box.vmx"));
    assert_eq!(vm.nvram_path.as_deref(), Some("[storage0] box/box.nvram"));
    assert_eq!(vm.firmware.as_deref(), Some("bios"));
    assert_eq!(vm.guest.configured_id.as_deref(), Some("ubuntu64Guest"));
    assert_eq!(vm.change_tracking_enabled, Some(false));
    assert!(vm.tracking_keys.is_empty() && !vm.has_virtual_tpm && vm.managed_by.is_none());
    let [disk] = &vm.disks[..] else {
        panic!("{:?}", vm.disks);
    };
    assert_eq!(disk.capacity_bytes, 16 << 30);
    assert_eq!(disk.address().as_deref(), Some("scsi0:0"));
    assert_eq!(disk.backing.file_name, "[storage0] box/box-000001.vmdk");
    assert_eq!(disk.backing.base_file_name, "[storage0] box/box.vmdk");
    assert_eq!(disk.backing.chain_links, 2);
    assert_eq!(disk.backing.delta_format.as_deref(), Some("redoLogFormat"));
    assert_eq!(disk.untrackable(), None);
    // Two IDE controllers and the SCSI one; those of keyboards and buses hold no disks.
    let controllers: Vec<String> = vm.controllers.iter().map(ToString::to_string).collect();
    assert_eq!(controllers, ["ide0", "ide1", "scsi0"]);
}

#[test]
fn a_recorded_vm_with_thirteen_disks() {
    let Some(body) = recorded("14") else { return };
    let vm = one::<VmProperties>(&body).into_vm().unwrap();
    assert_eq!(vm.name, "VMware vCenter Server Appliance");
    assert_eq!(vm.hardware_version, Some(10));
    let sizes: Vec<u64> = vm.disks.iter().map(|disk| disk.capacity_bytes).collect();
    assert_eq!(
        sizes,
        [
            12_884_901_888,
            1_980_760_064,
            26_843_545_600,
            26_843_545_600,
            10_737_418_240,
            10_737_418_240,
            16_106_127_360,
            10_737_418_240,
            1_073_741_824,
            10_737_418_240,
            10_737_418_240,
            107_374_182_400,
            53_687_091_200
        ]
    );
    // Unit 7 is the controller itself. The second controller has no disk.
    let addresses: Vec<String> = vm.disks.iter().filter_map(Disk::address).collect();
    let units = (0..14).filter(|unit| *unit != 7);
    let expected: Vec<String> = units.map(|unit| format!("scsi0:{unit}")).collect();
    assert_eq!(addresses, expected);
    assert_eq!(vm.controllers.last().unwrap().to_string(), "scsi1");
}

#[test]
fn a_recorded_agent_vm() {
    let Some(_) = samples() else { return };
    let vm = vm_of("24", "config");
    let agent = ManagedBy {
        extension_key: "com.vmware.vim.eam".to_owned(),
        kind: "cluster-agent".to_owned(),
    };
    assert_eq!(vm.managed_by, Some(agent));
    assert_eq!(vm.hardware_version, Some(11));
    let folder = "[vsanDatastore] 3b307865-804d-7d05-3a9d-0625178fc4c6";
    let name = "vCLS-8f66678f-3d69-4b58-a4c7-bae62203b573";
    let nvram = format!("{folder}/{name}.nvram");
    assert_eq!(vm.nvram_path.as_deref(), Some(nvram.as_str()));
    assert_eq!(
        vm.disks[0].backing.base_file_name,
        format!("{folder}/{name}.vmdk")
    );
    // The list of files tells the same file.
    assert_eq!(vm_of("22", "layoutEx").nvram_path, Some(nvram));
    let vmfs: VmProperties = one(&recorded("15").unwrap());
    let file = "[datastore1] VMware vCenter Server Appliance/VMware vCenter Server Appliance.nvram";
    assert_eq!(vmfs.into_vm().unwrap().nvram_path.as_deref(), Some(file));
}

#[test]
fn recorded_states_of_a_vm() {
    let Some(_) = samples() else { return };
    let runtime = vm_of("21", "runtime");
    assert_eq!(runtime.power_state.to_string(), "on");
    assert!(runtime.is_connected());
    assert_eq!(runtime.host, Some(Moref::new("HostSystem", "host-16")));
    assert_eq!(runtime.consolidation_needed, Some(false));
    assert_eq!(runtime.snapshot_in_background, Some(false));
    assert_eq!(
        runtime.fault_tolerance_state.as_deref(),
        Some("notConfigured")
    );
    assert_eq!((runtime.question, runtime.encryption.state), (None, None));
    let able = vm_of("20", "capability");
    assert_eq!(able.change_tracking_supported, Some(true));
    assert_eq!(able.capability.snapshots, Some(true));
    assert_eq!(able.capability.quiesced_snapshots, Some(true));
    assert_eq!(
        able.capability.disk_only_snapshot_while_suspended,
        Some(true)
    );
    let methods = vm_of("23", "disabledMethod").disabled_methods;
    assert_eq!(methods.len(), 27);
    assert_eq!(methods[0], "Destroy_Task");
    assert!(!methods.contains(&"RelocateVM_Task".to_owned()));
}

#[test]
fn recorded_small_values() {
    let Some(unset) = recorded("18") else { return };
    read_answer("Fetch", &unset, nothing).unwrap();
    let list = leaves(&recorded("19").unwrap());
    let expected = (
        "ManagedObjectReference".to_owned(),
        "datacenter-3".to_owned(),
    );
    assert_eq!(list, [expected]);
    let able = leaves(&recorded("25").unwrap());
    let vsan = (
        "topLevelDirectoryCreateSupported".to_owned(),
        "false".to_owned(),
    );
    assert!(able.contains(&vsan));
}

#[test]
fn a_recorded_datastore() {
    let Some(body) = recorded("26") else { return };
    let parse: Parse<String> = |r, response| required(r, response, Reader::raw);
    let summary = read_answer("Fetch", &body, parse).unwrap();
    let mut store = Datastore::default();
    let take = |r: &mut Reader<'_>, tag: &Tag| {
        r.children(tag, |r, tag| {
            store.take(&format!("summary.{}", tag.name), r, tag)
        })
    };
    Reader::new(&summary).document(take).unwrap();
    let expected = Datastore {
        name: "vsanDatastore".to_owned(),
        file_system: "vsan".to_owned(),
        multiple_host_access: Some(true),
    };
    assert_eq!(store, expected);
}

/// All faults inside data, wherever they are.
fn take_faults(r: &mut Reader<'_>, tag: &Tag, faults: &mut Vec<Fault>) -> Result<(), XmlError> {
    if tag.xsi_type.as_deref() == Some("LocalizedMethodFault") {
        faults.push(Fault::read_localized(r, tag)?);
        return Ok(());
    }
    r.children(tag, |r, tag| take_faults(r, tag, faults))
}

#[test]
fn recorded_faults_with_prefixed_types() {
    let Some(body) = recorded("28") else { return };
    let text = std::str::from_utf8(&body).unwrap();
    let mut faults = Vec::new();
    let visit = |r: &mut Reader<'_>, tag: &Tag| take_faults(r, tag, &mut faults);
    Reader::new(text).document(visit).unwrap();
    assert!(faults.len() > 3);
    for fault in &faults {
        assert_eq!(fault.type_name, "PbmPropertyMismatchFault");
        assert!(
            fault
                .message
                .contains("Tags with name (test-tag) not found")
        );
    }
}

#[test]
fn recorded_tasks_of_others() {
    let Some(body) = recorded("29") else { return };
    let tasks = read_answer("ReadNextTasks", &body, read_tasks).unwrap();
    let states: Vec<String> = tasks
        .iter()
        .map(|task| format!("{:?}", task.state))
        .collect();
    assert_eq!(states, ["Running", "Queued", "Queued", "Queued"]);
    // A task of an extension has no name.
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["", "", "LeaseMapDiskRegion", "LeaseMapDiskRegion"]);
    assert_eq!(tasks[0].entity, Some(Moref::vm("vm-133364")));
    assert_eq!(tasks[1].entity, Some(Moref::new("Folder", "group-d1")));
    let ids: Vec<&str> = tasks
        .iter()
        .map(|task| task.description_id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "com.vmware.vdp2.integritycheck",
            "com.vmware.vcIntegrity.CheckNotificationTask",
            "host.DiskManager.Lease.MapDiskRegion",
            "host.DiskManager.Lease.MapDiskRegion"
        ]
    );
    assert_eq!(tasks[0].queued.to_string(), "2014-10-20T15:09:08.789999Z");
    assert!(tasks.iter().all(|task| task.completed.is_none()));
}
